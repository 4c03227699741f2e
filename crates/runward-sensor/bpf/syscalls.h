/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which system call the current task is in, for hooks that are reached from several.
 */
#ifndef RUNWARD_SYSCALLS_H
#define RUNWARD_SYSCALLS_H

#include "common.h"

#if defined(__TARGET_ARCH_x86)
#define SYS_SOCKET 41
#define SYS_BPF 321
#elif defined(__TARGET_ARCH_arm64)
#define SYS_SOCKET 198
#define SYS_BPF 280
#endif

static __always_inline long current_syscall(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, syscallno);
#endif
}

/* Its arguments, as the kernel keeps them: other threads can't change these. */
static __always_inline __u64 first_argument(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, di);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, orig_x0);
#endif
}

static __always_inline __u64 second_argument(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());

#if defined(__TARGET_ARCH_x86)
	return BPF_CORE_READ(regs, si);
#elif defined(__TARGET_ARCH_arm64)
	return BPF_CORE_READ(regs, regs[1]);
#endif
}

/* Modules and kernels: calls that mean nothing else. */
static __always_inline __u32 act_of_syscall(long number)
{
	switch (number) {
#if defined(__TARGET_ARCH_x86)
	case 175: /* init_module */
	case 176: /* delete_module */
	case 313: /* finit_module */
	case 128: /* the same three for 32 bits */
	case 129:
	case 350:
		return RW_ACT_MODULE;
	case 246: /* kexec_load */
	case 320: /* kexec_file_load */
	case 283: /* kexec_load for 32 bits */
		return RW_ACT_KEXEC;
#elif defined(__TARGET_ARCH_arm64)
	case 105: /* init_module */
	case 106: /* delete_module */
	case 273: /* finit_module */
		return RW_ACT_MODULE;
	case 104: /* kexec_load */
	case 294: /* kexec_file_load */
		return RW_ACT_KEXEC;
#endif
	default:
		return RW_ACT_NONE;
	}
}

#endif
