/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes that ran before their job began. The user side puts the first one into the job and runs this over all tasks
 * of the machine, again and again, until nobody new is found: whose parent has a place gets one beside it. What has a
 * place passes it on when it forks, so only children of those that had none yet can be missed by one look.
 */
#ifndef RUNWARD_ADOPT_H
#define RUNWARD_ADOPT_H

#include "process.h"

/* The last thread has left: what is still there waits to be looked at by its parent, and does nothing any more. */
static __always_inline bool has_ended(struct task_struct *task)
{
	return BPF_CORE_READ(task, signal, live.counter) == 0;
}

SEC("iter/task")
int adopt_descendants(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct rw_task *place, *above;
	struct rw_task new_place = {};
	struct rw_adopted row = {};
	bool thread;

	if (!task || has_ended(task))
		return 0;
	thread = task->pid != task->tgid;
	place = bpf_task_storage_get(&tasks, task, NULL, 0);
	if (place) {
		/* The job's first process was given its place by the user side, which does not know what else a place means. */
		if (!thread && is_first(place->process)) {
			remember_member(task->tgid, place->job, place->process);
			look_at_netns(task, place);
		}
		return 0;
	}
	if (bpf_task_storage_get(&spared, task, NULL, 0))
		return 0;
	above = thread ? bpf_task_storage_get(&tasks, task->group_leader, NULL, 0) : task_place(task->real_parent);
	if (!above)
		return 0;
	new_place.job = above->job;
	if (thread) {
		new_place.process = above->process;
		new_place.parent = above->parent;
		new_place.ppid = above->ppid;
	} else {
		new_place.process = next_id();
		new_place.parent = above->process;
		new_place.ppid = process_pid(task->real_parent);
		row.pid = process_pid(task);
	}
	row.job = new_place.job;
	row.process = new_place.process;
	row.parent = new_place.parent;
	row.ppid = new_place.ppid;
	/* Without room for the row, the kernel shows the task once more. One that could then not be marked is found again. */
	if (bpf_seq_write(ctx->meta->seq, &row, sizeof(row)))
		return 0;
	place = bpf_task_storage_get(&tasks, task, &new_place, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!place || thread)
		return 0;
	/* It may have left while it was given its place; then its end was told by nobody. */
	if (has_ended(task))
		__sync_lock_test_and_set(&place->exited, 1);
	remember_fork(task->tgid, new_place.job, new_place.process, new_place.parent);
	look_at_netns(task, place);
	return 0;
}

#endif
