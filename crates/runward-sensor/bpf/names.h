/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Short names, compared in a few instructions that every verifier follows.
 */
#ifndef RUNWARD_NAMES_H
#define RUNWARD_NAMES_H

#include "common.h"

#define NAME_KEPT 32

/* A name, for comparing, filled up with zeros; empty if it is longer than all that are looked for. */
struct short_name {
	char text[NAME_KEPT] __attribute__((aligned(8)));
};

static __always_inline void read_name(struct short_name *name, struct dentry *dentry)
{
	__builtin_memset(name, 0, sizeof(*name));
	if (BPF_CORE_READ(dentry, d_name.len) < NAME_KEPT)
		bpf_probe_read_kernel_str(name->text, NAME_KEPT, BPF_CORE_READ(dentry, d_name.name));
}

static __always_inline bool same_name(const char *a, const char *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

#define is_name(name, literal)                                                                                     \
	({                                                                                                         \
		static const struct short_name wanted = { literal };                                               \
		same_name((name)->text, wanted.text);                                                              \
	})

#endif
