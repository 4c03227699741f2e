/* Where an act sends to, and what every act over a socket does: open it, connect, send a pattern, read to the end. */
#ifndef RUNWARD_LAB_TARGET_H
#define RUNWARD_LAB_TARGET_H

#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum { MOST_BYTES = 16 << 20, MOST_DATAGRAM = 65000, RECEIVE_SECONDS = 10 };

/* How long to wait for a peer, in seconds: a test that expects silence asks for less. */
static UNUSED long patience(void) {
    const char *text = getenv("RUNWARD_LAB_PATIENCE");
    return text ? number(text, 1, 60) : RECEIVE_SECONDS;
}

struct target {
    struct sockaddr_storage at;
    socklen_t size;
    char text[INET6_ADDRSTRLEN];
    int port;
};

static UNUSED struct target parse_target(const char *address, const char *port) {
    struct target target;
    memset(&target, 0, sizeof target);
    struct sockaddr_in *v4 = (struct sockaddr_in *)&target.at;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&target.at;
    target.port = (int)number(port, 0, 65535);
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)target.port);
        target.size = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)target.port);
        target.size = sizeof *v6;
    } else {
        fprintf(stderr, "%s: '%s' is not an IPv4 or IPv6 address\n", act_name, address);
        exit(EXIT_USAGE);
    }
    snprintf(target.text, sizeof target.text, "%s", address);
    return target;
}

/* The same target, written as an IPv4 address mapped into IPv6. */
static UNUSED struct target mapped(const struct target *v4) {
    if (v4->at.ss_family != AF_INET) {
        fprintf(stderr, "%s: a mapped act needs an IPv4 address\n", act_name);
        exit(EXIT_USAGE);
    }
    char text[INET6_ADDRSTRLEN + 8], port[8];
    snprintf(text, sizeof text, "::ffff:%s", v4->text);
    snprintf(port, sizeof port, "%d", v4->port);
    return parse_target(text, port);
}

static UNUSED int open_socket(const struct target *to, int type) {
    int fd = socket(to->at.ss_family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail_or_lacking("socket");
    /* A peer that never answers must not hold a test for ever. */
    struct timeval limit = {patience(), 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    return fd;
}

static UNUSED const struct sockaddr *address_of(const struct target *to) { return (const struct sockaddr *)&to->at; }

/* A printable pattern, so that a sink's log of first bytes can be read. */
static UNUSED char *pattern(size_t length) {
    char *bytes = malloc(length + 1);
    if (!bytes)
        fail("malloc");
    for (size_t i = 0; i < length; i++)
        bytes[i] = (char)('a' + i % 26);
    bytes[length] = 0;
    return bytes;
}

static UNUSED size_t size_argument(int argc, char **argv, int at, long most) {
    return argc > at ? (size_t)number(argv[at], 0, most) : 5;
}

static UNUSED int local_port(int fd) {
    struct sockaddr_storage local;
    socklen_t size = sizeof local;
    memset(&local, 0, sizeof local);
    if (getsockname(fd, (struct sockaddr *)&local, &size) < 0)
        return 0;
    return ntohs(local.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&local)->sin6_port
                                             : ((struct sockaddr_in *)&local)->sin_port);
}

static UNUSED _Noreturn void done(int fd, const struct target *to, size_t sent, size_t received) {
    report("\"ok\":true,\"address\":\"%s\",\"port\":%d,\"local_port\":%d,\"sent\":%zu,\"received\":%zu", to->text,
           to->port, local_port(fd), sent, received);
    exit(EXIT_DONE);
}

/* Ends our side and reads until the peer ends too. Returns how many bytes came. */
static UNUSED size_t finish(int fd) {
    char buffer[4096];
    size_t total = 0;
    if (shutdown(fd, SHUT_WR) < 0)
        fail("shutdown");
    for (;;) {
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            fail("recv");
        if (got == 0)
            return total;
        total += (size_t)got;
    }
}

static UNUSED _Noreturn void talk(int fd, const struct target *to, size_t length) {
    write_all(fd, pattern(length), length, "send");
    size_t received = finish(fd);
    done(fd, to, length, received);
}

static UNUSED void connect_or_fail(int fd, const struct target *to) {
    if (connect(fd, address_of(to), to->size) < 0)
        fail("connect");
}

#endif
