/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that lead round the fence: families whose packets the network's hooks never see, and daemons outside of the
 * job that would act for it.
 */
#ifndef RUNWARD_PROTECT_SOCKETS_H
#define RUNWARD_PROTECT_SOCKETS_H

#include "names.h"
#include "sockets.h"
#include "tamper.h"

/*
 * Families that the fence follows, or that do not leave the machine: AF_NETLINK speaks with the kernel, AF_ALG does
 * arithmetic, and AF_UNSPEC is nobody's.
 */
static __always_inline bool is_family_followed(int family)
{
	return family == AF_UNSPEC || family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK ||
	       family == AF_ALG;
}

/*
 * Refuses what the hook of control groups refuses where it knows the task: protocols for which the kernel makes further
 * sockets that nobody has tagged, or packets of its own.
 */
static __always_inline int refuse_protocol(struct rw_task *place, int family, int type, int protocol)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct socket_info info = {};
	struct peer nobody = {};

	/* Without a protocol, each of these types has the usual one. */
	if (task_storage_in_cgroup_hooks || (!protocol && type != SOCK_RAW) || is_followed(type, protocol))
		return 0;
	tag(&info, place, task);
	info.protocol = protocol;
	info.raw = type == SOCK_RAW;
	emit_blocked_connect(&info, 0, &nobody, family, RW_PROTOCOL);
	return -EPROTONOSUPPORT;
}

/* int security_socket_create(int family, int type, int protocol, int kern) */
SEC("fmod_ret/security_socket_create")
int BPF_PROG(guard_socket_create, int family, int type, int protocol, int kern)
{
	struct rw_task *place;

	if (kern)
		return 0;
	place = fenced_place();
	if (!place)
		return 0;
	if (family == AF_INET || family == AF_INET6)
		return refuse_protocol(place, family, type, protocol);
	if (is_family_followed(family))
		return 0;
	forbid(RW_ACT_SOCKET, family, 0);
	/* Programs that can do without a family look for this error; of AF_PACKET everybody knows that it takes a right. */
	return family == AF_PACKET ? -EPERM : -EAFNOSUPPORT;
}

/* int security_file_receive(struct file *file): a descriptor is handed over, or copied from another process. */
SEC("fmod_ret/security_file_receive")
int BPF_PROG(guard_file_receive, struct file *file)
{
	struct socket *socket;
	int family;

	if (!fenced_place())
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	family = BPF_CORE_READ(socket, sk, __sk_common.skc_family);
	return is_family_followed(family) ? 0 : forbid(RW_ACT_SOCKET, family, 0);
}

/* The job that bound a unix socket to its name. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} unix_owners SEC(".maps");

/* Threads that are about to connect to a unix socket of their own job: for the moment between two programs on one hook,
 * because one kind may read a socket's storage and the other may refuse. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u8);
} own_peers SEC(".maps");

/* int security_socket_bind(struct socket *sock, struct sockaddr *address, int addrlen) */
SEC("fentry/security_socket_bind")
int BPF_PROG(guard_bind, struct socket *socket)
{
	struct rw_task *place = fenced_place();
	struct sock *sk = socket->sk;
	__u64 *owner;

	if (!place || !sk || sk->__sk_common.skc_family != AF_UNIX)
		return 0;
	owner = bpf_sk_storage_get(&unix_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (owner)
		*owner = place->job;
	return 0;
}

/* int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk) */
SEC("fentry/security_unix_stream_connect")
int BPF_PROG(guard_own_peer, struct sock *sk, struct sock *other)
{
	struct rw_task *place = fenced_place();
	__u64 thread = bpf_get_current_pid_tgid(), *owner;
	__u8 own = 1;

	if (!place)
		return 0;
	owner = bpf_sk_storage_get(&unix_owners, other, NULL, 0);
	if (owner && *owner == place->job)
		bpf_map_update_elem(&own_peers, &thread, &own, BPF_ANY);
	return 0;
}

#define SUFFIX_MAX NAME_KEPT

struct service {
	char suffix[SUFFIX_MAX]; /* filled up with zeros */
	__u32 len;
	__u32 act;
};

/* Beside an act: C libraries connect there for each user and each name, to see whether anybody answers. */
#define ASKED_ALWAYS (1 << 16)
/* Likewise: starts containers. */
#define ENGINE (1 << 17)
#define ACT_OF(service) ((service) & 0xffff)

#define SERVICE(suffix, act) { suffix, sizeof(suffix) - 1, act }

/*
 * How the names of daemons' sockets end. Compared with the name that the daemon bound, whatever path the job came by.
 * Without the last four, C libraries ask DNS themselves, which leads to the job's resolver.
 */
static const struct service services[] = {
	SERVICE("/docker.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/containerd.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/containerd.sock.ttrpc", RW_ACT_SERVICE | ENGINE),
	SERVICE("/podman.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/crio.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/cri-dockerd.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/buildkitd.sock", RW_ACT_SERVICE | ENGINE),
	SERVICE("/incus/unix.socket", RW_ACT_SERVICE),
	SERVICE("/lxd/unix.socket", RW_ACT_SERVICE),
	SERVICE("/libvirt-sock", RW_ACT_SERVICE),
	SERVICE("/virtqemud-sock", RW_ACT_SERVICE),
	SERVICE("/snapd.socket", RW_ACT_SERVICE),
	SERVICE("/snapd-snap.socket", RW_ACT_SERVICE),
	SERVICE("/daemon-socket/socket", RW_ACT_SERVICE), /* Nix */
	SERVICE("/systemd/private", RW_ACT_SERVICE),
	SERVICE("/io.systemd.Manager", RW_ACT_SERVICE),
	SERVICE("/io.systemd.Machine", RW_ACT_SERVICE),
	SERVICE("/io.systemd.Import", RW_ACT_SERVICE),
	SERVICE("/dbus/system_bus_socket", RW_ACT_SERVICE),
	SERVICE("/bus", RW_ACT_SERVICE), /* a user's D-Bus, in /run/user/UID */
	SERVICE("/io.systemd.Resolve", RW_ACT_RESOLVER),
	SERVICE("/io.systemd.Resolve.Monitor", RW_ACT_RESOLVER),
	SERVICE("/nscd/socket", RW_ACT_RESOLVER | ASKED_ALWAYS),
	SERVICE("/avahi-daemon/socket", RW_ACT_RESOLVER),
};

#define SERVICES (sizeof(services) / sizeof(services[0]))

/* Whether a name ends as a service's does; `end` is the address just behind its last character. */
__noinline int is_service(__u64 end, __u32 len, __u32 index)
{
	const struct service *service = &services[bounded(index, SERVICES - 1)];
	char tail[SUFFIX_MAX] __attribute__((aligned(8))) = {};
	__u32 size = service->len & (SUFFIX_MAX - 1);

	if (size > len || bpf_probe_read_kernel(tail, size, (void *)end - size))
		return 0;
	return same_name(tail, service->suffix);
}

/* What connecting to a socket of this name would be, with ASKED_ALWAYS and ENGINE. */
__noinline int act_on_service(__u64 end, __u32 len)
{
	for (__u32 i = 0; i < SERVICES; i++)
		if (is_service(end, len, i))
			return services[i].act;
	return RW_ACT_NONE;
}

/* The name that a unix socket was bound to. Returns its length, 0 for none; an abstract one begins with a NUL. */
static __always_inline __u32 unix_name(struct sock *sk, __u64 *name)
{
	struct unix_address *address = BPF_CORE_READ((struct unix_sock *)sk, addr);
	__u32 len;

	if (!address)
		return 0;
	len = BPF_CORE_READ(address, len);
	if (len <= sizeof(__u16) || len > sizeof(__u16) + 108)
		return 0;
	*name = (__u64)address + bpf_core_field_offset(struct unix_address, name) +
		bpf_core_field_offset(struct sockaddr_un, sun_path);
	return len - sizeof(__u16);
}

/* The same without a NUL at its end: a path counts one where who bound it did. */
static __always_inline __u32 unix_path(struct sock *sk, __u64 *name)
{
	__u32 len = unix_name(sk, name);
	char last = 0;

	if (!len)
		return 0;
	bpf_probe_read_kernel(&last, 1, (void *)*name + len - 1);
	return last ? len : len - 1;
}

/* int security_unix_stream_connect(struct sock *sock, struct sock *other, struct sock *newsk): `other` listens. */
SEC("fmod_ret/security_unix_stream_connect")
int BPF_PROG(guard_unix_connect, struct sock *sk, struct sock *other)
{
	__u64 thread = bpf_get_current_pid_tgid(), name = 0;
	__u32 len, act;

	if (!fenced_place() || !bpf_map_delete_elem(&own_peers, &thread))
		return 0;
	len = unix_path(other, &name);
	if (!len)
		return 0;
	act = ACT_OF(act_on_service(name + len, len));
	if (!act)
		return 0;
	forbid_named(act, name);
	/* As if nobody were there: then C libraries look elsewhere. */
	return act == RW_ACT_RESOLVER ? -ECONNREFUSED : -EPERM;
}

#endif
