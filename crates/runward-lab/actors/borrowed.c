/* The borrowed actor: sockets that were not made by the process that uses them, nor inside its job.
 *
 *   borrowed hold KIND ADDRESS PORT NUMBER COMMAND…        outside: opens a socket and becomes COMMAND with it as
 *                                                          descriptor NUMBER
 *   borrowed give KIND ADDRESS PORT SOCKET                 outside: hands one to whoever connects to SOCKET
 *   borrowed keep KIND ADDRESS PORT FILE                   outside: opens one, writes `PID NUMBER` to FILE, and waits
 *   borrowed use KIND ADDRESS PORT WAY NUMBER              inside: sends through the descriptor
 *   borrowed take KIND ADDRESS PORT WAY SOCKET             inside: the same, with what `give` hands over
 *   borrowed steal KIND ADDRESS PORT WAY FILE              inside: the same, with a copy of what `keep` keeps
 *
 * KIND: tcp (connected), tcp-fresh, udp (connected), udp-open, raw, packet.
 * WAY: write, sendmsg, sendfile, uring, zerocopy. For a socket without a peer, the only way is sendmsg.
 */
#include "common.h"
#include "packet.h"
#include "target.h"
#include "uring.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/un.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif

/* The job that is to take a socket may take its time to start, under an emulated processor. */
enum { WAIT_MS = 100000 };

static const char *const kinds[] = {"tcp", "tcp-fresh", "udp", "udp-open", "raw", "packet"};
enum kind { TCP, TCP_FRESH, UDP, UDP_OPEN, RAW, PACKET, KINDS };

static enum kind parse_kind(const char *text) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i], text) == 0)
            return (enum kind)i;
    fprintf(stderr, "%s: '%s' is not a kind of socket known here\n", act_name, text);
    exit(EXIT_USAGE);
}

static int open_kind(enum kind kind, const struct target *to) {
    int fd;
    switch (kind) {
    case TCP:
    case TCP_FRESH:
        fd = open_socket(to, SOCK_STREAM);
        break;
    case RAW:
        fd = socket(to->at.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        break;
    case PACKET:
        fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(0x0003));
        break;
    default:
        fd = open_socket(to, SOCK_DGRAM);
    }
    if (fd < 0)
        fail_or_lacking("socket");
    if (kind == TCP || kind == UDP)
        connect_or_fail(fd, to);
    return fd;
}

/* Outside. */

static void act_hold(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    int fd = open_kind(parse_kind(argv[0]), &to), wanted = (int)number(argv[3], 3, 1000);
    if (dup2(fd, wanted) < 0)
        fail("dup2");
    /* The command must not inherit what is only good for actors. */
    signal(SIGPIPE, SIG_DFL);
    execvp(argv[4], argv + 4);
    fail("exec");
}

static int listen_at(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        fprintf(stderr, "%s: the socket's path is too long\n", act_name);
        exit(EXIT_USAGE);
    }
    strcpy(at.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 4) < 0)
        fail("listen AF_UNIX");
    return fd;
}

static void act_give(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    int fd = open_kind(parse_kind(argv[0]), &to), listener = listen_at(argv[3]);
    /* Until somebody comes, or whoever started this closes its end. */
    struct pollfd wait[] = {{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (poll(wait, 2, WAIT_MS) < 1 || !wait[0].revents)
        fail_with("accept", ETIMEDOUT);
    int channel = accept(listener, NULL, NULL);
    if (channel < 0)
        fail("accept");
    send_fd(channel, fd);
    report("\"ok\":true");
    exit(EXIT_DONE);
}

static void act_keep(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    int fd = open_kind(parse_kind(argv[0]), &to);
    char line[64], *scratch;
    int length = snprintf(line, sizeof line, "%d %d\n", (int)getpid(), fd);
    if (asprintf(&scratch, "%s.new", argv[3]) < 0)
        fail("asprintf");
    int file = open(scratch, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        fail("open");
    write_all(file, line, (size_t)length, "write");
    close(file);
    if (rename(scratch, argv[3]) < 0)
        fail("rename");
    /* Until whoever started this closes its end. */
    struct pollfd wait = {STDIN_FILENO, POLLIN, 0};
    poll(&wait, 1, WAIT_MS);
    exit(EXIT_DONE);
}

/* Inside. */

static void send_by_file(int fd) {
    int file = memfd_create("bytes", MFD_CLOEXEC);
    if (file < 0)
        fail("memfd_create");
    write_all(file, pattern(PAYLOAD), PAYLOAD, "write");
    off_t at = 0;
    if (sendfile(fd, file, &at, PAYLOAD) != PAYLOAD)
        fail("sendfile");
}

static void send_by_ring(int fd) {
#ifndef RUNWARD_LAB_NO_URING
    struct ring ring;
    ring_open(&ring, 0);
    struct io_uring_sqe entry;
    memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_SEND;
    entry.fd = fd;
    entry.addr = (uintptr_t)pattern(PAYLOAD);
    entry.len = PAYLOAD;
    ring_must(&ring, &entry, "io_uring send");
#else
    (void)fd;
    errno = ENOSYS;
    lacking("io_uring headers at build time");
#endif
}

static void send_zerocopy(int fd) {
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, 60 /* SO_ZEROCOPY */, &on, sizeof on) < 0)
        fail_or_lacking("SO_ZEROCOPY");
    if (send(fd, pattern(PAYLOAD), PAYLOAD, MSG_ZEROCOPY) != PAYLOAD)
        fail("send MSG_ZEROCOPY");
}

static void send_open(enum kind kind, int fd, const struct target *to) {
    unsigned char bytes[FRAME_ROOM];
    size_t length = PAYLOAD;
    struct sockaddr_storage at = to->at;
    socklen_t size = to->size;
    memcpy(bytes, pattern(PAYLOAD), PAYLOAD);
    if (kind == RAW) {
        length = write_packet(bytes, to);
        if (at.ss_family == AF_INET6)
            ((struct sockaddr_in6 *)&at)->sin6_port = 0;
    } else if (kind == PACKET) {
        struct link link = find_link(fd);
        struct sockaddr_ll frame = {.sll_family = AF_PACKET, .sll_ifindex = link.index, .sll_halen = 6};
        memcpy(frame.sll_addr, link.gateway, 6);
        memcpy(&at, &frame, sizeof frame);
        size = sizeof frame;
        length = write_frame(bytes, &link, to);
    }
    struct iovec part = {bytes, length};
    struct msghdr message = {.msg_name = &at, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1};
    if (sendmsg(fd, &message, 0) != (ssize_t)length)
        fail("sendmsg");
}

static _Noreturn void send_through(enum kind kind, int fd, const struct target *to, const char *way) {
    if (kind == TCP_FRESH)
        connect_or_fail(fd, to);
    if (kind == UDP_OPEN || kind == RAW || kind == PACKET)
        send_open(kind, fd, to);
    else if (strcmp(way, "write") == 0)
        write_all(fd, pattern(PAYLOAD), PAYLOAD, "write");
    else if (strcmp(way, "sendfile") == 0)
        send_by_file(fd);
    else if (strcmp(way, "uring") == 0)
        send_by_ring(fd);
    else if (strcmp(way, "zerocopy") == 0)
        send_zerocopy(fd);
    else if (send(fd, pattern(PAYLOAD), PAYLOAD, 0) != PAYLOAD)
        fail("send");
    /* To end it would say nothing more: a fence is judged by what arrives. */
    report("\"ok\":true,\"address\":\"%s\",\"port\":%d,\"sent\":%d", to->text, to->port, PAYLOAD);
    exit(EXIT_DONE);
}

static void act_use(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    send_through(parse_kind(argv[0]), (int)number(argv[4], 0, 1000), &to, argv[3]);
}

static void act_take(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    strncpy(at.sun_path, argv[4], sizeof at.sun_path - 1);
    int channel = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (channel < 0)
        fail("socket AF_UNIX");
    for (int tries = 0; connect(channel, (struct sockaddr *)&at, sizeof at) < 0; tries++) {
        if (tries == WAIT_MS / 50 || (errno != ENOENT && errno != ECONNREFUSED))
            fail("connect AF_UNIX");
        sleep_ms(50);
    }
    send_through(parse_kind(argv[0]), receive_fd(channel), &to, argv[3]);
}

static void act_steal(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    int pid, there;
    FILE *file;
    for (int tries = 0; !(file = fopen(argv[4], "re")); tries++) {
        if (tries == WAIT_MS / 50)
            fail("open");
        sleep_ms(50);
    }
    if (fscanf(file, "%d %d", &pid, &there) != 2)
        fail_with("read", EBADMSG);
    fclose(file);
    int owner = (int)syscall(SYS_pidfd_open, pid, 0);
    if (owner < 0)
        fail_or_lacking("pidfd_open");
    int fd = (int)syscall(SYS_pidfd_getfd, owner, there, 0);
    if (fd < 0)
        fail_or_lacking("pidfd_getfd");
    send_through(parse_kind(argv[0]), fd, &to, argv[3]);
}

static const struct act acts[] = {
    {"hold", 5, act_hold, "KIND ADDRESS PORT NUMBER COMMAND…"},
    {"give", 4, act_give, "KIND ADDRESS PORT SOCKET"},
    {"keep", 4, act_keep, "KIND ADDRESS PORT FILE"},
    {"use", 5, act_use, "KIND ADDRESS PORT WAY NUMBER"},
    {"take", 5, act_take, "KIND ADDRESS PORT WAY SOCKET"},
    {"steal", 5, act_steal, "KIND ADDRESS PORT WAY FILE"},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return run_act("borrowed", acts, sizeof acts / sizeof *acts, argc, argv);
}
