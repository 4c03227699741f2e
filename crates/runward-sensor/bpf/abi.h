/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side and the user side of the sensor say to each other.
 *
 * The user side does not repeat these types by hand: the build generates them for Rust from the type information of
 * the compiled object (see `abi_types` in runward.bpf.c). Sizes are asserted on both sides.
 *
 * Integers are in the machine's byte order; ports and addresses too have the order that is said at the field.
 */
#ifndef RUNWARD_ABI_H
#define RUNWARD_ABI_H

/* Numbers of records. Never used again for something else. */
enum rw_kind {
	RW_FORK = 1,
	RW_EXEC = 2,
	RW_EXIT = 3,
	RW_CONNECT = 4,
	RW_CONNECT_CLOSE = 5,
	RW_DNS = 6,
	/* A socket with unconnected peers is gone: the user side collects its flows. */
	RW_SOCKET_GONE = 7,
	/* A packet, or a connection that was let through, was stopped. */
	RW_REFUSED = 8,
	/* A fenced job is about to use a network namespace that has no resolver yet. */
	RW_NETNS = 9,
	/* A fenced job tried something against the fence, the agent or the machine below both. */
	RW_TAMPER = 10,
	/* A job's task reached into the memory of another process. */
	RW_MEMORY = 11,
	/* A job's task is in a call that mounts something. */
	RW_MOUNT_CALL = 12,
	/* Who looks after a container started a program that is in no job. */
	RW_CONTAINER = 13,
	RW_KINDS = 14,
};

/* Why a record was lost; the loss counters have one slot for each (kind, reason). */
enum rw_loss {
	RW_LOSS_RING_FULL = 0,
	RW_LOSS_NO_MEMORY = 1,
	RW_LOSSES = 2,
};

#define RW_PATH_MAX 4096
#define RW_CGROUP_MAX 1024
/* Arguments are complete up to this many bytes, the NUL after each included. */
#define RW_ARGS_MAX 131072
/* The environment is searched for attribution variables up to this many bytes. */
#define RW_ENV_MAX 32768
#define RW_DNS_MAX 4096

/* rw_head.flags of RW_EXEC: fields that are incomplete. */
#define RW_CUT_ARGS (1 << 0)
#define RW_CUT_EXE (1 << 1)
#define RW_CUT_PATH (1 << 2)
#define RW_CUT_CWD (1 << 3)
#define RW_CUT_CGROUP (1 << 4)
#define RW_CUT_ENV (1 << 5)

/* rw_head.flags of RW_CONNECT: a peer of an unconnected socket; its bytes are in the map of flows. */
#define RW_CONNECT_FLOW (1 << 0)
/* rw_head.flags of RW_CONNECT: it was refused; `reason` says why. */
#define RW_CONNECT_BLOCKED (1 << 1)
/* rw_head.flags of RW_CONNECT: allowed because of a name; the first bytes of a stream must say an allowed name. */
#define RW_CONNECT_BY_NAME (1 << 2)

/* Why a connection or a packet was refused. Numbers are never used again for something else. */
enum rw_reason {
	RW_NO_REASON = 0,
	/* No line of the policy allows this address, port and protocol. */
	RW_NOT_ALLOWED = 1,
	/* A name of the policy stood for this address, too long ago. */
	RW_EXPIRED = 2,
	/* A raw or packet socket, or a protocol that the fence does not follow. */
	RW_PROTOCOL = 3,
	/* A service on this machine that is not the job's own. */
	RW_LOCAL_SERVICE = 4,
	/* The fence has no room to follow this peer. */
	RW_NO_ROOM = 5,
	/* The packet cannot be read. */
	RW_UNREADABLE = 6,
	/* A connection that came from outside of the job. */
	RW_INBOUND = 7,
	/* It is on the block list. */
	RW_LISTED = 8,
	/* Added to an enum rw_first_bytes_reason: the first bytes of the stream. */
	RW_FIRST_BYTES = 32,
};

/* What a fenced job tried beside the network. Numbers are never used again for something else. */
enum rw_act {
	RW_ACT_NONE = 0,
	/* A command of bpf(2); `detail` is its number. */
	RW_ACT_BPF = 1,
	/* A signal to the agent or to the machine's first process; `detail` is the signal. */
	RW_ACT_SIGNAL = 2,
	/* The memory of a process outside of the job; `detail` is its id in the kernel's own numbering. */
	RW_ACT_MEMORY = 3,
	/* Limits, priority or other settings of the agent's process. */
	RW_ACT_LIMITS = 4,
	/* What the fence is pinned to. */
	RW_ACT_PINS = 5,
	/* The record. */
	RW_ACT_REPORT = 6,
	/* Mounts that hide or remove the pins. */
	RW_ACT_MOUNT = 7,
	/* Loading or removing a kernel module. */
	RW_ACT_MODULE = 8,
	/* Another kernel. */
	RW_ACT_KEXEC = 9,
	/* The machine's memory, ports or registers; `detail` is a device (major << 20 | minor), or 0. */
	RW_ACT_RAW_MEMORY = 10,
	/* A disk below its file system; `detail` as above. */
	RW_ACT_RAW_DISK = 11,
	/* A network device of the job's own, whose packets come from no socket; `detail` as above. */
	RW_ACT_TUNNEL = 12,
	/* A setting of the kernel that makes it run programs, or turns off what the fence stands on. */
	RW_ACT_SETTING = 13,
	/* The control group that the agent is in. */
	RW_ACT_CGROUP = 14,
	/* A socket of a family that the fence cannot follow; `detail` is the family. */
	RW_ACT_SOCKET = 15,
	/* A daemon outside of the job that would act for it. */
	RW_ACT_SERVICE = 16,
	/* A daemon that would look up names for it; programs then ask DNS themselves. */
	RW_ACT_RESOLVER = 17,
	/* A signal to a whole process group that the agent is in; `detail` is the signal. */
	RW_ACT_GROUP_SIGNAL = 18,
};

/* rw_tamper.outcome */
enum rw_tamper_outcome {
	RW_TAMPER_SEEN = 0,
	RW_TAMPER_PREVENTED = 1,
	/* Too late to prevent it: the process was killed. */
	RW_TAMPER_KILLED = 2,
};

#define RW_TARGET_MAX 256

/* rw_head.flags of RW_DNS */
#define RW_DNS_INGRESS (1 << 0)
#define RW_DNS_TCP (1 << 1)
/* The payload goes on in the next record of the same segment. */
#define RW_DNS_CUT (1 << 2)

/* rw_head.flags of RW_CONNECT_CLOSE: allowed by name, but the stream was neither TLS nor HTTP and said none. */
#define RW_CLOSE_OPAQUE (1 << 0)

enum rw_outcome {
	RW_FAILED = 0,
	RW_ESTABLISHED = 1,
	RW_DATAGRAMS = 2,
};

struct rw_head {
	__u64 boot_ns; /* CLOCK_BOOTTIME */
	__u64 job; /* 0: not a job's; only for RW_DNS */
	__u64 process;
	__u32 pid; /* as the agent's pid namespace numbers it */
	__u16 kind; /* enum rw_kind */
	__u16 flags;
};

struct rw_fork {
	struct rw_head head;
	__u64 parent;
	__u32 ppid;
	__u32 pad;
};

/* What a standard stream leads to, of what is worth telling. */
enum rw_stream_kind {
	RW_STREAM_ORDINARY = 0,
	RW_STREAM_TCP = 1,
	RW_STREAM_UDP = 2,
	/* A pipe with a name in a file system. */
	RW_STREAM_NAMED_PIPE = 3,
};

struct rw_stream {
	__u8 addr[16]; /* of the peer; as in rw_connect */
	__u64 inode; /* of a named pipe */
	__u16 port; /* of the peer; host order */
	__u8 kind; /* enum rw_stream_kind */
	__u8 pad[5];
};

/* Standard input, output and error of the process, and standard input of the one that made it. */
#define RW_STREAMS 4

/* Followed by path, exe, cwd, cgroup, args, env: each as long as said here, without separators. */
struct rw_exec {
	struct rw_head head;
	__u64 parent; /* 0: not known */
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u32 path_len;
	__u32 exe_len;
	__u32 cwd_len;
	__u32 cgroup_len;
	__u32 args_len;
	__u32 env_len;
	__u32 links; /* names that the program's file has */
	__u64 changed_ns; /* when that file's content or rights changed last; nanoseconds since 1970 */
	__u64 capabilities; /* effective ones in the machine's first user namespace, if the mounts are not the parent's; else 0 */
	struct rw_stream streams[RW_STREAMS];
};

/* rw_head.flags of RW_MEMORY: the job is in lockdown for such an act, and it was refused, or its process killed before a
 * byte was read. */
#define RW_MEMORY_PREVENTED (1 << 0)
#define RW_MEMORY_KILLED (1 << 1)

/* How a task reached into the memory of another process. Numbers are never used again for something else. */
enum rw_memory_way {
	RW_MEMORY_OTHER = 0,
	/* /proc/PID/mem */
	RW_MEMORY_FILE = 1,
	/* /proc/PID/environ */
	RW_MEMORY_ENVIRON = 2,
	RW_MEMORY_PTRACE = 3,
	/* process_vm_readv(2) and process_vm_writev(2) */
	RW_MEMORY_VM_CALL = 4,
	/* pidfd_getfd(2): a descriptor in place of memory */
	RW_MEMORY_DESCRIPTOR = 5,
};

#define RW_PROGRAM_MAX 64

struct rw_memory {
	struct rw_head head;
	__u32 target_pid; /* as head.pid; 0: not to be seen from the agent's pid namespace */
	__u32 way; /* enum rw_memory_way */
	__u32 name_len;
	__u32 pad;
	char name[RW_PROGRAM_MAX]; /* the last part of the path of the target's program */
};

struct rw_exit {
	struct rw_head head;
	__u32 status; /* as wait(2) tells it */
	__u32 pad;
};

struct rw_connect {
	struct rw_head head;
	__u64 connection;
	__u64 cookie; /* of the socket */
	__u8 addr[16]; /* network order; IPv4 as v4-mapped */
	__u16 port; /* host order */
	__u16 family; /* AF_INET or AF_INET6: the socket's */
	__u16 protocol; /* IPPROTO_* of the socket */
	__u8 raw; /* a raw socket */
	__u8 reason; /* enum rw_reason */
	__u32 rule; /* the rule that allowed it, counted from 1; 0: none */
	__u32 pad;
};

struct rw_connect_close {
	struct rw_head head;
	__u64 connection;
	__u64 bytes_sent;
	__u64 bytes_received;
	__u64 started_boot_ns;
	__u32 outcome; /* enum rw_outcome */
	__u32 pad;
};

/* Followed by `len` bytes of payload. */
struct rw_dns {
	struct rw_head head;
	__u64 cookie;
	__u8 addr[16]; /* of the server; as in rw_connect */
	__u16 port; /* of the server; host order */
	__u16 local_port;
	__u32 tcp_seq; /* of the first byte of this record's payload; 0 for UDP */
	__u32 len;
	__u32 pad;
};

struct rw_socket_gone {
	struct rw_head head;
	__u64 cookie;
};

struct rw_refused {
	struct rw_head head;
	__u64 connection; /* 0: none was begun */
	__u64 cookie;
	__u8 addr[16]; /* as in rw_connect */
	__u16 port;
	__u16 family;
	__u16 protocol;
	__u8 reason; /* enum rw_reason */
	__u8 pad;
	__u16 local_port; /* of the stream that is to be reset; 0: none is */
	__u16 name_len;
	__u16 pad2[2];
	__u8 local[16]; /* as addr */
	__u8 name[256]; /* that the stream said; `name_len` bytes count */
};

struct rw_tamper {
	struct rw_head head;
	__u32 act; /* enum rw_act */
	__u32 detail;
	__u32 outcome; /* enum rw_tamper_outcome */
	__u32 target_len;
	char target[RW_TARGET_MAX]; /* a path below its file system, or a socket's name; cut at its end */
};

struct rw_netns {
	struct rw_head head;
	__u64 netns; /* the kernel's cookie of the namespace */
};

struct rw_mount_call {
	struct rw_head head;
	__u32 mount_ns; /* the inode number of the task's mount namespace */
	__u32 pad;
};

struct rw_container {
	struct rw_head head;
	__u32 keeper; /* the process id of who looks after it */
	__u8 inside; /* whether it runs in the container */
	__u8 session; /* whether the container ran before */
	__u8 placed; /* whether it is in the job by now */
	__u8 pad;
};

/* A process at one end of a connection to an engine of containers. */
struct rw_engine_client {
	__u64 job; /* 0 when it is in none */
	__u32 pid;
	__u32 serves; /* whether it is the engine */
};

/* What one rule of a policy allows for an address. */
struct rw_grant {
	__u16 port_low; /* host order */
	__u16 port_high; /* inclusive */
	__u8 transport; /* IPPROTO_*; 0: any */
	__u8 pad[3];
	__u32 rule; /* its number, counted from 1 */
	__u32 pad2;
	/* Scopes that a process must have, and must not have: narrowings of the policy that it fits, a bit each. */
	__u64 needs;
	__u64 forbids;
};

#define RW_GRANTS_MAX 32

/* Value of the map of networks, and of the map of names. */
struct rw_grants {
	__u32 count;
	__u32 pad;
	struct rw_grant list[RW_GRANTS_MAX];
};

/* Key of the map of networks: the longest prefix that matches has everything that holds for the address. */
struct rw_net_key {
	__u32 prefix_len; /* bits of job and addr */
	__u8 job[8]; /* as rw_head.job lies in memory */
	__u8 addr[16]; /* as in rw_connect */
};

#define RW_BOUND_MAX 16

/* What a name allows for an address that it stands for. */
struct rw_bound {
	struct rw_grant grant;
	__u64 expires_boot_ns; /* CLOCK_BOOTTIME */
};

struct rw_binding {
	__u32 count;
	__u32 pad;
	struct rw_bound list[RW_BOUND_MAX];
};

/* Key of the map of listed networks. */
struct rw_listed_net {
	__u32 prefix_len; /* bits of addr */
	__u8 addr[16]; /* as in rw_connect */
};

/* Bytes of a name that is compared with the list; DNS allows 253. */
#define RW_LISTED_NAME_MAX 256
/*
 * The key of the map of listed names is FNV-1a over the name's bytes from the last to the first, and then a zero for the
 * name itself, or a dot for what is below it.
 */
#define RW_LISTED_HASH_START 0xcbf29ce484222325ull
#define RW_LISTED_HASH_PRIME 0x100000001b3ull

struct rw_address_key {
	__u64 job;
	__u8 addr[16]; /* as in rw_connect */
};

struct rw_name_key {
	__u64 job;
	__u8 name[256]; /* canonical, filled up with zeros */
};

/* A fenced job. */
struct rw_fence {
	/* Where the job's DNS goes, on the loopback addresses; in a namespace without a resolver it is lost until there is
	 * one. Host order. */
	__u16 resolver_port;
	__u8 narrowed; /* some rules are for some processes only */
	__u8 pad[5];
};

struct rw_resolver_key {
	__u64 job;
	__u64 netns;
};

/* Key and value of the map of UDP and raw flows without a connected peer. */
struct rw_flow_key {
	__u64 cookie;
	__u8 addr[16]; /* as in rw_connect */
	__u16 port; /* host order */
	__u16 pad[3];
};

struct rw_flow {
	__u64 connection;
	__u64 started_boot_ns;
	__u64 bytes_sent;
	__u64 bytes_received;
};

/* What `introduce` is asked to learn of the thread that runs it, and of the next file that this thread opens. */
enum rw_introduction {
	/* The agent is the process of this thread. */
	RW_INTRODUCE_AGENT = 1,
	/* The next file is the folder of pins. */
	RW_INTRODUCE_PINS = 2,
	/* The next file is the folder of the report. */
	RW_INTRODUCE_REPORT = 3,
};

/* Acts on which the kernel side itself stops a job in lockdown, a bit each. What else a lockdown names, the user side
 * stops. */
enum rw_ban {
	/* Reaching into a process outside of the job, in any way but by its variables. */
	RW_BAN_MEMORY_OUTSIDE = 1,
	/* The same with a process of the job that the reader did not start. */
	RW_BAN_MEMORY_INSIDE = 2,
	/* Reading the variables of the CI's runner. */
	RW_BAN_ENVIRON_RUNNER = 4,
	RW_BAN_ENVIRON_OUTSIDE = 8,
	RW_BAN_ENVIRON_INSIDE = 16,
	/* Running a program that no file system has a name for. */
	RW_BAN_FILELESS = 32,
};

/* A job in lockdown. */
struct rw_lockdown {
	__u64 condemned_boot_ns; /* since when all of it is to end, CLOCK_BOOTTIME; 0: it is not */
	__u32 bans; /* enum rw_ban */
	__u32 pad;
};

/* The name of a program: the last part of its path, cut, filled up with zeros. */
struct rw_program {
	char name[RW_PROGRAM_MAX];
};

/* A process of a condemned job. */
struct rw_condemned {
	__u64 job;
	__u64 process;
	__u32 pid; /* as rw_head.pid */
	__u32 pad;
};

/* A task that was put into a job while it ran already. */
struct rw_adopted {
	__u64 job;
	__u64 process;
	__u64 parent;
	__u32 pid; /* as rw_head.pid; 0: a further thread of a process */
	__u32 ppid;
};

/* A socket that a fenced job has and that the fence cannot follow. */
struct rw_strange_socket {
	__u32 pid; /* as rw_head.pid */
	__u32 family;
};

/* A task's place in a job. Value of the task storage, also written by the user side for a job's first process. */
struct rw_task {
	__u64 job;
	__u64 process;
	__u64 parent;
	__u32 ppid;
	__u32 exited;
};

_Static_assert(sizeof(struct rw_head) == 32, "rw_head");
_Static_assert(sizeof(struct rw_fork) == 48, "rw_fork");
_Static_assert(sizeof(struct rw_stream) == 32, "rw_stream");
_Static_assert(sizeof(struct rw_exec) == 224, "rw_exec");
_Static_assert(sizeof(struct rw_memory) == 112, "rw_memory");
_Static_assert(sizeof(struct rw_exit) == 40, "rw_exit");
_Static_assert(sizeof(struct rw_connect) == 80, "rw_connect");
_Static_assert(sizeof(struct rw_connect_close) == 72, "rw_connect_close");
_Static_assert(sizeof(struct rw_dns) == 72, "rw_dns");
_Static_assert(sizeof(struct rw_socket_gone) == 40, "rw_socket_gone");
_Static_assert(sizeof(struct rw_flow_key) == 32, "rw_flow_key");
_Static_assert(sizeof(struct rw_flow) == 32, "rw_flow");
_Static_assert(sizeof(struct rw_task) == 32, "rw_task");
_Static_assert(sizeof(struct rw_refused) == 352, "rw_refused");
_Static_assert(sizeof(struct rw_netns) == 40, "rw_netns");
_Static_assert(sizeof(struct rw_mount_call) == 40, "rw_mount_call");
_Static_assert(sizeof(struct rw_container) == 40, "rw_container");
_Static_assert(sizeof(struct rw_engine_client) == 16, "rw_engine_client");
_Static_assert(sizeof(struct rw_tamper) == 304, "rw_tamper");
_Static_assert(sizeof(struct rw_grant) == 32, "rw_grant");
_Static_assert(sizeof(struct rw_grants) == 1032, "rw_grants");
_Static_assert(sizeof(struct rw_net_key) == 28, "rw_net_key");
_Static_assert(sizeof(struct rw_listed_net) == 20, "rw_listed_net");
_Static_assert(sizeof(struct rw_bound) == 40, "rw_bound");
_Static_assert(sizeof(struct rw_binding) == 648, "rw_binding");
_Static_assert(sizeof(struct rw_address_key) == 24, "rw_address_key");
_Static_assert(sizeof(struct rw_name_key) == 264, "rw_name_key");
_Static_assert(sizeof(struct rw_fence) == 8, "rw_fence");
_Static_assert(sizeof(struct rw_resolver_key) == 16, "rw_resolver_key");
_Static_assert(sizeof(struct rw_lockdown) == 16, "rw_lockdown");
_Static_assert(sizeof(struct rw_program) == 64, "rw_program");
_Static_assert(sizeof(struct rw_condemned) == 24, "rw_condemned");
_Static_assert(sizeof(struct rw_adopted) == 32, "rw_adopted");
_Static_assert(sizeof(struct rw_strange_socket) == 8, "rw_strange_socket");

#endif
