/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that a fenced job has without having made them: inherited at its start, or handed over by somebody else. The
 * user side runs this over all tasks of the machine; from then on such a socket is the job's, and its packets are judged.
 * Those whose packets nobody can judge are listed.
 */
#ifndef RUNWARD_OPEN_SOCKETS_H
#define RUNWARD_OPEN_SOCKETS_H

#include "protect_sockets.h"
#include "sockets.h"
#include "verdict.h"

SEC("iter/task_file")
int tag_open_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct rw_strange_socket strange = {};
	struct socket_info *info;
	struct rw_task *place;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	place = task_place(task);
	if (!place || !is_fenced(place->job))
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6) {
		strange.family = sk->__sk_common.skc_family;
		if (!is_family_followed(strange.family)) {
			strange.pid = process_pid(task);
			bpf_seq_write(ctx->meta->seq, &strange, sizeof(strange));
		}
		return 0;
	}
	if (bpf_sk_storage_get(&sockets, sk, NULL, 0))
		return 0;
	info = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!info) {
		count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
		return 0;
	}
	tag(info, place, task);
	info->inherited = 1;
	info->protocol = sk->sk_protocol;
	info->raw = sk->sk_type == SOCK_RAW;
	return 0;
}

#endif
