// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What this kernel can do, found by trying: one program for each capability, loaded (and where it says so, attached)
 * alone. None of them does anything.
 */
#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} probe_tasks SEC(".maps");

SEC("tp_btf/sched_process_exec")
int BPF_PROG(probe_tracepoint, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(probe_task_storage, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	bpf_task_storage_get(&probe_tasks, task, NULL, 0);
	return 0;
}

SEC("cgroup/connect4")
int probe_cgroup(struct bpf_sock_addr *ctx)
{
	return 1;
}

SEC("cgroup/connect4")
int probe_cgroup_task_storage(struct bpf_sock_addr *ctx)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return 1;
}

SEC("fentry/security_socket_connect")
int BPF_PROG(probe_fentry)
{
	return 0;
}

SEC("fmod_ret/security_task_kill")
int BPF_PROG(probe_fmod_ret)
{
	return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(probe_signal, int signal, struct kernel_siginfo *info, struct task_struct *task)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return 0;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(probe_capable)
{
	bpf_task_pt_regs(bpf_get_current_task_btf());
	return 0;
}

SEC("tp_btf/mmap_lock_start_locking")
int BPF_PROG(probe_lock)
{
	bpf_task_pt_regs(bpf_get_current_task_btf());
	return 0;
}

SEC("tp_btf/percpu_alloc_percpu")
int BPF_PROG(probe_mounts)
{
	bpf_task_pt_regs(bpf_get_current_task_btf());
	return 0;
}

SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(probe_uring)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return 0;
}

SEC("cgroup/dev")
int probe_device(struct bpf_cgroup_dev_ctx *ctx)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return 1;
}

SEC("cgroup/sysctl")
int probe_setting(struct bpf_sysctl *ctx)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return 1;
}

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

SEC("cgroup/connect_unix")
int probe_unix_connect(struct bpf_sock_addr *ctx)
{
	bpf_task_storage_get(&probe_tasks, bpf_get_current_task_btf(), NULL, 0);
	return bpf_cast_to_kern_ctx(ctx) != NULL;
}

/* How many pid namespaces lie between the kernel's first one and that of whoever runs this. */
SEC("syscall")
int own_pid_level(void *ctx)
{
	return BPF_CORE_READ(bpf_get_current_task_btf(), thread_pid, level);
}

SEC("lsm/task_kill")
int BPF_PROG(probe_lsm)
{
	return 0;
}
