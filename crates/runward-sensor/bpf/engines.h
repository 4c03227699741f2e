/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Engines of containers: daemons outside of every job. A request to start a container is not answered before it runs, and
 * making it takes its time: the user side is told as soon as a runtime begins to, asks who is connected to an engine then,
 * and is told again of what runs inside.
 */
#ifndef RUNWARD_ENGINES_H
#define RUNWARD_ENGINES_H

#include "containers.h"
#include "protect_sockets.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(containers_begin, struct task_struct *task)
{
	struct task_struct *parent = task->real_parent;
	struct rw_container *record;
	struct short_name comm;
	struct rw_task *place;
	bool inside, keeps;

	read_comm(&comm, parent);
	inside = is_inside_of(parent, task);
	keeps = keeps_containers(&comm);
	/* What is started in a container that runs has the runtime above it yet. */
	if (!keeps && !(inside && is_runtime(&comm)))
		return 0;
	place = task_place(task);
	/* What the job has started itself. */
	if (place && place->parent)
		return 0;
	record = has_room(RANK_NOTABLE) ? bpf_ringbuf_reserve(&events, sizeof(*record), 0) : NULL;
	if (!record) {
		count_loss(RW_CONTAINER, RW_LOSS_RING_FULL);
		return 0;
	}
	fill_head(&record->head, RW_CONTAINER, 0, 0, process_pid(task));
	record->keeper = process_pid(parent);
	record->inside = inside;
	record->session = inside && !keeps;
	record->placed = place != NULL;
	record->pad = 0;
	/* It runs already. */
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline bool is_engine(struct sock *sk)
{
	__u64 name = 0;
	__u32 len = sk ? unix_path(sk, &name) : 0;

	return len && (act_on_service(name + len, len) & ENGINE);
}

/* Lists engines, and who has a connection to one. What accepts one has the name that its listener was bound to. */
SEC("iter/task_file")
int engine_clients(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct rw_engine_client row = {};
	struct rw_task *place;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	row.serves = is_engine(sk);
	if (!row.serves && !is_engine(BPF_CORE_READ((struct unix_sock *)sk, peer)))
		return 0;
	place = task_place(task);
	row.job = place ? place->job : 0;
	row.pid = process_pid(task);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif
