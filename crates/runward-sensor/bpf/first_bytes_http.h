/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells TLS, HTTP/1 and other protocols apart, and reads HTTP/1 requests, one after another (RFC 9110, RFC 9112).
 * src/first_bytes/http.rs is the same machine in Rust.
 *
 * Stricter than any server: where servers differ in what they take, nobody knows what this one reads.
 */
#ifndef RUNWARD_FIRST_BYTES_HTTP_H
#define RUNWARD_FIRST_BYTES_HTTP_H

#include "first_bytes_state.h"
#include "first_bytes_tls.h"

#define CONTENT_LENGTH_DIGITS 15
#define CHUNK_SIZE_DIGITS 12

/* Whether the token that was read last is this one. */
#define token_is(state, text)                                                                                      \
	((state)->name_len == sizeof(text) - 1 && same_bytes((state)->name, (const __u8 *)(text), sizeof(text) - 1))

static __always_inline bool same_bytes(const __u8 *a, const __u8 *b, int len)
{
	__u32 difference = 0;

#pragma unroll
	for (int i = 0; i < len; i++)
		difference |= a[i] ^ b[i];
	return difference == 0;
}

/* Kept up to RW_TOKEN_MAX bytes, in lower case; a longer one is none that matters. */
static __always_inline void token_append(struct rw_first_bytes *state, __u32 byte)
{
	__u64 len = state->name_len;

	state->name[bounded(len, RW_NAME_MAX - 1)] = lower(byte);
	state->name_len = len + (len <= RW_TOKEN_MAX);
}

static __always_inline int http_malformed(struct rw_first_bytes *state)
{
	return refuse(state, RW_REASON_MALFORMED_HTTP);
}

static __always_inline int http_opaque(struct rw_first_bytes *state)
{
	state->phase = RW_PHASE_OPAQUE;
	return RW_GO_ON;
}

static __always_inline int go(struct rw_first_bytes *state, __u8 at)
{
	state->state = at;
	return RW_GO_ON;
}

/* As `go`, where digits or characters are counted. */
static __always_inline int go_counting(struct rw_first_bytes *state, __u8 at)
{
	state->count = 0;
	return go(state, at);
}

/* What some server takes for the end of a word. */
static __always_inline bool is_blank(__u32 byte)
{
	return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static __always_inline bool is_space(__u32 byte)
{
	return byte == ' ' || byte == '\t';
}

static __always_inline bool is_digit(__u32 byte)
{
	return byte >= '0' && byte <= '9';
}

/*
 * The first line is not one that an HTTP client writes. Other protocols have such lines and are not refused for it;
 * a line that some server may still take for a request is.
 */
static __always_inline int other_line(struct rw_first_bytes *state, __u32 byte)
{
	if (state->flags & (RW_HTTP_ONLY | RW_KNOWN_METHOD))
		return http_malformed(state);
	if (byte == '\n' || byte == 0)
		return http_opaque(state);
	state->count = byte <= ' ' ? 1 : 0;
	return go(state, RW_AT_OTHER_LINE);
}

/* Looks for a word that begins with `HTTP/`; `count` is 0 inside other words, else one more than what matches. */
static __always_inline int http_other_line(struct rw_first_bytes *state, __u32 byte)
{
	bool matches = false;

	if (byte == '\n' || byte == 0)
		return http_opaque(state);
	switch (state->count) {
	case 1:
		matches = lower(byte) == 'h';
		break;
	case 2:
	case 3:
		matches = lower(byte) == 't';
		break;
	case 4:
		matches = lower(byte) == 'p';
		break;
	case 5:
		if (byte == '/')
			return http_malformed(state);
		break;
	}
	if (matches)
		state->count++;
	else
		state->count = byte <= ' ' ? 1 : 0;
	return RW_GO_ON;
}

static __always_inline int http_method_end(struct rw_first_bytes *state, __u32 byte)
{
	if (token_is(state, "pri"))
		return refuse(state, RW_REASON_H2C);
	/* What a proxy in front of a server says about its client; the request follows it. */
	if (token_is(state, "proxy"))
		return http_malformed(state);
	if (token_is(state, "get") || token_is(state, "head"))
		state->flags |= RW_KNOWN_METHOD | RW_NO_BODY;
	else if (token_is(state, "connect"))
		state->flags |= RW_KNOWN_METHOD | RW_CONNECT_METHOD;
	else if (token_is(state, "post") || token_is(state, "put") || token_is(state, "delete") ||
		 token_is(state, "options") || token_is(state, "patch") || token_is(state, "trace"))
		state->flags |= RW_KNOWN_METHOD;
	if (byte == ' ' && !(state->flags & RW_ODD))
		return go(state, RW_AT_TARGET_START);
	return other_line(state, byte);
}

static __always_inline int http_method(struct rw_first_bytes *state, __u32 byte)
{
	if (is_in(TOKEN_SET, byte)) {
		if (!(byte >= 'A' && byte <= 'Z') && byte != '-' && byte != '_')
			state->flags |= RW_ODD;
		token_append(state, byte);
		return RW_GO_ON;
	}
	if (is_blank(byte))
		return http_method_end(state, byte);
	return state->flags & RW_HTTP_ONLY ? http_malformed(state) : http_opaque(state);
}

static __always_inline int http_start(struct rw_first_bytes *state, __u32 byte)
{
	if (state->flags & RW_TLS_ONLY && byte != RECORD_HANDSHAKE)
		return refuse(state, RW_REASON_TUNNEL_WITHOUT_TLS);
	if (byte >= RECORD_CHANGE_CIPHER_SPEC && byte <= RECORD_HEARTBEAT) {
		if (state->flags & RW_HTTP_ONLY)
			return http_malformed(state);
		/* Servers skip some records that come before a ClientHello. */
		if (byte != RECORD_HANDSHAKE || state->count)
			return tls_malformed(state);
		tls_expect(state, RW_AT_HELLO_TYPE, 1);
		return tls_record_header(state, byte);
	}
	/* Servers skip blank lines before a request, some of them other blanks too. */
	if (is_blank(byte)) {
		if (byte != '\r' && byte != '\n')
			state->flags |= RW_ODD;
		state->count++;
		return state->count > RW_LEADING_MAX ? http_malformed(state) : RW_GO_ON;
	}
	if (is_in(TOKEN_SET, byte)) {
		if (state->flags & RW_ODD)
			return http_malformed(state);
		state->name_len = 0;
		state->state = RW_AT_METHOD;
		return http_method(state, byte);
	}
	/* A length of a binary protocol may look like one blank, not like more. */
	if (state->flags & RW_HTTP_ONLY || state->count > 1)
		return http_malformed(state);
	if (byte >= 0x80 && state->count == 0)
		return go(state, RW_AT_SSL2_LENGTH);
	return http_opaque(state);
}

static __always_inline int http_authority_begin(struct rw_first_bytes *state, __u8 whose)
{
	state->authority = whose;
	name_begin(state);
	return go(state, RW_AT_AUTHORITY);
}

static __always_inline int http_no_authority(struct rw_first_bytes *state, __u32 byte)
{
	return state->authority == RW_OF_HOST ? http_malformed(state) : other_line(state, byte);
}

static __always_inline int http_authority_end(struct rw_first_bytes *state, __u32 byte)
{
	bool port = state->state == RW_AT_AUTHORITY_PORT;

	if ((port && state->count == 0) || !name_end(state))
		return http_no_authority(state, byte);
	switch (state->authority) {
	case RW_OF_TARGET:
		if (byte != '/' && byte != '?' && byte != ' ')
			return other_line(state, byte);
		if (port)
			state->target_port = state->number;
		if (byte == ' ')
			go_counting(state, RW_AT_VERSION);
		else
			go(state, RW_AT_TARGET);
		return RW_JUDGE_NAME;
	case RW_OF_CONNECT:
		if (byte != ' ' || !port)
			return other_line(state, byte);
		state->target_port = state->number;
		go_counting(state, RW_AT_VERSION);
		return RW_JUDGE_NAME;
	}
	if (!is_space(byte) && byte != '\r')
		return http_malformed(state);
	if (port && state->number != state->target_port)
		return refuse(state, RW_REASON_HOST_MISMATCH);
	go(state, byte == '\r' ? RW_AT_LINE_LF : RW_AT_VALUE_END);
	return RW_JUDGE_NAME;
}

static __always_inline int http_authority(struct rw_first_bytes *state, __u32 byte)
{
	if (state->state == RW_AT_AUTHORITY_PORT) {
		if (!is_digit(byte))
			return http_authority_end(state, byte);
		state->number = state->number * 10 + (byte - '0');
		state->count++;
		return state->count > 5 || state->number > 65535 ? http_no_authority(state, byte) : RW_GO_ON;
	}
	if (is_in(NAME_SET, byte))
		return name_append(state, byte) ? RW_GO_ON : http_no_authority(state, byte);
	if (byte != ':')
		return http_authority_end(state, byte);
	state->number = 0;
	return go_counting(state, RW_AT_AUTHORITY_PORT);
}

static __always_inline int http_scheme(struct rw_first_bytes *state, __u32 byte)
{
	__u32 letter = lower(byte);

	if (letter >= 'a' && letter <= 'z') {
		token_append(state, byte);
		return RW_GO_ON;
	}
	/* A version in the place of the target. */
	if (byte == '/' && token_is(state, "http"))
		return http_malformed(state);
	if (byte != ':')
		return other_line(state, byte);
	if (token_is(state, "http"))
		state->target_port = 80;
	else if (token_is(state, "https"))
		state->target_port = 443;
	else
		return other_line(state, byte);
	return go_counting(state, RW_AT_SLASHES);
}

static __always_inline int http_target_start(struct rw_first_bytes *state, __u32 byte)
{
	__u32 letter = lower(byte);

	if (state->flags & RW_CONNECT_METHOD) {
		http_authority_begin(state, RW_OF_CONNECT);
		return http_authority(state, byte);
	}
	if (byte == '/')
		return go(state, RW_AT_TARGET);
	if (byte == '*')
		return go(state, RW_AT_TARGET_STAR);
	if (letter < 'a' || letter > 'z')
		return other_line(state, byte);
	state->name_len = 0;
	state->state = RW_AT_SCHEME;
	return http_scheme(state, byte);
}

static __always_inline int http_version(struct rw_first_bytes *state, __u32 byte)
{
	__u32 at = state->count;

	/* Until here, it may be a line of another protocol. */
	if (at < 5) {
		__u32 wanted = at == 0 ? 'H' : at < 3 ? 'T' : at == 3 ? 'P' : '/';

		if (lower(byte) != lower(wanted))
			return other_line(state, byte);
		if (byte != wanted)
			state->flags |= RW_ODD;
		state->count++;
		return at == 4 && state->flags & RW_ODD ? http_malformed(state) : RW_GO_ON;
	}
	state->count++;
	if (at == 5)
		return byte == '1' ? RW_GO_ON : http_malformed(state);
	if (at == 6)
		return byte == '.' ? RW_GO_ON : http_malformed(state);
	if (byte == '0')
		state->flags |= RW_HTTP_1_0;
	else if (byte != '1')
		return http_malformed(state);
	return go(state, RW_AT_VERSION_CR);
}

static __always_inline int http_header_begin(struct rw_first_bytes *state)
{
	bool host = token_is(state, "host");
	bool length = token_is(state, "content-length");
	bool coding = token_is(state, "transfer-encoding");
	bool upgrade = token_is(state, "upgrade");

	if (!host && !length && !coding && !upgrade)
		return go(state, RW_AT_VALUE);
	/* Servers may merge what comes behind a body with what came before it. */
	if (state->flags & RW_TRAILERS)
		return http_malformed(state);
	if (upgrade)
		return refuse(state, RW_REASON_UPGRADE);
	if (host) {
		if (state->flags & RW_HOST_SEEN)
			return http_malformed(state);
		state->flags |= RW_HOST_SEEN;
		return go(state, RW_AT_HOST_START);
	}
	if (state->flags & (RW_LENGTH_SEEN | RW_CHUNKED))
		return refuse(state, RW_REASON_AMBIGUOUS_BODY);
	state->flags |= length ? RW_LENGTH_SEEN : RW_CHUNKED;
	state->length = 0;
	return go_counting(state, length ? RW_AT_LENGTH : RW_AT_CODING);
}

static __always_inline int http_header_name(struct rw_first_bytes *state, __u32 byte)
{
	if (is_in(TOKEN_SET, byte)) {
		token_append(state, byte);
		return RW_GO_ON;
	}
	return byte == ':' ? http_header_begin(state) : http_malformed(state);
}

static __always_inline int http_content_length(struct rw_first_bytes *state, __u32 byte)
{
	if (is_digit(byte)) {
		state->length = state->length * 10 + (byte - '0');
		state->count++;
		return state->count > CONTENT_LENGTH_DIGITS ? refuse(state, RW_REASON_AMBIGUOUS_BODY) : RW_GO_ON;
	}
	if (state->count == 0 && is_space(byte))
		return RW_GO_ON;
	if (state->count && is_space(byte))
		return go(state, RW_AT_VALUE_END);
	if (state->count && byte == '\r')
		return go(state, RW_AT_LINE_LF);
	return refuse(state, RW_REASON_AMBIGUOUS_BODY);
}

/* The one transfer coding that everybody understands alike: `chunked`, and no other before it. */
static __always_inline int http_coding(struct rw_first_bytes *state, __u32 byte)
{
	const __u64 chunked = 0x64656b6e756863; /* "chunked", last letter first */
	__u32 at = state->count;

	if (at == 0 && is_space(byte))
		return RW_GO_ON;
	if (at < 7 && lower(byte) == ((chunked >> (at * 8)) & 0xff)) {
		state->count++;
		return RW_GO_ON;
	}
	if (at == 7 && is_space(byte))
		return go(state, RW_AT_VALUE_END);
	if (at == 7 && byte == '\r')
		return go(state, RW_AT_LINE_LF);
	return refuse(state, RW_REASON_AMBIGUOUS_BODY);
}

static __always_inline int http_request_end(struct rw_first_bytes *state)
{
	state->flags &= ~RW_OF_REQUEST;
	state->head_len = 0;
	state->target_port = state->port;
	return go_counting(state, RW_AT_START);
}

static __always_inline int http_head_end(struct rw_first_bytes *state)
{
	bool chunked = state->flags & RW_CHUNKED;
	bool body = chunked || ((state->flags & RW_LENGTH_SEEN) && state->length);

	if (state->flags & RW_TRAILERS)
		return http_request_end(state);
	if (!(state->flags & RW_HOST_SEEN))
		return refuse(state, RW_REASON_NO_HOST);
	/* Some servers take the body of these for the next request, and those of HTTP/1.0 know no chunks. */
	if ((body && state->flags & (RW_NO_BODY | RW_CONNECT_METHOD)) || (chunked && state->flags & RW_HTTP_1_0))
		return refuse(state, RW_REASON_AMBIGUOUS_BODY);
	if (state->flags & RW_CONNECT_METHOD) {
		state->port = state->target_port;
		http_request_end(state);
		state->flags = RW_TLS_ONLY;
		return RW_GO_ON;
	}
	if (chunked) {
		state->length = 0;
		return go_counting(state, RW_AT_CHUNK_SIZE);
	}
	if (body)
		state->skip = state->length;
	return http_request_end(state);
}

static __always_inline int http_chunk_size(struct rw_first_bytes *state, __u32 byte)
{
	__u32 letter = lower(byte);
	__u32 digit;

	if (is_digit(byte))
		digit = byte - '0';
	else if (letter >= 'a' && letter <= 'f')
		digit = letter - 'a' + 10;
	else if (byte == '\r' && state->count)
		return go(state, RW_AT_CHUNK_LF);
	else
		return refuse(state, RW_REASON_AMBIGUOUS_BODY);
	state->length = state->length << 4 | digit;
	state->count++;
	return state->count > CHUNK_SIZE_DIGITS ? refuse(state, RW_REASON_AMBIGUOUS_BODY) : RW_GO_ON;
}

static __always_inline int http_chunk_begin(struct rw_first_bytes *state)
{
	state->head_len = 0;
	if (state->length == 0) {
		state->flags |= RW_TRAILERS;
		return go(state, RW_AT_HEADER_START);
	}
	state->skip = state->length;
	state->length = 0;
	return go(state, RW_AT_CHUNK_END_CR);
}

/* One byte has to stand here. */
static __always_inline int http_exactly(struct rw_first_bytes *state, __u32 byte, __u32 wanted, __u8 then)
{
	return byte == wanted ? go(state, then) : http_malformed(state);
}

/* Reads a byte of the flow in a state that ends a request's head or stands behind it. */
static __always_inline int http_body(struct rw_first_bytes *state, __u32 byte)
{
	switch (state->state) {
	case RW_AT_HEAD_LF:
		return byte == '\n' ? http_head_end(state) : http_malformed(state);
	case RW_AT_CHUNK_SIZE:
		return http_chunk_size(state, byte);
	case RW_AT_CHUNK_LF:
		return byte == '\n' ? http_chunk_begin(state) : http_malformed(state);
	case RW_AT_CHUNK_END_CR:
		return http_exactly(state, byte, '\r', RW_AT_CHUNK_END_LF);
	case RW_AT_CHUNK_END_LF:
		if (byte != '\n')
			return http_malformed(state);
		return go_counting(state, RW_AT_CHUNK_SIZE);
	}
	return http_malformed(state);
}

/* Reads a byte of the flow that belongs to a header. */
static __always_inline int http_header(struct rw_first_bytes *state, __u32 byte)
{
	switch (state->state) {
	case RW_AT_HEADER_START:
		if (byte == '\r')
			return go(state, RW_AT_HEAD_LF);
		state->name_len = 0;
		state->state = RW_AT_HEADER_NAME;
		/* No name, or the folded line of old: no token either. */
		return is_in(TOKEN_SET, byte) ? http_header_name(state, byte) : http_malformed(state);
	case RW_AT_HEADER_NAME:
		return http_header_name(state, byte);
	case RW_AT_HOST_START:
		if (is_space(byte))
			return RW_GO_ON;
		if (byte == '\r')
			return refuse(state, RW_REASON_NO_HOST);
		http_authority_begin(state, RW_OF_HOST);
		return http_authority(state, byte);
	case RW_AT_LENGTH:
		return http_content_length(state, byte);
	case RW_AT_CODING:
		return http_coding(state, byte);
	case RW_AT_VALUE:
		if (byte == '\r')
			return go(state, RW_AT_LINE_LF);
		return is_in(TEXT_SET, byte) || byte == '\t' ? RW_GO_ON : http_malformed(state);
	case RW_AT_VALUE_END:
		return is_space(byte) ? RW_GO_ON : http_exactly(state, byte, '\r', RW_AT_LINE_LF);
	case RW_AT_LINE_LF:
		return http_exactly(state, byte, '\n', RW_AT_HEADER_START);
	}
	return http_body(state, byte);
}

/* Reads a byte of the flow that belongs to a request's first line, or to what may be one. */
static __always_inline int http_line(struct rw_first_bytes *state, __u32 byte)
{
	switch (state->state) {
	case RW_AT_START:
		return http_start(state, byte);
	case RW_AT_SSL2_LENGTH:
		return go(state, RW_AT_SSL2_TYPE);
	case RW_AT_SSL2_TYPE:
		return byte == CLIENT_HELLO ? go(state, RW_AT_SSL2_VERSION) : http_opaque(state);
	case RW_AT_SSL2_VERSION:
		/* The ClientHello in the form of SSL 2, which some servers still take, has no name. */
		return byte <= 3 ? refuse(state, RW_REASON_NO_SNI) : http_opaque(state);
	case RW_AT_METHOD:
		return http_method(state, byte);
	case RW_AT_OTHER_LINE:
		return http_other_line(state, byte);
	case RW_AT_TARGET_START:
		return http_target_start(state, byte);
	case RW_AT_SCHEME:
		return http_scheme(state, byte);
	case RW_AT_SLASHES:
		if (byte != '/')
			return other_line(state, byte);
		state->count++;
		return state->count == 2 ? http_authority_begin(state, RW_OF_TARGET) : RW_GO_ON;
	case RW_AT_AUTHORITY:
	case RW_AT_AUTHORITY_PORT:
		return http_authority(state, byte);
	case RW_AT_TARGET:
	case RW_AT_TARGET_STAR:
		if (byte == ' ')
			return go_counting(state, RW_AT_VERSION);
		return state->state == RW_AT_TARGET && is_in(TEXT_SET, byte) ? RW_GO_ON : other_line(state, byte);
	case RW_AT_VERSION:
		return http_version(state, byte);
	case RW_AT_VERSION_CR:
		return http_exactly(state, byte, '\r', RW_AT_VERSION_LF);
	case RW_AT_VERSION_LF:
		state->flags |= RW_HTTP_ONLY;
		return http_exactly(state, byte, '\n', RW_AT_HEADER_START);
	}
	return http_malformed(state);
}

/* Reads a byte of the flow. Global functions, so that the verifier looks at each once. */
__noinline int first_bytes_http_line(struct rw_first_bytes *state, __u32 byte)
{
	if (!state)
		return RW_GO_ON;
	state->head_len++;
	if (state->head_len > RW_HEAD_MAX)
		return refuse(state, RW_REASON_TOO_LONG);
	return http_line(state, byte & 0xff);
}

__noinline int first_bytes_http_header(struct rw_first_bytes *state, __u32 byte)
{
	if (!state)
		return RW_GO_ON;
	state->head_len++;
	if (state->head_len > RW_HEAD_MAX)
		return refuse(state, RW_REASON_TOO_LONG);
	return http_header(state, byte & 0xff);
}

#endif
