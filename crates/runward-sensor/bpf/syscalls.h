/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which system call the current task is in, for hooks that are reached from several; also in 32-bit programs, whose calls
 * have numbers of their own.
 */
#ifndef RUNWARD_SYSCALLS_H
#define RUNWARD_SYSCALLS_H

#include "common.h"

enum call {
	CALL_OTHER,
	CALL_BPF,
	CALL_SOCKET,
	/* All calls about sockets in one, where 32-bit x86 began. */
	CALL_SOCKETCALL,
	CALL_KILL,
	CALL_MODULE,
	CALL_KEXEC,
	/* A descriptor first: what is read is behind it. */
	CALL_READ,
	/* The same with the source second. */
	CALL_SENDFILE,
	CALL_PTRACE,
	CALL_PROCESS_VM,
	CALL_PIDFD_GETFD,
	CALL_EXEC,
	/* Those that make a mount; not those that only move one. */
	CALL_MOUNT,
};

#if defined(__TARGET_ARCH_x86)

/* arch/x86/include/asm/thread_info.h: the task is in a call for 32 bits. */
#define TS_COMPAT 2
/* asm/unistd.h: calls of x32 have the numbers of 64 bits, and this bit. */
#define X32_BIT 0x40000000

static __always_inline bool is_compat(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), thread_info.status) & TS_COMPAT;
}

static __always_inline enum call call_of(long number)
{
	switch (number & ~X32_BIT) {
	case 321:
		return CALL_BPF;
	case 41:
		return CALL_SOCKET;
	case 62:
		return CALL_KILL;
	case 175: /* init_module */
	case 176: /* delete_module */
	case 313: /* finit_module */
		return CALL_MODULE;
	case 246: /* kexec_load */
	case 320: /* kexec_file_load */
	case 528: /* kexec_load of x32 */
		return CALL_KEXEC;
	case 0: /* read */
	case 1: /* write */
	case 17: /* pread64 */
	case 18: /* pwrite64 */
	case 19: /* readv */
	case 20: /* writev */
	case 275: /* splice */
	case 295: /* preadv */
	case 296: /* pwritev */
	case 326: /* copy_file_range */
	case 327: /* preadv2 */
	case 328: /* pwritev2 */
	case 515: /* readv of x32 */
	case 516: /* writev of x32 */
	case 534: /* preadv of x32 */
	case 535: /* pwritev of x32 */
	case 546: /* preadv2 of x32 */
	case 547: /* pwritev2 of x32 */
		return CALL_READ;
	case 40:
		return CALL_SENDFILE;
	case 101:
	case 521: /* of x32 */
		return CALL_PTRACE;
	case 310: /* process_vm_readv */
	case 311: /* process_vm_writev */
	case 539: /* of x32 */
	case 540:
		return CALL_PROCESS_VM;
	case 438:
		return CALL_PIDFD_GETFD;
	case 59: /* execve */
	case 322: /* execveat */
	case 520: /* of x32 */
	case 545:
		return CALL_EXEC;
	case 165: /* mount */
	case 428: /* open_tree */
	case 432: /* fsmount */
	case 467: /* open_tree_attr */
		return CALL_MOUNT;
	default:
		return CALL_OTHER;
	}
}

static __always_inline enum call call_of_compat(long number)
{
	switch (number) {
	case 357:
		return CALL_BPF;
	case 359:
		return CALL_SOCKET;
	case 102:
		return CALL_SOCKETCALL;
	case 37:
		return CALL_KILL;
	case 128: /* init_module */
	case 129: /* delete_module */
	case 350: /* finit_module */
		return CALL_MODULE;
	case 283: /* kexec_load */
		return CALL_KEXEC;
	case 3: /* read */
	case 4: /* write */
	case 145: /* readv */
	case 146: /* writev */
	case 180: /* pread64 */
	case 181: /* pwrite64 */
	case 313: /* splice */
	case 333: /* preadv */
	case 334: /* pwritev */
	case 377: /* copy_file_range */
	case 378: /* preadv2 */
	case 379: /* pwritev2 */
		return CALL_READ;
	case 187: /* sendfile */
	case 239: /* sendfile64 */
		return CALL_SENDFILE;
	case 26:
		return CALL_PTRACE;
	case 347: /* process_vm_readv */
	case 348: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 438:
		return CALL_PIDFD_GETFD;
	case 11: /* execve */
	case 358: /* execveat */
		return CALL_EXEC;
	case 21: /* mount */
	case 428: /* open_tree */
	case 432: /* fsmount */
	case 467: /* open_tree_attr */
		return CALL_MOUNT;
	default:
		return CALL_OTHER;
	}
}

static __always_inline long call_number(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, orig_ax);
}

static __always_inline __u64 first_of(struct pt_regs *regs)
{
	return is_compat() ? (__u32)BPF_CORE_READ(regs, bx) : BPF_CORE_READ(regs, di);
}

static __always_inline __u64 second_of(struct pt_regs *regs)
{
	return is_compat() ? (__u32)BPF_CORE_READ(regs, cx) : BPF_CORE_READ(regs, si);
}

#elif defined(__TARGET_ARCH_arm64)

/* arch/arm64/include/asm/thread_info.h: the task runs 32-bit code. */
#define TIF_32BIT 22

static __always_inline bool is_compat(void)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), thread_info.flags) & (1ul << TIF_32BIT);
}

static __always_inline enum call call_of(long number)
{
	switch (number) {
	case 280:
		return CALL_BPF;
	case 198:
		return CALL_SOCKET;
	case 129:
		return CALL_KILL;
	case 105: /* init_module */
	case 106: /* delete_module */
	case 273: /* finit_module */
		return CALL_MODULE;
	case 104: /* kexec_load */
	case 294: /* kexec_file_load */
		return CALL_KEXEC;
	case 63: /* read */
	case 64: /* write */
	case 65: /* readv */
	case 66: /* writev */
	case 67: /* pread64 */
	case 68: /* pwrite64 */
	case 69: /* preadv */
	case 70: /* pwritev */
	case 76: /* splice */
	case 285: /* copy_file_range */
	case 286: /* preadv2 */
	case 287: /* pwritev2 */
		return CALL_READ;
	case 71:
		return CALL_SENDFILE;
	case 117:
		return CALL_PTRACE;
	case 270: /* process_vm_readv */
	case 271: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 438:
		return CALL_PIDFD_GETFD;
	case 221: /* execve */
	case 281: /* execveat */
		return CALL_EXEC;
	case 40: /* mount */
	case 428: /* open_tree */
	case 432: /* fsmount */
	case 467: /* open_tree_attr */
		return CALL_MOUNT;
	default:
		return CALL_OTHER;
	}
}

static __always_inline enum call call_of_compat(long number)
{
	switch (number) {
	case 386:
		return CALL_BPF;
	case 281:
		return CALL_SOCKET;
	case 37:
		return CALL_KILL;
	case 128: /* init_module */
	case 129: /* delete_module */
	case 379: /* finit_module */
		return CALL_MODULE;
	case 347: /* kexec_load */
	case 401: /* kexec_file_load */
		return CALL_KEXEC;
	case 3: /* read */
	case 4: /* write */
	case 145: /* readv */
	case 146: /* writev */
	case 180: /* pread64 */
	case 181: /* pwrite64 */
	case 340: /* splice */
	case 361: /* preadv */
	case 362: /* pwritev */
	case 391: /* copy_file_range */
	case 392: /* preadv2 */
	case 393: /* pwritev2 */
		return CALL_READ;
	case 187: /* sendfile */
	case 239: /* sendfile64 */
		return CALL_SENDFILE;
	case 26:
		return CALL_PTRACE;
	case 376: /* process_vm_readv */
	case 377: /* process_vm_writev */
		return CALL_PROCESS_VM;
	case 438:
		return CALL_PIDFD_GETFD;
	case 11: /* execve */
	case 387: /* execveat */
		return CALL_EXEC;
	case 21: /* mount */
	case 428: /* open_tree */
	case 432: /* fsmount */
	case 467: /* open_tree_attr */
		return CALL_MOUNT;
	default:
		return CALL_OTHER;
	}
}

static __always_inline long call_number(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, syscallno);
}

static __always_inline __u64 first_of(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, orig_x0);
}

static __always_inline __u64 second_of(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, regs[1]);
}

#endif

static __always_inline struct pt_regs *current_regs(void)
{
	return (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
}

static __always_inline enum call current_call(void)
{
	long number = call_number(current_regs());

	return is_compat() ? call_of_compat(number) : call_of(number);
}

/* Its arguments, as the kernel keeps them: other threads can't change these. */
static __always_inline __u64 first_argument(void)
{
	return first_of(current_regs());
}

static __always_inline __u64 second_argument(void)
{
	return second_of(current_regs());
}

/* Modules and kernels: calls that mean nothing else. */
static __always_inline __u32 act_of_call(enum call call)
{
	if (call == CALL_MODULE)
		return RW_ACT_MODULE;
	return call == CALL_KEXEC ? RW_ACT_KEXEC : RW_ACT_NONE;
}

#endif
