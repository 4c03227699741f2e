/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Process ids as the agent sees them. */
#ifndef RUNWARD_PROCESS_IDS_H
#define RUNWARD_PROCESS_IDS_H

#include "kernel.h"

/* The depth of the agent's pid namespace: process ids are told as the agent sees them. Set by the user side before load. */
const volatile __u32 agent_pid_level = 0;
/* Which namespace that is, by its number in /proc. */
const volatile __u32 agent_pid_namespace = 0;

/* The process id of a task's process, as the agent's pid namespace numbers it; 0 for one that is not in it. */
static __always_inline __u32 process_pid(struct task_struct *task)
{
	struct pid_namespace *namespace;
	struct upid own = {};
	struct pid *pid;

	if (agent_pid_level == 0)
		return BPF_CORE_READ(task, tgid);
	pid = BPF_CORE_READ(task, group_leader, thread_pid);
	if (BPF_CORE_READ(pid, level) < agent_pid_level)
		return 0;
	bpf_probe_read_kernel(&own, sizeof(own), &pid->numbers[agent_pid_level]);
	namespace = own.ns;
	return BPF_CORE_READ(namespace, ns.inum) == agent_pid_namespace ? own.nr : 0;
}

#endif
