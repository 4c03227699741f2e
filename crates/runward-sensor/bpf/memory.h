/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A task of a job that reaches into the memory of another process.
 *
 * Programs named see_*. With trampolines: at the check of every such access, and at the opening of /proc/PID/mem and
 * environ. Without: at the lock of the other's address space, which every way to its memory takes; what the kernel holds
 * then is that address space itself, whatever path or name the task used.
 */
#ifndef RUNWARD_MEMORY_H
#define RUNWARD_MEMORY_H

#include "lockdown.h"
#include "names.h"
#include "protect_files.h"
#include "streams.h"
#include "syscalls.h"

/* Who reached whom in which way, so that a dump of gigabytes is told once. */
struct memory_key {
	__u64 process;
	__u32 target; /* in the kernel's own numbering */
	__u32 way; /* and the record's flags, from bit 16 on */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct memory_key);
	__type(value, __u8);
} told_memory SEC(".maps");

static __always_inline void tell_memory(struct rw_task *place, struct task_struct *target, __u32 way)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 flags = stop_memory(plain(target), way);
	struct memory_key key = {
		.process = place->process,
		.target = BPF_CORE_READ(target, tgid),
		.way = way | flags << 16,
	};
	struct rw_memory *record;
	const unsigned char *name;
	__u8 once = 1;
	long len;

	/* Told before. Where there is no room to remember it, it is rather told twice. Kernels before 6.4 fill half of the
	 * register. */
	if ((int)bpf_map_update_elem(&told_memory, &key, &once, BPF_NOEXIST) == -EEXIST)
		return;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(RW_MEMORY, RW_LOSS_RING_FULL);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, RW_MEMORY, place->job, place->process, process_pid(task));
	record->head.flags = flags;
	record->way = way;
	record->target_pid = process_pid(target);
	name = BPF_CORE_READ(target, mm, exe_file, f_path.dentry, d_name.name);
	len = bpf_probe_read_kernel_str(record->name, RW_PROGRAM_MAX, name);
	record->name_len = len > 0 && len <= RW_PROGRAM_MAX ? len - 1 : 0;
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
}

static __always_inline __u32 way_of_name(struct dentry *dentry)
{
	struct short_name name;

	read_name(&name, dentry);
	if (is_name(&name, "mem"))
		return RW_MEMORY_FILE;
	return is_name(&name, "environ") ? RW_MEMORY_ENVIRON : RW_MEMORY_OTHER;
}

/* By the call that the task is in; RW_MEMORY_OTHER for one that only wants to know something about the other. */
static __always_inline __u32 way_of_call(struct task_struct *task)
{
	struct file *file;

	switch (current_call()) {
	case CALL_READ:
		file = file_of(task, first_argument());
		break;
	case CALL_SENDFILE:
		file = file_of(task, second_argument());
		break;
	case CALL_PTRACE:
		return RW_MEMORY_PTRACE;
	case CALL_PROCESS_VM:
		return RW_MEMORY_VM_CALL;
	case CALL_PIDFD_GETFD:
		return RW_MEMORY_DESCRIPTOR;
	default:
		return RW_MEMORY_OTHER;
	}
	return file ? way_of_name(BPF_CORE_READ(file, f_path.dentry)) : RW_MEMORY_OTHER;
}

/*
 * void mmap_lock_start_locking(struct mm_struct *mm, ...). Nearly all of these are of the task's own address space, so
 * that comes first.
 */
SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(see_lock, struct mm_struct *mm)
{
	struct task_struct *task = bpf_get_current_task_btf(), *owner;
	struct rw_task *place;
	__u32 way;

	if (task->mm == mm || !task->mm)
		return 0;
	place = task_place(task);
	if (!place)
		return 0;
	owner = BPF_CORE_READ(mm, owner);
	/* An address space that is only being made, by fork or exec, is not yet its owner's. */
	if (!owner || BPF_CORE_READ(owner, mm) != mm || BPF_CORE_READ(owner, tgid) == task->tgid)
		return 0;
	way = way_of_call(task);
	if (way != RW_MEMORY_OTHER)
		tell_memory(place, owner, way);
	return 0;
}

static __always_inline __u32 way_of_access(unsigned int mode)
{
	if (!(mode & PTRACE_MODE_ATTACH))
		return RW_MEMORY_OTHER;
	switch (current_call()) {
	case CALL_PTRACE:
		return RW_MEMORY_PTRACE;
	case CALL_PROCESS_VM:
		return RW_MEMORY_VM_CALL;
	case CALL_PIDFD_GETFD:
		return RW_MEMORY_DESCRIPTOR;
	default:
		return RW_MEMORY_OTHER;
	}
}

/* int security_ptrace_access_check(struct task_struct *child, unsigned int mode) */
SEC("fentry/security_ptrace_access_check")
int BPF_PROG(see_access, struct task_struct *target, unsigned int mode)
{
	struct rw_task *place = task_place(bpf_get_current_task_btf());
	__u32 way;

	if (!place)
		return 0;
	way = way_of_access(mode);
	if (way != RW_MEMORY_OTHER)
		tell_memory(place, target, way);
	return 0;
}

/* Runs after see_access, which has told. */
SEC("fmod_ret/security_ptrace_access_check")
int BPF_PROG(lockdown_access, struct task_struct *target, unsigned int mode)
{
	__u32 way;

	if (!task_place(bpf_get_current_task_btf()))
		return 0;
	way = way_of_access(mode);
	return way != RW_MEMORY_OTHER && stop_memory(plain(target), way) ? -EPERM : 0;
}

/* The task that a file of /proc/PID is about, or NULL. */
static __always_inline struct task_struct *task_of_proc(struct inode *inode)
{
	struct proc_inode *proc = (void *)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
	struct pid *pid = BPF_CORE_READ(proc, pid);
	struct hlist_node *first = pid ? BPF_CORE_READ(pid, tasks[0].first) : NULL;

	return first ? (void *)first - bpf_core_field_offset(struct task_struct, pid_links) : NULL;
}

/* What the opening of a file of /proc reaches into, if it is another process: the target, and how. */
static __always_inline struct task_struct *reached_by_open(struct file *file, __u32 *way)
{
	struct task_struct *task = bpf_get_current_task_btf(), *target;

	*way = way_of_name(file->f_path.dentry);
	if (*way == RW_MEMORY_OTHER)
		return NULL;
	target = task_of_proc(file->f_inode);
	return target && BPF_CORE_READ(target, tgid) != task->tgid ? target : NULL;
}

/* int security_file_open(struct file *file) */
SEC("fentry/security_file_open")
int BPF_PROG(see_open, struct file *file)
{
	struct task_struct *target;
	struct rw_task *place;
	__u32 way;

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != PROC_SUPER_MAGIC)
		return 0;
	place = task_place(bpf_get_current_task_btf());
	if (!place)
		return 0;
	target = reached_by_open(file, &way);
	if (target)
		tell_memory(place, target, way);
	return 0;
}

/* Runs after see_open, which has told. */
SEC("fmod_ret/security_file_open")
int BPF_PROG(lockdown_open, struct file *file)
{
	struct task_struct *target;
	__u32 way;

	if (BPF_CORE_READ(file, f_inode, i_sb, s_magic) != PROC_SUPER_MAGIC ||
	    !task_place(bpf_get_current_task_btf()))
		return 0;
	target = reached_by_open(file, &way);
	return target && stop_memory(plain(target), way) ? -EPERM : 0;
}

#endif
