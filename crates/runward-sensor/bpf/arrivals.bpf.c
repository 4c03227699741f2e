// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where jobs begin on a machine that is watched whole: a runner starts a process for each. It is stopped before its first
 * instruction, until the agent has put it under watch. The program is pinned, so that a job which begins while the agent
 * is away waits for it.
 *
 * Programs are told by the name that the kernel gives a process from the file that it runs. Whoever takes that name is
 * stopped and looked at, and if it belongs to a job already, goes on.
 */
#include "process_ids.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define COMM_SIZE 16
/* How far up is looked for a process that arrived itself: what it starts is of its job. */
#define CLIMB 32

/* A runner's program, by its name. */
enum {
	ARRIVES = 1, /* is itself the first process of a job */
	STARTS = 2, /* starts the first process of each job */
	KEEPS = 3, /* looks after a container, which is a job's if its environment says so */
};

/* By which a container of a GitLab job is known. */
#define VARIABLE "CI_JOB_ID="
#define VARIABLE_READ 256
#define VARIABLES_READ 2048

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, char[COMM_SIZE]);
	__type(value, __u32);
} runners SEC(".maps");

/* Who was stopped here. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} arrived SEC(".maps");

/* Who was stopped. */
struct arrival {
	__u32 pid;
	/* What it is itself, or what who started it does. */
	__u32 kind;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 << 10);
} arrivals SEC(".maps");

/* How many were stopped of whom there was no room to tell: who reads looks at all processes then. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} untold SEC(".maps");

static __always_inline __u32 runner(struct task_struct *task)
{
	char comm[COMM_SIZE] = {};
	__u32 *kind;

	bpf_probe_read_kernel(comm, sizeof(comm), task->comm);
	kind = bpf_map_lookup_elem(&runners, comm);
	return kind ? *kind : 0;
}

static __always_inline bool has_arrived(struct task_struct *task)
{
	int i;

	for (i = 0; i < CLIMB; i++) {
		if (!task || task->pid == 0)
			return false;
		if (bpf_task_storage_get(&arrived, task->group_leader, NULL, 0))
			return true;
		task = task->real_parent;
	}
	return false;
}

struct search {
	__u64 at;
	__u64 end;
	bool found;
};

/* Looks at the next variable, or at the next part of one that is long: what begins there is looked at again elsewhere. */
static long look_at_variable(__u32 index, struct search *search)
{
	static const char wanted[] = VARIABLE;
	char variable[VARIABLE_READ];
	long size;
	int i;

	if (search->at >= search->end)
		return 1;
	size = bpf_probe_read_user_str(variable, sizeof(variable), (void *)search->at);
	if (size <= 0)
		return 1;
	search->at += size == sizeof(variable) ? size - 1 : size;
	for (i = 0; i < sizeof(wanted) - 1; i++) {
		if (variable[i] != wanted[i])
			return 0;
	}
	search->found = true;
	return 1;
}

/*
 * Whether the program that this process has just been given says in its environment that it is of a GitLab job. Where not
 * all of it can be read, it may: an image can have as many variables of its own as it likes.
 */
static __always_inline bool says_job(struct task_struct *task)
{
	struct search search = {
		.at = BPF_CORE_READ(task, mm, env_start),
		.end = BPF_CORE_READ(task, mm, env_end),
	};

	bpf_loop(VARIABLES_READ, look_at_variable, &search, 0);
	return search.found || search.at < search.end;
}

static __always_inline bool is_inside_of(struct task_struct *parent, struct task_struct *task)
{
	return task->nsproxy->mnt_ns != BPF_CORE_READ(parent, nsproxy, mnt_ns);
}

/* By what a job begins with this process; 0 when none does. */
static __always_inline __u32 arrives(struct task_struct *task)
{
	__u32 own = runner(task), above = runner(task->real_parent);

	/* Whatever the program is called: an image can call its own as it likes. */
	if (above == KEEPS && is_inside_of(task->real_parent, task) && says_job(task))
		return above;
	/* What a runner starts of its own programs is the runner. */
	if (own == STARTS)
		return 0;
	if (own == ARRIVES)
		return own;
	return above == STARTS ? above : 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(hold_arrival, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct arrival arrival = { .kind = arrives(task) };
	__u32 only = 0;
	__u64 *missed;

	if (!arrival.kind || has_arrived(task))
		return 0;
	bpf_task_storage_get(&arrived, task->group_leader, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	arrival.pid = process_pid(task);
	/* Not to be seen by the agent: in a pid namespace beside its own. It could never let it go on. */
	if (!arrival.pid)
		return 0;
	bpf_send_signal(SIGSTOP);
	if (bpf_ringbuf_output(&arrivals, &arrival, sizeof(arrival), BPF_RB_FORCE_WAKEUP)) {
		missed = bpf_map_lookup_elem(&untold, &only);
		if (missed)
			__sync_fetch_and_add(missed, 1);
	}
	return 0;
}
