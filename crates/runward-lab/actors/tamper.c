/* The tampering actor: ways for a job to undo its fence, to end or steer the agent, or to have somebody else act for it.
 *
 *   tamper [--rough] AGENT FOLDER DAEMONS ACT…     each act in a process of its own; see `acts` at the end of this file
 *
 * AGENT is the agent's process id, 0 for the parent of this program. FOLDER is for files that the acts make, DAEMONS is
 * where the test has put sockets. One line is printed for each act, also for one that killed its process. Acts do
 * no harm where nobody refuses them, but for those in `rough_acts`, which are done with --rough only: in a machine that
 * is thrown away.
 */
#include "common.h"
#include "uring.h"

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <glob.h>
#include <limits.h>

static pid_t agent;
static const char *folder, *daemons;
/* What `--rough` turns the harmless signal into. */
static int sent_signal = SIGURG;

/* Reports what came of the one call that an act is about, and ends the process. */
static _Noreturn void tried(long result) {
    if (result >= 0) {
        report("\"ok\":true");
        exit(EXIT_DONE);
    }
    if (errno == ENOSYS)
        lacking("act");
    fail("act");
}

static char *below(const char *place, const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", place, name) < 0)
        fail("asprintf");
    return path;
}

static char *in_folder(const char *name) { return below(folder, name); }

static char *of_agent(const char *name) {
    char *path;
    if (asprintf(&path, "/proc/%d/%s", (int)agent, name) < 0)
        fail("asprintf");
    return path;
}

/* A pin of the agent's fence, or its folder: other fences may stand on the machine. */
static char *pin(const char *name) {
    char *pattern;
    glob_t found;
    if (asprintf(&pattern, "/sys/fs/bpf/runward/%d-*%s%s", (int)agent, *name ? "/" : "", name) < 0)
        fail("asprintf");
    if (glob(pattern, 0, NULL, &found) != 0 || found.gl_pathc == 0)
        fail_with("find the pins", ENOENT);
    return strdup(found.gl_pathv[0]);
}

static long sys_bpf(int command, union bpf_attr *attr) { return syscall(SYS_bpf, command, attr, sizeof *attr); }

static long load_program(enum bpf_prog_type type) {
    /* return 1 */
    struct bpf_insn code[] = {{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1},
                              {.code = BPF_JMP | BPF_EXIT}};
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.prog_type = type;
    attr.insns = (uintptr_t)code;
    attr.insn_cnt = sizeof code / sizeof *code;
    attr.license = (uintptr_t) "GPL";
    return sys_bpf(BPF_PROG_LOAD, &attr);
}

static void bpf_load(void) { tried(load_program(BPF_PROG_TYPE_SOCKET_FILTER)); }
static void bpf_load_tracepoint(void) { tried(load_program(BPF_PROG_TYPE_TRACEPOINT)); }
static void bpf_load_device(void) { tried(load_program(BPF_PROG_TYPE_CGROUP_DEVICE)); }

static void bpf_make_map(void) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.map_type = BPF_MAP_TYPE_ARRAY;
    attr.key_size = 4;
    attr.value_size = 4;
    attr.max_entries = 1;
    tried(sys_bpf(BPF_MAP_CREATE, &attr));
}

/* Libraries of container runtimes try whether programs can be attached at all, and where the kernel says no. */
static void bpf_try_attaching(void) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    long program = load_program(BPF_PROG_TYPE_CGROUP_SKB);
    if (program < 0)
        fail("load");
    attr.target_fd = UINT32_MAX;
    attr.attach_bpf_fd = (unsigned)program;
    attr.attach_type = BPF_CGROUP_INET_INGRESS;
    long attached = sys_bpf(BPF_PROG_ATTACH, &attr);
    tried(attached < 0 && errno == EBADF ? 0 : attached);
}

/* The same program where it would be asked about packets. */
static void bpf_attach_root(void) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    long program = load_program(BPF_PROG_TYPE_CGROUP_SKB);
    if (program < 0)
        fail("load");
    attr.target_fd = (unsigned)open("/sys/fs/cgroup", O_RDONLY | O_CLOEXEC);
    attr.attach_bpf_fd = (unsigned)program;
    attr.attach_type = BPF_CGROUP_INET_INGRESS;
    attr.attach_flags = BPF_F_ALLOW_MULTI;
    tried(sys_bpf(BPF_PROG_ATTACH, &attr));
}

static long open_pin(const char *name) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.pathname = (uintptr_t)pin(name);
    return sys_bpf(BPF_OBJ_GET, &attr);
}

static void bpf_open_pin(void) { tried(open_pin("on_connect4")); }
static void bpf_open_tasks(void) { tried(open_pin("tasks")); }

static long by_id(int command, unsigned id) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.start_id = id;
    return sys_bpf(command, &attr);
}

static void bpf_next_map(void) { tried(by_id(BPF_MAP_GET_NEXT_ID, 0)); }
static void bpf_open_map(void) { tried(by_id(BPF_MAP_GET_FD_BY_ID, 1)); }
static void bpf_open_link(void) { tried(by_id(BPF_LINK_GET_FD_BY_ID, 1)); }

/* Numbers of programs are never used again: a machine that has run for long has high ones. */
enum { MOST_ID = 1 << 22 };

/* Programs that say which devices a container may open can be had; all others not. */
static void bpf_open_program(void) {
    long got = -1;
    errno = ENOENT;
    for (unsigned id = 1; id < MOST_ID && got < 0 && errno == ENOENT; id++)
        got = by_id(BPF_PROG_GET_FD_BY_ID, id);
    tried(got);
}

/* The program by which the agent says who it is, run by somebody else. */
static void bpf_introduce(void) {
    union bpf_attr attr;
    unsigned what = 1;
    for (unsigned id = 1; id < MOST_ID; id++) {
        struct bpf_prog_info info;
        long program = by_id(BPF_PROG_GET_FD_BY_ID, id);
        if (program < 0 && errno == ENOENT)
            continue;
        if (program < 0)
            fail("open");
        memset(&info, 0, sizeof info);
        memset(&attr, 0, sizeof attr);
        attr.info.bpf_fd = (unsigned)program;
        attr.info.info_len = sizeof info;
        attr.info.info = (uintptr_t)&info;
        if (sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr) < 0)
            fail("info");
        if (strcmp(info.name, "introduce") == 0) {
            memset(&attr, 0, sizeof attr);
            attr.test.prog_fd = (unsigned)program;
            attr.test.ctx_in = (uintptr_t)&what;
            attr.test.ctx_size_in = sizeof what;
            long ran = sys_bpf(BPF_PROG_TEST_RUN, &attr);
            errno = attr.test.retval ? EPERM : errno;
            tried(ran < 0 || attr.test.retval ? -1 : 0);
        }
        close((int)program);
    }
    fail_with("find the program", ENOENT);
}

static void bpf_detach_link(void) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    /* Nobody's, if it gets that far. */
    attr.link_detach.link_fd = (unsigned)open("/dev/null", O_RDONLY | O_CLOEXEC);
    tried(sys_bpf(BPF_LINK_DETACH, &attr));
}

static void bpf_detach_root(void) {
    union bpf_attr attr;
    memset(&attr, 0, sizeof attr);
    attr.target_fd = (unsigned)open("/sys/fs/cgroup", O_RDONLY | O_CLOEXEC);
    attr.attach_type = BPF_CGROUP_INET_EGRESS;
    tried(sys_bpf(BPF_PROG_DETACH, &attr));
}

static void signal_kill(void) { tried(kill(agent, sent_signal)); }
static void signal_thread(void) { tried(syscall(SYS_tgkill, agent, agent, sent_signal)); }

static void signal_queue(void) {
    union sigval value = {.sival_int = 0};
    tried(sigqueue(agent, sent_signal, value));
}

static void signal_pidfd(void) {
    int fd = (int)syscall(SYS_pidfd_open, agent, 0);
    if (fd < 0)
        fail("pidfd_open");
    tried(syscall(SYS_pidfd_send_signal, fd, sent_signal, NULL, 0));
}

/* As scripts do that end what they started. */
static void signal_group(void) { tried(kill(0, SIGURG)); }

static void signal_init(void) { tried(kill(1, SIGURG)); }

/* The kernel sends it when the other end becomes readable. */
static void signal_io(void) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
    if (fcntl(ends[0], F_SETOWN, agent) < 0 || fcntl(ends[0], F_SETSIG, sent_signal) < 0 ||
        fcntl(ends[0], F_SETFL, O_ASYNC) < 0)
        fail("fcntl");
    tried(write(ends[1], "x", 1));
}

static void signal_probe(void) { tried(kill(agent, 0)); }

static void memory_seize(void) {
    long seized = ptrace(PTRACE_SEIZE, agent, NULL, NULL);
    int error = errno;
    if (seized == 0)
        ptrace(PTRACE_DETACH, agent, NULL, NULL);
    errno = error;
    tried(seized);
}

static void memory_file(void) { tried(open(of_agent("mem"), O_RDONLY | O_CLOEXEC)); }

static void memory_read(void) {
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x1000, 1};
    tried(process_vm_readv(agent, &here, 1, &there, 1, 0));
}

static void memory_descriptor(void) {
    int fd = (int)syscall(SYS_pidfd_open, agent, 0);
    if (fd < 0)
        fail("pidfd_open");
    tried(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static void memory_stranger(void) { tried(open("/proc/1/mem", O_RDONLY | O_CLOEXEC)); }

static void memory_own(void) {
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    long seized = ptrace(PTRACE_SEIZE, child, NULL, NULL);
    int error = errno;
    kill(child, SIGKILL);
    errno = error;
    tried(seized);
}

static void limits_files(void) {
    struct rlimit now;
    if (prlimit(agent, RLIMIT_NOFILE, NULL, &now) < 0)
        fail("prlimit");
    tried(prlimit(agent, RLIMIT_NOFILE, &now, NULL));
}

static void limits_processors(void) {
    cpu_set_t now;
    if (sched_getaffinity(agent, sizeof now, &now) < 0)
        fail("sched_getaffinity");
    tried(sched_setaffinity(agent, sizeof now, &now));
}

static void limits_priority(void) {
    errno = 0;
    int now = getpriority(PRIO_PROCESS, (id_t)agent);
    tried(setpriority(PRIO_PROCESS, (id_t)agent, now));
}

static void limits_disk_priority(void) {
    enum { WHO_PROCESS = 1 };
    long now = syscall(SYS_ioprio_get, WHO_PROCESS, agent);
    tried(syscall(SYS_ioprio_set, WHO_PROCESS, agent, now));
}

static void limits_memory(void) { tried(open(of_agent("oom_score_adj"), O_WRONLY | O_CLOEXEC)); }

static void pins_mode(void) { tried(chmod(pin("on_connect4"), 0600)); }
static void pins_folder(void) { tried(rmdir(pin(""))); }
static void pins_unlink(void) { tried(unlink(pin("on_connect4"))); }

static void pins_rename(void) {
    char *from = pin("on_connect4"), *to;
    if (asprintf(&to, "%s_away", from) < 0)
        fail("asprintf");
    tried(rename(from, to));
}

static void report_append(void) { tried(open("runward-report/events.jsonl", O_WRONLY | O_APPEND | O_CLOEXEC)); }
static void report_link(void) { tried(link("runward-report/events.jsonl", in_folder("other-name"))); }
static void report_unlink(void) { tried(unlink("runward-report/events.jsonl")); }
static void report_truncate(void) { tried(truncate("runward-report/events.jsonl", 0)); }
/* As the upper layer of an overlay, the files have other paths. */
static void report_overlay(void) {
    char options[3 * PATH_MAX], here[PATH_MAX], *seen = in_folder("seen");
    if (unshare(CLONE_NEWNS) < 0 || !getcwd(here, sizeof here))
        fail("unshare");
    mkdir(in_folder("lower"), 0700);
    mkdir("layer-work", 0700);
    mkdir(seen, 0700);
    snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s/runward-report,workdir=%s/layer-work", in_folder("lower"),
             here, here);
    if (mount("overlay", seen, "overlay", 0, options) < 0)
        lacking("overlay");
    tried(open(below(seen, "events.jsonl"), O_WRONLY | O_APPEND | O_CLOEXEC));
}

static void report_move(void) { tried(rename("runward-report", in_folder("elsewhere"))); }

static void mount_over(void) { tried(mount("tmpfs", "/sys/fs/bpf", "tmpfs", 0, NULL)); }
static void mount_above(void) { tried(mount("tmpfs", "/sys", "tmpfs", 0, NULL)); }
static void mount_away(void) { tried(umount2("/sys/fs/bpf", MNT_DETACH)); }

static void mount_from_namespace(void) {
    if (unshare(CLONE_NEWNS) < 0)
        fail("unshare");
    tried(umount2("/sys/fs/bpf", MNT_DETACH));
}

static void module_load(void) { tried(syscall(SYS_init_module, "not a module", 12UL, "")); }

static void module_load_file(void) {
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    tried(syscall(SYS_finit_module, fd, "", 0));
}

static void module_remove(void) { tried(syscall(SYS_delete_module, "no_such_module", O_NONBLOCK)); }
static void kexec(void) { tried(syscall(SYS_kexec_load, 0UL, 0UL, NULL, 0UL)); }

/* Opens a device that may have no name here, through a node of its own. */
static _Noreturn void open_device(mode_t kind, unsigned major, unsigned minor, int flags) {
    char *node = in_folder(act_name);
    unlink(node);
    if (mknod(node, kind | 0600, makedev(major, minor)) < 0)
        fail("mknod");
    int fd = open(node, flags | O_CLOEXEC | O_NONBLOCK);
    int error = errno;
    unlink(node);
    errno = error;
    tried(fd);
}

static void memory_device(void) { open_device(S_IFCHR, 1, 1, O_RDONLY); }
static void port_device(void) { open_device(S_IFCHR, 1, 4, O_RDONLY); }
static void register_device(void) { open_device(S_IFCHR, 202, 0, O_RDWR); }
static void disk_device(void) { open_device(S_IFBLK, 8, 0, O_WRONLY); }
static void scsi_device(void) { open_device(S_IFCHR, 21, 0, O_RDWR); }
static void mapper_device(void) { open_device(S_IFCHR, 10, 236, O_RDWR); }
static void tunnel_device(void) { open_device(S_IFCHR, 10, 200, O_RDWR); }
static void kernel_memory(void) { tried(open("/proc/kcore", O_RDONLY | O_CLOEXEC)); }

static void null_device(void) { open_device(S_IFCHR, 1, 3, O_RDWR); }

/* Writes what is there already. */
static _Noreturn void set_again(const char *path) {
    char text[256];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        lacking(path);
    ssize_t length = read(from, text, sizeof text);
    if (length < 0)
        fail("read");
    int to = open(path, O_WRONLY | O_CLOEXEC);
    tried(to < 0 ? to : write(to, text, (size_t)length));
}

static void set_core_pattern(void) { set_again("/proc/sys/kernel/core_pattern"); }
static void set_modprobe(void) { set_again("/proc/sys/kernel/modprobe"); }
static void set_ftrace(void) { set_again("/proc/sys/kernel/ftrace_enabled"); }
static void set_bpf(void) { set_again("/proc/sys/net/core/bpf_jit_harden"); }
static void set_sysrq(void) { tried(open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC)); }
static void set_tracing(void) { tried(open("/sys/kernel/tracing/tracing_on", O_WRONLY | O_CLOEXEC)); }
static void set_limit(void) { set_again("/proc/sys/kernel/threads-max"); }

#define AWAY "/sys/fs/cgroup/runward-away"

static void cgroup_move(void) {
    char text[16];
    int fd;
    if (mkdir(AWAY, 0755) < 0 && errno != EEXIST)
        fail("mkdir");
    fd = open(AWAY "/cgroup.procs", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail("open");
    snprintf(text, sizeof text, "%d", (int)agent);
    long wrote = write(fd, text, strlen(text));
    /* For the signal that comes with the end of the call. */
    sleep_ms(50);
    tried(wrote);
}

static void cgroup_kill(void) {
    int fd = open(AWAY "/cgroup.kill", O_WRONLY | O_CLOEXEC);
    tried(fd < 0 ? fd : write(fd, "1", 1));
}

static void cgroup_own(void) {
    if (mkdir("/sys/fs/cgroup/runward-own", 0755) < 0 && errno != EEXIST)
        fail("mkdir");
    int fd = open("/sys/fs/cgroup/runward-own/cgroup.freeze", O_WRONLY | O_CLOEXEC);
    int error = errno;
    rmdir("/sys/fs/cgroup/runward-own");
    errno = error;
    tried(fd);
}

static _Noreturn void make_socket(int family, int type) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    int error = errno;
    if (fd >= 0)
        /* For the signal that comes with the end of the call. */
        sleep_ms(50);
    errno = error;
    tried(fd);
}

static void socket_packet(void) { make_socket(AF_PACKET, SOCK_RAW); }
static void socket_old_packet(void) { make_socket(AF_INET, SOCK_PACKET); }
static void socket_vsock(void) { make_socket(AF_VSOCK, SOCK_STREAM); }
static void socket_xdp(void) { make_socket(AF_XDP, SOCK_RAW); }
static void socket_key(void) { make_socket(AF_KEY, SOCK_RAW); }
static void socket_netlink(void) { make_socket(AF_NETLINK, SOCK_RAW); }

#if defined(__x86_64__)
static void no_compat(int signal) {
    (void)signal;
    errno = ENOSYS;
    lacking("calls for 32 bits");
}

/* A call as a 32-bit program makes it: other numbers, other registers. */
static long call_compat(long number, long first, long second, long third) {
    long result;
    signal(SIGSEGV, no_compat);
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(first), "c"(second), "d"(third)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result >= 0)
        /* For the signal that comes with the end of the call. */
        sleep_ms(50);
    errno = result < 0 ? (int)-result : 0;
    return result < 0 ? -1 : result;
}

/* Memory that a 32-bit call can name. */
static void *low_memory(void) {
    void *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (low == MAP_FAILED)
        fail("mmap");
    return low;
}

enum { COMPAT_SOCKETCALL = 102, COMPAT_BPF = 357, COMPAT_SOCKET = 359, SOCKETCALL_SOCKET = 1 };

static void socket_compat(void) { tried(call_compat(COMPAT_SOCKET, AF_PACKET, SOCK_RAW, 0)); }

static void socket_call_compat(void) {
    unsigned *arguments = low_memory();
    arguments[0] = AF_PACKET;
    arguments[1] = SOCK_RAW;
    tried(call_compat(COMPAT_SOCKETCALL, SOCKETCALL_SOCKET, (long)arguments, 0));
}

static void bpf_open_tasks_compat(void) {
    union bpf_attr *attr = low_memory();
    char *path = low_memory();
    snprintf(path, 4096, "%s", pin("tasks"));
    attr->pathname = (uintptr_t)path;
    tried(call_compat(COMPAT_BPF, BPF_OBJ_GET, (long)attr, sizeof *attr));
}
#else
static void no_compat(void) {
    errno = ENOSYS;
    lacking("calls for 32 bits");
}

static void socket_compat(void) { no_compat(); }
static void socket_call_compat(void) { no_compat(); }
static void bpf_open_tasks_compat(void) { no_compat(); }
#endif

#if __has_include(<linux/io_uring.h>)
static void socket_uring(void) {
    enum { OP_SOCKET = 45 };
    struct io_uring_sqe entry;
    struct ring ring;
    ring_open(&ring, 0);
    memset(&entry, 0, sizeof entry);
    entry.opcode = OP_SOCKET;
    entry.fd = AF_PACKET;
    entry.off = SOCK_RAW;
    int got = ring_do(&ring, &entry);
    if (got >= 0)
        sleep_ms(50);
    errno = got < 0 ? -got : 0;
    tried(got < 0 ? -1 : got);
}
#else
static void socket_uring(void) {
    errno = ENOSYS;
    lacking("linux/io_uring.h");
}
#endif

static int unix_socket(struct sockaddr_un *address, const char *name) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof address->sun_path, "%s", name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    return fd;
}

static _Noreturn void reach(const char *name) {
    struct sockaddr_un address;
    int fd = unix_socket(&address, name);
    tried(connect(fd, (struct sockaddr *)&address, sizeof address));
}

static void service_docker(void) { reach(below(daemons, "docker.sock")); }
static void service_bus(void) { reach(below(daemons, "dbus/system_bus_socket")); }
static void service_resolver(void) { reach(below(daemons, "io.systemd.Resolve")); }
static void service_unknown(void) { reach(below(daemons, "agent.4711")); }

/* By another name, from inside of the folder. */
static void service_renamed(void) {
    char *name = in_folder("harmless");
    unlink(name);
    if (symlink(below(daemons, "docker.sock"), name) < 0 || chdir(folder) < 0)
        fail("symlink");
    reach("harmless");
}

/* A daemon that the job itself started. */
static void service_own(void) {
    struct sockaddr_un address;
    char *path = in_folder("own/docker.sock");
    mkdir(in_folder("own"), 0755);
    unlink(path);
    int server = unix_socket(&address, path);
    if (bind(server, (struct sockaddr *)&address, sizeof address) < 0 || listen(server, 1) < 0)
        fail("bind");
    reach(path);
}

struct attempt {
    const char *name;
    void (*run)(void);
};

static const struct attempt acts[] = {
    {"bpf-load", bpf_load},
    {"bpf-load-tracepoint", bpf_load_tracepoint},
    {"bpf-open-pin", bpf_open_pin},
    {"bpf-open-tasks", bpf_open_tasks},
    {"bpf-open-tasks-compat", bpf_open_tasks_compat},
    {"bpf-next-map", bpf_next_map},
    {"bpf-open-map", bpf_open_map},
    {"bpf-open-link", bpf_open_link},
    {"bpf-open-program", bpf_open_program},
    {"bpf-introduce", bpf_introduce},
    {"bpf-detach-link", bpf_detach_link},
    {"bpf-attach-root", bpf_attach_root},
    {"bpf-detach-root", bpf_detach_root},
    {"signal-kill", signal_kill},
    {"signal-thread", signal_thread},
    {"signal-queue", signal_queue},
    {"signal-pidfd", signal_pidfd},
    {"signal-group", signal_group},
    {"signal-init", signal_init},
    {"signal-io", signal_io},
    {"memory-seize", memory_seize},
    {"memory-file", memory_file},
    {"memory-read", memory_read},
    {"memory-descriptor", memory_descriptor},
    {"memory-stranger", memory_stranger},
    {"limits-files", limits_files},
    {"limits-processors", limits_processors},
    {"limits-priority", limits_priority},
    {"limits-disk-priority", limits_disk_priority},
    {"limits-memory", limits_memory},
    {"pins-mode", pins_mode},
    {"pins-folder", pins_folder},
    {"report-append", report_append},
    {"report-link", report_link},
    {"module-load", module_load},
    {"module-load-file", module_load_file},
    {"module-remove", module_remove},
    {"memory-device", memory_device},
    {"port-device", port_device},
    {"register-device", register_device},
    {"kernel-memory", kernel_memory},
    {"disk-device", disk_device},
    {"scsi-device", scsi_device},
    {"mapper-device", mapper_device},
    {"tunnel-device", tunnel_device},
    {"set-core-pattern", set_core_pattern},
    {"set-modprobe", set_modprobe},
    {"set-ftrace", set_ftrace},
    {"set-bpf", set_bpf},
    {"set-sysrq", set_sysrq},
    {"socket-packet", socket_packet},
    {"socket-old-packet", socket_old_packet},
    {"socket-vsock", socket_vsock},
    {"socket-xdp", socket_xdp},
    {"socket-key", socket_key},
    {"socket-compat", socket_compat},
    {"socket-call-compat", socket_call_compat},
    {"socket-uring", socket_uring},
    {"service-docker", service_docker},
    {"service-renamed", service_renamed},
    {"service-bus", service_bus},
    {"service-resolver", service_resolver},
    /* What a build may do. */
    {"may-load-device-program", bpf_load_device},
    {"may-try-attaching", bpf_try_attaching},
    {"may-make-map", bpf_make_map},
    {"may-ask-for-agent", signal_probe},
    {"may-trace-own", memory_own},
    {"may-open-null", null_device},
    {"may-set-limit", set_limit},
    {"may-use-netlink", socket_netlink},
    {"may-freeze-own-group", cgroup_own},
    {"may-reach-own-service", service_own},
    {"may-reach-unknown-service", service_unknown},
};

static const struct attempt rough_acts[] = {
    {"pins-unlink", pins_unlink},
    {"pins-rename", pins_rename},
    {"report-unlink", report_unlink},
    {"report-truncate", report_truncate},
    {"report-overlay", report_overlay},
    {"report-move", report_move},
    {"mount-over", mount_over},
    {"mount-above", mount_above},
    {"mount-away", mount_away},
    {"mount-from-namespace", mount_from_namespace},
    {"set-tracing", set_tracing},
    {"kexec", kexec},
    {"cgroup-move", cgroup_move},
    {"cgroup-kill", cgroup_kill},
};

static const struct attempt *find(const char *name, bool rough) {
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i].name, name) == 0)
            return &acts[i];
    for (size_t i = 0; rough && i < sizeof rough_acts / sizeof *rough_acts; i++)
        if (strcmp(rough_acts[i].name, name) == 0)
            return &rough_acts[i];
    fprintf(stderr, "tamper: no act '%s'\n", name);
    exit(EXIT_USAGE);
}

int main(int argc, char **argv) {
    bool rough = argc > 1 && strcmp(argv[1], "--rough") == 0;
    int at = rough ? 2 : 1;
    act_name = "tamper";
    if (argc - at < 4) {
        fprintf(stderr, "usage: tamper [--rough] AGENT FOLDER DAEMONS ACT...\n");
        return EXIT_USAGE;
    }
    if (rough)
        sent_signal = SIGKILL;
    agent = (pid_t)number(argv[at], 0, 1 << 22);
    if (agent == 0)
        agent = getppid();
    folder = argv[at + 1];
    daemons = argv[at + 2];
    for (at += 3; at < argc; at++) {
        const struct attempt *act = find(argv[at], rough);
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            act_name = act->name;
            act->run();
            _exit(EXIT_FAILED);
        }
        int status = wait_for(child);
        if (WIFSIGNALED(status))
            printf("{\"act\":\"%s\",\"pid\":%d,\"ok\":false,\"killed\":%d}\n", act->name, (int)child,
                   WTERMSIG(status));
        fflush(stdout);
    }
    return EXIT_DONE;
}
