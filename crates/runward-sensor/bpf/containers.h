/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Containers that an engine's daemon starts because a job asked it to: see engines.h. Once the user side has found that a
 * job asked for one, it begins in the job.
 */
#ifndef RUNWARD_CONTAINERS_H
#define RUNWARD_CONTAINERS_H

#include "common.h"
#include "lockdown.h"
#include "names.h"

/* Process ids of those who look after a container that a job has asked for and that has not begun yet, and the job. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} keepers SEC(".maps");

static __always_inline void read_comm(struct short_name *name, struct task_struct *task)
{
	__builtin_memset(name, 0, sizeof(*name));
	bpf_probe_read_kernel(name->text, sizeof(task->comm), task->comm);
}

/* Whether a process looks after a container: of its children, those in another mount namespace are the container. */
static __always_inline bool keeps_containers(struct short_name *comm)
{
	/* containerd-shim-runc-v2, as long as the kernel keeps a name. */
	return is_name(comm, "containerd-shim") || is_name(comm, "conmon");
}

static __always_inline bool is_inside_of(struct task_struct *parent, struct task_struct *task)
{
	return task->nsproxy->mnt_ns != BPF_CORE_READ(parent, nsproxy, mnt_ns);
}

/* A container's first program, which is in no job yet: its place in the job that has asked for it. */
static __always_inline struct rw_task *begin_container(struct task_struct *task)
{
	struct task_struct *parent = task->real_parent;
	struct rw_task place = {};
	struct short_name comm;
	__u64 *job;
	__u32 keeper;

	read_comm(&comm, parent);
	if (!keeps_containers(&comm) || !is_inside_of(parent, task))
		return NULL;
	keeper = process_pid(parent);
	job = bpf_map_lookup_elem(&keepers, &keeper);
	if (!job)
		return NULL;
	place.job = *job;
	place.process = next_id();
	place.ppid = keeper;
	remember_fork(task->tgid, place.job, place.process, 0);
	return bpf_task_storage_get(&tasks, task, &place, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

#endif
