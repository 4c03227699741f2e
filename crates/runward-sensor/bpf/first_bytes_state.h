/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is kept of a flow whose first bytes are read, and the words that the readers share (see first_bytes.h).
 *
 * Everything lives in one struct, in the socket's storage: older verifiers follow each value that is kept on the stack
 * along every way through the machine, but not those in storage.
 */
#ifndef RUNWARD_FIRST_BYTES_STATE_H
#define RUNWARD_FIRST_BYTES_STATE_H

#include "bounded.h"
#include "kernel.h"

/* Bounds; src/first_bytes.rs has the same. */
#define RW_NAME_MAX 256 /* bytes of a name, padding included; DNS allows 253 */
#define RW_HELLO_MAX 16384 /* bytes of a ClientHello */
#define RW_RECORDS_MAX 32 /* TLS records until the name is judged */
#define RW_RECORD_MAX 16640 /* bytes of a TLS record: 2^14 and what encryption may add (RFC 8446, 5.2) */
#define RW_HEAD_MAX 65536 /* bytes of an HTTP request line with its headers */
#define RW_LEADING_MAX 16 /* blank bytes before a request line */
#define RW_TOKEN_MAX 24 /* bytes of a method or header name that are kept: longer than any that matters */
#define RW_CHUNK 64 /* bytes that are read from a packet at a time; a power of two */

enum rw_first_bytes_phase {
	RW_PHASE_UNSTARTED = 0, /* no SYN was seen */
	RW_PHASE_READING = 1,
	RW_PHASE_REFUSED = 2,
	/* From here on, everything passes. */
	RW_PHASE_NAMED = 3, /* TLS, and the name is allowed */
	RW_PHASE_OPAQUE = 4, /* neither TLS nor HTTP */
};

/* Why a flow is refused. Numbers are told to the user side and never used again for something else. */
enum rw_first_bytes_reason {
	RW_REASON_NONE = 0,
	RW_REASON_SNI_MISMATCH = 1,
	RW_REASON_HOST_MISMATCH = 2,
	RW_REASON_NO_SNI = 3,
	RW_REASON_NO_HOST = 4,
	RW_REASON_ENCRYPTED_CLIENT_HELLO = 5,
	RW_REASON_MALFORMED_TLS = 6,
	RW_REASON_MALFORMED_HTTP = 7,
	RW_REASON_AMBIGUOUS_BODY = 8,
	RW_REASON_UPGRADE = 9,
	RW_REASON_H2C = 10,
	RW_REASON_TUNNEL_WITHOUT_TLS = 11,
	RW_REASON_TOO_LONG = 12,
	RW_REASON_URGENT_DATA = 13,
	RW_REASON_UNKNOWN_START = 14,
	RW_REASON_SHARED_PAGES = 15,
	RW_REASON_UNREADABLE = 16,
};

/* Where the reader stands: what the next byte is. */
enum rw_first_bytes_at {
	RW_AT_START = 0,
	RW_AT_SSL2_LENGTH,
	RW_AT_SSL2_TYPE,
	RW_AT_SSL2_VERSION,
	RW_AT_METHOD,
	RW_AT_OTHER_LINE, /* a first line that HTTP would not have, until it shows that it is meant as HTTP */
	RW_AT_TARGET_START,
	RW_AT_SCHEME,
	RW_AT_SLASHES,
	RW_AT_AUTHORITY,
	RW_AT_AUTHORITY_PORT,
	RW_AT_TARGET,
	RW_AT_TARGET_STAR,
	RW_AT_VERSION,
	RW_AT_VERSION_CR,
	RW_AT_VERSION_LF,
	RW_AT_HEADER_START,
	RW_AT_HEADER_NAME,
	RW_AT_HOST_START,
	RW_AT_LENGTH,
	RW_AT_CODING,
	RW_AT_VALUE,
	RW_AT_VALUE_END,
	RW_AT_LINE_LF,
	RW_AT_HEAD_LF,
	RW_AT_CHUNK_SIZE,
	RW_AT_CHUNK_LF,
	RW_AT_CHUNK_END_CR,
	RW_AT_CHUNK_END_LF,
	/* From here on, TLS. */
	RW_AT_HELLO_TYPE,
	RW_AT_HELLO_LENGTH,
	RW_AT_HELLO_VERSION,
	RW_AT_SESSION,
	RW_AT_CIPHERS,
	RW_AT_COMPRESSION,
	RW_AT_EXTENSIONS,
	RW_AT_EXTENSION_TYPE,
	RW_AT_EXTENSION_LENGTH,
	RW_AT_NAME_LIST,
	RW_AT_NAME_TYPE,
	RW_AT_NAME_LENGTH,
	RW_AT_NAME,
	RW_AT_HELLO_END,
};

/* rw_first_bytes.flags: of the flow */
#define RW_HTTP_ONLY (1 << 0) /* a request was read, so the rest must be HTTP */
#define RW_TLS_ONLY (1 << 1) /* the inside of a CONNECT tunnel */
/* of a request */
#define RW_ODD (1 << 2) /* a first line that no HTTP client writes */
#define RW_KNOWN_METHOD (1 << 3) /* a method that means HTTP, whatever follows it */
#define RW_NO_BODY (1 << 4) /* GET or HEAD */
#define RW_CONNECT_METHOD (1 << 5)
#define RW_HTTP_1_0 (1 << 6)
#define RW_HOST_SEEN (1 << 7)
#define RW_LENGTH_SEEN (1 << 8)
#define RW_CHUNKED (1 << 9)
#define RW_TRAILERS (1 << 10)
#define RW_OF_REQUEST 0x07fc
/* of a ClientHello */
#define RW_NAME_SEEN (1 << 11)
#define RW_OFFERS_TLS_1_3 (1 << 12)
#define RW_EARLY_DATA (1 << 13)
#define RW_SECOND_HELLO (1 << 14)

/* Whose authority (`name[:port]`) is read. */
enum rw_first_bytes_authority {
	RW_OF_TARGET = 0,
	RW_OF_CONNECT = 1,
	RW_OF_HOST = 2,
};

struct rw_first_bytes {
	__u64 skip; /* bytes of the stream to pass over: bodies, encrypted records */
	__u64 length; /* of the body, or of a chunk */
	__u32 first; /* sequence number of the stream's first byte */
	__u32 next; /* and of the next one that is expected */
	/* The packet that is read, as offsets in it. */
	__u32 at;
	__u32 end;
	__u32 chunk_at;
	__u32 chunk_len;
	__u32 number; /* an integer of several bytes or digits, so far */
	__u32 head_len;
	__u32 hello_left; /* bytes of the ClientHello that are still to come */
	__u32 hello_skip; /* how many of them to pass over */
	__u16 flags;
	__u16 port; /* of the flow; inside a tunnel, of the tunnel's target */
	__u16 target_port; /* that the names of this request are for */
	__u16 record_left;
	__u16 record_len;
	__u16 extension;
	__u16 extension_left;
	__u16 name_len;
	__u8 phase; /* enum rw_first_bytes_phase */
	__u8 reason; /* enum rw_first_bytes_reason */
	__u8 state; /* enum rw_first_bytes_at */
	__u8 count; /* digits, blanks, or characters that matched */
	__u8 number_left; /* bytes of the integer that are still to come */
	__u8 record_at; /* bytes of the record's header that were read */
	__u8 record_type;
	__u8 records;
	__u8 authority; /* enum rw_first_bytes_authority */
	__u8 pages_shared; /* see first_bytes_note_pages */
	__u8 pad[6];
	/* The name that is read or was judged last: lower case, no dot at the end, zeroes behind it. Also other tokens. */
	__u8 name[RW_NAME_MAX] __attribute__((aligned(8)));
	__u8 chunk[RW_CHUNK] __attribute__((aligned(8)));
};

_Static_assert(sizeof(struct rw_first_bytes) == 408, "rw_first_bytes");

/* What a reader answers about a byte. */
#define RW_GO_ON 0
/* The name in `name` is complete; it must be allowed on `target_port`, or this byte may not pass. */
#define RW_JUDGE_NAME 1

static __always_inline int refuse(struct rw_first_bytes *state, __u8 reason)
{
	state->phase = RW_PHASE_REFUSED;
	state->reason = reason;
	return RW_GO_ON;
}

/* A set of bytes. Asking it takes no branch, as verifiers follow both ways of each, for each byte of a loop. */
struct byte_set {
	__u64 low; /* bit N: byte N */
	__u64 high; /* bit N: byte 64 + N */
	__u32 beyond; /* 1: all from 128 on; 0: none of them */
};

/* The characters of a method or a header's name (RFC 9110, 5.6.2). */
#define TOKEN_SET ((struct byte_set){ 0x03ff6cfa00000000ull, 0x57ffffffc7fffffeull, 0 })
/* Letters, digits, `-`, `_` and `.`: what a host's name is written with. */
#define NAME_SET ((struct byte_set){ 0x03ff600000000000ull, 0x07fffffe87fffffeull, 0 })
/* All but controls. */
#define TEXT_SET ((struct byte_set){ 0xffffffff00000000ull, 0x7fffffffffffffffull, 1 })
/* The same without the space. */
#define TARGET_SET ((struct byte_set){ 0xfffffffe00000000ull, 0x7fffffffffffffffull, 1 })

static __always_inline bool is_in(struct byte_set set, __u32 byte)
{
	__u64 second_half = -(__u64)(byte >> 6 & 1);
	__u64 ascii = (set.low ^ ((set.low ^ set.high) & second_half)) >> (byte & 63);
	__u32 beyond = byte >> 7;

	return ((ascii & ~beyond) | (set.beyond & beyond)) & 1;
}

static __always_inline __u32 lower(__u32 byte)
{
	__u32 is_upper = ((__u32)('A' - 1) - byte & (byte - 'Z' - 1)) >> 31;

	return byte | is_upper << 5;
}

static __always_inline void name_begin(struct rw_first_bytes *state)
{
	__builtin_memset(state->name, 0, sizeof(state->name));
	state->name_len = 0;
}

/* False: this byte makes it no name. */
static __always_inline bool name_append(struct rw_first_bytes *state, __u32 byte)
{
	__u64 len = state->name_len;

	if (!is_in(NAME_SET, byte) || len >= RW_NAME_MAX - 1)
		return false;
	/* Labels are not empty. */
	if (byte == '.' && (len == 0 || state->name[bounded(len - 1, RW_NAME_MAX - 1)] == '.'))
		return false;
	state->name[bounded(len, RW_NAME_MAX - 1)] = lower(byte);
	state->name_len = len + 1;
	return true;
}

/* False: what was read is no name. */
static __always_inline bool name_end(struct rw_first_bytes *state)
{
	__u64 len = state->name_len;
	__u64 last;

	if (len == 0)
		return false;
	last = bounded(len - 1, RW_NAME_MAX - 1);
	if (state->name[last] == '.') {
		state->name[last] = 0;
		len--;
		state->name_len = len;
	}
	return len != 0 && len <= 253;
}

#endif
