/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel's types, by hand: only the fields that the sensor reads. Offsets are fixed up at load time against the
 * running kernel (CO-RE), so neither the order nor the rest of a struct matters here.
 */
#ifndef RUNWARD_KERNEL_H
#define RUNWARD_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define AF_UNSPEC 0
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_KEY 15
#define AF_NETLINK 16
#define AF_PACKET 17
#define AF_ALG 38
#define AF_VSOCK 40
#define AF_XDP 44
#define SOCK_STREAM 1
#define SOCK_RAW 3
#define SOCK_PACKET 10
#define SOCK_TYPE_MASK 0xf
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58
#define EPERM 1
#define EEXIST 17
#define EPROTONOSUPPORT 93
#define EAFNOSUPPORT 97
#define ECONNREFUSED 111
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define TCP_ESTABLISHED 1
#define TCP_CLOSE 7
#define TCP_LISTEN 10
/* enum sock_flags: the peer has sent its FIN. */
#define SOCK_DONE 1
#define SIGKILL 9
#define SIGCHLD 17
#define SIGSTOP 19
/* asm-generic/siginfo.h */
#define SI_KERNEL 0x80
#define SIGNAL_GROUP_EXIT 0x00000004
/* enum in linux/skbuff.h: user space may write to the pages of the packet's data. */
#define SKBFL_SHARED_FRAG (1 << 1)

/* linux/fs.h, linux/stat.h */
#define FMODE_WRITE 0x2
#define ATTR_SIZE (1 << 3)
#define S_IFMT 00170000
#define S_IWGRP 00020
#define S_IWOTH 00002
#define S_IFSOCK 0140000
#define S_IFIFO 0010000
#define S_IFBLK 0060000
#define S_IFCHR 0020000
/* linux/kdev_t.h */
#define MAJOR(dev) ((dev) >> 20)
#define MINOR(dev) ((dev) & 0xfffff)
/* linux/magic.h */
#define PROC_SUPER_MAGIC 0x9fa0
#define PIPEFS_MAGIC 0x50495045
#define SYSFS_MAGIC 0x62656572
#define DEBUGFS_MAGIC 0x64626720
#define TRACEFS_MAGIC 0x74726163
#define CGROUP2_SUPER_MAGIC 0x63677270
#define CGROUP_SUPER_MAGIC 0x27e0eb
#define BINFMTFS_MAGIC 0x42494e4d
/* linux/mount.h, and `T_SHARED` of fs/mount.h */
#define MNT_SHARED 0x1000
#define T_SHARED 1
/* linux/ptrace.h */
#define PTRACE_MODE_ATTACH 0x02
/* linux/capability.h */
#define CAP_SYS_MODULE 16
#define CAP_SYS_BOOT 22

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct super_block {
	unsigned long s_magic;
	char s_id[32];
};

struct hlist_node {
	struct hlist_node *next;
};

struct hlist_head {
	struct hlist_node *first;
};

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct inode {
	struct hlist_head i_dentry;
	__u16 i_mode;
	kuid_t i_uid;
	__u32 i_rdev;
	unsigned long i_ino;
	unsigned int i_nlink;
	struct timespec64 i_ctime;
	struct super_block *i_sb;
	void *i_private;
};

/* From 6.6 on. */
struct inode___v606 {
	struct timespec64 __i_ctime;
};

/* From 6.11 on. */
struct inode___v611 {
	__s64 i_ctime_sec;
	__u32 i_ctime_nsec;
};

struct iattr {
	unsigned int ia_valid;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	union {
		struct hlist_node d_alias;
	} d_u;
};

struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
	int mnt_flags;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

/* Since 6.17, whether a mount is shared stands here. */
struct mount___v617 {
	int mnt_t_flags;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct file {
	struct path f_path;
	struct inode *f_inode;
	unsigned int f_mode;
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	unsigned long env_start;
	unsigned long env_end;
	struct task_struct *owner;
	struct file *exe_file;
};

struct pid_namespace;

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};

struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};

struct user_namespace {
	int level;
};

/* Two words until 6.3, one since: the same bytes. */
typedef struct {
	__u8 bytes[8];
} kernel_cap_t;

struct cred {
	kuid_t euid;
	kgid_t egid;
	kernel_cap_t cap_effective;
	struct user_namespace *user_ns;
};

struct kernfs_node {
	struct kernfs_node *parent;
	const char *name;
};

/* `parent` has been called `__parent` since 6.15. */
struct kernfs_node___v615 {
	struct kernfs_node *__parent;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

enum cgroup_subsys_id {
	pids_cgrp_id = 0x7f,
	CGROUP_SUBSYS_COUNT = 0x7e,
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct signal_struct {
	atomic_t live;
	int group_exit_code;
	unsigned int flags;
};

struct sigset {
	unsigned long sig[1];
};

struct sigpending {
	struct sigset signal;
};

struct net {
	__u64 net_cookie;
	struct user_namespace *user_ns;
};

struct ns_common {
	unsigned int inum;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct pid_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct thread_info {
	unsigned long flags;
#if defined(__TARGET_ARCH_x86)
	__u32 status;
#endif
};

struct task_struct {
	struct thread_info thread_info;
	int pid;
	int tgid;
	int exit_code;
	struct task_struct *group_leader;
	struct task_struct *real_parent;
	char comm[16];
	struct pid *thread_pid;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	const struct cred *cred;
	struct css_set *cgroups;
	struct signal_struct *signal;
	struct nsproxy *nsproxy;
	struct hlist_node pid_links[4];
	struct sigpending pending;
};

struct linux_binprm {
	struct file *file;
	const char *filename;
};

struct in6_addr {
	__u8 in6_u[16];
};

struct sock_common {
	unsigned long skc_flags;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	__u16 skc_dport; /* network order */
	__u32 skc_daddr; /* network order */
	struct in6_addr skc_v6_daddr;
};

typedef struct {
	int owned;
} socket_lock_t;

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct socket *sk_socket;
	__u16 sk_type;
	__u16 sk_protocol;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct udp_sock {
	__u16 encap_type;
};

struct tcp_sock {
	__u64 bytes_received;
	__u64 bytes_sent;
	__u64 bytes_retrans;
};

struct skb_shared_info {
	__u8 flags;
};

struct sk_buff {
	struct sock *sk;
	unsigned int end;
	unsigned char *head;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct sockaddr_un {
	__u16 sun_family;
	char sun_path[108];
};

struct unix_address {
	int len; /* of the whole address, the family included */
	struct sockaddr_un name[0];
};

struct unix_sock {
	struct unix_address *addr;
	struct sock *peer;
};

struct bpf_prog {
	enum bpf_prog_type type;
};

/* The registers of a system call: its number and first arguments. */
struct pt_regs {
#if defined(__TARGET_ARCH_x86)
	unsigned long bx;
	unsigned long cx;
	unsigned long orig_ax;
	unsigned long di;
	unsigned long si;
#elif defined(__TARGET_ARCH_arm64)
	int syscallno;
	__u64 orig_x0;
	__u64 regs[31];
#endif
};

enum io_uring_op {
	IORING_OP_SOCKET = 45,
};

struct io_kiocb {
	__u8 opcode;
};

/* What a request for a socket keeps, at its beginning. */
struct io_socket {
	int domain;
};

struct bpf_sock_addr_kern {
	struct sockaddr_un *uaddr;
	__u32 uaddrlen;
};

enum lockdown_reason {
	LOCKDOWN_MODULE_SIGNATURE = 1,
	LOCKDOWN_DEV_MEM,
	LOCKDOWN_KEXEC,
	LOCKDOWN_HIBERNATION,
	LOCKDOWN_PCI_ACCESS,
	LOCKDOWN_IOPORT,
	LOCKDOWN_MSR,
	LOCKDOWN_ACPI_TABLES,
	LOCKDOWN_DEVICE_TREE,
	LOCKDOWN_PCMCIA_CIS,
	LOCKDOWN_TIOCSSERIAL,
	LOCKDOWN_MODULE_PARAMETERS,
	LOCKDOWN_MMIOTRACE,
	LOCKDOWN_KCORE,
};

struct kernel_siginfo {
	int si_code;
};
struct task_struct;
struct msghdr;
struct sockaddr;

#pragma clang attribute pop

#endif
