/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: sockets tagged with their job, requests at connect and sendmsg, bytes and ends, DNS messages.
 *
 * All programs sit on the root of cgroup2, so they see every socket of the machine in every network namespace; what
 * is not a job's passes untouched.
 */
#ifndef RUNWARD_NETWORK_H
#define RUNWARD_NETWORK_H

#include "common.h"

#define ALLOW 1
#define DNS_PORT 53
#define IPPROTO_ICMP 1
#define IPPROTO_ICMPV6 58
#define IPV6_EXTENSIONS 6
/* A DNS segment is told in pieces of RW_DNS_MAX bytes; this many hold the largest that TCP hands down at once. */
#define DNS_PIECES 16

/* What a socket of a job is and does. Sockets that come from accept() start with a copy of the listener's. */
struct socket_info {
	__u64 job;
	__u64 process; /* who used it last */
	__u32 pid;
	__u8 raw;
	__u8 established;
	__u8 has_flows;
	__u8 pad;
	__u64 connection; /* 0: not connected */
	__u64 started_boot_ns;
	__u64 bytes_sent; /* not for TCP, which counts by itself */
	__u64 bytes_received;
	__u8 addr[16];
	__u16 port;
	__u16 protocol;
	__u32 pad2;
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
	emit(&record, sizeof(record), RW_CONNECT);
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
	emit(&record, sizeof(record), RW_CONNECT_CLOSE);
	info->connection = 0;
}

static __always_inline bool is_stream(struct socket_info *info)
{
	return info->protocol != IPPROTO_UDP && info->protocol != IPPROTO_ICMP &&
	       info->protocol != IPPROTO_ICMPV6 && !info->raw;
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

static __always_inline int on_connect(struct bpf_sock_addr *ctx, struct peer *peer)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info;

	if (!sk)
		return ALLOW;
	info = socket_of_job(sk);
	if (!info)
		return ALLOW;
	/* A second connect on one socket ends the first one; for TCP this one failed without sending anything. */
	if (info->connection)
		emit_close(info, info->bytes_sent, info->bytes_received, is_stream(info) ? RW_FAILED : RW_DATAGRAMS);
	info->connection = next_id();
	info->started_boot_ns = bpf_ktime_get_boot_ns();
	info->established = 0;
	info->bytes_sent = 0;
	info->bytes_received = 0;
	info->protocol = ctx->protocol;
	info->raw = ctx->type == SOCK_RAW;
	__builtin_memcpy(info->addr, peer->addr, 16);
	info->port = peer->port;
	emit_connect(info, info->connection, bpf_get_socket_cookie(ctx), peer, ctx->family, 0);
	return ALLOW;
}

static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, struct peer *peer)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info;
	struct rw_flow_key key;

	if (!sk)
		return ALLOW;
	info = socket_of_job(sk);
	if (!info)
		return ALLOW;
	info->protocol = ctx->protocol;
	/* On a connected IPv6 socket with an IPv4 peer, the kernel names the peer for each datagram. */
	if (is_peer(info, peer))
		return ALLOW;
	fill_flow_key(&key, bpf_get_socket_cookie(ctx), peer);
	if (!bpf_map_lookup_elem(&flows, &key))
		new_flow(info, &key, peer, ctx->family);
	return ALLOW;
}

static __always_inline void peer_v4(struct bpf_sock_addr *ctx, struct peer *peer)
{
	map_v4(peer->addr, ctx->user_ip4);
	peer->port = bpf_ntohs(ctx->user_port);
}

static __always_inline void peer_v6(struct bpf_sock_addr *ctx, struct peer *peer)
{
	__u32 words[4];

	words[0] = ctx->user_ip6[0];
	words[1] = ctx->user_ip6[1];
	words[2] = ctx->user_ip6[2];
	words[3] = ctx->user_ip6[3];
	__builtin_memcpy(peer->addr, words, 16);
	peer->port = bpf_ntohs(ctx->user_port);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v4(ctx, &peer);
	return on_connect(ctx, &peer);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v6(ctx, &peer);
	return on_connect(ctx, &peer);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v4(ctx, &peer);
	return on_sendmsg(ctx, &peer);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v6(ctx, &peer);
	return on_sendmsg(ctx, &peer);
}

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	struct socket_info *info = socket_of_job(sk);

	if (info) {
		info->protocol = sk->protocol;
		info->raw = sk->type == SOCK_RAW;
	}
	return ALLOW;
}

/* In process context, when the last descriptor of a socket is closed. */
SEC("cgroup/sock_release")
int on_sock_release(struct bpf_sock *sk)
{
	struct socket_info *info = bpf_sk_storage_get(&sockets, sk, NULL, 0);

	if (!info)
		return ALLOW;
	if (info->connection) {
		if (!is_stream(info))
			emit_close(info, info->bytes_sent, info->bytes_received, RW_DATAGRAMS);
		else if (sk->state == TCP_CLOSE)
			emit_close(info, 0, 0, RW_FAILED);
	}
	if (info->has_flows) {
		struct rw_socket_gone record = {};

		fill_head(&record.head, RW_SOCKET_GONE, info->job, info->process, info->pid);
		record.cookie = bpf_get_socket_cookie(sk);
		emit(&record, sizeof(record), RW_SOCKET_GONE);
	}
	return ALLOW;
}

/* void inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate): before the change. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_tcp_state, struct sock *sk, int old_state, int new_state)
{
	struct socket_info *info;
	struct tcp_sock *tcp = (void *)sk;
	__u64 received;

	if (new_state != TCP_ESTABLISHED && new_state != TCP_CLOSE)
		return 0;
	if (sk->sk_protocol != IPPROTO_TCP)
		return 0;
	info = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!info || !info->connection)
		return 0;
	if (new_state == TCP_ESTABLISHED) {
		info->established = 1;
		return 0;
	}
	received = BPF_CORE_READ(tcp, bytes_received);
	/* The peer's FIN has a place in its stream and counts as a byte there. */
	if (received && BPF_CORE_READ(sk, __sk_common.skc_flags) & (1 << SOCK_DONE))
		received -= 1;
	emit_close(info, BPF_CORE_READ(tcp, bytes_sent) - BPF_CORE_READ(tcp, bytes_retrans), received,
		   info->established ? RW_ESTABLISHED : RW_FAILED);
	return 0;
}

/*
 * Where cgroup programs cannot read task storage (6.1), trampolines tag the socket with the task that uses it, just
 * before the kernel comes to the cgroup hook in the same call.
 */
static __always_inline void tag_by_trampoline(struct socket *socket)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rw_task *place = task_place(task);
	struct socket_info *info;
	struct sock *sk = socket->sk;

	if (!place || !sk)
		return;
	info = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!info) {
		count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
		return;
	}
	tag(info, place, task);
	info->protocol = sk->sk_protocol;
	info->raw = sk->sk_type == SOCK_RAW;
}

/* int security_socket_post_create(struct socket *sock, int family, int type, int protocol, int kern) */
SEC("fentry/security_socket_post_create")
int BPF_PROG(on_socket_post_create, struct socket *socket, int family, int type, int protocol, int kern)
{
	if (!kern && (family == AF_INET || family == AF_INET6))
		tag_by_trampoline(socket);
	return 0;
}

/* int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen) */
SEC("fentry/security_socket_connect")
int BPF_PROG(on_socket_connect, struct socket *socket, struct sockaddr *address, int addrlen)
{
	tag_by_trampoline(socket);
	return 0;
}

/* int security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size) */
SEC("fentry/security_socket_sendmsg")
int BPF_PROG(on_socket_sendmsg, struct socket *socket, struct msghdr *msg, int size)
{
	tag_by_trampoline(socket);
	return 0;
}

/* The parts of a packet that matter here. */
struct packet {
	__u8 remote[16];
	__u16 remote_port; /* 0 for protocols without ports */
	__u16 local_port;
	__u16 family;
	__u32 protocol;
	__u32 payload; /* offset */
	__u32 payload_len;
	__u32 tcp_seq;
};

static __always_inline bool parse_ip(struct __sk_buff *skb, bool egress, struct packet *packet)
{
	__u8 header[40];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__be32 v4;

		if (bpf_skb_load_bytes(skb, 0, header, 20))
			return false;
		__builtin_memcpy(&v4, egress ? header + 16 : header + 12, 4);
		map_v4(packet->remote, v4);
		packet->protocol = header[9];
		packet->family = AF_INET;
		packet->payload = (header[0] & 0x0f) * 4;
		/* Only the first fragment has the transport header. */
		return (((header[6] & 0x1f) << 8) | header[7]) == 0;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (bpf_skb_load_bytes(skb, 0, header, 40))
			return false;
		__builtin_memcpy(packet->remote, egress ? header + 24 : header + 8, 16);
		packet->protocol = header[6];
		packet->family = AF_INET6;
		packet->payload = 40;
		for (int i = 0; i < IPV6_EXTENSIONS; i++) {
			__u8 extension[4];

			/* Hop-by-hop, routing, fragment and destination options may stand before the transport. */
			if (packet->protocol != 0 && packet->protocol != 43 && packet->protocol != 44 &&
			    packet->protocol != 60)
				return true;
			if (bpf_skb_load_bytes(skb, packet->payload, extension, 4))
				return false;
			if (packet->protocol == 44) {
				if ((extension[2] << 8 | (extension[3] & 0xf8)) != 0)
					return false;
				packet->payload += 8;
			} else {
				packet->payload += (extension[1] + 1) * 8;
			}
			packet->protocol = extension[0];
		}
		return false;
	}
	return false;
}

static __always_inline bool parse_transport(struct __sk_buff *skb, bool egress, struct packet *packet)
{
	__u8 header[20];
	__u16 source, destination;
	__u32 header_len;

	packet->remote_port = 0;
	packet->local_port = 0;
	packet->tcp_seq = 0;
	if (packet->protocol == IPPROTO_UDP) {
		if (bpf_skb_load_bytes(skb, packet->payload, header, 8))
			return false;
		header_len = 8;
	} else if (packet->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, packet->payload, header, 20))
			return false;
		header_len = (header[12] >> 4) * 4;
		packet->tcp_seq = (__u32)header[4] << 24 | header[5] << 16 | header[6] << 8 | header[7];
	} else {
		packet->payload_len = skb->len > packet->payload ? skb->len - packet->payload : 0;
		return true;
	}
	source = header[0] << 8 | header[1];
	destination = header[2] << 8 | header[3];
	packet->remote_port = egress ? destination : source;
	packet->local_port = egress ? source : destination;
	packet->payload += header_len;
	packet->payload_len = skb->len > packet->payload ? skb->len - packet->payload : 0;
	return true;
}

/*
 * Finds the parts of a packet; 0 when it is not one of those that matter. A global function, so that the verifier looks
 * at it once and not along every way through its callers.
 */
__noinline int parse_packet(struct __sk_buff *skb, __u32 egress, struct packet *packet)
{
	if (!packet)
		return 0;
	return parse_ip(skb, egress, packet) && parse_transport(skb, egress, packet);
}

struct dns_copy {
	struct __sk_buff *skb;
	struct rw_dns record; /* of the first piece, without its length */
	__u32 payload;
	__u32 payload_len;
};

struct dns_record {
	struct rw_dns record;
	__u8 payload[RW_DNS_MAX];
};

static long emit_dns_piece(__u32 piece, void *context)
{
	struct dns_copy *copy = context;
	__u32 start = piece * RW_DNS_MAX;
	struct dns_record *record;
	__u32 len;

	if (start >= copy->payload_len)
		return 1;
	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record) {
		count_loss(RW_DNS, RW_LOSS_RING_FULL);
		return 1;
	}
	record->record = copy->record;
	record->record.tcp_seq += start;
	len = copy->payload_len - start;
	if (len > RW_DNS_MAX) {
		len = RW_DNS_MAX;
		record->record.head.flags |= RW_DNS_CUT;
	}
	record->record.len = len;
	/* That `len` is at least 1 is known from above, but not to older verifiers. */
	if (bpf_skb_load_bytes(copy->skb, copy->payload + start, record->payload,
			       bounded(len - 1, RW_DNS_MAX - 1) + 1)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		return 1;
	}
	bpf_ringbuf_submit(record, wakeup_flag());
	return 0;
}

/* Tells a DNS segment; `info` is NULL when its socket is not a job's. */
static __always_inline void emit_dns(struct __sk_buff *skb, bool egress, struct packet *packet,
				     struct socket_info *info)
{
	struct dns_copy copy = { .skb = skb, .payload = packet->payload, .payload_len = packet->payload_len };

	if (info)
		fill_head(&copy.record.head, RW_DNS, info->job, info->process, info->pid);
	else
		fill_head(&copy.record.head, RW_DNS, 0, 0, 0);
	copy.record.head.flags = (egress ? 0 : RW_DNS_INGRESS) | (packet->protocol == IPPROTO_TCP ? RW_DNS_TCP : 0);
	copy.record.cookie = bpf_get_socket_cookie(skb);
	__builtin_memcpy(copy.record.addr, packet->remote, 16);
	copy.record.port = packet->remote_port;
	copy.record.local_port = packet->local_port;
	copy.record.tcp_seq = packet->protocol == IPPROTO_TCP ? packet->tcp_seq : 0;
	bpf_loop(DNS_PIECES, emit_dns_piece, &copy, 0);
}

static __always_inline void count_datagram(struct __sk_buff *skb, bool egress, struct packet *packet,
					   struct socket_info *info)
{
	struct rw_flow_key key;
	struct rw_flow *flow;
	struct peer peer;

	__builtin_memcpy(peer.addr, packet->remote, 16);
	peer.port = packet->remote_port;
	if (is_peer(info, &peer)) {
		__sync_fetch_and_add(egress ? &info->bytes_sent : &info->bytes_received, packet->payload_len);
		return;
	}
	fill_flow_key(&key, bpf_get_socket_cookie(skb), &peer);
	flow = bpf_map_lookup_elem(&flows, &key);
	/* Raw sockets have no sendmsg hook: their peers are first seen here. */
	if (!flow && egress)
		flow = new_flow(info, &key, &peer, packet->family);
	if (flow)
		__sync_fetch_and_add(egress ? &flow->bytes_sent : &flow->bytes_received, packet->payload_len);
}

static __always_inline int on_packet(struct __sk_buff *skb, bool egress)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_info *info;
	struct packet packet = {};

	if (!sk)
		return ALLOW;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ALLOW;
	info = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (info) {
		/* TCP counts its own bytes; only DNS is looked into. */
		if (is_stream(info) && info->port != DNS_PORT)
			return ALLOW;
		if (!parse_packet(skb, egress, &packet))
			return ALLOW;
		if (!is_stream(info))
			count_datagram(skb, egress, &packet, info);
		if (packet.remote_port == DNS_PORT)
			emit_dns(skb, egress, &packet, info);
		return ALLOW;
	}
	/* A system resolver asks for the job: its answers tell the names of addresses that the job will use. */
	if (egress || sk->protocol != IPPROTO_UDP)
		return ALLOW;
	if (!parse_packet(skb, egress, &packet))
		return ALLOW;
	if (packet.remote_port == DNS_PORT)
		emit_dns(skb, egress, &packet, NULL);
	return ALLOW;
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	return on_packet(skb, true);
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	return on_packet(skb, false);
}

#endif
