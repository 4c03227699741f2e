/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The block list: destinations that no job reaches, also one that is not fenced, and whatever a policy allows.
 *
 * Addresses are looked up when a connection is requested and for datagrams. Names are looked up where a job says them:
 * in its questions to DNS, and in the first bytes of its streams. No address is blocked because of a name: many names
 * stand behind one address.
 */
#ifndef RUNWARD_LISTED_H
#define RUNWARD_LISTED_H

#include "common.h"
#include "packets.h"

/* Bytes of a question's name on the wire, and of the header before it (RFC 1035, sections 2.3.4 and 4.1.1). */
#define QUESTION_NAME_MAX 255
#define DNS_HEADER 12
#define DNS_LABEL_MAX 63

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct rw_listed_net);
	__type(value, __u8);
} listed_nets SEC(".maps");

/* By hash, which `listed_name_hash` and the user side make alike: names as keys would take five times the memory. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u8);
} listed_names SEC(".maps");

static __always_inline bool is_listed_address(const __u8 *addr)
{
	struct rw_listed_net key = { .prefix_len = 128 };

	if (!listing)
		return false;
	__builtin_memcpy(key.addr, addr, 16);
	return bpf_map_lookup_elem(&listed_nets, &key) != NULL;
}

struct listed_name_walk {
	const __u8 *name;
	__u64 hash;
	__u32 len;
	__u32 found;
};

/* One byte, from the last to the first; behind the first comes a zero. At a dot, what was read is a name above. */
static long listed_name_step(__u32 index, void *context)
{
	struct listed_name_walk *walk = context;
	__u32 byte = 0;

	if (index < walk->len)
		byte = walk->name[bounded(walk->len - 1 - index, RW_LISTED_NAME_MAX - 1)];
	/* FNV-1a. */
	walk->hash = (walk->hash ^ byte) * RW_LISTED_HASH_PRIME;
	if (byte != 0 && byte != '.')
		return 0;
	if (bpf_map_lookup_elem(&listed_names, &walk->hash)) {
		walk->found = 1;
		return 1;
	}
	return 0;
}

/* Whether a name (lower case, no dot at the end, in a buffer of RW_LISTED_NAME_MAX bytes), or one above it, is listed. */
static __always_inline bool is_listed_name(const __u8 *name, __u32 len)
{
	struct listed_name_walk walk = { .name = name, .hash = RW_LISTED_HASH_START, .len = len };

	if (!listing || !len || len > RW_LISTED_NAME_MAX - 1)
		return false;
	bpf_loop(len + 1, listed_name_step, &walk, 0);
	return walk.found;
}

struct question_reader {
	struct __sk_buff *skb;
	__u8 *name;
	__u32 at;
	__u32 end;
	__u32 len;
	__u32 left; /* bytes of the label that are still to come */
	__u32 complete;
};

/* One byte of a question's name. */
static long read_question_byte(__u32 index, void *context)
{
	struct question_reader *reader = context;
	__u8 byte = 0;

	if (reader->at >= reader->end || bpf_skb_load_bytes(reader->skb, reader->at, &byte, 1))
		return 1;
	reader->at++;
	if (reader->left) {
		reader->left--;
		reader->name[bounded(reader->len++, RW_LISTED_NAME_MAX - 1)] =
			byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
		return 0;
	}
	if (byte == 0) {
		reader->complete = 1;
		return 1;
	}
	/* A pointer: a question has nothing to point to. */
	if (byte > DNS_LABEL_MAX)
		return 1;
	reader->left = byte;
	if (reader->len)
		reader->name[bounded(reader->len++, RW_LISTED_NAME_MAX - 1)] = '.';
	return 0;
}

/*
 * The length of the name that a question to DNS asks for, written into `name` (RW_LISTED_NAME_MAX bytes); 0 where the
 * packet is none, or the name is not all in it.
 */
static __always_inline __u32 question_name(struct __sk_buff *skb, struct packet *packet, __u8 *name)
{
	/*
	 * Zero, as no packet is that long, but the verifier can't know: kernels before 6.7 follow the first turn of a loop
	 * only, and take out what that turn does not reach.
	 */
	__u32 nothing = skb->len >> 31;
	struct question_reader reader = {
		.skb = skb,
		.name = name,
		.at = packet->payload,
		.len = nothing,
		.left = nothing,
		.complete = nothing,
	};
	__u8 header[DNS_HEADER];

	reader.end = packet->payload + packet->payload_len;
	/* On a stream, the length of the message stands before it. */
	if (packet->protocol == IPPROTO_TCP)
		reader.at += 2;
	if (bpf_skb_load_bytes(skb, reader.at, header, DNS_HEADER))
		return 0;
	/* An answer, or no question. */
	if (header[2] & 0x80 || (header[4] == 0 && header[5] == 0))
		return 0;
	reader.at += DNS_HEADER;
	bpf_loop(QUESTION_NAME_MAX, read_question_byte, &reader, 0);
	return reader.complete ? reader.len : 0;
}

#endif
