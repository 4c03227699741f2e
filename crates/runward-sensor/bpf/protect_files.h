/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Files, devices and mounts that a fenced job may not touch: the pins, the record, disks and memory as devices, and the
 * kernel's settings that would make it run programs outside of the job.
 */
#ifndef RUNWARD_PROTECT_FILES_H
#define RUNWARD_PROTECT_FILES_H

#include "names.h"
#include "tamper.h"

/* Linux allocated devices (Documentation/admin-guide/devices.txt). */
#define MAJOR_MEM 1 /* character: memory; block: RAM disks */
#define MINOR_MEM 1
#define MINOR_KMEM 2
#define MINOR_PORT 4
#define MAJOR_LOOP 7
#define MAJOR_MISC 10
#define MINOR_TUN 200
#define MINOR_DEVICE_MAPPER 236
#define MAJOR_SCSI_GENERIC 21
#define MAJOR_MSR 202

static __always_inline bool is_root(struct dentry *dentry)
{
	return BPF_CORE_READ(dentry, d_parent) == dentry;
}

/* A network device of the job's own sends packets that come from no socket, unless it is in a network of a user's own. */
static __always_inline bool reaches_machine_network(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct guard *guard = the_guard();

	return guard && BPF_CORE_READ(task, nsproxy, net_ns, user_ns, level) <= guard->user_level;
}

static __always_inline __u32 act_on_device(__u32 kind, __u32 device, bool writes)
{
	__u32 major = MAJOR(device), minor = MINOR(device);

	if (kind == S_IFBLK) {
		/* Images are made through loop devices; what is behind one was opened by its maker. */
		return writes && major != MAJOR_LOOP && major != MAJOR_MEM ? RW_ACT_RAW_DISK : RW_ACT_NONE;
	}
	if (major == MAJOR_MEM && (minor == MINOR_MEM || minor == MINOR_KMEM || minor == MINOR_PORT))
		return RW_ACT_RAW_MEMORY;
	if (major == MAJOR_MSR)
		return RW_ACT_RAW_MEMORY;
	if (major == MAJOR_SCSI_GENERIC && writes)
		return RW_ACT_RAW_DISK;
	if (major == MAJOR_MISC && minor == MINOR_DEVICE_MAPPER && writes)
		return RW_ACT_RAW_DISK;
	if (major == MAJOR_MISC && minor == MINOR_TUN && reaches_machine_network())
		return RW_ACT_TUNNEL;
	return RW_ACT_NONE;
}

/* The process that a file of /proc/PID is about, or 0. */
static __always_inline __u32 process_of_proc(struct inode *inode)
{
	struct proc_inode *proc = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	struct pid *pid = BPF_CORE_READ(proc, pid);
	struct hlist_node *first;
	struct task_struct *task;

	if (!pid)
		return 0;
	first = BPF_CORE_READ(pid, tasks[0].first);
	if (!first)
		return 0;
	task = (void *)first - bpf_core_field_offset(struct task_struct, pid_links);
	return BPF_CORE_READ(task, tgid);
}

/* Settings below /proc/sys/kernel with which the kernel runs a program outside of the job, or drops its trampolines. */
static __always_inline bool is_kernel_setting(struct short_name *name)
{
	return is_name(name, "core_pattern") || is_name(name, "modprobe") || is_name(name, "hotplug") ||
	       is_name(name, "poweroff_cmd") || is_name(name, "ftrace_enabled") ||
	       is_name(name, "unprivileged_bpf_disabled");
}

/* How the BPF machine works, below /proc/sys/net/core. */
static __always_inline bool is_bpf_setting(struct short_name *name)
{
	return name->text[0] == 'b' && name->text[1] == 'p' && name->text[2] == 'f' && name->text[3] == '_';
}

/* A file of /proc that is opened for writing. Global, as all that follows, so that the verifier looks at it once. */
__noinline int act_on_proc(__u64 inode, __u64 dentry)
{
	struct dentry *file = (void *)dentry, *folder = BPF_CORE_READ(file, d_parent);
	struct guard *guard = the_guard();
	struct short_name name, above;
	__u32 process = process_of_proc((void *)inode);

	if (process)
		return guard && process == guard->agent ? RW_ACT_LIMITS : RW_ACT_NONE;
	read_name(&name, file);
	if (is_root(folder))
		return is_name(&name, "sysrq-trigger") || is_name(&name, "kcore") ? RW_ACT_SETTING : RW_ACT_NONE;
	read_name(&above, folder);
	if (is_name(&above, "kernel"))
		return is_kernel_setting(&name) ? RW_ACT_SETTING : RW_ACT_NONE;
	if (is_name(&above, "core"))
		return is_bpf_setting(&name) ? RW_ACT_SETTING : RW_ACT_NONE;
	return RW_ACT_NONE;
}

/* How far above the agent's control group one is looked for; machines nest them less than ten deep. */
#define CGROUP_DEPTH 32
#define CONTROLLERS_MAX 16

struct group_walk {
	struct kernfs_node *node;
	struct kernfs_node *group;
	bool found;
};

static long group_step(__u32 step, void *context)
{
	struct group_walk *walk = context;

	walk->found = walk->node == walk->group;
	walk->node = walk->node ? kernfs_parent(walk->node) : NULL;
	return walk->found || !walk->node;
}

static __always_inline bool is_below(struct kernfs_node *node, struct kernfs_node *group)
{
	struct group_walk walk = { .node = node, .group = group };

	bpf_loop(CGROUP_DEPTH, group_step, &walk, 0);
	return walk.found;
}

/* Whether the agent is in this control group of any hierarchy, or in one below it. */
static __always_inline bool holds_agent(struct kernfs_node *group)
{
	__u32 controllers = bpf_core_enum_value(enum cgroup_subsys_id, CGROUP_SUBSYS_COUNT);
	struct guard *guard = the_guard();
	struct task_struct *agent;
	struct css_set *set;

	if (!guard || !guard->agent_task)
		return false;
	agent = (void *)guard->agent_task;
	set = BPF_CORE_READ(agent, cgroups);
	if (is_below(BPF_CORE_READ(set, dfl_cgrp, kn), group))
		return true;
	for (__u32 i = 0; i < CONTROLLERS_MAX && i < controllers; i++) {
		struct cgroup_subsys_state *state = NULL;

		bpf_probe_read_kernel(&state, sizeof(state), &set->subsys[i]);
		if (state && is_below(BPF_CORE_READ(state, cgroup, kn), group))
			return true;
	}
	return false;
}

/*
 * A file of a control group that is opened for writing. Where the agent is, a job may make groups and move itself, as
 * container runtimes do; limits, freezing and killing would hit the agent, too.
 */
__noinline int act_on_cgroup(__u64 inode, __u64 dentry)
{
	struct inode *file = (void *)inode;
	struct short_name name;
	struct kernfs_node *node;

	read_name(&name, (void *)dentry);
	if (is_name(&name, "release_agent"))
		return RW_ACT_SETTING;
	if (is_name(&name, "cgroup.procs") || is_name(&name, "cgroup.threads") ||
	    is_name(&name, "cgroup.subtree_control") || is_name(&name, "tasks"))
		return RW_ACT_NONE;
	node = BPF_CORE_READ(file, i_private);
	return node && holds_agent(kernfs_parent(node)) ? RW_ACT_CGROUP : RW_ACT_NONE;
}

static __always_inline bool is_report(struct dentry *dentry)
{
	struct guard *guard = the_guard();
	__u64 folder = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);

	return guard && guard->report && folder == guard->report;
}

/* As is_report, whatever path the file was opened by: as a layer of an overlay, it has another one. */
static __always_inline bool is_report_file(struct inode *inode)
{
	struct hlist_node *name = BPF_CORE_READ(inode, i_dentry.first);

	return name && is_report((void *)name - bpf_core_field_offset(struct dentry, d_u.d_alias));
}

static __always_inline bool is_pinned(struct dentry *dentry)
{
	struct guard *guard = the_guard();

	return guard && guard->pins && (__u64)BPF_CORE_READ(dentry, d_sb) == guard->pins;
}

static __always_inline __u32 act_on_file(struct file *file, struct inode *inode, struct dentry *dentry)
{
	bool writes = BPF_CORE_READ(file, f_mode) & FMODE_WRITE;
	__u32 kind = BPF_CORE_READ(inode, i_mode) & S_IFMT;

	if (kind == S_IFBLK || kind == S_IFCHR)
		return act_on_device(kind, BPF_CORE_READ(inode, i_rdev), writes);
	if (!writes)
		return RW_ACT_NONE;
	switch (BPF_CORE_READ(inode, i_sb, s_magic)) {
	case PROC_SUPER_MAGIC:
		return act_on_proc((__u64)inode, (__u64)dentry);
	case CGROUP2_SUPER_MAGIC:
	case CGROUP_SUPER_MAGIC:
		return act_on_cgroup((__u64)inode, (__u64)dentry);
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case BINFMTFS_MAGIC:
		return RW_ACT_SETTING;
	case SYSFS_MAGIC: {
		struct short_name name;

		read_name(&name, dentry);
		return is_name(&name, "uevent_helper") ? RW_ACT_SETTING : RW_ACT_NONE;
	}
	default:
		return is_report_file(inode) ? RW_ACT_REPORT : RW_ACT_NONE;
	}
}

/* The agent opens what it wants to be left alone, so that it is known as the kernel's own object. */
static __always_inline void learn(struct guard *guard, struct inode *inode)
{
	guard->learner = 0;
	if (guard->learns == RW_INTRODUCE_PINS)
		guard->pins = (__u64)BPF_CORE_READ(inode, i_sb);
	else if (guard->learns == RW_INTRODUCE_REPORT)
		guard->report = (__u64)inode;
}

/* int security_file_open(struct file *file) */
SEC("fmod_ret/security_file_open")
int BPF_PROG(guard_file_open, struct file *file)
{
	struct guard *guard = the_guard();
	struct dentry *dentry;
	__u32 act;

	if (guard && guard->learner && guard->learner == bpf_get_current_pid_tgid())
		learn(guard, BPF_CORE_READ(file, f_inode));
	if (!fenced_place())
		return 0;
	dentry = BPF_CORE_READ(file, f_path.dentry);
	act = act_on_file(file, BPF_CORE_READ(file, f_inode), dentry);
	return act ? forbid(act, 0, (__u64)dentry) : 0;
}

/* A name of a file is taken away, or given to another one. */
__noinline int guard_name(__u64 dentry)
{
	if (is_pinned((void *)dentry))
		return forbid(RW_ACT_PINS, 0, dentry);
	if (is_report((void *)dentry))
		return forbid(RW_ACT_REPORT, 0, dentry);
	return 0;
}

/* int security_inode_unlink(struct inode *dir, struct dentry *dentry) */
SEC("fmod_ret/security_inode_unlink")
int BPF_PROG(guard_unlink, struct inode *dir, struct dentry *dentry)
{
	return fenced_place() ? guard_name(plain(dentry)) : 0;
}

/* int security_inode_rmdir(struct inode *dir, struct dentry *dentry) */
SEC("fmod_ret/security_inode_rmdir")
int BPF_PROG(guard_rmdir, struct inode *dir, struct dentry *dentry)
{
	return fenced_place() ? guard_name(plain(dentry)) : 0;
}

/* int security_inode_rename(struct inode *old_dir, struct dentry *old_dentry, struct inode *new_dir,
 *			     struct dentry *new_dentry, unsigned int flags) */
SEC("fmod_ret/security_inode_rename")
int BPF_PROG(guard_rename, struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *new)
{
	struct guard *guard = the_guard();
	int error;

	if (!fenced_place())
		return 0;
	if (guard && guard->report && (__u64)BPF_CORE_READ(old, d_inode) == guard->report)
		return forbid(RW_ACT_REPORT, 0, plain(old));
	error = guard_name(plain(old));
	return error ? error : guard_name(plain(new));
}

/* int security_inode_link(struct dentry *old_dentry, struct inode *dir, struct dentry *new_dentry): a file of the record
 * would be writable under its other name. */
SEC("fmod_ret/security_inode_link")
int BPF_PROG(guard_link, struct dentry *old)
{
	return fenced_place() ? guard_name(plain(old)) : 0;
}

/* int security_inode_setattr(struct mnt_idmap *idmap, struct dentry *dentry, struct iattr *attr) */
SEC("fmod_ret/security_inode_setattr")
int BPF_PROG(guard_setattr, void *idmap, struct dentry *dentry, struct iattr *attr)
{
	if (!fenced_place())
		return 0;
	/* Of the record, only the content matters. */
	if (!is_pinned(dentry) && !(BPF_CORE_READ(attr, ia_valid) & ATTR_SIZE))
		return 0;
	return guard_name(plain(dentry));
}

/* Whether what is done to a mount is seen where the agent looks for its pins. */
static __always_inline bool is_agents_mount(struct vfsmount *mnt)
{
	struct mount___v617 *newer = (void *)mnt - bpf_core_field_offset(struct mount, mnt);
	struct task_struct *task = bpf_get_current_task_btf();
	struct guard *guard = the_guard();

	if (guard && (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) == guard->mount_ns)
		return true;
	if (bpf_core_field_exists(newer->mnt_t_flags))
		return BPF_CORE_READ(newer, mnt_t_flags) & T_SHARED;
	return BPF_CORE_READ(mnt, mnt_flags) & MNT_SHARED;
}

/* Whether this is /sys, /sys/fs or /sys/fs/bpf: the way to the pins. */
static __always_inline bool is_on_the_way(struct dentry *dentry)
{
	struct short_name name;

	if (BPF_CORE_READ(dentry, d_sb, s_magic) != SYSFS_MAGIC)
		return false;
	if (is_root(dentry))
		return true;
	read_name(&name, dentry);
	return is_name(&name, "fs") || is_name(&name, "bpf");
}

__noinline int guard_mount(__u64 mnt, __u64 dentry)
{
	if (!is_pinned((void *)dentry) && !(is_on_the_way((void *)dentry) && is_agents_mount((void *)mnt)))
		return 0;
	return forbid(RW_ACT_MOUNT, 0, dentry);
}

/* int security_sb_mount(const char *dev_name, const struct path *path, const char *type, unsigned long flags, void *data)
 */
SEC("fmod_ret/security_sb_mount")
int BPF_PROG(guard_sb_mount, const char *name, struct path *path)
{
	return fenced_place() ? guard_mount((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry)) : 0;
}

/* int security_move_mount(const struct path *from_path, const struct path *to_path) */
SEC("fmod_ret/security_move_mount")
int BPF_PROG(guard_move_mount, struct path *from, struct path *to)
{
	int error;

	if (!fenced_place())
		return 0;
	error = guard_mount((__u64)BPF_CORE_READ(from, mnt), (__u64)BPF_CORE_READ(from, dentry));
	return error ? error : guard_mount((__u64)BPF_CORE_READ(to, mnt), (__u64)BPF_CORE_READ(to, dentry));
}

/* int security_sb_umount(struct vfsmount *mnt, int flags) */
SEC("fmod_ret/security_sb_umount")
int BPF_PROG(guard_sb_umount, struct vfsmount *mnt)
{
	return fenced_place() ? guard_mount(plain(mnt), (__u64)BPF_CORE_READ(mnt, mnt_root)) : 0;
}

#endif
