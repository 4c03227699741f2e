/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fence: whether something of a job may go to a peer.
 *
 * Asked when a connection is requested, where a refusal is an error that the program sees, and again for every packet
 * that was not decided then: from sockets that are older than the job, or that came from elsewhere. What is not allowed
 * by the maps here is refused; nothing else is looked at, so a user side that is gone changes nothing.
 */
#ifndef RUNWARD_VERDICT_H
#define RUNWARD_VERDICT_H

#include "common.h"
#include "listed.h"

#define LOOPBACK_IFINDEX 1

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64); /* the job */
	__type(value, struct rw_fence);
} fences SEC(".maps");

/* Addresses that the policy names itself. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct rw_net_key);
	__type(value, struct rw_grants);
} nets SEC(".maps");

/* Addresses that names of the policy stand for, as the resolver answered. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct rw_address_key);
	__type(value, struct rw_binding);
} bindings SEC(".maps");

/* Names that the first bytes of a stream may say. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct rw_name_key);
	__type(value, struct rw_grants);
} names SEC(".maps");

/* The network namespaces in which a job's resolver listens, and its port there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct rw_resolver_key);
	__type(value, struct rw_fence);
} resolvers SEC(".maps");

/* The scopes of each process of a job with narrowed rules; none while the user side has not looked at its program. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64); /* the process */
	__type(value, __u64);
} scopes SEC(".maps");

/* What is asked of the fence, and what it says. */
struct question {
	__u64 job;
	__u64 scopes;
	__u8 addr[16] __attribute__((aligned(8)));
	__u16 port;
	__u16 transport;
	/* The answer. */
	__u32 rule;
	__u8 by_name;
	__u8 reason;
	__u8 pad[6];
};

static __always_inline bool is_fenced(__u64 job)
{
	return fence && bpf_map_lookup_elem(&fences, &job);
}

static __always_inline bool is_narrowed(__u64 job)
{
	struct rw_fence *raised;

	if (!fence)
		return false;
	raised = bpf_map_lookup_elem(&fences, &job);
	return raised && raised->narrowed;
}

static __always_inline __u64 scopes_of(__u64 job, __u64 process)
{
	__u64 *known;

	if (!is_narrowed(job))
		return 0;
	known = bpf_map_lookup_elem(&scopes, &process);
	return known ? *known : 0;
}

/* A child goes on with its parent's program. When there is no room, it has no scopes, and may do less. */
static __always_inline void inherit_scopes(__u64 job, __u64 parent, __u64 child)
{
	__u64 known = scopes_of(job, parent);

	if (known)
		bpf_map_update_elem(&scopes, &child, &known, BPF_ANY);
}

/* Another program, or none any more. Whether there was something to forget. */
static __always_inline bool forget_scopes(__u64 job, __u64 process)
{
	if (!is_narrowed(job))
		return false;
	bpf_map_delete_elem(&scopes, &process);
	return true;
}

/* Tells the user side at once that a fenced job is in a network namespace that its resolver does not listen in. */
static __always_inline void announce_netns(__u64 job, __u64 process, __u32 pid, __u64 netns)
{
	struct rw_netns record = {};

	fill_head(&record.head, RW_NETNS, job, process, pid);
	record.netns = netns;
	if (bpf_ringbuf_output(&events, &record, sizeof(record), BPF_RB_FORCE_WAKEUP))
		count_loss(RW_NETNS, RW_LOSS_RING_FULL);
}

/* Whether a grant answers the question. Global, as it is asked in loops that the verifier would follow turn by turn. */
__noinline int holds(const struct rw_grant *grant, const struct question *question)
{
	if (!grant || !question)
		return 0;
	if (question->port < grant->port_low || question->port > grant->port_high)
		return false;
	if (grant->transport && grant->transport != question->transport)
		return false;
	return (question->scopes & grant->needs) == grant->needs && !(question->scopes & grant->forbids);
}

static __always_inline bool allowed_by_net(struct question *question)
{
	struct rw_net_key key = { .prefix_len = 64 + 128 };
	struct rw_grants *grants;

	__builtin_memcpy(key.job, &question->job, 8);
	__builtin_memcpy(key.addr, question->addr, 16);
	grants = bpf_map_lookup_elem(&nets, &key);
	if (!grants)
		return false;
	for (__u32 i = 0; i < RW_GRANTS_MAX && i < grants->count; i++) {
		if (holds(&grants->list[i], question)) {
			question->rule = grants->list[i].rule;
			return true;
		}
	}
	return false;
}

static __always_inline bool allowed_by_name(struct question *question)
{
	struct rw_address_key key = { .job = question->job };
	__u64 now = bpf_ktime_get_boot_ns();
	struct rw_binding *binding;

	__builtin_memcpy(key.addr, question->addr, 16);
	binding = bpf_map_lookup_elem(&bindings, &key);
	if (!binding)
		return false;
	for (__u32 i = 0; i < RW_BOUND_MAX && i < binding->count; i++) {
		struct rw_bound *bound = &binding->list[i];

		if (!holds(&bound->grant, question))
			continue;
		if (bound->expires_boot_ns < now) {
			question->reason = RW_EXPIRED;
			continue;
		}
		question->rule = bound->grant.rule;
		question->by_name = 1;
		question->reason = RW_NO_REASON;
		return true;
	}
	return false;
}

/*
 * Whether the policy allows it. A global function, so that the verifier looks at it once and not along every way through
 * its callers.
 */
__noinline int judge(struct question *question)
{
	if (!question)
		return 0;
	question->rule = 0;
	question->by_name = 0;
	if (is_listed_address(question->addr)) {
		question->reason = RW_LISTED;
		return 0;
	}
	question->reason = RW_NOT_ALLOWED;
	if (allowed_by_net(question)) {
		question->reason = RW_NO_REASON;
		return 1;
	}
	return allowed_by_name(question);
}

/* Protocols that the fence follows: of others, the kernel makes sockets and packets of its own. */
static __always_inline bool is_followed(__u32 type, __u32 protocol)
{
	if (type == SOCK_RAW)
		return false;
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ||
	       protocol == IPPROTO_ICMPV6;
}

static __always_inline bool is_loopback(const __u8 *addr)
{
	const __u64 *words = (const __u64 *)addr;

	/* ::1, and ::ffff:127.0.0.0/104. */
	if (words[0] != 0)
		return false;
	if (words[1] == bpf_cpu_to_be64(1))
		return true;
	return addr[8] == 0 && addr[9] == 0 && addr[10] == 0xff && addr[11] == 0xff && addr[12] == 127;
}

static __always_inline bool is_unspecified(const __u8 *addr)
{
	const __u64 *words = (const __u64 *)addr;

	return words[0] == 0 && words[1] == 0;
}

static __always_inline bool is_v4(const __u8 *addr)
{
	const __u64 *words = (const __u64 *)addr;
	const __u32 *halves = (const __u32 *)addr;

	return words[0] == 0 && halves[2] == bpf_htonl(0xffff);
}

#endif
