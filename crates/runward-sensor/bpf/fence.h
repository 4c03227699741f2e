/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fence at a socket: its peers judged, its DNS led to the job's resolver, its packets checked.
 */
#ifndef RUNWARD_FENCE_H
#define RUNWARD_FENCE_H

#include "packets.h"
#include "sockets.h"
#include "verdict.h"
#include "first_bytes.h"

static __always_inline void ask(struct question *question, struct socket_info *info, const __u8 *addr, __u16 port,
				__u16 transport)
{
	__builtin_memset(question, 0, sizeof(*question));
	question->job = info->job;
	question->scopes = scopes_of(info->job, info->process);
	__builtin_memcpy(question->addr, addr, 16);
	/* To the kernel, no address means this machine. */
	if (is_unspecified(addr))
		question->addr[15] = 1;
	else if (is_v4(addr) && addr[12] == 0 && addr[13] == 0 && addr[14] == 0 && addr[15] == 0)
		map_v4(question->addr, bpf_htonl(0x7f000001));
	question->port = port;
	question->transport = transport;
}

enum listener {
	NOBODY,
	OWN,
	FOREIGN,
};

/*
 * Who would get what is sent to this address of the current network namespace. For loopback addresses only: the lookup
 * takes a listener on every address for one on any. Where several share a port, the sender's own address decides.
 */
static __always_inline enum listener listener_at(void *ctx, const struct peer *to, const struct peer *from,
						 __u16 transport, __u64 job)
{
	struct bpf_sock_tuple tuple = {};
	enum listener found = FOREIGN;
	struct socket_info *info;
	struct bpf_sock *owner;
	__u32 size;

	if (is_v4(to->addr)) {
		__builtin_memcpy(&tuple.ipv4.daddr, to->addr + 12, 4);
		__builtin_memcpy(&tuple.ipv4.saddr, from->addr + 12, 4);
		tuple.ipv4.dport = bpf_htons(to->port);
		tuple.ipv4.sport = bpf_htons(from->port);
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.daddr, to->addr, 16);
		__builtin_memcpy(tuple.ipv6.saddr, from->addr, 16);
		tuple.ipv6.dport = bpf_htons(to->port);
		tuple.ipv6.sport = bpf_htons(from->port);
		size = sizeof(tuple.ipv6);
	}
	if (transport == IPPROTO_UDP)
		owner = bpf_sk_lookup_udp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		owner = bpf_sk_lookup_tcp(ctx, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!owner)
		return NOBODY;
	info = bpf_sk_storage_get(&sockets, owner, NULL, 0);
	if (info && info->job == job)
		found = OWN;
	bpf_sk_release(owner);
	return found;
}

/* A job may talk to itself. What else listens on this machine needs a line of the policy. `from` is NULL while the
 * socket has no address yet. */
static __always_inline bool judge_peer(void *ctx, struct question *question, const struct peer *from)
{
	struct peer to, unknown;

	if (!is_loopback(question->addr))
		return judge(question);
	__builtin_memcpy(to.addr, question->addr, 16);
	to.port = question->port;
	unknown = to;
	unknown.port = 0;
	if (listener_at(ctx, &to, from ? from : &unknown, question->transport, question->job) != FOREIGN)
		return true;
	if (judge(question))
		return true;
	if (question->reason != RW_LISTED)
		question->reason = RW_LOCAL_SERVICE;
	return false;
}

static __always_inline void emit_refused(struct socket_info *info, __u64 cookie, struct packet *packet, __u8 reason,
					 struct rw_first_bytes *greeting)
{
	bool stream = packet->protocol == IPPROTO_TCP && !info->raw;
	struct rw_refused *record;

	/* One for each connection: the kernel tries a refused packet again and again. */
	if (info->told)
		return;
	info->told = 1;
	record = has_room(RANK_REFUSAL) ? bpf_ringbuf_reserve(&events, sizeof(*record), 0) : NULL;
	if (!record) {
		count_loss(RW_REFUSED, RW_LOSS_RING_FULL);
		return;
	}
	__builtin_memset(record, 0, sizeof(*record));
	fill_head(&record->head, RW_REFUSED, info->job, info->process, info->pid);
	record->connection = info->connection;
	record->cookie = cookie;
	__builtin_memcpy(record->addr, packet->remote, 16);
	record->port = packet->remote_port;
	record->family = packet->family;
	record->protocol = packet->protocol;
	record->reason = reason;
	if (stream) {
		/* A stream would stand still without a word, and the kernel go on trying even when the job is over; the user
		 * side ends it, so that the program learns. */
		record->local_port = packet->local_port;
		__builtin_memcpy(record->local, packet->local, 16);
	}
	if (greeting) {
		record->name_len = greeting->name_len;
		__builtin_memcpy(record->name, greeting->name, sizeof(record->name));
	}
	bpf_ringbuf_submit(record, stream ? BPF_RB_FORCE_WAKEUP : prompt_flag());
}

/* What the first bytes of a flow have said so far. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rw_first_bytes);
} greetings SEC(".maps");

/* A key with a name is too large for the stack. One for each processor: packets are judged without interruption. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rw_name_key);
} name_keys SEC(".maps");

static __always_inline bool first_bytes_name_allowed(void *context, const __u8 *name, __u32 len, __u16 port)
{
	struct socket_info *info = context;
	struct question question = { .port = port, .transport = IPPROTO_TCP };
	struct rw_grants *grants;
	struct rw_name_key *key;
	__u32 zero = 0;

	if (is_listed_name(name, len)) {
		info->said_listed = 1;
		return false;
	}
	if (info->list_only)
		return true;
	if (!fence)
		return false;
	key = bpf_map_lookup_elem(&name_keys, &zero);
	if (!key || !len)
		return false;
	question.scopes = scopes_of(info->job, info->process);
	key->job = info->job;
	__builtin_memcpy(key->name, name, sizeof(key->name));
	grants = bpf_map_lookup_elem(&names, key);
	if (!grants)
		return false;
	for (__u32 i = 0; i < RW_GRANTS_MAX && i < grants->count; i++)
		if (holds(&grants->list[i], &question))
			return true;
	return false;
}

/*
 * The verdict on a packet of a stream that is allowed by name only, or that may say every name but a listed one. Of the
 * latter, whatever can't be read passes.
 */
static __always_inline int judge_greeting(struct __sk_buff *skb, struct bpf_sock *sk, struct socket_info *info,
					  struct packet *packet)
{
	struct rw_segment segment = {
		.payload = packet->payload,
		.payload_len = packet->payload_len,
		.seq = packet->tcp_seq,
		.port = packet->remote_port,
		.tcp_flags = packet->tcp_flags,
	};
	struct rw_first_bytes *greeting;
	bool passes;

	greeting = bpf_sk_storage_get(&greetings, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!greeting) {
		if (info->list_only) {
			info->list_only = 0;
			count_loss(RW_REFUSED, RW_LOSS_NO_MEMORY);
			return ALLOW;
		}
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_NO_ROOM, NULL);
		return REFUSE;
	}
	passes = first_bytes_packet(skb, &segment, greeting, info);
	if (greeting->phase >= RW_PHASE_NAMED) {
		/* Said and settled, until the socket connects again. */
		info->opaque = !info->list_only && greeting->phase == RW_PHASE_OPAQUE;
		info->by_name = 0;
		info->list_only = 0;
	}
	if (passes)
		return ALLOW;
	if (info->said_listed) {
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_LISTED, greeting);
		return LOSE;
	}
	if (info->list_only) {
		info->list_only = 0;
		return ALLOW;
	}
	if (greeting->reason)
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_FIRST_BYTES + greeting->reason, greeting);
	/* Told as an error, it would end in a write that fails at random; lost, the stream stands still. */
	return LOSE;
}

/* The port of the job's resolver in this network namespace. Tells the user side of a namespace that has none yet. */
static __always_inline __u16 resolver_port(struct socket_info *info, bool *ready)
{
	struct rw_resolver_key key = { .job = info->job, .netns = info->netns };
	struct rw_fence *resolver = bpf_map_lookup_elem(&resolvers, &key);

	*ready = resolver != NULL;
	if (resolver)
		return resolver->resolver_port;
	resolver = bpf_map_lookup_elem(&fences, &key.job);
	announce_netns(info->job, info->process, info->pid, info->netns);
	return resolver ? resolver->resolver_port : 0;
}

/* Leads DNS to the job's resolver: `peer` becomes where it is, and the socket remembers whom it asked. */
static __always_inline void redirect(struct bpf_sock_addr *ctx, struct socket_info *info, struct peer *peer)
{
	bool ready;

	info->netns = bpf_get_netns_cookie(ctx);
	info->resolver_port = resolver_port(info, &ready);
	info->resolver_ready = ready;
	info->redirected = 1;
	__builtin_memcpy(info->server, peer->addr, 16);
	info->server_port = peer->port;
	peer->port = info->resolver_port;
	if (is_v4(peer->addr)) {
		map_v4(peer->addr, bpf_htonl(0x7f000001));
	} else {
		__builtin_memset(peer->addr, 0, 16);
		peer->addr[15] = 1;
	}
}

static __always_inline bool is_redirected(struct socket_info *info, const __u8 *addr, __u16 port)
{
	return fence && info->redirected && port == info->resolver_port && is_loopback(addr);
}

/* DNS goes to the resolver, wherever it was sent; but for a server that the job itself runs. */
static __always_inline bool wants_resolver(void *ctx, struct socket_info *info, struct peer *peer)
{
	struct peer from = *peer;

	if (peer->port != DNS_PORT)
		return false;
	from.port = 0;
	return !is_loopback(peer->addr) || listener_at(ctx, peer, &from, info->protocol, info->job) != OWN;
}

static __always_inline bool is_first_segment(struct packet *packet)
{
	return (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

/* A connected stream that may go on without being read: its peer is allowed, and so is all that it says. */
static __always_inline bool is_settled(struct socket_info *info)
{
	return info->connection && info->allowed && !info->by_name && !info->list_only && is_plain_stream(info);
}

/*
 * Whether a packet is one more of a stream to where its socket was connected, and not the first one. Read in place, as
 * most packets of a build are of this kind; no for any that has to be looked at more closely.
 */
static __always_inline bool continues_stream(struct __sk_buff *skb, struct socket_info *info)
{
	const __u8 *header = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const __u8 *tcp;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		/* Version 4, no options, not a fragment. */
		if (header + 40 > end || header[0] != 0x45 || header[6] & 0x1f || header[7] || header[9] != IPPROTO_TCP)
			return false;
		if (!is_v4(info->addr) || *(__u32 *)(header + 16) != *(__u32 *)(info->addr + 12))
			return false;
		tcp = header + 20;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		const __u32 *to = (void *)(header + 24), *peer = (void *)info->addr;

		if (header + 60 > end || header[6] != IPPROTO_TCP)
			return false;
		if (to[0] != peer[0] || to[1] != peer[1] || to[2] != peer[2] || to[3] != peer[3])
			return false;
		tcp = header + 40;
	} else {
		return false;
	}
	return (tcp[2] << 8 | tcp[3]) == info->port && !(tcp[13] & TCP_FLAG_SYN);
}

/* The verdict on one packet that leaves a fenced socket. */
static __always_inline int judge_packet(struct __sk_buff *skb, struct bpf_sock *sk, struct socket_info *info,
					struct packet *packet)
{
	bool stream = packet->protocol == IPPROTO_TCP;
	bool local = skb->ifindex == LOOPBACK_IFINDEX && is_loopback(packet->remote);
	struct question question;
	struct peer from;

	/* On this machine, who gets a datagram or a stream's first packet is known only now. */
	if (info->connection && info->allowed && info->port == packet->remote_port &&
	    same_address(info->addr, packet->remote) && !(local && (!stream || is_first_segment(packet))))
		return (info->by_name || info->list_only) && stream ? judge_greeting(skb, sk, info, packet) : ALLOW;
	if (is_redirected(info, packet->remote, packet->remote_port)) {
		struct rw_resolver_key key = { .job = info->job, .netns = info->netns };

		/* Lost, so that the program asks again: by then there is one. */
		if (!info->resolver_ready && !bpf_map_lookup_elem(&resolvers, &key))
			return LOSE;
		info->resolver_ready = 1;
		return ALLOW;
	}
	if (!is_followed(info->raw ? SOCK_RAW : 0, packet->protocol)) {
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_PROTOCOL, NULL);
		return REFUSE;
	}
	if (packet->protocol == IPPROTO_UDP && !local) {
		struct rw_flow_key flow;
		struct peer peer;

		/* Its first datagram was judged; a name's time to live does not end what is alive. */
		__builtin_memcpy(peer.addr, packet->remote, 16);
		peer.port = packet->remote_port;
		fill_flow_key(&flow, bpf_get_socket_cookie(skb), &peer);
		if (bpf_map_lookup_elem(&flows, &flow))
			return ALLOW;
	}
	ask(&question, info, packet->remote, packet->remote_port, packet->protocol);
	if (local) {
		/* The answer of a server to a client that the fence let through, or that is not the job's. */
		if (stream && !info->connection && !info->inherited)
			return ALLOW;
		__builtin_memcpy(from.addr, packet->local, 16);
		from.port = packet->local_port;
		if (judge_peer(skb, &question, &from))
			return ALLOW;
	} else if (judge(&question)) {
		return question.by_name && stream ? judge_greeting(skb, sk, info, packet) : ALLOW;
	}
	emit_refused(info, bpf_get_socket_cookie(skb), packet,
		     stream && !info->connection && !info->inherited ? RW_INBOUND : question.reason,
		     NULL);
	return REFUSE;
}

/* Tells a question to DNS that was refused. One socket may ask for many names, so each is told. */
static __always_inline void emit_refused_question(struct __sk_buff *skb, struct socket_info *info,
						  struct packet *packet, struct rw_first_bytes *asked)
{
	__u64 connection = info->connection;

	/* The socket goes on, so what was refused is no connection. */
	info->connection = 0;
	info->told = 0;
	emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_LISTED, asked);
	info->connection = connection;
}

/* The verdict on a question to DNS: whether its name is listed. */
static __always_inline int judge_question(struct __sk_buff *skb, struct bpf_sock *sk, struct socket_info *info,
					  struct packet *packet)
{
	struct rw_first_bytes *asked;
	__u32 len;

	if (!packet->payload_len)
		return ALLOW;
	/* Its room for a name serves here too: a socket of DNS has no greeting. */
	asked = bpf_sk_storage_get(&greetings, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!asked) {
		count_loss(RW_REFUSED, RW_LOSS_NO_MEMORY);
		return ALLOW;
	}
	len = question_name(skb, packet, asked->name);
	asked->name_len = len;
	if (!is_listed_name(asked->name, len))
		return ALLOW;
	if (packet->protocol == IPPROTO_TCP) {
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_LISTED, asked);
		return LOSE;
	}
	emit_refused_question(skb, info, packet, asked);
	return REFUSE;
}

/* The verdict on one packet that leaves a socket of a job that is not fenced: only the block list is asked. */
static __always_inline int judge_by_list(struct __sk_buff *skb, struct bpf_sock *sk, struct socket_info *info,
					 struct packet *packet)
{
	bool stream = packet->protocol == IPPROTO_TCP && !info->raw;
	bool asked_before = info->connection && same_address(info->addr, packet->remote);

	if (!stream && !asked_before && is_listed_address(packet->remote)) {
		emit_refused(info, bpf_get_socket_cookie(skb), packet, RW_LISTED, NULL);
		return REFUSE;
	}
	if (packet->remote_port == DNS_PORT && (stream || packet->protocol == IPPROTO_UDP))
		return judge_question(skb, sk, info, packet);
	return info->list_only && stream ? judge_greeting(skb, sk, info, packet) : ALLOW;
}

#endif
