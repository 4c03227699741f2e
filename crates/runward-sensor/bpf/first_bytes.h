/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The first bytes that a client sends on a TCP flow: the names that it says there must be names that the policy allows.
 *
 * A packet can be passed or dropped here, not held back. So the bytes of a greeting pass as they come, as no server can
 * route a greeting that is not complete, and the packet whose bytes complete a wrong name is dropped, and every one
 * with data after it. A byte machine reads the stream; nothing is buffered but the name. docs/first-bytes.md tells what
 * is judged, and why what is refused is refused.
 *
 *   first_bytes_state.h  what is kept of a flow
 *   first_bytes_tls.h    ClientHello
 *   first_bytes_http.h   HTTP/1, and telling protocols apart
 *
 * The includer defines `first_bytes_name_allowed`, and calls `first_bytes_packet` for each packet of a flow and
 * `first_bytes_forget` when its socket connects. Packets of one flow come one at a time, because TCP sends under the
 * socket's lock; that is why the state may live in the socket's storage without another.
 */
#ifndef RUNWARD_FIRST_BYTES_H
#define RUNWARD_FIRST_BYTES_H

#include "first_bytes_state.h"
#include "first_bytes_http.h"
#include "first_bytes_tls.h"

#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_URG 0x20
/* Like bytes that are taken at once. Verifiers go through each turn of the loop, for each turn that it may have had. */
#define RUN_MAX 8

/* A TCP segment of the flow, as the packet's headers tell it. */
struct rw_segment {
	__u32 payload; /* offset in the packet */
	__u32 payload_len;
	__u32 seq;
	__u16 port; /* of the peer, host order */
	__u8 tcp_flags; /* byte 13 of the header */
};

/*
 * Whether the policy allows this name (lower case, no dot at the end, zeroes behind it up to RW_NAME_MAX) on this port.
 * `context` is what the includer gave to first_bytes_packet.
 */
static __always_inline bool first_bytes_name_allowed(void *context, const __u8 *name, __u32 len, __u16 port);

struct first_bytes_reader {
	struct __sk_buff *skb;
	struct rw_first_bytes *state;
	void *context;
};

/* The kernel's own view of a packet. Since 6.2. */
extern void *bpf_cast_to_kern_ctx(void *) __ksym __weak;

static __always_inline bool first_bytes_pages_shared(struct sk_buff *skb)
{
	struct skb_shared_info *info = (void *)(skb->head + skb->end);
	__u8 flags = 0;

	bpf_probe_read_kernel(&flags, sizeof(flags), __builtin_preserve_access_index(&info->flags));
	return flags & SKBFL_SHARED_FRAG;
}

/*
 * Before 6.2, a trampoline on the kernel's own call of the cgroup programs has to tell:
 *
 *   SEC("fentry/__cgroup_bpf_run_filter_skb")
 *   int BPF_PROG(NAME, struct sock *sk, struct sk_buff *skb)
 *
 * calls this with the state in the socket's storage, if it has one. Later kernels need no such program.
 */
static __always_inline void first_bytes_note_pages(struct sk_buff *skb, struct rw_first_bytes *state)
{
	state->pages_shared = first_bytes_pages_shared(skb);
}

/*
 * Whether the packet's data lies in pages that user space may change after this look, and before the peer's: those of
 * sendfile, splice and MSG_ZEROCOPY.
 */
static __always_inline bool first_bytes_shared(struct __sk_buff *skb, struct rw_first_bytes *state)
{
	if (bpf_cast_to_kern_ctx)
		return first_bytes_pages_shared(bpf_cast_to_kern_ctx(skb));
	return state->pages_shared;
}

/* Takes a byte that needs no more than being kept, where one is kept; 0 when it has to be read by itself. */
__noinline int first_bytes_plain(struct rw_first_bytes *state, __u32 byte)
{
	if (!state)
		return 0;
	switch (state->state) {
	case RW_AT_HEADER_NAME:
		if (!is_in(TOKEN_SET, byte))
			return 0;
		token_append(state, byte);
		return 1;
	case RW_AT_VALUE:
		return is_in(TEXT_SET, byte);
	case RW_AT_TARGET:
		return is_in(TARGET_SET, byte);
	}
	return 0;
}

/*
 * Takes bytes of the chunk that are like the one before them, as many as follow. It does what reading each of them
 * would do: most of a request is header names and values, and a turn for each byte costs more than the byte.
 */
__noinline int first_bytes_run(struct rw_first_bytes *state, __u32 place)
{
	__u32 taken;

	if (!state)
		return 0;
	for (taken = 0; taken < RUN_MAX; taken++) {
		__u64 at = (__u64)place + taken;

		if (at >= state->chunk_len || state->head_len + taken >= RW_HEAD_MAX ||
		    !first_bytes_plain(state, state->chunk[bounded(at, RW_CHUNK - 1)]))
			break;
	}
	state->head_len += taken;
	return taken;
}

/* Likewise, the four bytes that stand before an extension of no interest, unless it is the last one. */
static __always_inline int first_bytes_extension_run(struct rw_first_bytes *state, __u64 place)
{
	const __u8 *head = state->chunk + bounded(place, RW_CHUNK - 4);
	__u32 type = head[0] << 8 | head[1];
	__u32 len = head[2] << 8 | head[3];

	if (state->number_left != 2 || place + 4 > state->chunk_len || state->record_left < 4 ||
	    state->hello_left <= len + 4 || tls_extension_matters(type))
		return 0;
	state->record_left -= 4;
	state->hello_left -= 4;
	state->hello_skip = len;
	return 4;
}

static __always_inline int first_bytes_several(struct rw_first_bytes *state, __u64 place)
{
	if (state->state == RW_AT_EXTENSION_TYPE)
		return first_bytes_extension_run(state, place);
	return first_bytes_run(state, place);
}

static __always_inline int first_bytes_step(struct rw_first_bytes *state, __u32 byte)
{
	if (state->state >= RW_AT_HELLO_TYPE)
		return first_bytes_tls(state, byte);
	if (state->state >= RW_AT_HEADER_START)
		return first_bytes_http_header(state, byte);
	return first_bytes_http_line(state, byte);
}

static __always_inline void first_bytes_judge(struct first_bytes_reader *reader, struct rw_first_bytes *state)
{
	bool tls = state->state >= RW_AT_HELLO_TYPE;

	if (!first_bytes_name_allowed(reader->context, state->name, state->name_len, state->target_port))
		refuse(state, tls ? RW_REASON_SNI_MISMATCH : RW_REASON_HOST_MISMATCH);
}

/* Reads a byte or some, or passes over many. Returns 1 when there is nothing more to read. */
static long first_bytes_read(__u32 index, void *context)
{
	struct first_bytes_reader *reader = context;
	struct rw_first_bytes *state = reader->state;
	__u32 left, len;
	__u64 place;

	if (state->phase != RW_PHASE_READING || state->at >= state->end)
		return 1;
	left = state->end - state->at;
	if (state->skip) {
		len = state->skip < left ? state->skip : left;
		state->skip -= len;
		state->at += len;
		return 0;
	}
	if (state->hello_skip && state->record_left) {
		len = state->hello_skip < left ? state->hello_skip : left;
		len = state->record_left < len ? state->record_left : len;
		state->hello_skip -= len;
		state->hello_left -= len;
		state->record_left -= len;
		state->at += len;
		return 0;
	}
	if (state->at - state->chunk_at >= state->chunk_len) {
		len = left < RW_CHUNK ? left : RW_CHUNK;
		/* At least 1, as is known from above, but not to older verifiers. */
		if (bpf_skb_load_bytes(reader->skb, state->at, state->chunk, bounded(len - 1, RW_CHUNK - 1) + 1)) {
			refuse(state, RW_REASON_UNREADABLE);
			return 1;
		}
		state->chunk_at = state->at;
		state->chunk_len = len;
	}
	place = state->at - state->chunk_at;
	len = first_bytes_several(state, place);
	if (len) {
		state->at += len;
		return 0;
	}
	state->at++;
	if (first_bytes_step(state, state->chunk[bounded(place, RW_CHUNK - 1)]) == RW_JUDGE_NAME)
		first_bytes_judge(reader, state);
	return 0;
}

/* A new stream, whose first byte has this number. */
static __always_inline void first_bytes_begin(struct rw_first_bytes *state, __u32 first, __u16 port)
{
	/* All but the buffers, which are written before they are read. */
	__builtin_memset(state, 0, __builtin_offsetof(struct rw_first_bytes, name));
	state->first = first;
	state->next = first;
	state->port = port;
	state->target_port = port;
	state->phase = RW_PHASE_READING;
}

/*
 * For the hooks at connect: the socket's next connection is another stream. Its SYN tells that too, but a task with
 * CAP_NET_ADMIN can make a connection without one (TCP_REPAIR).
 */
static __always_inline void first_bytes_forget(struct rw_first_bytes *state)
{
	state->phase = RW_PHASE_UNSTARTED;
}

/* Reads the bytes of a segment that were not seen before: all behind the first `seen` ones. */
static __always_inline bool first_bytes_new(struct __sk_buff *skb, const struct rw_segment *segment, __u32 seen,
					    struct rw_first_bytes *state, void *context)
{
	struct first_bytes_reader reader = { .skb = skb, .state = state, .context = context };
	__u32 len = segment->payload_len - seen;

	state->next += len;
	/* The inside of a body changes nothing, whatever becomes of it. */
	if (state->skip < len && first_bytes_shared(skb, state)) {
		refuse(state, RW_REASON_SHARED_PAGES);
		return false;
	}
	state->at = segment->payload + seen;
	state->end = segment->payload + segment->payload_len;
	state->chunk_at = state->at;
	state->chunk_len = 0;
	/* Each turn reads a byte at least, and one more sees that there are none left. */
	bpf_loop(len + 1, first_bytes_read, &reader, 0);
	if (state->phase == RW_PHASE_READING && state->at != state->end)
		refuse(state, RW_REASON_UNREADABLE);
	return state->phase != RW_PHASE_REFUSED;
}

/*
 * Whether a packet of the flow may pass. When it may not, `state` tells the reason; without a reason it is one that
 * came before its turn and will be sent again.
 */
static __always_inline bool first_bytes_packet(struct __sk_buff *skb, const struct rw_segment *segment,
					       struct rw_first_bytes *state, void *context)
{
	bool syn = segment->tcp_flags & TCP_FLAG_SYN;
	__u32 seq = segment->seq;
	__u32 seen;

	if (state->phase >= RW_PHASE_NAMED && !syn)
		return true;
	if (syn) {
		/* The SYN has a number of its own. Another number than before: the socket was connected anew. */
		seq++;
		if (state->phase == RW_PHASE_UNSTARTED || state->first != seq)
			first_bytes_begin(state, seq, segment->port);
		if (state->phase >= RW_PHASE_NAMED)
			return true;
	}
	if (state->phase == RW_PHASE_REFUSED)
		return segment->payload_len == 0;
	/* The peer takes the urgent byte out of the stream, so it would read other names than this. */
	if (segment->tcp_flags & TCP_FLAG_URG) {
		refuse(state, RW_REASON_URGENT_DATA);
		return false;
	}
	if (segment->payload_len == 0)
		return true;
	if (state->phase == RW_PHASE_UNSTARTED) {
		refuse(state, RW_REASON_UNKNOWN_START);
		return false;
	}
	seen = state->next - seq;
	if ((__s32)seen < 0)
		return false;
	if (seen >= segment->payload_len)
		return true;
	return first_bytes_new(skb, segment, seen, state, context);
}

#endif
