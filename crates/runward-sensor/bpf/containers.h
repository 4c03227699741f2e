/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Containers that an engine's daemon starts because a job asked it to. The daemon is outside of the job, and so is what it
 * starts: the user side is told of every program with which a container begins, and asks who of a job is connected to an
 * engine at that moment: a request to start one is not answered before it runs.
 */
#ifndef RUNWARD_CONTAINERS_H
#define RUNWARD_CONTAINERS_H

#include "names.h"
#include "process.h"
#include "protect_sockets.h"

/* Whether a process looks after a container: of its children, those in another mount namespace are the container. */
static __always_inline bool keeps_containers(struct task_struct *task)
{
	struct short_name name = {};

	bpf_probe_read_kernel(name.text, sizeof(task->comm), task->comm);
	/* containerd-shim-runc-v2, as long as the kernel keeps a name. */
	return is_name(&name, "containerd-shim") || is_name(&name, "conmon");
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(containers_begin, struct task_struct *task)
{
	struct task_struct *parent = task->real_parent;
	struct rw_container *record;

	if (!keeps_containers(parent) || task->nsproxy->mnt_ns == BPF_CORE_READ(parent, nsproxy, mnt_ns) ||
	    task_place(task))
		return 0;
	record = has_room(RANK_NOTABLE) ? bpf_ringbuf_reserve(&events, sizeof(*record), 0) : NULL;
	if (!record) {
		count_loss(RW_CONTAINER, RW_LOSS_RING_FULL);
		return 0;
	}
	fill_head(&record->head, RW_CONTAINER, 0, 0, process_pid(task));
	/* It runs already. */
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

/* Lists who has a connection to an engine. What accepts one has the name that its listener was bound to. */
SEC("iter/task_file")
int engine_clients(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct rw_engine_client row = {};
	struct rw_task *place;
	struct socket *socket;
	struct sock *peer;
	__u64 name = 0;
	__u32 len;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket || !socket->sk || socket->sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	peer = BPF_CORE_READ((struct unix_sock *)socket->sk, peer);
	if (!peer)
		return 0;
	len = unix_path(peer, &name);
	if (!len || !(act_on_service(name + len, len) & ENGINE))
		return 0;
	place = task_place(task);
	row.job = place ? place->job : 0;
	row.engine = (__u64)BPF_CORE_READ((struct unix_sock *)peer, addr);
	row.pid = process_pid(task);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif
