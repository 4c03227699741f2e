/* The evading actor: ordinary sockets used in ways that a check at connect() alone does not see.
 *
 *   evade ACT ADDRESS PORT …     see `acts` at the end of this file for the list
 *
 * Where an act takes two pairs of ADDRESS PORT, the first is a place that the fence allows and the second one that it
 * does not: the act succeeds when its bytes have been taken for the second.
 */
#include "common.h"
#include "target.h"
#include "uring.h"

#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

enum { BYTES = 40 };

static void send_to(int fd, const struct target *to) {
    if (sendto(fd, pattern(BYTES), BYTES, 0, address_of(to), to->size) != BYTES)
        fail("sendto");
}

/* A TCP socket that is led somewhere else: connect() with AF_UNSPEC undoes the first connection. */
static void act_tcp_again(int argc UNUSED, char **argv) {
    struct target first = parse_target(argv[0], argv[1]), to = parse_target(argv[2], argv[3]);
    int fd = open_socket(&first, SOCK_STREAM);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    connect_or_fail(fd, &first);
    if (connect(fd, &none, sizeof none) < 0)
        fail("connect AF_UNSPEC");
    connect_or_fail(fd, &to);
    talk(fd, &to, BYTES);
}

/* The kernel puts the connection off until the first write. */
static void act_tcp_fastopen_connect(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_STREAM), on = 1;
    if (setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on) < 0)
        fail_or_lacking("TCP_FASTOPEN_CONNECT");
    connect_or_fail(fd, &to);
    talk(fd, &to, BYTES);
}

static void *tcp_in_thread(void *argument) {
    const struct target *to = argument;
    int fd = open_socket(to, SOCK_STREAM);
    connect_or_fail(fd, to);
    talk(fd, to, BYTES);
}

static void act_tcp_thread(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, tcp_in_thread, &to);
    if (error)
        fail_with("pthread_create", error);
    pthread_join(thread, NULL);
}

/* A connected datagram socket that sends to another peer than its own. */
static void act_udp_elsewhere(int argc UNUSED, char **argv) {
    struct target first = parse_target(argv[0], argv[1]), to = parse_target(argv[2], argv[3]);
    int fd = open_socket(&first, SOCK_DGRAM);
    connect_or_fail(fd, &first);
    send_to(fd, &to);
    done(fd, &to, BYTES, 0);
}

static void act_udp_reconnect(int argc UNUSED, char **argv) {
    struct target first = parse_target(argv[0], argv[1]), to = parse_target(argv[2], argv[3]);
    int fd = open_socket(&first, SOCK_DGRAM);
    connect_or_fail(fd, &first);
    if (send(fd, pattern(BYTES), BYTES, 0) != BYTES)
        fail("send to the first");
    connect_or_fail(fd, &to);
    if (send(fd, pattern(BYTES), BYTES, 0) != BYTES)
        fail("send");
    done(fd, &to, BYTES, 0);
}

/* The kernel takes an IPv4 address whose family is 0 for one of AF_INET. */
static void act_udp_unspec(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_DGRAM);
    to.at.ss_family = AF_UNSPEC;
    send_to(fd, &to);
    done(fd, &to, BYTES, 0);
}

/* An IPv6 socket that is given an IPv4 address, not even mapped. */
static void act_udp_six_four(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail_or_lacking("socket");
    send_to(fd, &to);
    done(fd, &to, BYTES, 0);
}

/* Held back with MSG_MORE, and pushed out by taking the cork away: the second call names no peer. */
static void act_udp_cork(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_DGRAM), off = 0;
    if (sendto(fd, pattern(BYTES), BYTES, MSG_MORE, address_of(&to), to.size) != BYTES)
        fail("sendto MSG_MORE");
    if (setsockopt(fd, IPPROTO_UDP, 1 /* UDP_CORK */, &off, sizeof off) < 0)
        fail("UDP_CORK");
    done(fd, &to, BYTES, 0);
}

static void act_udp_broadcast(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = open_socket(&to, SOCK_DGRAM), on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) < 0)
        fail("SO_BROADCAST");
    if (argc > 2 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, argv[2], (socklen_t)strlen(argv[2])) < 0)
        fail("SO_BINDTODEVICE");
    send_to(fd, &to);
    done(fd, &to, BYTES, 0);
}

struct flip {
    struct sockaddr_storage at, choices[2];
    size_t size;
    bool over;
};

static void *keep_flipping(void *argument) {
    struct flip *flip = argument;
    for (unsigned i = 0; !__atomic_load_n(&flip->over, __ATOMIC_RELAXED); i++)
        memcpy(&flip->at, &flip->choices[i & 1], flip->size);
    return NULL;
}

/* Another thread writes the second address over the first one while the kernel is at work with it. */
static void act_udp_race(int argc UNUSED, char **argv) {
    struct target first = parse_target(argv[0], argv[1]), to = parse_target(argv[2], argv[3]);
    struct flip flip = {.at = first.at, .choices = {first.at, to.at}, .size = first.size};
    pthread_t thread;
    char *bytes = pattern(BYTES);
    int fd = open_socket(&first, SOCK_DGRAM), error = pthread_create(&thread, NULL, keep_flipping, &flip);
    if (error)
        fail_with("pthread_create", error);
    for (int i = 0; i < 20000; i++)
        sendto(fd, bytes, BYTES, MSG_DONTWAIT, (struct sockaddr *)&flip.at, (socklen_t)flip.size);
    __atomic_store_n(&flip.over, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    done(fd, &to, BYTES, 0);
}

struct rest {
    struct target to;
    long seconds;
};

/* Sends ten times a second, whether it is let or not, and then ends what is left of the process. */
static void *go_on(void *argument) {
    struct rest *rest = argument;
    struct timespec pause = {.tv_nsec = 100000000};
    int fd = open_socket(&rest->to, SOCK_DGRAM);
    for (long i = 0; i < 10 * rest->seconds; i++) {
        sendto(fd, pattern(BYTES), BYTES, 0, address_of(&rest->to), rest->to.size);
        nanosleep(&pause, NULL);
    }
    done(fd, &rest->to, BYTES, 0);
    return NULL;
}

/* evade udp-headless ADDRESS PORT SECONDS: the process's first thread ends, so that it looks like one that is dead and
 * that its parent has not looked at yet; another one goes on. */
static void act_udp_headless(int argc UNUSED, char **argv) {
    static struct rest rest;
    rest.to = parse_target(argv[0], argv[1]);
    rest.seconds = number(argv[2], 1, 300);
    pthread_t thread;
    int error = pthread_create(&thread, NULL, go_on, &rest);
    if (error)
        fail_with("pthread_create", error);
    syscall(SYS_exit, 0);
}

/* evade route-header ALLOWED PORT ADDRESS: a segment routing header, by which the packet goes to ADDRESS first. */
static void act_route_header(int argc UNUSED, char **argv) {
    struct target last = parse_target(argv[0], argv[1]), hop = parse_target(argv[2], argv[1]);
    if (last.at.ss_family != AF_INET6 || hop.at.ss_family != AF_INET6) {
        fprintf(stderr, "%s: needs IPv6 addresses\n", act_name);
        exit(EXIT_USAGE);
    }
    unsigned char header[8 + 2 * 16] = {0};
    header[1] = 4; /* length in units of 8 bytes, without the first */
    header[2] = 4; /* segment routing */
    header[3] = 1; /* segments left */
    header[4] = 1; /* the last entry's number */
    memcpy(header + 8, &((struct sockaddr_in6 *)&last.at)->sin6_addr, 16);
    memcpy(header + 24, &((struct sockaddr_in6 *)&hop.at)->sin6_addr, 16);
    int fd = open_socket(&last, SOCK_DGRAM);
    if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, header, sizeof header) < 0)
        fail_or_lacking("IPV6_RTHDR");
    send_to(fd, &last);
    done(fd, &hop, BYTES, 0);
}

/* evade protocol mptcp|udplite|sctp|dccp|smc ADDRESS PORT */
static void act_protocol(int argc UNUSED, char **argv) {
    static const struct {
        const char *name;
        int family, type, protocol;
    } known[] = {
        {"mptcp", 0, SOCK_STREAM, IPPROTO_MPTCP}, {"udplite", 0, SOCK_DGRAM, 136},
        {"sctp", 0, SOCK_STREAM, 132},            {"dccp", 0, 6 /* SOCK_DCCP */, 33},
        {"smc", AF_SMC, SOCK_STREAM, 0},
    };
    struct target to = parse_target(argv[1], argv[2]);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, argv[0]) != 0)
            continue;
        int family = known[i].family ? known[i].family : to.at.ss_family;
        int fd = socket(family, known[i].type | SOCK_CLOEXEC, known[i].protocol);
        if (fd < 0 && errno == ESOCKTNOSUPPORT)
            lacking(known[i].name);
        if (fd < 0)
            fail_or_lacking(known[i].name);
        struct timeval limit = {patience(), 0};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        connect_or_fail(fd, &to);
        if (known[i].type == SOCK_STREAM)
            talk(fd, &to, BYTES);
        if (send(fd, pattern(BYTES), BYTES, 0) != BYTES)
            fail("send");
        done(fd, &to, BYTES, 0);
    }
    fprintf(stderr, "%s: '%s' is not a protocol known here\n", act_name, argv[0]);
    exit(EXIT_USAGE);
}

/* An echo request from the kind of socket that needs no privilege. */
static void act_ping(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], "0");
    bool six = to.at.ss_family == AF_INET6;
    int fd = socket(to.at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, six ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    if (fd < 0)
        fail_or_lacking("socket");
    unsigned char echo[8 + BYTES] = {six ? 128 : ICMP_ECHO};
    memcpy(echo + 8, pattern(BYTES), BYTES);
    if (sendto(fd, echo, sizeof echo, 0, address_of(&to), to.size) != (ssize_t)sizeof echo)
        fail("sendto");
    done(fd, &to, BYTES, 0);
}

#ifndef RUNWARD_LAB_NO_URING
/* Even the socket is made by the ring, so that no system call is about the network. */
static void act_uring_socket(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    struct ring ring;
    ring_open(&ring, 0);
    struct io_uring_sqe entry;
    memset(&entry, 0, sizeof entry);
    entry.opcode = 45; /* IORING_OP_SOCKET */
    entry.fd = to.at.ss_family;
    entry.off = SOCK_STREAM;
    int fd = ring_must(&ring, &entry, "io_uring socket");
    memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_CONNECT;
    entry.fd = fd;
    entry.addr = (uintptr_t)&to.at;
    entry.off = to.size;
    ring_must(&ring, &entry, "io_uring connect");
    memset(&entry, 0, sizeof entry);
    entry.opcode = IORING_OP_SEND;
    entry.fd = fd;
    entry.addr = (uintptr_t)pattern(BYTES);
    entry.len = BYTES;
    int sent = ring_must(&ring, &entry, "io_uring send");
    done(fd, &to, (size_t)sent, finish(fd));
}
#else
static void act_uring_socket(int argc UNUSED, char **argv UNUSED) {
    errno = ENOSYS;
    lacking("io_uring headers at build time");
}
#endif

/* Joining a group makes the kernel report the group's address to the network, which can carry a few bytes. */
static void act_join_group(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], "0");
    int fd = open_socket(&to, SOCK_DGRAM);
    struct group_req join = {.gr_interface = (uint32_t)number(argv[1], 0, 65535)};
    memcpy(&join.gr_group, &to.at, to.size);
    int level = to.at.ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
    if (setsockopt(fd, level, MCAST_JOIN_GROUP, &join, sizeof join) < 0)
        fail("MCAST_JOIN_GROUP");
    /* The report goes out after a moment of chance. */
    sleep_ms(1500);
    done(fd, &to, BYTES, 0);
}

static const struct act acts[] = {
    {"tcp-again", 4, act_tcp_again, "ADDRESS PORT ADDRESS PORT"},
    {"tcp-fastopen-connect", 2, act_tcp_fastopen_connect, "ADDRESS PORT"},
    {"tcp-thread", 2, act_tcp_thread, "ADDRESS PORT"},
    {"udp-elsewhere", 4, act_udp_elsewhere, "ADDRESS PORT ADDRESS PORT"},
    {"udp-reconnect", 4, act_udp_reconnect, "ADDRESS PORT ADDRESS PORT"},
    {"udp-unspec", 2, act_udp_unspec, "IPV4 PORT"},
    {"udp-six-four", 2, act_udp_six_four, "IPV4 PORT"},
    {"udp-cork", 2, act_udp_cork, "ADDRESS PORT"},
    {"udp-broadcast", 2, act_udp_broadcast, "ADDRESS PORT [DEVICE]"},
    {"udp-headless", 3, act_udp_headless, "ADDRESS PORT SECONDS"},
    {"udp-race", 4, act_udp_race, "ADDRESS PORT ADDRESS PORT"},
    {"route-header", 3, act_route_header, "IPV6 PORT IPV6"},
    {"protocol", 3, act_protocol, "mptcp|udplite|sctp|dccp|smc ADDRESS PORT"},
    {"ping", 1, act_ping, "ADDRESS"},
    {"uring-socket", 2, act_uring_socket, "ADDRESS PORT"},
    {"join-group", 2, act_join_group, "GROUP INTERFACE-NUMBER"},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return run_act("evade", acts, sizeof acts / sizeof *acts, argc, argv);
}
