/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A task of a job that mounts something.
 *
 * Mounting has no tracepoint, but every mount has counters for each processor, and their making has one, with trampolines
 * and without. So this tells only who is in such a call, and in which mount namespace: what is mounted where, the agent
 * reads in the kernel's own table.
 */
#ifndef RUNWARD_MOUNTS_H
#define RUNWARD_MOUNTS_H

#include "common.h"
#include "syscalls.h"

SEC("tp_btf/percpu_alloc_percpu")
int BPF_PROG(mounts_made)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rw_task *place;
	struct rw_mount_call *record;

	/* Every fork comes here, too. */
	if (current_call() != CALL_MOUNT)
		return 0;
	place = task_place(task);
	if (!place)
		return 0;
	record = has_room(RANK_NOTABLE) ? bpf_ringbuf_reserve(&events, sizeof(*record), 0) : NULL;
	if (!record) {
		count_loss(RW_MOUNT_CALL, RW_LOSS_RING_FULL);
		return 0;
	}
	fill_head(&record->head, RW_MOUNT_CALL, place->job, place->process, process_pid(task));
	record->pad = 0;
	record->mount_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	/* A namespace of its own may be gone as soon as the call returns. */
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

#endif
