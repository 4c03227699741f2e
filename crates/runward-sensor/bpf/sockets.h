/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is known of a socket of a job, of its peers, and how both are told.
 */
#ifndef RUNWARD_SOCKETS_H
#define RUNWARD_SOCKETS_H

#include "common.h"

#define REFUSE 0
#define ALLOW 1
/* For packets only: the sender is not told, as if the network had lost it. */
#define LOSE 2
#define DNS_PORT 53

/* What a socket of a job is and does. Sockets that come from accept() start with a copy of the listener's. */
struct socket_info {
	__u64 job;
	__u64 process; /* who used it last */
	__u32 pid;
	__u8 raw;
	__u8 established;
	__u8 has_flows;
	/* The fence let the connected peer pass; set with `connection`. */
	__u8 allowed;
	__u64 connection; /* 0: not connected */
	__u64 started_boot_ns;
	__u64 bytes_sent; /* not for TCP, which counts by itself */
	__u64 bytes_received;
	__u8 addr[16];
	__u16 port;
	__u16 protocol;
	/* The job's resolver stands in for the DNS server that the program asked for, which is kept here. */
	__u16 resolver_port;
	__u8 redirected;
	__u8 resolver_ready;
	__u8 server[16];
	__u16 server_port;
	/* A refusal of a packet was told; the next ones are more of the same. */
	__u8 told;
	/* Allowed by a name only: the first bytes have to say one that is allowed. */
	__u8 by_name;
	__u32 rule;
	__u64 netns;
	__u8 opaque;
	/* The job has it without having made it. */
	__u8 inherited;
	/* The first bytes may say any name but a listed one. Never together with `by_name`. */
	__u8 list_only;
	/* They said a listed one. */
	__u8 said_listed;
	__u8 pad[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_info);
} sockets SEC(".maps");

/*
 * Peers of sockets that are not connected. Full means that a new peer is counted as lost, never that an old one is
 * forgotten. The user side empties it when a socket is gone.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct rw_flow_key);
	__type(value, struct rw_flow);
} flows SEC(".maps");

struct peer {
	__u8 addr[16] __attribute__((aligned(8)));
	__u16 port;
};

static __always_inline bool same_address(const __u8 *a, const __u8 *b)
{
	const __u64 *x = (const __u64 *)a, *y = (const __u64 *)b;

	return x[0] == y[0] && x[1] == y[1];
}

/* Whether the socket is connected to this peer. */
static __always_inline bool is_peer(struct socket_info *info, struct peer *peer)
{
	return info->connection && info->port == peer->port && same_address(info->addr, peer->addr);
}

static __always_inline void map_v4(__u8 *addr, __be32 v4)
{
	__builtin_memset(addr, 0, 10);
	addr[10] = 0xff;
	addr[11] = 0xff;
	__builtin_memcpy(addr + 12, &v4, 4);
}

static __always_inline void tag(struct socket_info *info, struct rw_task *place, struct task_struct *task)
{
	info->job = place->job;
	info->process = place->process;
	info->pid = process_pid(task);
}

/* The socket's record, with the current task as its user if that is a job's. NULL: not a job's socket. */
static __always_inline struct socket_info *socket_of_job(struct bpf_sock *sk)
{
	struct socket_info *info;

	if (task_storage_in_cgroup_hooks) {
		struct task_struct *task = bpf_get_current_task_btf();
		struct rw_task *place = task_place(task);

		if (place) {
			info = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
			if (!info) {
				count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
				return NULL;
			}
			tag(info, place, task);
			return info;
		}
	}
	return bpf_sk_storage_get(&sockets, sk, NULL, 0);
}

static __always_inline void emit_connect(struct socket_info *info, __u64 connection, __u64 cookie, struct peer *peer,
					 __u16 family, __u16 flags)
{
	struct rw_connect record = {};

	fill_head(&record.head, RW_CONNECT, info->job, info->process, info->pid);
	record.head.flags = flags;
	record.connection = connection;
	record.cookie = cookie;
	__builtin_memcpy(record.addr, peer->addr, 16);
	record.port = peer->port;
	record.family = family;
	record.protocol = info->protocol;
	record.raw = info->raw;
	record.rule = info->rule;
	emit(&record, sizeof(record), RW_CONNECT, RANK_ACT);
}

static __always_inline void emit_blocked_connect(struct socket_info *info, __u64 cookie, struct peer *peer,
						 __u16 family, __u8 reason)
{
	struct rw_connect record = {};

	fill_head(&record.head, RW_CONNECT, info->job, info->process, info->pid);
	record.head.flags = RW_CONNECT_BLOCKED;
	record.connection = next_id();
	record.cookie = cookie;
	__builtin_memcpy(record.addr, peer->addr, 16);
	record.port = peer->port;
	record.family = family;
	record.protocol = info->protocol;
	record.raw = info->raw;
	record.reason = reason;
	emit(&record, sizeof(record), RW_CONNECT, RANK_REFUSAL);
}

static __always_inline void emit_close(struct socket_info *info, __u64 sent, __u64 received, __u32 outcome)
{
	struct rw_connect_close record = {};

	fill_head(&record.head, RW_CONNECT_CLOSE, info->job, info->process, info->pid);
	record.connection = info->connection;
	record.bytes_sent = sent;
	record.bytes_received = received;
	record.started_boot_ns = info->started_boot_ns;
	record.outcome = outcome;
	if (info->opaque)
		record.head.flags |= RW_CLOSE_OPAQUE;
	emit(&record, sizeof(record), RW_CONNECT_CLOSE, RANK_PASSING);
	info->connection = 0;
}

static __always_inline bool is_stream(struct socket_info *info)
{
	return info->protocol != IPPROTO_UDP && info->protocol != IPPROTO_ICMP &&
	       info->protocol != IPPROTO_ICMPV6 && !info->raw;
}

/* Whether nothing of a stream is looked into. */
static __always_inline bool is_plain_stream(struct socket_info *info)
{
	return is_stream(info) && info->port != DNS_PORT && !info->redirected;
}

/* A peer that an unconnected socket has not sent to before. */
static __always_inline struct rw_flow *new_flow(struct socket_info *info, struct rw_flow_key *key, struct peer *peer,
						__u16 family)
{
	struct rw_flow flow = { .connection = next_id(), .started_boot_ns = bpf_ktime_get_boot_ns() };

	if (bpf_map_update_elem(&flows, key, &flow, BPF_NOEXIST)) {
		/* Full, or another thread was first. */
		struct rw_flow *known = bpf_map_lookup_elem(&flows, key);

		if (!known)
			count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
		return known;
	}
	info->has_flows = 1;
	emit_connect(info, flow.connection, key->cookie, peer, family, RW_CONNECT_FLOW);
	return bpf_map_lookup_elem(&flows, key);
}

static __always_inline void fill_flow_key(struct rw_flow_key *key, __u64 cookie, struct peer *peer)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->cookie = cookie;
	__builtin_memcpy(key->addr, peer->addr, 16);
	key->port = peer->port;
}

#endif
