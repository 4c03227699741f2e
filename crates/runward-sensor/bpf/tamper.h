/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who must be left alone, and how an attempt on it is told.
 */
#ifndef RUNWARD_TAMPER_H
#define RUNWARD_TAMPER_H

#include "common.h"
#include "verdict.h"

/* What the agent has told of itself, as the kernel's own objects: names and numbers of it could come to mean another. */
struct guard {
	__u32 agent; /* its process id, in the kernel's own numbering */
	__s32 user_level; /* how deep its user namespace is */
	__u64 agent_task; /* struct task_struct */
	__u64 mount_ns; /* struct mnt_namespace */
	__u64 pins; /* struct super_block: the file system that the fence is pinned to */
	__u64 report; /* struct inode: the folder of the record */
	__u64 learner; /* the thread whose next file is learnt; 0: nobody's */
	__u32 learns; /* enum rw_introduction */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guard);
} guards SEC(".maps");

static __always_inline struct guard *the_guard(void)
{
	__u32 only = 0;

	return bpf_map_lookup_elem(&guards, &only);
}

/* A pointer as a number: global functions take nothing else. */
static __always_inline __u64 plain(const void *pointer)
{
	__u64 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

/* Run by the agent itself: what the kernel knows of the caller is beyond doubt. A job that got hold of this program, which
 * tier B cannot prevent, is not listened to. */
SEC("syscall")
int introduce(__u32 *introduction)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct guard *guard = the_guard();

	if (!guard || bpf_task_storage_get(&tasks, task, NULL, 0))
		return 1;
	/* The first one is who loaded this. A job of another sensor, which this one does not know, comes too late. */
	if (guard->agent && guard->agent != task->tgid)
		return 1;
	if (*introduction == RW_INTRODUCE_AGENT) {
		guard->agent = task->tgid;
		guard->agent_task = plain(task->group_leader);
		guard->mount_ns = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
		guard->user_level = BPF_CORE_READ(task, cred, user_ns, level);
		return 0;
	}
	guard->learns = *introduction;
	guard->learner = bpf_get_current_pid_tgid();
	return 0;
}

/* The current task's place in a job, if that job is fenced. */
static __always_inline struct rw_task *fenced_place(void)
{
	struct rw_task *place = task_place(bpf_get_current_task_btf());

	return place && is_fenced(place->job) ? place : NULL;
}

static __always_inline bool is_agent(struct task_struct *task)
{
	struct guard *guard = the_guard();

	return guard && guard->agent && task->tgid == guard->agent;
}

/* Begins to tell what the current task tried. NULL: there was no room, which is counted. */
static __always_inline struct rw_tamper *begin_tamper(__u32 act, __u32 detail, __u32 outcome)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rw_task *place = task_place(task);
	struct rw_tamper *record;

	if (!place)
		return NULL;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(RW_TAMPER, RW_LOSS_RING_FULL);
		return NULL;
	}
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, RW_TAMPER, place->job, place->process, process_pid(task));
	record->act = act;
	record->detail = detail;
	record->outcome = outcome;
	return record;
}

/* How many parts of a path are told, the last ones. */
#define PATH_PARTS 8
#define PART_MAX 64

/* Appends text to what was tried; returns where the next one begins. */
static __always_inline __u32 append_text(struct rw_tamper *record, __u32 at, const void *text)
{
	__u64 place = bounded(at, RW_TARGET_MAX - PART_MAX);
	long len;

	if (place != at)
		return at;
	len = bpf_probe_read_kernel_str(&record->target[place], PART_MAX, text);
	if (len < 1 || len > PART_MAX)
		return at;
	return at + len - 1;
}

/* The file system's name and the path below its root. */
static __always_inline void append_path_below(struct rw_tamper *record, struct dentry *dentry)
{
	struct dentry *parts[PATH_PARTS] = {};
	__u32 at = append_text(record, 0, BPF_CORE_READ(dentry, d_sb, s_id));
	static const char colon[] = ":", slash[] = "/";
	struct dentry *parent;

#pragma unroll
	for (int i = 0; i < PATH_PARTS; i++) {
		parent = BPF_CORE_READ(dentry, d_parent);
		if (!dentry || parent == dentry)
			break;
		parts[i] = dentry;
		dentry = parent;
	}
	at = append_text(record, at, colon);
#pragma unroll
	for (int i = PATH_PARTS - 1; i >= 0; i--) {
		if (!parts[i])
			continue;
		at = append_text(record, at, slash);
		at = append_text(record, at, BPF_CORE_READ(parts[i], d_name.name));
	}
	record->target_len = at;
}

/*
 * Tells of an act that is refused; `dentry`, if there is one, is what it was about. Returns the error. A global function,
 * so that the verifier looks at it once.
 */
__noinline int forbid(__u32 act, __u32 detail, __u64 dentry)
{
	struct rw_tamper *record = begin_tamper(act, detail, RW_TAMPER_PREVENTED);

	if (record) {
		if (dentry)
			append_path_below(record, (void *)dentry);
		bpf_ringbuf_submit(record, prompt_flag());
	}
	return -EPERM;
}

/* Tells of an act that has no object but a number, whatever became of it. */
__noinline int tell(__u32 act, __u32 detail, __u32 outcome)
{
	struct rw_tamper *record = begin_tamper(act, detail, outcome);

	if (record)
		bpf_ringbuf_submit(record, prompt_flag());
	return 0;
}

/* As `forbid`, about something that has a text in the kernel. */
__noinline int forbid_named(__u32 act, __u64 text)
{
	struct rw_tamper *record = begin_tamper(act, 0, RW_TAMPER_PREVENTED);

	if (record) {
		long len = bpf_probe_read_kernel_str(record->target, RW_TARGET_MAX, (void *)text);

		record->target_len = len > 0 ? len - 1 : 0;
		bpf_ringbuf_submit(record, prompt_flag());
	}
	return -EPERM;
}

/* Moving the agent to a control group cannot be refused, so the mover is ended. The fence does not depend on where the
 * agent is. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_agent_moved, struct cgroup *cgroup, const char *path, struct task_struct *task, bool threadgroup)
{
	struct rw_tamper *record;
	long len;

	if (!is_agent(task) || !fenced_place())
		return 0;
	bpf_send_signal(SIGKILL);
	record = begin_tamper(RW_ACT_CGROUP, 0, RW_TAMPER_KILLED);
	if (!record)
		return 0;
	len = bpf_probe_read_kernel_str(record->target, RW_TARGET_MAX, path);
	record->target_len = len > 0 ? len - 1 : 0;
	bpf_ringbuf_submit(record, prompt_flag());
	return 0;
}

#endif
