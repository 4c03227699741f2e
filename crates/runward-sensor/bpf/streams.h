/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What sets a program's start apart from most: where its standard streams lead, and what kind of file it is.
 */
#ifndef RUNWARD_STREAMS_H
#define RUNWARD_STREAMS_H

#include "exec_record.h"

/* linux/nsproxy.h: the machine's first user namespace has this depth. */
#define FIRST_USER_LEVEL 0

/* linux/fs.h: the highest bit of the nanoseconds says since 6.13 that somebody has asked for them (I_CTIME_QUERIED). */
#define CTIME_NSEC 0x7fffffff

/* An open file of a task by its number, or NULL. */
static __always_inline struct file *file_of(struct task_struct *task, __u32 number)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd);
	struct file *file = NULL;

	if (number < BPF_CORE_READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), &files[number]);
	return file;
}

static __always_inline void describe_socket(struct rw_stream *stream, struct socket *socket)
{
	struct sock *sk = BPF_CORE_READ(socket, sk);
	__u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);
	__u32 v4 = BPF_CORE_READ(sk, __sk_common.skc_daddr);

	if (family != AF_INET && family != AF_INET6)
		return;
	/* Multipath TCP included. */
	stream->kind = protocol == IPPROTO_UDP ? RW_STREAM_UDP : RW_STREAM_TCP;
	stream->port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (family == AF_INET6) {
		BPF_CORE_READ_INTO(&stream->addr, sk, __sk_common.skc_v6_daddr);
		return;
	}
	stream->addr[10] = stream->addr[11] = 0xff;
	__builtin_memcpy(&stream->addr[12], &v4, sizeof(v4));
}

static __always_inline void describe_stream(struct rw_stream *stream, struct file *file)
{
	struct inode *inode;
	__u16 kind;

	__builtin_memset(stream, 0, sizeof(*stream));
	if (!file)
		return;
	inode = BPF_CORE_READ(file, f_inode);
	kind = BPF_CORE_READ(inode, i_mode) & S_IFMT;
	if (kind == S_IFSOCK) {
		describe_socket(stream, BPF_CORE_READ(file, private_data));
	} else if (kind == S_IFIFO && BPF_CORE_READ(inode, i_sb, s_magic) != PIPEFS_MAGIC) {
		stream->kind = RW_STREAM_NAMED_PIPE;
		stream->inode = BPF_CORE_READ(inode, i_ino);
	}
}

/* Into this processor's record, about the current task. A global function, so that the verifier looks at it once. */
__noinline int describe_streams(void)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct exec_scratch *scratch = exec_scratch();

	if (!scratch)
		return 0;
#pragma unroll
	for (int i = 0; i < 3; i++)
		describe_stream(&scratch->record.streams[i], file_of(task, i));
	describe_stream(&scratch->record.streams[3], file_of(task->real_parent, 0));
	return 0;
}

static __always_inline __u64 changed_ns(struct inode *inode)
{
	struct inode___v606 *newer = (void *)inode;
	struct inode___v611 *newest = (void *)inode;
	__u64 second = 1000000000;

	if (bpf_core_field_exists(newest->i_ctime_sec))
		return BPF_CORE_READ(newest, i_ctime_sec) * second +
		       (BPF_CORE_READ(newest, i_ctime_nsec) & CTIME_NSEC);
	if (bpf_core_field_exists(newer->__i_ctime))
		return BPF_CORE_READ(newer, __i_ctime.tv_sec) * second + BPF_CORE_READ(newer, __i_ctime.tv_nsec);
	return BPF_CORE_READ(inode, i_ctime.tv_sec) * second + BPF_CORE_READ(inode, i_ctime.tv_nsec);
}

static __always_inline void describe_program(struct rw_exec *record, struct file *file, struct task_struct *task)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	/* A container's runtime starts itself again inside of the container's cgroup, with all that it may, and only then
	 * leaves the machine's files behind. */
	bool entered = BPF_CORE_READ(task, nsproxy, mnt_ns) != BPF_CORE_READ(task, real_parent, nsproxy, mnt_ns);

	record->links = BPF_CORE_READ(inode, i_nlink);
	record->changed_ns = changed_ns(inode);
	record->capabilities = 0;
	if (entered && BPF_CORE_READ(task, cred, user_ns, level) == FIRST_USER_LEVEL)
		BPF_CORE_READ_INTO(&record->capabilities, task, cred, cap_effective);
}

/* Whether few programs start like that: with a stream to another machine, or without a file. */
static __always_inline bool is_odd(struct rw_exec *record)
{
	bool odd = record->links == 0;

#pragma unroll
	for (int i = 0; i < RW_STREAMS; i++)
		odd |= record->streams[i].kind != RW_STREAM_ORDINARY;
	return odd;
}

#endif
