/* Runs a command as a client of the lab.
 *
 *   enter [--net NAMESPACE-FILE] [--resolv FILE] -- COMMAND [ARGUMENT]…
 *
 * Unlike `ip netns exec` this leaves /sys as it is: that one mounts a new sysfs over it, and with that hides the
 * cgroup, BPF and tracing file systems from the very program under test. FILE appears as /etc/resolv.conf to the
 * command and to nobody else.
 */
#include "common.h"

#include <sched.h>
#include <sys/mount.h>

int main(int argc, char **argv) {
    const char *net = NULL, *resolv = NULL;
    int at = 1;
    act_name = "enter";
    for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
        if (strcmp(argv[at], "--net") == 0)
            net = argv[at + 1];
        else if (strcmp(argv[at], "--resolv") == 0)
            resolv = argv[at + 1];
        else
            break;
    }
    if (at + 1 >= argc || strcmp(argv[at], "--") != 0) {
        fprintf(stderr, "usage: enter [--net NAMESPACE-FILE] [--resolv FILE] -- COMMAND [ARGUMENT]...\n");
        return EXIT_USAGE;
    }
    if (net) {
        int fd = open(net, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) {
            fprintf(stderr, "enter: can't enter the network namespace %s: %s\n", net, strerror(errno));
            return EXIT_FAILED;
        }
        close(fd);
    }
    if (resolv) {
        if (unshare(CLONE_NEWNS) < 0 || mount("", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount(resolv, "/etc/resolv.conf", "none", MS_BIND, NULL) < 0) {
            fprintf(stderr, "enter: can't show %s as /etc/resolv.conf (does that file exist?): %s\n", resolv,
                    strerror(errno));
            return EXIT_FAILED;
        }
    }
    execvp(argv[at + 1], argv + at + 1);
    fprintf(stderr, "enter: can't run %s: %s\n", argv[at + 1], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}
