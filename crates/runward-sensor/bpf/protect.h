/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a fenced job may not do beside the network, root or not: where trampolines work, they refuse it, at the kernel's
 * own security hooks. One way round the fence each: undoing it (BPF, pins), ending or steering the agent (signals,
 * memory, limits), and replacing what both stand on (modules, another kernel).
 *
 * Programs named guard_* are loaded where they can refuse; all of them, or the job does not start.
 */
#ifndef RUNWARD_PROTECT_H
#define RUNWARD_PROTECT_H

#include "tamper.h"
#include "protect_files.h"
#include "protect_sockets.h"
#include "syscalls.h"

/*
 * To find out whether programs can be attached to control groups at all, the libraries of container runtimes load one
 * that only returns, and attach it to no descriptor.
 */
static __always_inline bool is_trial(__u32 type, __u32 instructions)
{
	return type == BPF_PROG_TYPE_CGROUP_SKB && instructions <= 2;
}

static __always_inline bool is_no_descriptor(__u32 descriptor)
{
	return (__s32)descriptor < 0;
}

/*
 * Container runtimes give each container a program that says which devices it may open. That kind of program can neither
 * see nor touch anything else, and reaches no map but those that its own process made; so it may be loaded, attached,
 * looked up and replaced. What libraries make on the way to find out what the kernel can do (plain tables, type
 * information, a trial) is as harmless. Everything else of bpf(2) is refused.
 */
static __always_inline bool is_harmless_bpf(int cmd, union bpf_attr *attr)
{
	__u32 what = 0, with = 0;

	switch (cmd) {
	case BPF_PROG_LOAD:
		bpf_probe_read_kernel(&what, sizeof(what), &attr->prog_type);
		bpf_probe_read_kernel(&with, sizeof(with), &attr->insn_cnt);
		return what == BPF_PROG_TYPE_CGROUP_DEVICE || is_trial(what, with);
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
		bpf_probe_read_kernel(&what, sizeof(what), &attr->attach_type);
		bpf_probe_read_kernel(&with, sizeof(with), &attr->target_fd);
		return what == BPF_CGROUP_DEVICE || is_no_descriptor(with);
	case BPF_PROG_QUERY:
		bpf_probe_read_kernel(&what, sizeof(what), &attr->query.attach_type);
		return what == BPF_CGROUP_DEVICE;
	case BPF_MAP_CREATE:
		bpf_probe_read_kernel(&what, sizeof(what), &attr->map_type);
		return what == BPF_MAP_TYPE_HASH || what == BPF_MAP_TYPE_ARRAY;
	case BPF_PROG_GET_FD_BY_ID: /* guard_bpf_prog looks at what it is */
	case BPF_OBJ_GET_INFO_BY_FD:
	case BPF_BTF_LOAD:
		return true;
	default:
		return false;
	}
}

/* int security_bpf(int cmd, union bpf_attr *attr, unsigned int size): `attr` is the kernel's copy. */
SEC("fmod_ret/security_bpf")
int BPF_PROG(guard_bpf, int cmd, union bpf_attr *attr, unsigned int size)
{
	if (!fenced_place() || is_harmless_bpf(cmd, attr))
		return 0;
	return forbid(RW_ACT_BPF, cmd, 0);
}

/* int security_bpf_prog(struct bpf_prog *prog): a process gets a descriptor of the program. */
SEC("fmod_ret/security_bpf_prog")
int BPF_PROG(guard_bpf_prog, struct bpf_prog *prog)
{
	if (!fenced_place() || BPF_CORE_READ(prog, type) == BPF_PROG_TYPE_CGROUP_DEVICE)
		return 0;
	/* Of its own making: guard_bpf has looked at it. */
	if (current_call() == CALL_BPF && first_argument() == BPF_PROG_LOAD)
		return 0;
	return forbid(RW_ACT_BPF, BPF_PROG_GET_FD_BY_ID, 0);
}

/*
 * Scripts end what they started by a signal to their process group, and the agent is in the one that a job begins in.
 * That is told as what it is.
 */
static __always_inline __u32 act_of_signal(void)
{
	__s32 target;

	if (current_call() != CALL_KILL)
		return RW_ACT_SIGNAL;
	target = first_argument();
	return target == 0 || target < -1 ? RW_ACT_GROUP_SIGNAL : RW_ACT_SIGNAL;
}

/* int security_task_kill(struct task_struct *p, struct kernel_siginfo *info, int sig, const struct cred *cred) */
SEC("fmod_ret/security_task_kill")
int BPF_PROG(guard_task_kill, struct task_struct *task, struct kernel_siginfo *info, int signal)
{
	/* Signal 0 only asks whether the process is there. The machine's first process starts services when it is told to. */
	if (!signal || (task->tgid != 1 && !is_agent(task)) || !fenced_place())
		return 0;
	return forbid(act_of_signal(), signal, 0);
}

/*
 * int security_file_send_sigiotask(struct task_struct *tsk, struct fown_struct *fown, int sig): any process may ask the
 * kernel to signal another one when a descriptor becomes ready. Who asked is not known when it happens.
 */
SEC("fmod_ret/security_file_send_sigiotask")
int BPF_PROG(guard_sigio, struct task_struct *task, void *owner, int signal)
{
	if (!fence || !is_agent(task))
		return 0;
	if (fenced_place())
		forbid(RW_ACT_SIGNAL, signal, 0);
	return -EPERM;
}

/* int security_ptrace_access_check(struct task_struct *child, unsigned int mode): ptrace, /proc/PID/mem,
 * process_vm_readv, pidfd_getfd and their kin. */
SEC("fmod_ret/security_ptrace_access_check")
int BPF_PROG(guard_ptrace, struct task_struct *task, unsigned int mode)
{
	struct rw_task *place, *other;

	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	place = fenced_place();
	if (!place)
		return 0;
	other = task_place(task);
	/* A job that was adopted begins with the CI's worker or script, which is not of its steps' making. */
	if (other && other->job == place->job && !(adopts && is_first(other->process) && other->process != place->process))
		return 0;
	return forbid(RW_ACT_MEMORY, task->tgid, 0);
}

static __always_inline int guard_limits(struct task_struct *task)
{
	if (!is_agent(task) || !fenced_place())
		return 0;
	return forbid(RW_ACT_LIMITS, 0, 0);
}

/* int security_task_setrlimit(struct task_struct *p, unsigned int resource, struct rlimit *new_rlim) */
SEC("fmod_ret/security_task_setrlimit")
int BPF_PROG(guard_setrlimit, struct task_struct *task)
{
	return guard_limits(task);
}

/* int security_task_setscheduler(struct task_struct *p): also the processors that it may run on. */
SEC("fmod_ret/security_task_setscheduler")
int BPF_PROG(guard_setscheduler, struct task_struct *task)
{
	return guard_limits(task);
}

/* int security_task_setnice(struct task_struct *p, int nice) */
SEC("fmod_ret/security_task_setnice")
int BPF_PROG(guard_setnice, struct task_struct *task)
{
	return guard_limits(task);
}

/* int security_task_setioprio(struct task_struct *p, int ioprio) */
SEC("fmod_ret/security_task_setioprio")
int BPF_PROG(guard_setioprio, struct task_struct *task)
{
	return guard_limits(task);
}

/* int security_capable(const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts) */
SEC("fmod_ret/security_capable")
int BPF_PROG(guard_capable, const struct cred *cred, struct user_namespace *ns, int cap)
{
	__u32 act;

	/* Refused whatever asks; told where it can mean nothing else. */
	if ((cap != CAP_SYS_MODULE && cap != CAP_SYS_BOOT) || !fenced_place())
		return 0;
	act = act_of_call(current_call());
	return act ? forbid(act, 0, 0) : -EPERM;
}

#define is_reason(what, reason)                                                                                    \
	(bpf_core_enum_value_exists(enum lockdown_reason, reason) &&                                               \
	 (what) == bpf_core_enum_value(enum lockdown_reason, reason))

/* Ways to the machine's memory, of those that the kernel itself closes when it is locked down. */
static __always_inline __u32 act_of_lockdown(int what)
{
	if (is_reason(what, LOCKDOWN_KEXEC) || is_reason(what, LOCKDOWN_HIBERNATION))
		return RW_ACT_KEXEC;
	if (is_reason(what, LOCKDOWN_MODULE_SIGNATURE) || is_reason(what, LOCKDOWN_MODULE_PARAMETERS))
		return RW_ACT_MODULE;
	if (is_reason(what, LOCKDOWN_DEV_MEM) || is_reason(what, LOCKDOWN_PCI_ACCESS) ||
	    is_reason(what, LOCKDOWN_IOPORT) || is_reason(what, LOCKDOWN_MSR) ||
	    is_reason(what, LOCKDOWN_ACPI_TABLES) || is_reason(what, LOCKDOWN_DEVICE_TREE) ||
	    is_reason(what, LOCKDOWN_PCMCIA_CIS) || is_reason(what, LOCKDOWN_TIOCSSERIAL) ||
	    is_reason(what, LOCKDOWN_MMIOTRACE) || is_reason(what, LOCKDOWN_KCORE))
		return RW_ACT_RAW_MEMORY;
	return RW_ACT_NONE;
}

/* int security_locked_down(enum lockdown_reason what) */
SEC("fmod_ret/security_locked_down")
int BPF_PROG(guard_locked_down, int what)
{
	__u32 act = act_of_lockdown(what);

	if (!act || !fenced_place())
		return 0;
	return forbid(act, 0, 0);
}

#endif
