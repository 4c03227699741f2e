/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads a TLS client's first flight (RFC 8446): the ClientHello in its records, and the second one that follows when
 * the server asks for another key share. src/first_bytes/tls.rs is the same machine in Rust.
 */
#ifndef RUNWARD_FIRST_BYTES_TLS_H
#define RUNWARD_FIRST_BYTES_TLS_H

#include "first_bytes_state.h"

#define RECORD_CHANGE_CIPHER_SPEC 0x14
#define RECORD_ALERT 0x15
#define RECORD_HANDSHAKE 0x16
#define RECORD_APPLICATION_DATA 0x17
#define RECORD_HEARTBEAT 0x18
#define CLIENT_HELLO 1
#define EXTENSION_SERVER_NAME 0
#define EXTENSION_EARLY_DATA 42
#define EXTENSION_SUPPORTED_VERSIONS 43
#define EXTENSION_ENCRYPTED_CLIENT_HELLO 0xfe0d
#define EXTENSION_OUTER_EXTENSIONS 0xfd00
#define EXTENSION_ENCRYPTED_SERVER_NAME 0xffce

/* The next field is an integer of so many bytes. */
static __always_inline int tls_expect(struct rw_first_bytes *state, __u8 at, __u8 bytes)
{
	state->state = at;
	state->number = 0;
	state->number_left = bytes;
	return RW_GO_ON;
}

static __always_inline int tls_malformed(struct rw_first_bytes *state)
{
	return refuse(state, RW_REASON_MALFORMED_TLS);
}

static __always_inline int tls_named(struct rw_first_bytes *state)
{
	state->phase = RW_PHASE_NAMED;
	return RW_GO_ON;
}

/* Behind the last extension. Only a server of TLS 1.3 can ask for a second ClientHello, and only once. */
static __always_inline int tls_hello_end(struct rw_first_bytes *state)
{
	if (!(state->flags & RW_NAME_SEEN))
		return refuse(state, RW_REASON_NO_SNI);
	if ((state->flags & RW_SECOND_HELLO) || !(state->flags & RW_OFFERS_TLS_1_3))
		return tls_named(state);
	state->state = RW_AT_HELLO_END;
	return RW_GO_ON;
}

/* Behind an extension, of which `hello_skip` bytes are passed over first. */
static __always_inline int tls_next_extension(struct rw_first_bytes *state)
{
	if (state->hello_left == state->hello_skip)
		return tls_hello_end(state);
	return tls_expect(state, RW_AT_EXTENSION_TYPE, 2);
}

static __always_inline int tls_record_type(struct rw_first_bytes *state, __u32 byte)
{
	bool followed = state->state == RW_AT_HELLO_END && state->hello_skip == 0;

	state->record_type = byte;
	state->record_at = 1;
	if (followed) {
		state->flags |= RW_SECOND_HELLO;
		state->flags &= ~RW_NAME_SEEN;
		state->records = 0;
		tls_expect(state, RW_AT_HELLO_TYPE, 1);
	}
	if (byte == RECORD_HANDSHAKE)
		return RW_GO_ON;
	if (!(state->flags & RW_SECOND_HELLO))
		return tls_malformed(state);
	/* Encrypted records: the handshake is over, unless they are data that was sent early and may be rejected. */
	if (byte == RECORD_APPLICATION_DATA && !(state->flags & RW_EARLY_DATA))
		return tls_named(state);
	/* Nothing may come between the records of one message. */
	if (state->state != RW_AT_HELLO_TYPE)
		return tls_malformed(state);
	if (byte == RECORD_APPLICATION_DATA || byte == RECORD_CHANGE_CIPHER_SPEC || byte == RECORD_ALERT)
		return RW_GO_ON;
	return tls_malformed(state);
}

static __always_inline int tls_record_header(struct rw_first_bytes *state, __u32 byte)
{
	__u32 len;

	switch (state->record_at) {
	case 0:
		return tls_record_type(state, byte);
	case 1:
		state->record_at = 2;
		return byte == 3 ? RW_GO_ON : tls_malformed(state);
	case 2:
		state->record_at = 3;
		return byte <= 4 ? RW_GO_ON : tls_malformed(state);
	case 3:
		state->record_at = 4;
		state->record_len = byte << 8;
		return RW_GO_ON;
	}
	state->record_at = 0;
	len = state->record_len | byte;
	if (len == 0 || len > RW_RECORD_MAX)
		return tls_malformed(state);
	if (state->record_type == RECORD_APPLICATION_DATA) {
		/* As many as the client likes to send early. */
		state->skip = len;
		return RW_GO_ON;
	}
	if (state->records >= RW_RECORDS_MAX)
		return refuse(state, RW_REASON_TOO_LONG);
	state->records++;
	if (state->record_type == RECORD_HANDSHAKE)
		state->record_left = len;
	else
		state->skip = len;
	return RW_GO_ON;
}

/* Whether tls_extension does more than to pass over an extension of this type. */
static __always_inline bool tls_extension_matters(__u32 type)
{
	switch (type) {
	case EXTENSION_SERVER_NAME:
	case EXTENSION_EARLY_DATA:
	case EXTENSION_SUPPORTED_VERSIONS:
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
	case EXTENSION_OUTER_EXTENSIONS:
	case EXTENSION_ENCRYPTED_SERVER_NAME:
		return true;
	}
	return false;
}

static __always_inline int tls_extension(struct rw_first_bytes *state, __u32 len)
{
	if (len > state->hello_left)
		return tls_malformed(state);
	switch (state->extension) {
	case EXTENSION_ENCRYPTED_CLIENT_HELLO:
	case EXTENSION_OUTER_EXTENSIONS:
	case EXTENSION_ENCRYPTED_SERVER_NAME:
		return refuse(state, RW_REASON_ENCRYPTED_CLIENT_HELLO);
	case EXTENSION_SERVER_NAME:
		/* Twice, or too short for a name of one byte. */
		if ((state->flags & RW_NAME_SEEN) || len < 6)
			return tls_malformed(state);
		state->flags |= RW_NAME_SEEN;
		state->extension_left = len;
		return tls_expect(state, RW_AT_NAME_LIST, 2);
	case EXTENSION_SUPPORTED_VERSIONS:
		state->flags |= RW_OFFERS_TLS_1_3;
		break;
	case EXTENSION_EARLY_DATA:
		state->flags |= RW_EARLY_DATA;
		break;
	}
	state->hello_skip = len;
	return tls_next_extension(state);
}

/* A field of the ClientHello is complete. Each part must end where the part around it says that it ends. */
static __always_inline int tls_field(struct rw_first_bytes *state, __u32 value)
{
	switch (state->state) {
	case RW_AT_HELLO_LENGTH:
		/* No server takes so long a ClientHello: the first encrypted message of TLS 1.2. */
		if ((state->flags & RW_SECOND_HELLO) && value >= 0x030000)
			return tls_named(state);
		if (value > RW_HELLO_MAX)
			return refuse(state, RW_REASON_TOO_LONG);
		state->hello_left = value;
		return tls_expect(state, RW_AT_HELLO_VERSION, 2);
	case RW_AT_HELLO_VERSION:
		/* Behind the version, 32 random bytes. */
		if (value >> 8 != 3 || state->hello_left < 32)
			return tls_malformed(state);
		state->hello_skip = 32;
		return tls_expect(state, RW_AT_SESSION, 1);
	case RW_AT_SESSION:
		if (value > 32 || value > state->hello_left)
			return tls_malformed(state);
		state->hello_skip = value;
		return tls_expect(state, RW_AT_CIPHERS, 2);
	case RW_AT_CIPHERS:
		if (value == 0 || value & 1 || value > state->hello_left)
			return tls_malformed(state);
		state->hello_skip = value;
		return tls_expect(state, RW_AT_COMPRESSION, 1);
	case RW_AT_COMPRESSION:
		if (value == 0 || value > state->hello_left)
			return tls_malformed(state);
		/* Old clients end here. */
		if (value == state->hello_left)
			return refuse(state, RW_REASON_NO_SNI);
		state->hello_skip = value;
		return tls_expect(state, RW_AT_EXTENSIONS, 2);
	case RW_AT_EXTENSIONS:
		if (value != state->hello_left)
			return tls_malformed(state);
		return tls_next_extension(state);
	case RW_AT_EXTENSION_TYPE:
		state->extension = value;
		return tls_expect(state, RW_AT_EXTENSION_LENGTH, 2);
	case RW_AT_EXTENSION_LENGTH:
		return tls_extension(state, value);
	case RW_AT_NAME_LIST:
		if (value + 2 != state->extension_left)
			return tls_malformed(state);
		return tls_expect(state, RW_AT_NAME_TYPE, 1);
	case RW_AT_NAME_TYPE:
		return value == 0 ? tls_expect(state, RW_AT_NAME_LENGTH, 2) : tls_malformed(state);
	case RW_AT_NAME_LENGTH:
		/* One name, which is all of the extension; the lengths and the type before it take 5 bytes. */
		if (value + 5 != state->extension_left)
			return tls_malformed(state);
		state->extension_left = value;
		name_begin(state);
		state->state = RW_AT_NAME;
		return RW_GO_ON;
	}
	return tls_malformed(state);
}

static __always_inline int tls_name(struct rw_first_bytes *state, __u32 byte)
{
	if (!name_append(state, byte))
		return tls_malformed(state);
	state->extension_left--;
	if (state->extension_left)
		return RW_GO_ON;
	if (!name_end(state))
		return tls_malformed(state);
	tls_next_extension(state);
	return RW_JUDGE_NAME;
}

/* Reads a byte of the flow. A global function, so that the verifier looks at it once. */
__noinline int first_bytes_tls(struct rw_first_bytes *state, __u32 byte)
{
	if (!state)
		return RW_GO_ON;
	byte &= 0xff;
	if (state->record_left == 0)
		return tls_record_header(state, byte);
	state->record_left--;
	switch (state->state) {
	case RW_AT_HELLO_END:
		/* Keys change here, so no message may share the ClientHello's record. */
		return tls_malformed(state);
	case RW_AT_HELLO_TYPE:
		if (byte == CLIENT_HELLO)
			return tls_expect(state, RW_AT_HELLO_LENGTH, 3);
		/* The handshake goes on: nobody asked for a second one. */
		return state->flags & RW_SECOND_HELLO ? tls_named(state) : tls_malformed(state);
	case RW_AT_HELLO_LENGTH:
		break;
	default:
		if (state->hello_left == 0)
			return tls_malformed(state);
		state->hello_left--;
	}
	if (state->state == RW_AT_NAME)
		return tls_name(state, byte);
	state->number = state->number << 8 | byte;
	state->number_left--;
	if (state->number_left)
		return RW_GO_ON;
	return tls_field(state, state->number);
}

#endif
