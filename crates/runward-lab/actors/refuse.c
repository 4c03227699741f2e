/* Runs a command for which the kernel refuses one system call.
 *
 *   refuse CALL FIRST ERRNO COMMAND…
 *
 * CALL is a name of the table below, FIRST the value of its first argument that is refused, or `-` for any, and ERRNO the
 * number of the error. The command's children are refused it too. It is how a test makes one step fail for real.
 */
#include "common.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

static const struct {
    const char *name;
    long number;
} calls[] = {
    {"bind", SYS_bind},     {"bpf", SYS_bpf},
    {"listen", SYS_listen}, {"socket", SYS_socket},
    {"setns", SYS_setns},   {"pidfd_open", SYS_pidfd_open},
    {"epoll_create1", SYS_epoll_create1},
    {"eventfd2", SYS_eventfd2},
    {"prlimit64", SYS_prlimit64},
    {"clone3", SYS_clone3}, {"clone", SYS_clone},
    {"mkdirat", SYS_mkdirat},
#ifdef SYS_mkdir
    {"mkdir", SYS_mkdir},
#endif
};

int main(int argc, char **argv) {
    act_name = "refuse";
    if (argc < 5) {
        fprintf(stderr, "usage: refuse CALL FIRST|- ERRNO COMMAND...\n");
        return EXIT_USAGE;
    }
    long call = -1;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].name, argv[1]) == 0)
            call = calls[i].number;
    if (call < 0) {
        fprintf(stderr, "refuse: '%s' is not a system call known here\n", argv[1]);
        return EXIT_USAGE;
    }
    bool any = strcmp(argv[2], "-") == 0;
    uint32_t first = any ? 0 : (uint32_t)number(argv[2], 0, 1 << 30);
    uint32_t error = (uint32_t)number(argv[3], 1, 4095);
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 3),
        /* The low half: the processors that this runs on have it first. */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
        BPF_JUMP(BPF_JMP | (any ? BPF_JGE : BPF_JEQ) | BPF_K, first, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    /* Root needs no promise not to gain privileges, and the command may want to. */
    if (geteuid() != 0)
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
        if (errno == EINVAL || errno == ENOSYS)
            lacking("seccomp filters");
        fail("seccomp");
    }
    execvp(argv[4], argv + 4);
    fprintf(stderr, "refuse: can't run %s: %s\n", argv[4], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
