// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * first_bytes.h alone, for tests: one flow at a time, whose state the test reads and resets, and a map of the names
 * that are allowed. Not part of the sensor.
 */
#include "kernel.h"
#include "first_bytes_state.h"

struct allowed_name {
	__u8 name[RW_NAME_MAX];
	__u16 port;
	__u16 len;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, struct allowed_name);
	__type(value, __u8);
} allowed_names SEC(".maps");

/* A key is too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct allowed_name);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rw_first_bytes);
} flow SEC(".maps");

/* As the sensor has it: the state in the socket's storage. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct rw_first_bytes);
} socket_flows SEC(".maps");

#include "first_bytes.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline bool first_bytes_name_allowed(void *context, const __u8 *name, __u32 len, __u16 port)
{
	struct allowed_name *key = context;

	__builtin_memcpy(key->name, name, RW_NAME_MAX);
	key->port = port;
	key->len = len;
	return bpf_map_lookup_elem(&allowed_names, key);
}

/* IPv4 without options, TCP. */
static __always_inline bool parse_segment(struct __sk_buff *skb, struct rw_segment *segment)
{
	__u8 header[40];

	if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)))
		return false;
	segment->payload = 20 + (header[32] >> 4) * 4;
	segment->payload_len = skb->len > segment->payload ? skb->len - segment->payload : 0;
	segment->seq = (__u32)header[24] << 24 | header[25] << 16 | header[26] << 8 | header[27];
	segment->port = header[22] << 8 | header[23];
	segment->tcp_flags = header[33];
	return true;
}

static __always_inline int judge(struct __sk_buff *skb, struct rw_first_bytes *state)
{
	struct rw_segment segment;
	struct allowed_name *key;
	__u32 zero = 0;

	key = bpf_map_lookup_elem(&keys, &zero);
	if (!key || !parse_segment(skb, &segment))
		return 0;
	return first_bytes_packet(skb, &segment, state, key);
}

SEC("cgroup_skb/egress")
int judge_packet(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct rw_first_bytes *state = bpf_map_lookup_elem(&flow, &zero);

	return state ? judge(skb, state) : 0;
}

/* The same, but each packet is the first one: for measuring. */
SEC("cgroup_skb/egress")
int judge_first_packet(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct rw_first_bytes *state = bpf_map_lookup_elem(&flow, &zero);

	if (!state)
		return 0;
	first_bytes_forget(state);
	return judge(skb, state);
}

/* For real sockets: IPv4 TCP is judged, everything else passes. */
SEC("cgroup_skb/egress")
int judge_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct rw_first_bytes *state;

	if (!sk)
		return 1;
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->family != AF_INET || sk->protocol != IPPROTO_TCP)
		return 1;
	state = bpf_sk_storage_get(&socket_flows, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	return state ? judge(skb, state) : 0;
}

/* For real sockets, on kernels before 6.2. */
SEC("fentry/__cgroup_bpf_run_filter_skb")
int BPF_PROG(note_pages, struct sock *sk, struct sk_buff *skb)
{
	struct rw_first_bytes *state;

	if (!sk)
		return 0;
	state = bpf_sk_storage_get(&socket_flows, sk, NULL, 0);
	if (state)
		first_bytes_note_pages(skb, state);
	return 0;
}

/* Makes the build generate these types for the tests; holds nothing. */
const struct {
	struct allowed_name allowed_name;
	struct rw_first_bytes first_bytes;
	enum rw_first_bytes_phase phase;
	enum rw_first_bytes_reason reason;
} test_types = {};
