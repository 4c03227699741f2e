/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: sockets tagged with their job, requests at connect and sendmsg, bytes and ends, DNS messages.
 *
 * All programs sit on the root of cgroup2, so they see every socket of the machine in every network namespace; what
 * is not a job's passes untouched.
 */
#ifndef RUNWARD_NETWORK_H
#define RUNWARD_NETWORK_H

#include "fence.h"
#include "packets.h"

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

static __always_inline void lead_v4(struct bpf_sock_addr *ctx, struct peer *peer)
{
	__u32 word;

	__builtin_memcpy(&word, peer->addr + 12, 4);
	ctx->user_ip4 = word;
	ctx->user_port = bpf_htons(peer->port);
}

static __always_inline void lead_v6(struct bpf_sock_addr *ctx, struct peer *peer)
{
	__u32 words[4];

	__builtin_memcpy(words, peer->addr, 16);
	ctx->user_ip6[0] = words[0];
	ctx->user_ip6[1] = words[1];
	ctx->user_ip6[2] = words[2];
	ctx->user_ip6[3] = words[3];
	ctx->user_port = bpf_htons(peer->port);
}

/*
 * Connecting a datagram socket sends nothing, and C libraries do it for every address of a name to put them in order. So
 * a request of that kind is not refused; the first datagram is.
 */
static __always_inline bool sends_nothing(struct socket_info *info, bool connects)
{
	return connects && info->protocol == IPPROTO_UDP;
}

/*
 * Judges a request. `peer` becomes where it really goes, which is the resolver for DNS. Refusing tells it; `asked` is the
 * peer that the program named.
 */
static __always_inline bool passes_fence(struct bpf_sock_addr *ctx, struct socket_info *info, struct peer *asked,
					 struct peer *peer, bool connects)
{
	struct question question;

	info->redirected = 0;
	info->by_name = 0;
	info->opaque = 0;
	info->rule = 0;
	if (!is_fenced(info->job))
		return true;
	ask(&question, info, peer->addr, peer->port, info->protocol);
	if (!is_followed(ctx->type, info->protocol)) {
		question.reason = RW_PROTOCOL;
	} else if (wants_resolver(ctx, info, peer)) {
		redirect(ctx, info, peer);
		return true;
	} else if (judge_peer(ctx, &question, NULL)) {
		info->rule = question.rule;
		info->by_name = question.by_name;
		return true;
	}
	if (!sends_nothing(info, connects))
		emit_blocked_connect(info, bpf_get_socket_cookie(ctx), asked, ctx->family, question.reason);
	return false;
}

/* What becomes of a request of a socket without a record: one of a fenced job must have one. */
static __always_inline int without_record(void)
{
	struct rw_task *place;

	if (!fence || !task_storage_in_cgroup_hooks)
		return ALLOW;
	place = task_place(bpf_get_current_task_btf());
	return place && is_fenced(place->job) ? REFUSE : ALLOW;
}

static __always_inline int on_connect(struct bpf_sock_addr *ctx, struct socket_info *info, struct peer *peer)
{
	struct rw_first_bytes *greeting = fence ? bpf_sk_storage_get(&greetings, ctx->sk, NULL, 0) : NULL;
	struct peer asked = *peer;

	/* What was said to another peer counts for nothing. */
	if (greeting)
		first_bytes_forget(greeting);
	/* A second connect on one socket ends the first one; for TCP this one failed without sending anything. */
	if (info->connection)
		emit_close(info, info->bytes_sent, info->bytes_received, is_stream(info) ? RW_FAILED : RW_DATAGRAMS);
	info->protocol = ctx->protocol;
	info->raw = ctx->type == SOCK_RAW;
	info->told = 0;
	info->allowed = 0;
	info->connection = 0;
	if (!passes_fence(ctx, info, &asked, peer, true))
		return sends_nothing(info, true) ? ALLOW : REFUSE;
	info->allowed = 1;
	info->connection = next_id();
	info->started_boot_ns = bpf_ktime_get_boot_ns();
	info->established = 0;
	info->bytes_sent = 0;
	info->bytes_received = 0;
	__builtin_memcpy(info->addr, peer->addr, 16);
	info->port = peer->port;
	emit_connect(info, info->connection, bpf_get_socket_cookie(ctx), &asked, ctx->family,
		     info->by_name ? RW_CONNECT_BY_NAME : 0);
	return ALLOW;
}

static __always_inline int on_sendmsg(struct bpf_sock_addr *ctx, struct socket_info *info, struct peer *peer)
{
	struct peer asked = *peer;
	struct rw_flow_key key;

	info->protocol = ctx->protocol;
	info->raw = ctx->type == SOCK_RAW;
	/* On a connected IPv6 socket with an IPv4 peer, the kernel names the peer for each datagram. */
	if (is_peer(info, peer))
		return ALLOW;
	if (!passes_fence(ctx, info, &asked, peer, false))
		return REFUSE;
	fill_flow_key(&key, bpf_get_socket_cookie(ctx), peer);
	if (bpf_map_lookup_elem(&flows, &key) || new_flow(info, &key, &asked, ctx->family))
		return ALLOW;
	if (!is_fenced(info->job))
		return ALLOW;
	emit_blocked_connect(info, key.cookie, &asked, ctx->family, RW_NO_ROOM);
	return REFUSE;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info = sk ? socket_of_job(sk) : NULL;
	struct peer peer;
	int verdict;

	if (!info)
		return without_record();
	peer_v4(ctx, &peer);
	verdict = on_connect(ctx, info, &peer);
	if (fence && info->redirected)
		lead_v4(ctx, &peer);
	return verdict;
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info = sk ? socket_of_job(sk) : NULL;
	struct peer peer;
	int verdict;

	if (!info)
		return without_record();
	peer_v6(ctx, &peer);
	verdict = on_connect(ctx, info, &peer);
	if (fence && info->redirected)
		lead_v6(ctx, &peer);
	return verdict;
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info = sk ? socket_of_job(sk) : NULL;
	struct peer peer;
	int verdict;

	if (!info)
		return without_record();
	peer_v4(ctx, &peer);
	verdict = on_sendmsg(ctx, info, &peer);
	if (fence && info->redirected)
		lead_v4(ctx, &peer);
	return verdict;
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info = sk ? socket_of_job(sk) : NULL;
	struct peer peer;
	int verdict;

	if (!info)
		return without_record();
	peer_v6(ctx, &peer);
	verdict = on_sendmsg(ctx, info, &peer);
	if (fence && info->redirected)
		lead_v6(ctx, &peer);
	return verdict;
}

/* The server that the program asked, in place of the resolver, where an answer or the peer's name is read. */
static __always_inline bool stands_in(struct bpf_sock_addr *ctx, struct peer *peer)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_info *info = sk ? bpf_sk_storage_get(&sockets, sk, NULL, 0) : NULL;

	if (!info || !is_redirected(info, peer->addr, peer->port))
		return false;
	__builtin_memcpy(peer->addr, info->server, 16);
	peer->port = info->server_port;
	return true;
}

static __always_inline int restore_v4(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v4(ctx, &peer);
	if (stands_in(ctx, &peer))
		lead_v4(ctx, &peer);
	return ALLOW;
}

static __always_inline int restore_v6(struct bpf_sock_addr *ctx)
{
	struct peer peer;

	peer_v6(ctx, &peer);
	if (stands_in(ctx, &peer))
		lead_v6(ctx, &peer);
	return ALLOW;
}

SEC("cgroup/recvmsg4")
int on_recvmsg4(struct bpf_sock_addr *ctx)
{
	return restore_v4(ctx);
}

SEC("cgroup/recvmsg6")
int on_recvmsg6(struct bpf_sock_addr *ctx)
{
	return restore_v6(ctx);
}

SEC("cgroup/getpeername4")
int on_getpeername4(struct bpf_sock_addr *ctx)
{
	return restore_v4(ctx);
}

SEC("cgroup/getpeername6")
int on_getpeername6(struct bpf_sock_addr *ctx)
{
	return restore_v6(ctx);
}

SEC("cgroup/sock_create")
int on_sock_create(struct bpf_sock *sk)
{
	struct socket_info *info = socket_of_job(sk);

	struct peer nobody = {};

	if (!info)
		return without_record();
	info->protocol = sk->protocol;
	info->raw = sk->type == SOCK_RAW;
	if (!is_fenced(info->job) || is_followed(sk->type, sk->protocol))
		return ALLOW;
	emit_blocked_connect(info, bpf_get_socket_cookie(sk), &nobody, sk->family, RW_PROTOCOL);
	/* Programs that would like multipath TCP, and take TCP when there is none, look for this error. */
	bpf_set_retval(-EPROTONOSUPPORT);
	return REFUSE;
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
		emit(&record, sizeof(record), RW_SOCKET_GONE, RANK_PASSING);
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
static __always_inline void tag_by_trampoline(struct socket *socket, bool is_new)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct rw_task *place = task_place(task);
	struct socket_info *info;
	struct sock *sk = socket->sk;

	if (!place || !sk)
		return;
	info = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (!info) {
		info = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
		if (!info) {
			count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
			/* Nothing can be refused here, and a socket without a record would not be judged. */
			if (is_fenced(place->job))
				bpf_send_signal(SIGKILL);
			return;
		}
		info->inherited = !is_new;
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
		tag_by_trampoline(socket, true);
	return 0;
}

/* int security_socket_connect(struct socket *sock, struct sockaddr *address, int addrlen) */
SEC("fentry/security_socket_connect")
int BPF_PROG(on_socket_connect, struct socket *socket, struct sockaddr *address, int addrlen)
{
	tag_by_trampoline(socket, false);
	return 0;
}

/* int security_socket_sendmsg(struct socket *sock, struct msghdr *msg, int size) */
SEC("fentry/security_socket_sendmsg")
int BPF_PROG(on_socket_sendmsg, struct socket *socket, struct msghdr *msg, int size)
{
	tag_by_trampoline(socket, false);
	return 0;
}

/* int security_file_receive(struct file *file): a descriptor is handed over, or copied from another process. */
SEC("fentry/security_file_receive")
int BPF_PROG(on_file_receive, struct file *file)
{
	struct socket *socket = bpf_sock_from_file(file);
	struct sock *sk;

	if (!socket)
		return 0;
	sk = socket->sk;
	if (sk && (sk->__sk_common.skc_family == AF_INET || sk->__sk_common.skc_family == AF_INET6))
		tag_by_trampoline(socket, false);
	return 0;
}

/*
 * Whether the current task itself makes a packet leave its own socket. The kernel sends on behalf of others whenever a
 * task is interrupted: acknowledgements, what waits in a stream that nobody is using just now, its own sockets' resets,
 * and tunnels. For a stream that is in use by somebody it does not; but for listeners, which it never waits for.
 */
static __always_inline bool is_senders_own(struct __sk_buff *skb)
{
	struct sk_buff *packet = bpf_cast_to_kern_ctx(skb);
	struct sock *sk = packet->sk;
	bool sends;

	if (!sk)
		return false;
	if (sk->sk_protocol == IPPROTO_TCP)
		sends = sk->sk_lock.owned && sk->__sk_common.skc_state != TCP_LISTEN;
	else
		sends = sk->sk_type == SOCK_RAW || !BPF_CORE_READ((struct udp_sock *)sk, encap_type);
	return sends && sk->sk_socket && sk->sk_socket->file;
}

/*
 * A socket that was handed to a fenced job becomes the job's with the first packet that it sends through it. Where task
 * storage can't be read here, trampolines have seen the socket before. False: a packet that can't be judged.
 */
static __always_inline bool take_hold(struct __sk_buff *skb, struct bpf_sock *sk, struct socket_info **taken)
{
	struct task_struct *task;
	struct rw_task *place;
	struct socket_info *info;

	/* First, because it is the quickest to rule out: this is asked for all packets of the machine. */
	if (!is_senders_own(skb))
		return true;
	task = bpf_get_current_task_btf();
	place = task_place(task);
	if (!place || !is_fenced(place->job))
		return true;
	info = bpf_sk_storage_get(&sockets, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	*taken = info;
	if (!info) {
		count_loss(RW_CONNECT, RW_LOSS_NO_MEMORY);
		return false;
	}
	tag(info, place, task);
	info->inherited = 1;
	info->protocol = sk->protocol;
	info->raw = sk->type == SOCK_RAW;
	return true;
}

/* What a packet of a job's socket tells: bytes of datagrams, and DNS. TCP counts its own bytes. */
static __always_inline void look_into(struct __sk_buff *skb, bool egress, struct packet *packet,
				      struct socket_info *info)
{
	bool led = is_redirected(info, packet->remote, packet->remote_port);

	if (!is_stream(info))
		count_datagram(skb, egress, packet, info);
	if (packet->remote_port != DNS_PORT && !led)
		return;
	if (led) {
		__builtin_memcpy(packet->remote, info->server, 16);
		packet->remote_port = info->server_port;
	}
	emit_dns(skb, egress, packet, info);
}

/*
 * int __cgroup_bpf_run_filter_skb(struct sock *sk, struct sk_buff *skb, enum cgroup_bpf_attach_type atype): where the
 * programs below cannot see the pages of a packet by themselves.
 */
SEC("fentry/__cgroup_bpf_run_filter_skb")
int BPF_PROG(on_filter_skb, struct sock *sk, struct sk_buff *skb)
{
	struct rw_first_bytes *greeting;

	if (!fence || !sk)
		return 0;
	greeting = bpf_sk_storage_get(&greetings, sk, NULL, 0);
	if (greeting)
		first_bytes_note_pages(skb, greeting);
	return 0;
}

SEC("cgroup_skb/egress")
int on_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct packet packet = {};
	struct socket_info *info;
	bool fenced;

	if (!sk)
		return ALLOW;
	info = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (info && is_settled(info) && continues_stream(skb, info))
		return ALLOW;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ALLOW;
	if (!info && fence && task_storage_in_cgroup_hooks && !take_hold(skb, sk, &info))
		return REFUSE;
	if (!info)
		return ALLOW;
	fenced = is_fenced(info->job);
	if (!fenced && is_plain_stream(info))
		return ALLOW;
	if (!parse_packet(skb, true, &packet)) {
		if (fenced)
			emit_refused(info, bpf_get_socket_cookie(skb), &packet, RW_UNREADABLE, NULL);
		return fenced ? REFUSE : ALLOW;
	}
	if (fenced) {
		int verdict = judge_packet(skb, sk, info, &packet);

		if (verdict != ALLOW)
			return verdict;
	}
	look_into(skb, true, &packet, info);
	return ALLOW;
}

SEC("cgroup_skb/ingress")
int on_ingress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct packet packet = {};
	struct socket_info *info;

	if (!sk)
		return ALLOW;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return ALLOW;
	/* Most packets of a machine; the job's resolver is on loopback. */
	if (sk->protocol == IPPROTO_TCP && sk->type == SOCK_STREAM && sk->dst_port != bpf_htons(DNS_PORT) &&
	    skb->ifindex != LOOPBACK_IFINDEX)
		return ALLOW;
	info = bpf_sk_storage_get(&sockets, sk, NULL, 0);
	if (info) {
		if (!is_plain_stream(info) && parse_packet(skb, false, &packet))
			look_into(skb, false, &packet, info);
		return ALLOW;
	}
	/* A system resolver asks for the job: its answers tell the names of addresses that the job will use. */
	if (sk->protocol == IPPROTO_UDP && parse_packet(skb, false, &packet) && packet.remote_port == DNS_PORT)
		emit_dns(skb, false, &packet, NULL);
	return ALLOW;
}

#endif
