/* The network actor: every way that a job can send bytes, one act for each.
 *
 *   net ACT ADDRESS PORT [BYTES]     see `acts` at the end of this file for the list
 *
 * A TCP act connects, sends BYTES bytes of a pattern, ends its side, and reads until the peer ends too.
 * A UDP act sends one datagram of BYTES bytes and waits for no answer.
 */
#include "common.h"
#include "dns.h"
#include "target.h"
#include "uring.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>

static void act_tcp(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_STREAM);
    connect_or_fail(fd, &to);
    talk(fd, &to, size_argument(argc, argv, 2, MOST_BYTES));
}

static void act_tcp_mapped(int argc, char **argv) {
    struct target v4 = parse_target(argv[0], argv[1]), to = mapped(&v4);
    int fd = open_socket(&to, SOCK_STREAM);
    connect_or_fail(fd, &to);
    talk(fd, &to, size_argument(argc, argv, 2, MOST_BYTES));
}

static void act_tcp_nonblock(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_STREAM | SOCK_NONBLOCK);
    if (connect(fd, address_of(&to), to.size) < 0) {
        if (errno != EINPROGRESS)
            fail("connect");
        struct pollfd wait = {fd, POLLOUT, 0};
        int ready = poll(&wait, 1, (int)patience() * 1000);
        if (ready < 0)
            fail("poll");
        if (ready == 0)
            fail_with("connect", ETIMEDOUT);
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            fail("getsockopt");
        if (error)
            fail_with("connect", error);
    }
    if (fcntl(fd, F_SETFL, 0) < 0)
        fail("fcntl");
    talk(fd, &to, size_argument(argc, argv, 2, MOST_BYTES));
}

/* connect() never runs: the first bytes travel with, or right after, the SYN. */
static void act_tcp_fastopen(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    size_t length = size_argument(argc, argv, 2, 1200);
    int fd = open_socket(&to, SOCK_STREAM);
    ssize_t sent = sendto(fd, pattern(length), length, MSG_FASTOPEN, address_of(&to), to.size);
    if (sent < 0)
        fail_or_lacking("sendto MSG_FASTOPEN");
    size_t received = finish(fd);
    done(fd, &to, (size_t)sent, received);
}

/* Succeeds when the connection fails as it should. A fence's EPERM is a failure of this act, and is reported so. */
static void expect_error(const struct target *to, const int *expected, size_t count) {
    int fd = open_socket(to, SOCK_STREAM);
    if (connect(fd, address_of(to), to->size) == 0)
        fail_with("connect", EISCONN);
    int error = errno;
    for (size_t i = 0; i < count; i++) {
        if (error == expected[i]) {
            report("\"ok\":true,\"address\":\"%s\",\"port\":%d,\"error\":\"%s\"", to->text, to->port,
                   error_name(error));
            exit(EXIT_DONE);
        }
    }
    fail_with("connect", error);
}

static void act_tcp_refused(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    expect_error(&to, (const int[]){ECONNREFUSED}, 1);
}

static void act_tcp_unreachable(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    expect_error(&to, (const int[]){ENETUNREACH, EHOSTUNREACH}, 2);
}

static void send_connected(const struct target *to, size_t length) {
    int fd = open_socket(to, SOCK_DGRAM);
    connect_or_fail(fd, to);
    if (send(fd, pattern(length), length, 0) != (ssize_t)length)
        fail("send");
    done(fd, to, length, 0);
}

static void send_unconnected(const struct target *to, size_t length) {
    int fd = open_socket(to, SOCK_DGRAM);
    if (sendto(fd, pattern(length), length, 0, address_of(to), to->size) != (ssize_t)length)
        fail("sendto");
    done(fd, to, length, 0);
}

static void act_udp(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    send_connected(&to, size_argument(argc, argv, 2, MOST_DATAGRAM));
}

static void act_udp_mapped(int argc, char **argv) {
    struct target v4 = parse_target(argv[0], argv[1]), to = mapped(&v4);
    send_connected(&to, size_argument(argc, argv, 2, MOST_DATAGRAM));
}

static void act_udp_sendto(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    send_unconnected(&to, size_argument(argc, argv, 2, MOST_DATAGRAM));
}

static void act_udp_sendto_mapped(int argc, char **argv) {
    struct target v4 = parse_target(argv[0], argv[1]), to = mapped(&v4);
    send_unconnected(&to, size_argument(argc, argv, 2, MOST_DATAGRAM));
}

static void act_udp_sendmsg(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    size_t length = size_argument(argc, argv, 2, MOST_DATAGRAM);
    int fd = open_socket(&to, SOCK_DGRAM);
    struct iovec part = {pattern(length), length};
    struct msghdr message = {.msg_name = &to.at, .msg_namelen = to.size, .msg_iov = &part, .msg_iovlen = 1};
    if (sendmsg(fd, &message, 0) != (ssize_t)length)
        fail("sendmsg");
    done(fd, &to, length, 0);
}

/* net udp-sendmmsg ADDRESS PORT [ADDRESS PORT]…: one system call, one socket, a destination for each datagram. */
static void act_udp_sendmmsg(int argc, char **argv) {
    enum { MOST = 64 };
    struct target to[MOST];
    struct mmsghdr messages[MOST];
    struct iovec parts[MOST];
    memset(messages, 0, sizeof messages);
    if (argc % 2 || argc / 2 > MOST) {
        fprintf(stderr, "%s: give 1 to %d pairs of ADDRESS PORT\n", act_name, MOST);
        exit(EXIT_USAGE);
    }
    int count = argc / 2;
    for (int i = 0; i < count; i++) {
        to[i] = parse_target(argv[2 * i], argv[2 * i + 1]);
        /* Each datagram is one byte longer than the one before, so that a sink can tell them apart. */
        parts[i] = (struct iovec){pattern(5 + (size_t)i), 5 + (size_t)i};
        messages[i].msg_hdr.msg_name = &to[i].at;
        messages[i].msg_hdr.msg_namelen = to[i].size;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int fd = open_socket(&to[0], SOCK_DGRAM);
    int sent = sendmmsg(fd, messages, (unsigned)count, 0);
    if (sent < 0)
        fail("sendmmsg");
    report("\"ok\":%s,\"asked\":%d,\"datagrams\":%d,\"local_port\":%d", sent == count ? "true" : "false", count, sent,
           local_port(fd));
    exit(sent == count ? EXIT_DONE : EXIT_FAILED);
}

#ifndef RUNWARD_LAB_NO_URING
static void uring_tcp(int argc, char **argv, unsigned setup, unsigned char how) {
    struct target to = parse_target(argv[0], argv[1]);
    size_t length = size_argument(argc, argv, 2, 65536), sent = 0;
    char *bytes = pattern(length);
    struct ring ring;
    ring_open(&ring, setup);
    int fd = open_socket(&to, SOCK_STREAM);
    struct io_uring_sqe entry;
    memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_CONNECT;
    entry.flags = how;
    entry.fd = fd;
    entry.addr = (uintptr_t)&to.at;
    entry.off = to.size;
    ring_must(&ring, &entry, "io_uring connect");
    while (sent < length) {
        memset(&entry, 0, sizeof entry);
        entry.opcode = IORING_OP_SEND;
        entry.flags = how;
        entry.fd = fd;
        entry.addr = (uintptr_t)(bytes + sent);
        entry.len = (unsigned)(length - sent);
        sent += (size_t)ring_must(&ring, &entry, "io_uring send");
    }
    size_t received = finish(fd);
    done(fd, &to, sent, received);
}

static void act_uring(int argc, char **argv) { uring_tcp(argc, argv, 0, 0); }
/* A kernel worker thread does the connecting. */
static void act_uring_async(int argc, char **argv) { uring_tcp(argc, argv, 0, IOSQE_ASYNC); }
/* A kernel polling thread submits; this process makes no system call for the act itself. */
static void act_uring_sqpoll(int argc, char **argv) { uring_tcp(argc, argv, IORING_SETUP_SQPOLL, 0); }

static void act_uring_udp(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    size_t length = size_argument(argc, argv, 2, MOST_DATAGRAM);
    struct ring ring;
    ring_open(&ring, 0);
    int fd = open_socket(&to, SOCK_DGRAM);
    struct iovec part = {pattern(length), length};
    struct msghdr message = {.msg_name = &to.at, .msg_namelen = to.size, .msg_iov = &part, .msg_iovlen = 1};
    struct io_uring_sqe entry;
    memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_SENDMSG;
    entry.fd = fd;
    entry.addr = (uintptr_t)&message;
    entry.len = 1;
    int sent = ring_must(&ring, &entry, "io_uring sendmsg");
    done(fd, &to, (size_t)sent, 0);
}
#else
static void act_uring(int argc UNUSED, char **argv UNUSED) {
    errno = ENOSYS;
    lacking("io_uring headers at build time");
}
#define act_uring_async act_uring
#define act_uring_sqpoll act_uring
#define act_uring_udp act_uring
#endif

static uint16_t checksum(const void *bytes, size_t length) {
    const uint8_t *at = bytes;
    uint32_t sum = 0;
    for (; length > 1; length -= 2, at += 2)
        sum += (uint32_t)(at[0] << 8 | at[1]);
    if (length)
        sum += (uint32_t)(at[0] << 8);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return htons((uint16_t)~sum);
}

/* net icmp ADDRESS: an echo request through a raw socket, and its reply. */
static void act_icmp(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], "0");
    if (to.at.ss_family != AF_INET) {
        fprintf(stderr, "%s: needs an IPv4 address\n", act_name);
        exit(EXIT_USAGE);
    }
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    if (fd < 0)
        fail_or_lacking("socket SOCK_RAW");
    struct {
        struct icmphdr head;
        char body[16];
    } echo;
    memset(&echo, 0, sizeof echo);
    echo.head.type = ICMP_ECHO;
    echo.head.un.echo.id = htons((uint16_t)getpid());
    echo.head.un.echo.sequence = htons(1);
    memcpy(echo.body, "runward-lab-echo", sizeof echo.body);
    echo.head.checksum = checksum(&echo, sizeof echo);
    if (sendto(fd, &echo, sizeof echo, 0, address_of(&to), to.size) != (ssize_t)sizeof echo)
        fail("sendto");
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    /* A raw socket sees everybody's ICMP, our own request over loopback included: look for our reply. */
    for (;;) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        long left = patience() * 1000 - (now.tv_sec - start.tv_sec) * 1000;
        struct pollfd wait = {fd, POLLIN, 0};
        if (left <= 0 || poll(&wait, 1, (int)left) == 0)
            fail_with("recv", ETIMEDOUT);
        unsigned char packet[2048];
        ssize_t got = recv(fd, packet, sizeof packet, MSG_DONTWAIT);
        if (got < 20)
            continue;
        size_t header = (size_t)(packet[0] & 15) * 4;
        struct icmphdr reply;
        if ((size_t)got < header + sizeof reply)
            continue;
        memcpy(&reply, packet + header, sizeof reply);
        if (reply.type == ICMP_ECHOREPLY && reply.un.echo.id == echo.head.un.echo.id) {
            report("\"ok\":true,\"address\":\"%s\",\"sent\":%zu,\"received\":%zu", to.text, sizeof echo,
                   (size_t)got - header);
            exit(EXIT_DONE);
        }
    }
}

/* The parent makes the socket, a child that inherits it connects and sends. */
static void act_inherited(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_STREAM);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        connect_or_fail(fd, &to);
        talk(fd, &to, size_argument(argc, argv, 2, MOST_BYTES));
    }
    int status = wait_for(child);
    exit(WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED);
}

/* A child makes the socket and passes it here over SCM_RIGHTS; this process connects and sends. */
static void act_passed(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        send_fd(ends[1], open_socket(&to, SOCK_STREAM));
        _exit(0);
    }
    close(ends[1]);
    int fd = receive_fd(ends[0]);
    wait_for(child);
    connect_or_fail(fd, &to);
    talk(fd, &to, size_argument(argc, argv, 2, MOST_BYTES));
}

static int unix_socket(const char *path, struct sockaddr_un *at) {
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    if (strlen(path) >= sizeof at->sun_path) {
        fprintf(stderr, "%s: the socket's path is longer than %zu bytes\n", act_name, sizeof at->sun_path - 1);
        exit(EXIT_USAGE);
    }
    strcpy(at->sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket AF_UNIX");
    return fd;
}

static bool is_connected_argument(const char *text) {
    if (strcmp(text, "connected") == 0)
        return true;
    if (strcmp(text, "fresh") == 0)
        return false;
    fprintf(stderr, "%s: '%s' is neither 'fresh' nor 'connected'\n", act_name, text);
    exit(EXIT_USAGE);
}

/* net give ADDRESS PORT SOCKET fresh|connected: outside the job, hands a TCP socket to the one that asks. */
static void act_give(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    bool connected = is_connected_argument(argv[3]);
    struct sockaddr_un at;
    int listener = unix_socket(argv[2], &at);
    unlink(argv[2]);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 1) < 0)
        fail("listen");
    int fd = open_socket(&to, SOCK_STREAM);
    if (connected)
        connect_or_fail(fd, &to);
    struct pollfd wait = {listener, POLLIN, 0};
    if (poll(&wait, 1, RECEIVE_SECONDS * 1000) != 1)
        fail_with("accept", ETIMEDOUT);
    int channel = accept(listener, NULL, NULL);
    if (channel < 0)
        fail("accept");
    send_fd(channel, fd);
    unlink(argv[2]);
    report("\"ok\":true,\"local_port\":%d", local_port(fd));
    exit(EXIT_DONE);
}

/* net take ADDRESS PORT SOCKET fresh|connected [BYTES]: inside the job, uses the socket that `give` made outside it. */
static void act_take(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    bool connected = is_connected_argument(argv[3]);
    struct sockaddr_un at;
    int channel = unix_socket(argv[2], &at);
    for (int tries = 0; connect(channel, (struct sockaddr *)&at, sizeof at) < 0; tries++) {
        if (tries == 100 || (errno != ENOENT && errno != ECONNREFUSED))
            fail("connect AF_UNIX");
        sleep_ms(50);
    }
    int fd = receive_fd(channel);
    if (!connected)
        connect_or_fail(fd, &to);
    talk(fd, &to, size_argument(argc, argv, 4, MOST_BYTES));
}

/* net dns-udp SERVER PORT NAME [TYPE] */
static void act_dns_udp(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    unsigned char message[65536];
    size_t length = question(message, 512, 0x5257, argv[2], argc > 3 ? type_number(argv[3]) : 1);
    int fd = open_socket(&to, SOCK_DGRAM);
    if (sendto(fd, message, length, 0, address_of(&to), to.size) != (ssize_t)length)
        fail("sendto");
    ssize_t got = recv(fd, message, sizeof message, 0);
    if (got < 0)
        fail("recv");
    report_answer(message, (size_t)got);
    exit(EXIT_DONE);
}

static void receive_exactly(int fd, unsigned char *into, size_t length) {
    while (length > 0) {
        ssize_t got = recv(fd, into, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail("recv");
        if (got == 0)
            fail_with("recv", ECONNRESET);
        into += got;
        length -= (size_t)got;
    }
}

static int dns_connect(const struct target *to) {
    int fd = open_socket(to, SOCK_STREAM), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connect_or_fail(fd, to);
    return fd;
}

static _Noreturn void dns_answers(int fd, int count) {
    static unsigned char message[65536];
    for (int i = 0; i < count; i++) {
        unsigned char size[2];
        receive_exactly(fd, size, 2);
        size_t length = (size_t)size[0] << 8 | size[1];
        receive_exactly(fd, message, length);
        report_answer(message, length);
    }
    exit(EXIT_DONE);
}

/* net dns-tcp SERVER PORT NAME…: all the questions, for A records, in one segment. */
static void act_dns_tcp(int argc, char **argv) {
    enum { MOST = 4 };
    struct target to = parse_target(argv[0], argv[1]);
    unsigned char segment[MOST * 300];
    size_t used = 0;
    int count = argc - 2;
    if (count > MOST) {
        fprintf(stderr, "%s: at most %d names, so that they fit one segment\n", act_name, MOST);
        exit(EXIT_USAGE);
    }
    for (int i = 0; i < count; i++) {
        size_t length = question(segment + used + 2, 298, (uint16_t)(i + 1), argv[2 + i], 1);
        segment[used] = (unsigned char)(length >> 8);
        segment[used + 1] = (unsigned char)length;
        used += length + 2;
    }
    int fd = dns_connect(&to);
    write_all(fd, segment, used, "send");
    dns_answers(fd, count);
}

/* net dns-tcp-split SERVER PORT NAME AT: one question whose bytes after the first AT come in a segment of their own.
 * AT counts from the length prefix, so 1 splits even that. */
static void act_dns_tcp_split(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    unsigned char segment[302];
    size_t length = question(segment + 2, 300, 0x5257, argv[2], 1) + 2;
    size_t cut = (size_t)number(argv[3], 1, (long)length - 1);
    segment[0] = (unsigned char)((length - 2) >> 8);
    segment[1] = (unsigned char)(length - 2);
    int fd = dns_connect(&to);
    write_all(fd, segment, cut, "send");
    sleep_ms(50);
    write_all(fd, segment + cut, length - cut, "send");
    dns_answers(fd, 1);
}

static const struct act acts[] = {
    {"tcp", 2, act_tcp, "ADDRESS PORT [BYTES]"},
    {"tcp-mapped", 2, act_tcp_mapped, "IPV4 PORT [BYTES]"},
    {"tcp-nonblock", 2, act_tcp_nonblock, "ADDRESS PORT [BYTES]"},
    {"tcp-fastopen", 2, act_tcp_fastopen, "ADDRESS PORT [BYTES]"},
    {"tcp-refused", 2, act_tcp_refused, "ADDRESS PORT"},
    {"tcp-unreachable", 2, act_tcp_unreachable, "ADDRESS PORT"},
    {"udp", 2, act_udp, "ADDRESS PORT [BYTES]"},
    {"udp-mapped", 2, act_udp_mapped, "IPV4 PORT [BYTES]"},
    {"udp-sendto", 2, act_udp_sendto, "ADDRESS PORT [BYTES]"},
    {"udp-sendto-mapped", 2, act_udp_sendto_mapped, "IPV4 PORT [BYTES]"},
    {"udp-sendmsg", 2, act_udp_sendmsg, "ADDRESS PORT [BYTES]"},
    {"udp-sendmmsg", 2, act_udp_sendmmsg, "ADDRESS PORT [ADDRESS PORT]…"},
    {"uring", 2, act_uring, "ADDRESS PORT [BYTES]"},
    {"uring-async", 2, act_uring_async, "ADDRESS PORT [BYTES]"},
    {"uring-sqpoll", 2, act_uring_sqpoll, "ADDRESS PORT [BYTES]"},
    {"uring-udp", 2, act_uring_udp, "ADDRESS PORT [BYTES]"},
    {"icmp", 1, act_icmp, "IPV4"},
    {"inherited", 2, act_inherited, "ADDRESS PORT [BYTES]"},
    {"passed", 2, act_passed, "ADDRESS PORT [BYTES]"},
    {"give", 4, act_give, "ADDRESS PORT SOCKET fresh|connected"},
    {"take", 4, act_take, "ADDRESS PORT SOCKET fresh|connected [BYTES]"},
    {"dns-udp", 3, act_dns_udp, "SERVER PORT NAME [TYPE]"},
    {"dns-tcp", 3, act_dns_tcp, "SERVER PORT NAME…"},
    {"dns-tcp-split", 4, act_dns_tcp_split, "SERVER PORT NAME AT"},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return run_act("net", acts, sizeof acts / sizeof *acts, argc, argv);
}
