/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets: where they go, the DNS messages in them, and the bytes of datagrams.
 */
#ifndef RUNWARD_PACKETS_H
#define RUNWARD_PACKETS_H

#include "sockets.h"

#define IPV6_EXTENSIONS 6
/* A DNS segment is told in pieces of RW_DNS_MAX bytes; this many hold the largest that TCP hands down at once. */
#define DNS_PIECES 16

/* The parts of a packet that matter here. */
struct packet {
	__u8 remote[16];
	__u8 local[16];
	__u16 remote_port; /* 0 for protocols without ports */
	__u16 local_port;
	__u16 family;
	__u32 protocol;
	__u32 payload; /* offset */
	__u32 payload_len;
	__u32 tcp_seq;
	__u8 tcp_flags; /* byte 13 of the header */
	__u8 pad[3];
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
		__builtin_memcpy(&v4, egress ? header + 12 : header + 16, 4);
		map_v4(packet->local, v4);
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
		__builtin_memcpy(packet->local, egress ? header + 8 : header + 24, 16);
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
	packet->tcp_flags = 0;
	if (packet->protocol == IPPROTO_UDP) {
		if (bpf_skb_load_bytes(skb, packet->payload, header, 8))
			return false;
		header_len = 8;
	} else if (packet->protocol == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(skb, packet->payload, header, 20))
			return false;
		header_len = (header[12] >> 4) * 4;
		packet->tcp_flags = header[13];
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
	record = has_room(RANK_ACT) ? bpf_ringbuf_reserve(&events, sizeof(*record), 0) : NULL;
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

#endif
