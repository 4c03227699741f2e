/* The speaking actor: chosen bytes to a server, servers of the job's own, and services beside it.
 *
 *   speak ACT …     see `acts` at the end of this file for the list
 */
#include "common.h"
#include "target.h"

#include <netinet/tcp.h>
#include <poll.h>

enum { BYTES = 40, MOST_MESSAGE = 1 << 16, PATIENCE_MS = 3000, CALL_MS = 20000 };

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t decode(const char *hex, unsigned char *into) {
    size_t length = strlen(hex) / 2;
    if (strlen(hex) % 2 || length > MOST_MESSAGE) {
        fprintf(stderr, "%s: not a message in hexadecimal\n", act_name);
        exit(EXIT_USAGE);
    }
    for (size_t i = 0; i < length; i++) {
        if (digit(hex[2 * i]) < 0 || digit(hex[2 * i + 1]) < 0) {
            fprintf(stderr, "%s: not a message in hexadecimal\n", act_name);
            exit(EXIT_USAGE);
        }
        into[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    }
    return length;
}

/* Reads until the peer ends, or has been silent for a while. */
static size_t listen_on(int fd, unsigned char *first, size_t room) {
    size_t total = 0;
    for (;;) {
        unsigned char buffer[4096];
        struct pollfd wait = {fd, POLLIN, 0};
        if (poll(&wait, 1, PATIENCE_MS) != 1)
            return total;
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        if (got <= 0)
            return total;
        if (total < room)
            memcpy(first + total, buffer, (size_t)got < room - total ? (size_t)got : room - total);
        total += (size_t)got;
    }
}

/* speak say ADDRESS PORT SEGMENT PAUSE HEX…: messages one after the other, each in segments of SEGMENT bytes (0: whole)
 * with PAUSE milliseconds after each segment. */
static void act_say(int argc, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    size_t segment = (size_t)number(argv[2], 0, MOST_MESSAGE), sent = 0;
    long pause = number(argv[3], 0, 10000);
    static unsigned char message[MOST_MESSAGE];
    unsigned char answer[64] = {0};
    int fd = open_socket(&to, SOCK_STREAM), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connect_or_fail(fd, &to);
    for (int i = 4; i < argc; i++) {
        size_t length = decode(argv[i], message);
        for (size_t at = 0; at < length;) {
            size_t part = segment && segment < length - at ? segment : length - at;
            write_all(fd, message + at, part, "send");
            at += part;
            sent += part;
            sleep_ms(pause);
        }
    }
    size_t received = listen_on(fd, answer, sizeof answer);
    report("\"ok\":true,\"address\":\"%s\",\"port\":%d,\"sent\":%zu,\"received\":%zu", to.text, to.port, sent, received);
    exit(EXIT_DONE);
}

/* speak datagram ADDRESS PORT HEX: sends it, and waits for an answer. */
static void act_datagram(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    static unsigned char message[MOST_MESSAGE];
    size_t length = decode(argv[2], message);
    int fd = open_socket(&to, SOCK_DGRAM);
    if (sendto(fd, message, length, 0, address_of(&to), to.size) != (ssize_t)length)
        fail("sendto");
    struct pollfd wait = {fd, POLLIN, 0};
    size_t received = 0;
    if (poll(&wait, 1, PATIENCE_MS) == 1) {
        ssize_t got = recv(fd, message, sizeof message, 0);
        received = got > 0 ? (size_t)got : 0;
    }
    report("\"ok\":true,\"address\":\"%s\",\"port\":%d,\"sent\":%zu,\"received\":%zu", to.text, to.port, length, received);
    exit(EXIT_DONE);
}

static int bind_at(const struct target *at, int type, bool shared) {
    int fd = open_socket(at, type), on = 1;
    if (shared) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    }
    if (bind(fd, address_of(at), at->size) < 0)
        return -1;
    if (type == SOCK_STREAM && listen(fd, 64) < 0)
        return -1;
    return fd;
}

/* speak serve tcp|udp ADDRESS PORT: a server of the job, which somebody outside calls: it answers with a few bytes. */
static void act_serve(int argc UNUSED, char **argv) {
    struct target at = parse_target(argv[1], argv[2]);
    bool stream = strcmp(argv[0], "tcp") == 0;
    int fd = bind_at(&at, stream ? SOCK_STREAM : SOCK_DGRAM, false);
    if (fd < 0)
        fail("bind");
    struct pollfd wait = {fd, POLLIN, 0};
    if (poll(&wait, 1, CALL_MS) != 1)
        fail_with("wait for a call", ETIMEDOUT);
    if (stream) {
        int call = accept(fd, NULL, NULL);
        if (call < 0)
            fail("accept");
        talk(call, &at, BYTES);
    }
    unsigned char asked[512];
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    if (recvfrom(fd, asked, sizeof asked, 0, (struct sockaddr *)&from, &size) < 0)
        fail("recvfrom");
    if (sendto(fd, pattern(BYTES), BYTES, 0, (struct sockaddr *)&from, size) != BYTES)
        fail("sendto");
    done(fd, &at, BYTES, 0);
}

/* speak call tcp|udp ADDRESS PORT: outside, calls such a server until it answers, and tells how many bytes came. */
static void act_call(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[1], argv[2]);
    bool stream = strcmp(argv[0], "tcp") == 0;
    unsigned char first[64];
    /* The job that is to be called may take its time to start. */
    for (int tries = 0; tries < 1000; tries++) {
        int fd = open_socket(&to, stream ? SOCK_STREAM : SOCK_DGRAM);
        struct timeval limit = {2, 0};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (connect(fd, address_of(&to), to.size) == 0 && send(fd, "?", 1, MSG_NOSIGNAL) == 1) {
            struct pollfd wait = {fd, POLLIN, 0};
            if (stream || poll(&wait, 1, 100) == 1) {
                ssize_t got = stream ? (ssize_t)listen_on(fd, first, sizeof first) : recv(fd, first, sizeof first, 0);
                if (got > 0 || stream) {
                    report("\"ok\":true,\"received\":%zd", got > 0 ? got : 0);
                    exit(EXIT_DONE);
                }
            }
        }
        close(fd);
        /* Whoever started this closes its end when nobody is to be called any more. */
        struct pollfd end = {STDIN_FILENO, POLLIN, 0};
        if (poll(&end, 1, 100) == 1)
            break;
    }
    report("\"ok\":true,\"received\":0");
    exit(EXIT_DONE);
}

/* speak own tcp|udp ADDRESS [ADDRESS]: a server of the job at the first address, and a client of the job that reaches it
 * by the second. What everything in a build does. */
static void act_own(int argc, char **argv) {
    struct target at = parse_target(argv[1], "0"), to = parse_target(argv[argc > 2 ? 2 : 1], "0");
    bool stream = strcmp(argv[0], "tcp") == 0;
    int server = bind_at(&at, stream ? SOCK_STREAM : SOCK_DGRAM, false);
    if (server < 0)
        fail("bind");
    int port = local_port(server);
    ((struct sockaddr_in *)&to.at)->sin_port = htons((uint16_t)port); /* at the same place for IPv6 */
    to.port = port;
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        struct sockaddr_storage from;
        socklen_t size = sizeof from;
        unsigned char bytes[BYTES];
        int call = stream ? accept(server, NULL, NULL) : server;
        if (recvfrom(call, bytes, sizeof bytes, MSG_WAITALL, (struct sockaddr *)&from, &size) != BYTES)
            _exit(1);
        if (stream ? send(call, bytes, BYTES, 0) != BYTES
                   : sendto(call, bytes, BYTES, 0, (struct sockaddr *)&from, size) != BYTES)
            _exit(1);
        _exit(0);
    }
    int fd = open_socket(&to, stream ? SOCK_STREAM : SOCK_DGRAM);
    unsigned char answer[BYTES];
    connect_or_fail(fd, &to);
    write_all(fd, pattern(BYTES), BYTES, "send");
    if (recv(fd, answer, BYTES, MSG_WAITALL) != BYTES)
        fail("recv");
    if (wait_for(child) != 0)
        fail_with("server", EPIPE);
    done(fd, &to, BYTES, BYTES);
}

/* speak sink tcp|udp ADDRESS PORT [FILE]: outside, a service that shares its port and counts what comes, until its
 * standard input ends. With FILE it begins when that file exists. */
static void act_sink(int argc, char **argv) {
    struct target at = parse_target(argv[1], argv[2]);
    bool stream = strcmp(argv[0], "tcp") == 0;
    for (int tries = 0; argc > 3 && access(argv[3], F_OK) < 0 && tries < CALL_MS / 10; tries++)
        sleep_ms(10);
    int fd = -1;
    for (int tries = 0; fd < 0 && tries < 200; tries++) {
        fd = bind_at(&at, stream ? SOCK_STREAM : SOCK_DGRAM, true);
        if (fd < 0)
            sleep_ms(10);
    }
    if (fd < 0)
        fail("bind");
    report("\"ok\":true,\"ready\":true");
    size_t came = 0, bytes = 0;
    for (;;) {
        struct pollfd waits[2] = {{fd, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        unsigned char buffer[4096];
        if (poll(waits, 2, 120000) <= 0)
            break;
        if (waits[0].revents) {
            int call = stream ? accept(fd, NULL, NULL) : fd;
            ssize_t got = recv(call, buffer, sizeof buffer, 0);
            came += 1;
            bytes += got > 0 ? (size_t)got : 0;
            if (stream)
                close(call);
        } else if (waits[1].revents) {
            break;
        }
    }
    report("\"ok\":true,\"came\":%zu,\"bytes\":%zu", came, bytes);
    exit(EXIT_DONE);
}

static void send_once(const struct target *to, bool stream) {
    int fd = open_socket(to, stream ? SOCK_STREAM : SOCK_DGRAM);
    if (connect(fd, address_of(to), to->size) == 0)
        (void)!send(fd, pattern(BYTES), BYTES, MSG_NOSIGNAL);
    close(fd);
}

/* speak confuse tcp|udp WHERE ADDRESS PORT: listens at WHERE on the port of a service outside of the job, so that a look
 * at who listens there may find the job, and sends to ADDRESS, many times from many ports. */
static void act_confuse(int argc UNUSED, char **argv) {
    struct target own = parse_target(argv[1], argv[3]), to = parse_target(argv[2], argv[3]);
    bool stream = strcmp(argv[0], "tcp") == 0;
    int listener = bind_at(&own, stream ? SOCK_STREAM : SOCK_DGRAM, true);
    int error = listener < 0 ? errno : 0;
    for (int i = 0; i < 64; i++)
        send_once(&to, stream);
    report("\"ok\":true,\"bound\":%s,\"error\":\"%s\"", listener < 0 ? "false" : "true", error ? error_name(error) : "");
    exit(EXIT_DONE);
}

/* speak stale ADDRESS PORT FILE: connects a datagram socket to a server of its own, takes that away, makes FILE, and
 * sends when somebody else has taken the port. */
static void act_stale(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int own = bind_at(&to, SOCK_DGRAM, true), fd = open_socket(&to, SOCK_DGRAM);
    if (own < 0)
        fail("bind");
    connect_or_fail(fd, &to);
    close(own);
    int file = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0)
        fail("open");
    for (int i = 0; i < 30; i++) {
        sleep_ms(50);
        (void)!send(fd, pattern(BYTES), BYTES, MSG_NOSIGNAL);
    }
    report("\"ok\":true");
    exit(EXIT_DONE);
}

static const struct act acts[] = {
    {"say", 5, act_say, "ADDRESS PORT SEGMENT PAUSE HEX…"},
    {"datagram", 3, act_datagram, "ADDRESS PORT HEX"},
    {"serve", 3, act_serve, "tcp|udp ADDRESS PORT"},
    {"call", 3, act_call, "tcp|udp ADDRESS PORT"},
    {"own", 2, act_own, "tcp|udp ADDRESS [ADDRESS]"},
    {"sink", 3, act_sink, "tcp|udp ADDRESS PORT [FILE]"},
    {"confuse", 4, act_confuse, "tcp|udp WHERE ADDRESS PORT"},
    {"stale", 3, act_stale, "ADDRESS PORT FILE"},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return run_act("speak", acts, sizeof acts / sizeof *acts, argc, argv);
}
