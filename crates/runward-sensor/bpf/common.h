/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every program of the sensor shares: the maps, the ring, the loss counters, and a task's place in a job.
 */
#ifndef RUNWARD_COMMON_H
#define RUNWARD_COMMON_H

#include "kernel.h"
#include "abi.h"
#include "bounded.h"
#include "process_ids.h"

/*
 * Set by the user side before load. The verifier knows these values, so what they turn off is never checked and need
 * not exist on this kernel.
 */

/* Cgroup programs may read task storage here. If not, trampolines tag the socket before the cgroup hook runs. */
const volatile bool task_storage_in_cgroup_hooks = true;
/* A job may be fenced. Without, nothing of verdict.h is ever run. */
const volatile bool fence = false;
/* A job may be in lockdown. Without, nothing of lockdown.h is ever run. */
const volatile bool lockdown = false;
/* Trampolines refuse there what a lockdown bans. If not, whoever does it is killed. */
const volatile bool lockdown_refuses = false;
/* A job may begin with processes that run already. */
const volatile bool adopts = false;
/* There is a block list. Without, nothing of listed.h is ever run. */
const volatile bool listing = false;
/* A daemon that looks up names for all C libraries runs here; they ask for it all the time, also where there is none. */
const volatile bool name_cache_runs = true;
/* The size of the ring. */
const volatile __u64 ring_bytes = 32 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 << 20);
} events SEC(".maps");

/* Counts of what was lost, at [kind * RW_LOSSES + reason]. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, RW_KINDS * RW_LOSSES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

/* Each thread of a job: inherited at fork, gone with the task. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rw_task);
} tasks SEC(".maps");

/* Tasks that never belong to a job, whoever their parent is: the agent of a job that was adopted, and who called it. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} spared SEC(".maps");

/* Numbers processes and connections; the user side takes the ones up to this for the jobs that it starts. */
#define FIRST_ID (1 << 16)
__u64 last_id = FIRST_ID;

static __always_inline __u64 next_id(void)
{
	return __sync_fetch_and_add(&last_id, 1) + 1;
}

static __always_inline void count_loss(__u32 kind, __u32 reason)
{
	__u32 slot = kind * RW_LOSSES + reason;
	__u64 *count = bpf_map_lookup_elem(&losses, &slot);

	if (count)
		__sync_fetch_and_add(count, 1);
}

/*
 * How much a record tells. A job that floods the ring with what is cheap to make must not push out what gives it away, so
 * each rank leaves some of the ring free for those above it.
 */
enum rank {
	RANK_PASSING, /* processes that come and go, ends of connections: leaves an eighth */
	RANK_ACT, /* programs, connections, lookups: leaves a sixteenth */
	RANK_REFUSAL, /* what was not let through: leaves a thirty-second */
	RANK_NOTABLE, /* the start of a program that is odd, a mount: leaves a sixty-fourth */
	RANK_GRAVE, /* another process's memory, the fence: takes all there is */
};

static __always_inline __u64 left_free(enum rank rank)
{
	return rank == RANK_GRAVE ? 0 : ring_bytes >> (3 + rank);
}

/* Roughly: other processors fill the ring as well. */
static __always_inline bool has_room(enum rank rank)
{
	return rank == RANK_GRAVE || bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + left_free(rank) <= ring_bytes;
}

/* Waking the reader costs more than most hooks, so records wait for its timer unless many of them do. */
static __always_inline __u64 wakeup_flag(void)
{
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= ring_bytes / 8)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* The same for records of what is refused or tampered with: seldom made, and a job may be in lockdown for it. */
static __always_inline __u64 prompt_flag(void)
{
	return lockdown ? BPF_RB_FORCE_WAKEUP : wakeup_flag();
}

static __always_inline void emit(void *record, __u64 size, __u32 kind, enum rank rank)
{
	if (!has_room(rank) || bpf_ringbuf_output(&events, record, size, wakeup_flag()))
		count_loss(kind, RW_LOSS_RING_FULL);
}

static __always_inline void fill_head(struct rw_head *head, __u16 kind, __u64 job, __u64 process, __u32 pid)
{
	head->boot_ns = bpf_ktime_get_boot_ns();
	head->job = job;
	head->process = process;
	head->pid = pid;
	head->kind = kind;
	head->flags = 0;
}

/*
 * A task's place in a job, or NULL. io_uring's worker threads are made without the fork tracepoint, so they have no
 * storage of their own: their process's first thread answers for them.
 */
static __always_inline struct rw_task *task_place(struct task_struct *task)
{
	struct rw_task *place = bpf_task_storage_get(&tasks, task, NULL, 0);

	if (place)
		return place;
	return bpf_task_storage_get(&tasks, task->group_leader, NULL, 0);
}

static __always_inline struct kernfs_node *kernfs_parent(struct kernfs_node *node)
{
	struct kernfs_node___v615 *newer = (void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(node, parent);
}

/* Finds the place of a task whose fork could not be marked: a child of a job's process belongs to the job. */
static __always_inline struct rw_task *adopt(struct task_struct *task)
{
	struct rw_task *parent = task_place(task->real_parent);
	struct rw_task place = {};

	if (!parent || bpf_task_storage_get(&spared, task, NULL, 0))
		return NULL;
	place.job = parent->job;
	place.process = next_id();
	place.parent = parent->process;
	place.ppid = process_pid(task->real_parent);
	return bpf_task_storage_get(&tasks, task, &place, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
