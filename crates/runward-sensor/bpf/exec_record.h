/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record of an exec, while it is made.
 */
#ifndef RUNWARD_EXEC_RECORD_H
#define RUNWARD_EXEC_RECORD_H

#include "common.h"

#define EXEC_DATA_MAX (3 * RW_PATH_MAX + RW_CGROUP_MAX + RW_ARGS_MAX + RW_ENV_MAX)
#define NAME_MAX 255
/* No path of RW_PATH_MAX bytes has more parts; mounts crossed come on top. */
#define PATH_STEPS 4096
#define CGROUP_STEPS 32

/*
 * One processor's workplace for an exec record. A tracepoint program does not run inside itself on one processor (the
 * kernel skips it and counts that; the user side reads the count), so nobody shares it.
 */
struct exec_scratch {
	struct rw_exec record;
	char data[EXEC_DATA_MAX];
	/* Paths are built from their end. The room behind takes a whole name at the last possible place. */
	char path[RW_PATH_MAX + NAME_MAX + 1];
	char name[NAME_MAX + 1];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* as many as there are processors: set by the user side */
	__type(key, __u32);
	__type(value, struct exec_scratch);
} exec_scratches SEC(".maps");

static __always_inline struct exec_scratch *exec_scratch(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&exec_scratches, &cpu);
}

#endif
