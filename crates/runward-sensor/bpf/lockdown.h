/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lockdown: a job that is killed, all of it, as soon as it does what it must not.
 *
 * Two halves. What the kernel side can tell alone it stops alone, before the act has an effect; then, or when the user
 * side has found something, the job is condemned. Of a condemned job, whoever makes a process or starts a program is
 * killed, whatever it has moved to: a process's place in its job is in its own storage. The user side ends the rest, and
 * looks again until nobody is left.
 */
#ifndef RUNWARD_LOCKDOWN_H
#define RUNWARD_LOCKDOWN_H

#include "common.h"
#include "names.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64); /* the job */
	__type(value, struct rw_lockdown);
} lockdowns SEC(".maps");

/* Which process of a job a process id means, in the kernel's own numbering; as long as it lives. */
struct member {
	__u64 job;
	__u64 process;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 17);
	__type(key, __u32);
	__type(value, struct member);
} members SEC(".maps");

/* Who made a process, and what it ran; also of one that has ended, for its children's sake. */
struct maker {
	__u64 parent;
	__u32 since_runtime; /* programs since a container runtime's, that one included; 0: there was none lately */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1 << 17);
	__type(key, __u64); /* the process */
	__type(value, struct maker);
} makers SEC(".maps");

/* Names of programs that are a CI's runner. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct rw_program);
	__type(value, __u8);
} runners SEC(".maps");

enum pid_type {
	PIDTYPE_PID,
	PIDTYPE_TGID,
};

/* From 6.13 on. */
extern int bpf_send_signal_task(struct task_struct *task, int signal, enum pid_type type, __u64 value) __ksym __weak;

static __always_inline struct rw_lockdown *lockdown_of(__u64 job)
{
	return lockdown ? bpf_map_lookup_elem(&lockdowns, &job) : NULL;
}

static __always_inline bool is_condemned(__u64 job)
{
	struct rw_lockdown *state = lockdown_of(job);

	return state && state->condemned_boot_ns;
}

static __always_inline __u32 bans_of(__u64 job)
{
	struct rw_lockdown *state = lockdown_of(job);

	return state ? state->bans : 0;
}

/* The first one says when. */
static __always_inline void condemn(__u64 job)
{
	struct rw_lockdown *state = lockdown_of(job);

	if (state)
		__sync_val_compare_and_swap(&state->condemned_boot_ns, 0, bpf_ktime_get_boot_ns());
}

/*
 * The current task of a condemned job has made another. With a signal like this pending, the kernel makes no process for
 * it any more, so there is at most this one; where the kernel can, it ends as well, before its first instruction.
 */
static __always_inline void stop_fork(__u64 job, struct task_struct *child)
{
	if (!is_condemned(job))
		return;
	bpf_send_signal(SIGKILL);
	if (bpf_ksym_exists(bpf_send_signal_task))
		bpf_send_signal_task(child, SIGKILL, PIDTYPE_TGID, 0);
}

static __always_inline void remember_member(__u32 tgid, __u64 job, __u64 process)
{
	struct member member = { .job = job, .process = process };

	if (lockdown)
		bpf_map_update_elem(&members, &tgid, &member, BPF_ANY);
}

static __always_inline void remember_fork(__u32 tgid, __u64 job, __u64 process, __u64 parent)
{
	struct maker maker = { .parent = parent };

	if (!lockdown)
		return;
	remember_member(tgid, job, process);
	bpf_map_update_elem(&makers, &process, &maker, BPF_ANY);
}

static __always_inline void forget_member(__u32 tgid)
{
	if (lockdown)
		bpf_map_delete_elem(&members, &tgid);
}

/* The job's first process; nobody of the job made it. */
static __always_inline bool is_first(__u64 process)
{
	return process <= FIRST_ID;
}

/* Container runtimes run a copy of themselves from memory, so that a container can't alter the original. */
static __always_inline bool is_runtime(struct short_name *name)
{
	return is_name(name, "runc") || is_name(name, "crun") || is_name(name, "youki") || is_name(name, "lxc-start") ||
	       is_name(name, "docker-runc") || is_name(name, "bwrap");
}

/* How many programs back a runtime excuses one without a file. */
#define RUNTIME_EXCUSES 3

static __always_inline bool is_excused(struct maker *maker)
{
	return maker->since_runtime && maker->since_runtime <= RUNTIME_EXCUSES;
}

/*
 * A program begins. Returns whether its process is killed before the first instruction: it has no file, and nothing that
 * could excuse that. The detection looks closer at what excuses it; what this one lets pass, that one may still find.
 */
static __always_inline bool stop_exec(__u32 tgid, __u64 job, __u64 process, struct file *file)
{
	struct maker unknown = { .since_runtime = !is_first(process) }, *maker, *above;
	struct short_name name;
	bool banned, excused;
	__u64 parent;

	if (!lockdown)
		return false;
	remember_member(tgid, job, process);
	maker = bpf_map_lookup_elem(&makers, &process);
	if (!maker) {
		/* The job's first process; or one that was forgotten, of which nobody knows what could excuse it. */
		bpf_map_update_elem(&makers, &process, &unknown, BPF_NOEXIST);
		maker = bpf_map_lookup_elem(&makers, &process);
		if (!maker)
			return false;
	}
	read_name(&name, BPF_CORE_READ(file, f_path.dentry));
	if (is_runtime(&name))
		maker->since_runtime = 1;
	else if (maker->since_runtime && maker->since_runtime <= RUNTIME_EXCUSES)
		maker->since_runtime++;
	parent = maker->parent;
	above = bpf_map_lookup_elem(&makers, &parent);
	excused = is_excused(maker) || (above ? is_excused(above) : !is_first(process));
	banned = bans_of(job) & RW_BAN_FILELESS && !excused && !BPF_CORE_READ(file, f_inode, i_nlink);
	if (banned)
		condemn(job);
	if (!banned && !is_condemned(job))
		return false;
	bpf_send_signal(SIGKILL);
	return true;
}

struct climb {
	__u64 process;
	__u64 wanted;
	bool found;
	bool lost;
};

/* How far up a process's makers are looked for: as far as the detection looks. */
#define CLIMB 256

static long climb_step(__u32 step, void *context)
{
	struct climb *climb = context;
	struct maker *maker;

	if (climb->process == climb->wanted) {
		climb->found = true;
		return 1;
	}
	maker = bpf_map_lookup_elem(&makers, &climb->process);
	if (!maker || !maker->parent) {
		climb->lost = !is_first(climb->process);
		return 1;
	}
	climb->process = maker->parent;
	return 0;
}

/* Whether a process of the job surely did not start another one. Where that was forgotten, the user side, which forgets
 * later, finds out. */
static __always_inline bool is_stranger(__u64 reader, __u64 target)
{
	struct climb climb = { .process = target, .wanted = reader };

	bpf_loop(CLIMB, climb_step, &climb, 0);
	return !climb.found && !climb.lost;
}

/*
 * Whether the current task's program looks at the variables of all processes to list them, and is not of the job's own
 * making. The detection looks closer.
 */
static __always_inline bool is_lister(struct task_struct *task)
{
	struct file *file = BPF_CORE_READ(task, mm, exe_file);
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct short_name name;

	if (BPF_CORE_READ(inode, i_uid.val) || BPF_CORE_READ(inode, i_mode) & (S_IWGRP | S_IWOTH))
		return false;
	read_name(&name, BPF_CORE_READ(file, f_path.dentry));
	return is_name(&name, "ps") || is_name(&name, "top") || is_name(&name, "htop") || is_name(&name, "pgrep") ||
	       is_name(&name, "pkill") || is_name(&name, "pidof") || is_name(&name, "killall") ||
	       is_name(&name, "pstree") || is_name(&name, "lsof") || is_name(&name, "fuser") || is_name(&name, "w");
}

static __always_inline bool is_runner(struct task_struct *target)
{
	const unsigned char *name = BPF_CORE_READ(target, mm, exe_file, f_path.dentry, d_name.name);
	struct rw_program program = {};

	bpf_probe_read_kernel_str(program.name, RW_PROGRAM_MAX, name);
	return bpf_map_lookup_elem(&runners, &program);
}

static __always_inline bool is_memory_banned(struct rw_task *place, struct task_struct *target, __u32 way)
{
	__u32 bans = bans_of(place->job), ban;
	bool environ = way == RW_MEMORY_ENVIRON;
	__u32 tgid = BPF_CORE_READ(target, tgid);
	struct member *member;

	if (!bans)
		return false;
	member = bpf_map_lookup_elem(&members, &tgid);
	if (member && member->job == place->job) {
		ban = environ ? RW_BAN_ENVIRON_INSIDE : RW_BAN_MEMORY_INSIDE;
		/* An adopted job begins with the runner; it holds all secrets, wherever it is. */
		if (is_runner(target))
			ban |= environ ? RW_BAN_ENVIRON_RUNNER : RW_BAN_MEMORY_OUTSIDE;
		if (!(bans & ban) || !is_stranger(place->process, member->process))
			return false;
	} else {
		ban = environ ? RW_BAN_ENVIRON_OUTSIDE : RW_BAN_MEMORY_OUTSIDE;
		if (!(bans & ban) && !(environ && bans & RW_BAN_ENVIRON_RUNNER && is_runner(target)))
			return false;
	}
	return !environ || !is_lister(bpf_get_current_task_btf());
}

/*
 * The current task is about to reach into another process. Returns flags for the record: what becomes of it. With
 * trampolines, lockdown_open and lockdown_access refuse it; else its process is killed, which ends the copying before it
 * begins. Global, so that the verifier looks at it once; `target` is a task_struct.
 */
__noinline int stop_memory(__u64 target, __u32 way)
{
	struct rw_task *place = task_place(bpf_get_current_task_btf());

	if (!lockdown || !place || !is_memory_banned(place, (void *)target, way))
		return 0;
	condemn(place->job);
	if (lockdown_refuses)
		return RW_MEMORY_PREVENTED;
	bpf_send_signal(SIGKILL);
	return RW_MEMORY_KILLED;
}

/* int security_task_alloc(struct task_struct *task, unsigned long clone_flags) */
SEC("fmod_ret/security_task_alloc")
int BPF_PROG(lockdown_fork, struct task_struct *task, unsigned long flags)
{
	struct rw_task *place = task_place(bpf_get_current_task_btf());

	if (!place || !is_condemned(place->job))
		return 0;
	/* Else a shell would tell that it can't, and end with a code of its own. */
	bpf_send_signal(SIGKILL);
	return -EPERM;
}

/* The processes of condemned jobs, for the user side to end. */
SEC("iter/task")
int lockdown_list(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct rw_condemned row = {};
	struct rw_task *place;

	if (!task || task->pid != task->tgid)
		return 0;
	place = bpf_task_storage_get(&tasks, task, NULL, 0);
	/* One that could not be marked when it was made. */
	if (!place)
		place = adopt(task);
	if (!place || place->exited || !is_condemned(place->job))
		return 0;
	row.job = place->job;
	row.process = place->process;
	row.pid = process_pid(task);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif
