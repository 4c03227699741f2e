/* The names actor: a resolver of its own, as static programs bring it, and forged answers.
 *
 *   names fetch NAME PORT [BYTES]                  looks the name up and sends to its first address
 *   names many NAME PORT COUNT [PAUSE]             so many times, with a lookup for each, and counts what failed
 *   names forged SERVER NAME ADDRESS PORT          a server of the job says that NAME is ADDRESS; then connects there
 *   names daemon SOCKET                            outside: looks up what is asked over a unix socket, as nss-resolve does
 *   names through SOCKET NAME                      asks it
 *   names unsolicited NAME ADDRESS PORT            the same, but nobody asked
 *
 * The server is the first one of /etc/resolv.conf.
 */
#include "common.h"
#include "dns.h"
#include "target.h"

#include <poll.h>
#include <sys/un.h>

enum { BYTES = 40, ASK_MS = 1500, ASKS = 4 };

static struct target nameserver(void) {
    char line[256], address[INET6_ADDRSTRLEN];
    FILE *file = fopen("/etc/resolv.conf", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "nameserver %45[0-9a-fA-F.:]", address) == 1) {
            fclose(file);
            return parse_target(address, "53");
        }
    }
    fail_with("nameserver in /etc/resolv.conf", ENOENT);
}

/* The first address in an answer that has one; the family of `found` is 0 if it has none. */
static struct target first_address(const unsigned char *message, size_t length, const char *port) {
    struct target none = {.port = 0};
    if (length < 12)
        return none;
    size_t at = 12;
    unsigned questions = (unsigned)message[4] << 8 | message[5], answers = (unsigned)message[6] << 8 | message[7];
    for (unsigned i = 0; i < questions && at; i++) {
        at = skip_name(message, length, at);
        at = at && at + 4 <= length ? at + 4 : 0;
    }
    for (unsigned i = 0; i < answers && at; i++) {
        char text[INET6_ADDRSTRLEN];
        at = skip_name(message, length, at);
        if (!at || at + 10 > length)
            return none;
        unsigned type = (unsigned)message[at] << 8 | message[at + 1];
        size_t size = (size_t)message[at + 8] << 8 | message[at + 9];
        at += 10;
        if (at + size > length)
            return none;
        int family = type == 1 && size == 4 ? AF_INET : type == 28 && size == 16 ? AF_INET6 : 0;
        if (family && inet_ntop(family, message + at, text, sizeof text))
            return parse_target(text, port);
        at += size;
    }
    return none;
}

/* Asks `server` until it answers; returns the answer's length, or 0. */
static size_t ask(const struct target *server, const char *name, uint16_t type, unsigned char *message, size_t room) {
    static uint16_t id = 1;
    unsigned char asked[512];
    size_t length = question(asked, sizeof asked, ++id, name, type);
    int fd = open_socket(server, SOCK_DGRAM);
    ssize_t got = 0;
    for (int tries = 0; tries < ASKS && got <= 0; tries++) {
        struct pollfd wait = {fd, POLLIN, 0};
        if (sendto(fd, asked, length, 0, address_of(server), server->size) != (ssize_t)length)
            break;
        if (poll(&wait, 1, ASK_MS) == 1)
            got = recv(fd, message, room, 0);
    }
    close(fd);
    return got > 0 ? (size_t)got : 0;
}

static struct target resolve(const char *name, const char *port) {
    static const uint16_t types[] = {1, 28};
    struct target server = nameserver(), found = {.port = 0};
    unsigned char message[4096];
    for (size_t i = 0; i < 2 && found.at.ss_family == 0; i++) {
        size_t length = ask(&server, name, types[i], message, sizeof message);
        found = first_address(message, length, port);
    }
    return found;
}

static void act_fetch(int argc, char **argv) {
    struct target to = resolve(argv[0], argv[1]);
    if (to.at.ss_family == 0)
        fail_with("resolve", ENOENT);
    int fd = open_socket(&to, SOCK_STREAM);
    connect_or_fail(fd, &to);
    talk(fd, &to, argc > 2 ? size_argument(argc, argv, 2, MOST_BYTES) : BYTES);
}

static void act_many(int argc, char **argv) {
    long count = number(argv[2], 1, 100000), pause = argc > 3 ? number(argv[3], 0, 10000) : 0;
    long unresolved = 0, refused = 0, broken = 0, error = 0;
    for (long i = 0; i < count; i++) {
        struct target to = resolve(argv[0], argv[1]);
        if (to.at.ss_family == 0) {
            unresolved++;
            continue;
        }
        int fd = open_socket(&to, SOCK_STREAM);
        struct linger hard = {1, 0};
        char byte;
        if (connect(fd, address_of(&to), to.size) < 0) {
            error = errno;
            refused++;
        } else if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &byte, 1, 0) != 1) {
            error = errno;
            broken++;
        }
        /* A reset at the end: thousands of ports in TIME_WAIT would be the test's own limit. */
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        close(fd);
        sleep_ms(pause);
    }
    report("\"ok\":true,\"count\":%ld,\"unresolved\":%ld,\"refused\":%ld,\"broken\":%ld,\"error\":\"%s\"", count,
           unresolved, refused, broken, error ? error_name((int)error) : "");
    exit(EXIT_DONE);
}

/* Writes the answer to a question about `name`: one A record that holds for an hour. */
static size_t forge(unsigned char *message, size_t room, uint16_t id, const char *name, const struct target *address) {
    size_t length = question(message, room - 16, id, name, 1);
    static const unsigned char record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4};
    message[2] = 0x81;
    message[3] = 0x80;
    message[7] = 1;
    memcpy(message + length, record, sizeof record);
    memcpy(message + length + sizeof record, &((const struct sockaddr_in *)&address->at)->sin_addr, 4);
    return length + sizeof record + 4;
}

static int bind_server(const char *address) {
    struct target at = parse_target(address, "53");
    int fd = open_socket(&at, SOCK_DGRAM), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address_of(&at), at.size) < 0)
        fail("bind");
    return fd;
}

static void act_forged(int argc UNUSED, char **argv) {
    struct target address = parse_target(argv[2], argv[3]), server = parse_target(argv[0], "53");
    int fd = bind_server(argv[0]);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        for (int i = 0; i < ASKS; i++) {
            unsigned char asked[512], answer[512];
            struct sockaddr_storage from;
            socklen_t size = sizeof from;
            if (recvfrom(fd, asked, sizeof asked, 0, (struct sockaddr *)&from, &size) < 2)
                _exit(1);
            size_t length = forge(answer, sizeof answer, (uint16_t)(asked[0] << 8 | asked[1]), argv[1], &address);
            sendto(fd, answer, length, 0, (struct sockaddr *)&from, size);
        }
        _exit(0);
    }
    unsigned char message[4096];
    size_t length = ask(&server, argv[1], 1, message, sizeof message);
    kill(child, SIGKILL);
    wait_for(child);
    struct target told = first_address(message, length, argv[3]);
    /* Whatever came of the lie: the address is tried. */
    fd = open_socket(&address, SOCK_STREAM);
    if (connect(fd, address_of(&address), address.size) < 0)
        fail(told.at.ss_family ? "connect after the forged answer" : "connect without a forged answer");
    talk(fd, &address, BYTES);
}

static void act_unsolicited(int argc UNUSED, char **argv) {
    struct target address = parse_target(argv[1], argv[2]), here = parse_target("127.0.0.1", "0");
    int server = bind_server("127.0.0.77"), client = open_socket(&here, SOCK_DGRAM);
    unsigned char message[512];
    if (bind(client, address_of(&here), here.size) < 0)
        fail("bind");
    ((struct sockaddr_in *)&here.at)->sin_port = htons((uint16_t)local_port(client));
    size_t length = forge(message, sizeof message, 1, argv[0], &address);
    for (int i = 0; i < 5; i++)
        if (sendto(server, message, length, 0, address_of(&here), here.size) != (ssize_t)length)
            fail("send the forged answer");
    int fd = open_socket(&address, SOCK_STREAM);
    connect_or_fail(fd, &address);
    talk(fd, &address, BYTES);
}

static int unix_socket(const char *path, struct sockaddr_un *at) {
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    strncpy(at->sun_path, path, sizeof at->sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket AF_UNIX");
    return fd;
}

static void act_daemon(int argc UNUSED, char **argv) {
    struct sockaddr_un at;
    int listener = unix_socket(argv[0], &at);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4) < 0)
        fail("listen AF_UNIX");
    for (;;) {
        struct pollfd waits[2] = {{listener, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        if (poll(waits, 2, 120000) <= 0 || waits[1].revents)
            exit(EXIT_DONE);
        int call = accept(listener, NULL, NULL);
        char name[256] = "", text[INET6_ADDRSTRLEN + 1] = "-\n";
        ssize_t got = read(call, name, sizeof name - 1);
        if (got > 0) {
            struct target found = resolve(name, "0");
            if (found.at.ss_family)
                snprintf(text, sizeof text, "%s\n", found.text);
            write_all(call, text, strlen(text), "answer");
        }
        close(call);
    }
}

static void act_through(int argc UNUSED, char **argv) {
    struct sockaddr_un at;
    char text[64] = "";
    int fd = unix_socket(argv[0], &at);
    for (int tries = 0; connect(fd, (struct sockaddr *)&at, sizeof at) < 0; tries++) {
        if (tries == 100 || (errno != ENOENT && errno != ECONNREFUSED))
            fail("connect AF_UNIX");
        sleep_ms(50);
    }
    write_all(fd, argv[1], strlen(argv[1]), "ask");
    if (read(fd, text, sizeof text - 1) < 0)
        fail("read");
    text[strcspn(text, "\n")] = 0;
    report("\"ok\":true,\"answer\":\"%s\"", text);
    exit(EXIT_DONE);
}

static const struct act acts[] = {
    {"fetch", 2, act_fetch, "NAME PORT [BYTES]"},
    {"many", 3, act_many, "NAME PORT COUNT [PAUSE]"},
    {"forged", 4, act_forged, "SERVER NAME IPV4 PORT"},
    {"daemon", 1, act_daemon, "SOCKET"},
    {"through", 2, act_through, "SOCKET NAME"},
    {"unsolicited", 3, act_unsolicited, "NAME IPV4 PORT"},
};

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    return run_act("names", acts, sizeof acts / sizeof *acts, argc, argv);
}
