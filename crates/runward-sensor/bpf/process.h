/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Processes: fork, exec, exit.
 */
#ifndef RUNWARD_PROCESS_H
#define RUNWARD_PROCESS_H

#include "common.h"
#include "containers.h"
#include "exec_record.h"
#include "lockdown.h"
#include "streams.h"
#include "verdict.h"

struct path_walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct mount *root_mount;
	__u32 at; /* where the path begins so far */
	__u32 done;
};

static __always_inline bool prepend(struct path_walk *walk, const void *name, __u32 len, bool slash)
{
	struct exec_scratch *scratch = exec_scratch();
	__u32 at = walk->at;

	if (!scratch || len > NAME_MAX || at < len + 1)
		return false;
	at -= len;
	if (at > RW_PATH_MAX)
		return false;
	bpf_probe_read_kernel(&scratch->path[at], len, name);
	if (slash) {
		at -= 1;
		if (at > RW_PATH_MAX)
			return false;
		scratch->path[at] = '/';
	}
	walk->at = at;
	return true;
}

static long path_step(__u32 step, void *context)
{
	struct path_walk *walk = context;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct dentry *mount_root = BPF_CORE_READ(mount, mnt.mnt_root);

	if (dentry == walk->root_dentry && mount == walk->root_mount) {
		walk->done = 1;
		return 1;
	}
	if (dentry == mount_root) {
		struct mount *above = BPF_CORE_READ(mount, mnt_parent);

		if (above == mount) {
			walk->done = 1;
			return 1;
		}
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return 0;
	}
	if (!prepend(walk, BPF_CORE_READ(dentry, d_name.name), BPF_CORE_READ(dentry, d_name.len), dentry != parent))
		return 1;
	if (dentry == parent) {
		/* A file without a place in the tree, such as a memfd: it has a name and nothing above. */
		walk->done = 1;
		return 1;
	}
	walk->dentry = parent;
	return 0;
}

/* A path in the scratch: where it begins, and whether it lacks its beginning. */
#define PATH_INCOMPLETE (1 << 16)

/*
 * Writes a file's path into this processor's scratch, as a process with this root sees it. Returns where it begins. A
 * global function, so that the verifier looks at it once and not at every call; such functions take numbers only, so
 * the pointers (dentry, vfsmount) come as such.
 */
__noinline int write_file_path(__u64 mnt, __u64 dentry, __u64 root_mnt, __u64 root_dentry)
{
	struct exec_scratch *scratch = exec_scratch();
	struct path_walk walk = {
		.dentry = (void *)dentry,
		.mount = (void *)mnt - bpf_core_field_offset(struct mount, mnt),
		.root_dentry = (void *)root_dentry,
		.root_mount = (void *)root_mnt - bpf_core_field_offset(struct mount, mnt),
		.at = RW_PATH_MAX,
	};

	if (!scratch)
		return RW_PATH_MAX | PATH_INCOMPLETE;
	bpf_loop(PATH_STEPS, path_step, &walk, 0);
	if (!walk.done)
		return walk.at | PATH_INCOMPLETE;
	if (walk.at == RW_PATH_MAX) {
		/* Not one part: the root itself. */
		scratch->path[RW_PATH_MAX - 1] = '/';
		return RW_PATH_MAX - 1;
	}
	return walk.at;
}

/*
 * Appends the path that was just written into the scratch to the record's data; returns the length. As the other global
 * functions here, verified once; what they append to is this processor's record, which they find themselves.
 */
__noinline int append_written(__u32 offset, __u32 written, __u32 max, __u32 cut_flag)
{
	struct exec_scratch *scratch = exec_scratch();
	__u64 begin = bounded(written & (PATH_INCOMPLETE - 1), RW_PATH_MAX);
	__u64 len = bounded(RW_PATH_MAX - begin, RW_PATH_MAX);

	if (!scratch)
		return 0;
	if (written & PATH_INCOMPLETE)
		scratch->record.head.flags |= cut_flag;
	if (len > max)
		return 0;
	if (bpf_probe_read_kernel(&scratch->data[bounded(offset, EXEC_DATA_MAX - RW_PATH_MAX)], len,
				  &scratch->path[begin]))
		return 0;
	return len;
}

/* Appends a path as the current process sees it. */
static __always_inline __u32 append_file_path(__u32 offset, struct path *path, struct fs_struct *fs, __u16 cut_flag)
{
	int written = write_file_path((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry),
				      (__u64)BPF_CORE_READ(fs, root.mnt), (__u64)BPF_CORE_READ(fs, root.dentry));

	return append_written(offset, written, RW_PATH_MAX, cut_flag);
}

struct cgroup_walk {
	struct path_walk path;
	struct kernfs_node *node;
};

static long cgroup_step(__u32 step, void *context)
{
	struct cgroup_walk *walk = context;
	struct exec_scratch *scratch = exec_scratch();
	struct kernfs_node *node = walk->node;
	struct kernfs_node *parent = kernfs_parent(node);
	long len;

	if (!parent || !scratch) {
		walk->path.done = 1;
		return 1;
	}
	len = bpf_probe_read_kernel_str(scratch->name, sizeof(scratch->name), BPF_CORE_READ(node, name));
	if (len < 1 || len > sizeof(scratch->name))
		return 1;
	if (!prepend(&walk->path, scratch->name, len - 1, true))
		return 1;
	walk->node = parent;
	return 0;
}

/* Writes a control group's path into this processor's scratch; as write_file_path. */
__noinline int write_cgroup_path(__u64 node)
{
	struct cgroup_walk walk = { .path.at = RW_PATH_MAX, .node = (void *)node };

	bpf_loop(CGROUP_STEPS, cgroup_step, &walk, 0);
	if (!walk.path.done || walk.path.at < RW_PATH_MAX - RW_CGROUP_MAX)
		return walk.path.at | PATH_INCOMPLETE;
	return walk.path.at;
}

/*
 * The cgroup2 path; on a machine that still uses version 1 controllers, containers show there only, so a task in
 * cgroup2's root is named by its pids controller.
 */
static __always_inline __u32 append_cgroup(__u32 offset, struct task_struct *task)
{
	struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);

	if (!kernfs_parent(node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id)) {
		__u64 slot = bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id);
		struct cgroup_subsys_state *pids = NULL;

		bpf_probe_read_kernel(&pids, sizeof(pids), &set->subsys[slot]);
		if (pids)
			node = BPF_CORE_READ(pids, cgroup, kn);
	}
	return append_written(offset, write_cgroup_path((__u64)node), RW_CGROUP_MAX, RW_CUT_CGROUP);
}

/*
 * Appends a range of the new image's own memory. Exec has just written these pages, so reading does not fault; and no
 * other thread of the process is alive to change them.
 */
static __always_inline int append_memory(__u32 offset, __u64 start, __u64 end, __u32 max, __u16 cut_flag)
{
	struct exec_scratch *scratch = exec_scratch();
	__u64 len = end - start;

	if (end <= start || !scratch)
		return 0;
	if (len > max) {
		len = max;
		scratch->record.head.flags |= cut_flag;
	}
	if (bpf_probe_read_user(&scratch->data[bounded(offset, EXEC_DATA_MAX - max)], bounded(len, max),
				(void *)start)) {
		scratch->record.head.flags |= cut_flag;
		return 0;
	}
	return len;
}

__noinline int append_args(__u32 offset, __u64 start, __u64 end)
{
	return append_memory(offset, start, end, RW_ARGS_MAX, RW_CUT_ARGS);
}

__noinline int append_env(__u32 offset, __u64 start, __u64 end)
{
	return append_memory(offset, start, end, RW_ENV_MAX, RW_CUT_ENV);
}

/* void sched_process_fork(struct task_struct *parent, struct task_struct *child): parent is the task that called fork,
 * also under CLONE_PARENT. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct rw_task *place = task_place(parent);
	struct rw_task new_place = {};
	struct rw_fork record = {};
	bool thread;

	if (!place)
		return 0;
	stop_fork(place->job, child);
	thread = child->pid != child->tgid;
	new_place.job = place->job;
	if (thread) {
		new_place.process = place->process;
		new_place.parent = place->parent;
		new_place.ppid = place->ppid;
	} else {
		new_place.process = next_id();
		new_place.parent = place->process;
		new_place.ppid = process_pid(parent);
	}
	/* A child that could not be marked is found again at its exec, through its parent. */
	if (!bpf_task_storage_get(&tasks, child, &new_place, BPF_LOCAL_STORAGE_GET_F_CREATE)) {
		count_loss(RW_FORK, RW_LOSS_NO_MEMORY);
		return 0;
	}
	if (thread)
		return 0;
	remember_fork(child->tgid, new_place.job, new_place.process, new_place.parent);
	inherit_scopes(new_place.job, place->process, new_place.process);
	fill_head(&record.head, RW_FORK, new_place.job, new_place.process, process_pid(child));
	record.parent = new_place.parent;
	record.ppid = new_place.ppid;
	emit(&record, sizeof(record), RW_FORK, RANK_PASSING);
	return 0;
}

/* A program that starts in a namespace of its own, such as a container's, asks DNS soon: the resolver needs a head start. */
static __always_inline void look_at_netns(struct task_struct *task, struct rw_task *place)
{
	struct rw_resolver_key key = { .job = place->job };

	if (!is_fenced(place->job))
		return;
	key.netns = BPF_CORE_READ(task, nsproxy, net_ns, net_cookie);
	if (!bpf_map_lookup_elem(&resolvers, &key))
		announce_netns(place->job, place->process, process_pid(task), key.netns);
}

/* void sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm) */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct rw_task *place = task_place(task);
	struct exec_scratch *scratch;
	struct rw_exec *record;
	struct mm_struct *mm;
	struct fs_struct *fs;
	bool narrowed, killed, urgent;
	__u32 size = 0;
	long len;

	if (!place)
		place = adopt(task);
	if (!place)
		place = begin_container(task);
	if (!place)
		return 0;
	killed = stop_exec(task->tgid, place->job, place->process, bprm->file);
	look_at_netns(task, place);
	narrowed = forget_scopes(place->job, place->process);
	scratch = exec_scratch();
	if (!scratch)
		return 0;
	record = &scratch->record;
	fill_head(&record->head, RW_EXEC, place->job, place->process, process_pid(task));
	record->parent = place->parent;
	record->ppid = place->ppid;
	record->uid = BPF_CORE_READ(task, cred, euid.val);
	record->gid = BPF_CORE_READ(task, cred, egid.val);
	describe_program(record, bprm->file, task);
	describe_streams();

	fs = BPF_CORE_READ(task, fs);
	len = bpf_probe_read_kernel_str(scratch->data, RW_PATH_MAX, BPF_CORE_READ(bprm, filename));
	record->path_len = len > 0 && len <= RW_PATH_MAX ? len - 1 : 0;
	size = record->path_len;
	record->exe_len = append_file_path(size, &bprm->file->f_path, fs, RW_CUT_EXE);
	size += record->exe_len;
	record->cwd_len = append_file_path(size, &fs->pwd, fs, RW_CUT_CWD);
	size += record->cwd_len;
	record->cgroup_len = append_cgroup(size, task);
	size += record->cgroup_len;

	mm = BPF_CORE_READ(task, mm);
	record->args_len = append_args(size, BPF_CORE_READ(mm, arg_start), BPF_CORE_READ(mm, arg_end));
	size += record->args_len;
	record->env_len = append_env(size, BPF_CORE_READ(mm, env_start), BPF_CORE_READ(mm, env_end));
	size += record->env_len;
	size = sizeof(*record) + bounded(size, EXEC_DATA_MAX);
	/* What the program may do more than others, it may as soon as the user side has looked at it; and who reads from a
	 * socket should not do so for long before somebody knows. */
	urgent = killed || narrowed || record->streams[0].kind != RW_STREAM_ORDINARY;
	/* What was killed is told also when little room is left. */
	if (!has_room(killed || is_odd(record) ? RANK_NOTABLE : RANK_ACT) ||
	    bpf_ringbuf_output(&events, scratch, size, urgent ? BPF_RB_FORCE_WAKEUP : wakeup_flag()))
		count_loss(RW_EXEC, RW_LOSS_RING_FULL);
	return 0;
}

/* void sched_process_exit(struct task_struct *p): for each thread. The last one to leave ends the process. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_struct *leader = task->group_leader;
	struct rw_task *place;
	struct rw_exit record = {};
	struct signal_struct *signal = BPF_CORE_READ(task, signal);

	if (BPF_CORE_READ(signal, live.counter) != 0)
		return 0;
	place = bpf_task_storage_get(&tasks, leader, NULL, 0);
	if (!place)
		return 0;
	/* Two threads that leave together may both see that nobody is left; only the first one tells. */
	if (__sync_lock_test_and_set(&place->exited, 1))
		return 0;
	forget_scopes(place->job, place->process);
	forget_member(task->tgid);
	fill_head(&record.head, RW_EXIT, place->job, place->process, process_pid(task));
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		record.status = BPF_CORE_READ(signal, group_exit_code);
	else
		record.status = BPF_CORE_READ(leader, exit_code);
	emit(&record, sizeof(record), RW_EXIT, RANK_PASSING);
	return 0;
}

#endif
