/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What protect.h refuses, where no trampolines work: refused where a hook of control groups passes by (devices,
 * settings of the kernel, unix sockets), and otherwise seen after the fact, at tracepoints that few programs reach.
 * None of them sits on the way of every system call: a build makes millions of these.
 *
 * Programs named watch_* are loaded where protect.h can't be, and each only if this kernel has what it needs.
 */
#ifndef RUNWARD_WATCH_H
#define RUNWARD_WATCH_H

#include "protect.h"
#include <stddef.h>

/* Whether a signal was sent by a process. Small numbers stand for the kernel itself instead of a pointer. */
static __always_inline bool is_from_process(int signal, struct kernel_siginfo *info)
{
	int code = 0;

	/* To attach, ptrace stops the process in the kernel's name. */
	if ((__u64)info == 1)
		return signal == SIGSTOP;
	if ((__u64)info == 0)
		return true;
	code = BPF_CORE_READ(info, si_code);
	/* What the kernel says of a child of the agent, and of its own faults. */
	return code <= 0 || (signal != SIGCHLD && code < SI_KERNEL);
}

/* void signal_generate(int sig, struct kernel_siginfo *info, struct task_struct *task, int type, int result) */
SEC("tp_btf/signal_generate")
int BPF_PROG(watch_signal, int signal, struct kernel_siginfo *info, struct task_struct *task)
{
	if ((task->tgid != 1 && !is_agent(task)) || !is_from_process(signal, info) || !fenced_place())
		return 0;
	tell(act_of_signal(), signal, RW_TAMPER_SEEN);
	return 0;
}

/* Whether the current task ends as soon as it leaves the kernel. */
static __always_inline bool is_killed(void)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return BPF_CORE_READ(task, pending.signal.sig[0]) & (1 << (SIGKILL - 1));
}

/* Families that are only buses of this machine, or need more than a socket: not worth a process. */
static __always_inline bool leaves_machine(int family)
{
	return family == AF_PACKET || family == AF_XDP || family == AF_VSOCK || family == AF_KEY;
}

/* The family of the socket that a program asked for. */
static __always_inline int family_of(int family, int type)
{
	/* An old way to say AF_PACKET. */
	return family == AF_INET && (type & SOCK_TYPE_MASK) == SOCK_PACKET ? AF_PACKET : family;
}

/* SYS_SOCKET of linux/net.h: what socketcall(2) is to do. */
#define SOCKETCALL_SOCKET 1

/* The same for a 32-bit program that has its arguments in memory; they may have changed since. */
static __always_inline int family_in_memory(void)
{
	__u32 arguments[2] = {};

	if (first_argument() != SOCKETCALL_SOCKET)
		return AF_UNSPEC;
	bpf_probe_read_user(arguments, sizeof(arguments), (void *)second_argument());
	return family_of(arguments[0], arguments[1]);
}

static __always_inline void tell_socket(int family)
{
	if (is_family_followed(family))
		return;
	if (!leaves_machine(family)) {
		tell(RW_ACT_SOCKET, family, RW_TAMPER_SEEN);
		return;
	}
	bpf_send_signal(SIGKILL);
	tell(RW_ACT_SOCKET, family, RW_TAMPER_KILLED);
}

/* What the caller has in its own memory, at the place where bpf(2) takes it from: it may have changed since. */
static __always_inline __u32 bpf_argument(__u32 offset)
{
	__u32 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)second_argument() + offset);
	return value;
}

static __always_inline bool may_be_harmless(__u32 command)
{
	switch (command) {
	case BPF_PROG_LOAD:
		return bpf_argument(0) == BPF_PROG_TYPE_CGROUP_DEVICE ||
		       is_trial(bpf_argument(0), bpf_argument(offsetof(union bpf_attr, insn_cnt)));
	case BPF_PROG_ATTACH:
	case BPF_PROG_DETACH:
		return bpf_argument(offsetof(union bpf_attr, attach_type)) == BPF_CGROUP_DEVICE ||
		       is_no_descriptor(bpf_argument(offsetof(union bpf_attr, target_fd)));
	case BPF_PROG_QUERY:
		return bpf_argument(offsetof(union bpf_attr, query.attach_type)) == BPF_CGROUP_DEVICE;
	case BPF_MAP_CREATE:
	case BPF_BTF_LOAD:
	case BPF_PROG_GET_FD_BY_ID:
	case BPF_OBJ_GET_INFO_BY_FD:
		return true;
	default:
		return false;
	}
}

/* With these, the next call could be the end of the fence. */
static __always_inline bool opens_the_fence(__u32 command)
{
	return command == BPF_PROG_LOAD || command == BPF_OBJ_GET || command == BPF_MAP_GET_FD_BY_ID ||
	       command == BPF_LINK_GET_FD_BY_ID || command == BPF_LINK_DETACH || command == BPF_LINK_UPDATE;
}

static __always_inline void tell_bpf(__u32 command)
{
	if (may_be_harmless(command))
		return;
	if (!opens_the_fence(command)) {
		tell(RW_ACT_BPF, command, RW_TAMPER_SEEN);
		return;
	}
	bpf_send_signal(SIGKILL);
	tell(RW_ACT_BPF, command, RW_TAMPER_KILLED);
}

/*
 * void cap_capable(const struct cred *cred, struct user_namespace *target_ns, const struct user_namespace *capable_ns,
 *		    int cap, int ret): the kernel asks whether the current task has a right. Which system call it is in
 * tells what for.
 */
SEC("tp_btf/cap_capable")
int BPF_PROG(watch_capable, const struct cred *cred, struct user_namespace *target, struct user_namespace *having,
	     int cap, int missing)
{
	enum call call;

	/* In one call the kernel may ask for several rights; the first one was told. */
	if (missing || !fenced_place() || is_killed())
		return 0;
	call = current_call();
	if (call == CALL_BPF)
		tell_bpf(first_argument());
	else if (call == CALL_SOCKET)
		tell_socket(family_of(first_argument(), second_argument()));
	else if (call == CALL_SOCKETCALL)
		tell_socket(family_in_memory());
	else if ((cap == CAP_SYS_MODULE && call == CALL_MODULE) || (cap == CAP_SYS_BOOT && call == CALL_KEXEC))
		tell(act_of_call(call), 0, RW_TAMPER_SEEN);
	return 0;
}

/* void io_uring_submit_req(struct io_kiocb *req) */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(watch_uring, struct io_kiocb *request)
{
	struct io_socket *socket;

	if (BPF_CORE_READ(request, opcode) != IORING_OP_SOCKET || !fenced_place())
		return 0;
	/* The command's own data lies at the beginning. */
	socket = (void *)request;
	tell_socket(BPF_CORE_READ(socket, domain));
	return 0;
}

SEC("cgroup/dev")
int watch_device(struct bpf_cgroup_dev_ctx *ctx)
{
	__u32 kind = (ctx->access_type & 0xffff) == BPF_DEVCG_DEV_BLOCK ? S_IFBLK : S_IFCHR;
	__u32 access = ctx->access_type >> 16;
	__u32 device = ctx->major << 20 | ctx->minor;
	__u32 act;

	/* A node is a name; opening it is what counts. */
	if (!(access & (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)) || !fenced_place())
		return 1;
	act = act_on_device(kind, device, access & BPF_DEVCG_ACC_WRITE);
	if (!act)
		return 1;
	tell(act, device, RW_TAMPER_PREVENTED);
	return 0;
}

SEC("cgroup/sysctl")
int watch_setting(struct bpf_sysctl *ctx)
{
	struct short_name name = {};

	if (!ctx->write || !fenced_place())
		return 1;
	bpf_sysctl_get_name(ctx, name.text, sizeof(name.text), BPF_F_SYSCTL_BASE_NAME);
	if (!is_kernel_setting(&name) && !is_bpf_setting(&name))
		return 1;
	forbid_named(RW_ACT_SETTING, plain(name.text));
	return 0;
}

/* A text in the kernel is at most as long as a unix socket's path. */
__noinline int text_length(__u64 text)
{
	char copy[108];
	long len = bpf_probe_read_kernel_str(copy, sizeof(copy), (void *)text);

	return len > 0 ? len - 1 : 0;
}

/*
 * The path that the program names, for nothing tells yet who listens there: only system paths, and only as the machine
 * sees them, for in a container the same path is the container's own daemon.
 */
SEC("cgroup/connect_unix")
int watch_unix_connect(struct bpf_sock_addr *ctx)
{
	struct bpf_sock_addr_kern *call = bpf_cast_to_kern_ctx(ctx);
	struct task_struct *task = bpf_get_current_task_btf();
	struct guard *guard = the_guard();
	struct short_name start = {};
	__u64 path;
	__u32 len, act;

	if (!fenced_place() || !guard || (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) != guard->mount_ns)
		return 1;
	path = (__u64)BPF_CORE_READ(call, uaddr) + bpf_core_field_offset(struct sockaddr_un, sun_path);
	bpf_probe_read_kernel(start.text, 5, (void *)path);
	if (!is_name(&start, "/run/") && !is_name(&start, "/var/") && !is_name(&start, "/nix/"))
		return 1;
	len = text_length(path);
	act = act_on_service(path + len, len);
	if (!act)
		return 1;
	/* Nothing was refused where nobody is; who comes later is refused all the same. */
	if (!(act & ASKED_ALWAYS) || name_cache_runs)
		forbid_named(ACT_OF(act), path);
	/* As if nobody were there: then C libraries look elsewhere. */
	if (ACT_OF(act) == RW_ACT_RESOLVER)
		bpf_set_retval(-ECONNREFUSED);
	return 0;
}

#endif
