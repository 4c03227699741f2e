/* What every actor shares: the exit codes, and the one line of JSON in which an act is reported.
 *
 * Each actor is one translation unit, so everything here is static. Nothing is left out of the line that a test could
 * want to compare: the act's name, the process that did it and, when it failed, the step and the error's name.
 */
#ifndef RUNWARD_LAB_COMMON_H
#define RUNWARD_LAB_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 64,
    /* This kernel or file system lacks what the act needs; the same number as automake's "skipped". */
    EXIT_LACKING = 77,
};

/* The act being done, for every line printed about it. */
static const char *act_name = "none";

/* Prints one JSON string, with everything that is not plain ASCII escaped byte by byte. */
static UNUSED void print_string(const char *text) {
    putchar('"');
    for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
        if (*at == '"' || *at == '\\')
            printf("\\%c", *at);
        else if (*at < 0x20 || *at >= 0x7f)
            printf("\\u%04x", *at);
        else
            putchar(*at);
    }
    putchar('"');
}

static UNUSED void print_hex(const void *bytes, size_t length) {
    const unsigned char *at = bytes;
    putchar('"');
    for (size_t i = 0; i < length; i++)
        printf("%02x", at[i]);
    putchar('"');
}

/* Prints the line about an act: `{"act":…,"pid":…,"ppid":…` and then the members given as a printf format. */
static UNUSED __attribute__((format(printf, 1, 2))) void report(const char *format, ...) {
    va_list rest;
    printf("{\"act\":");
    print_string(act_name);
    printf(",\"pid\":%d,\"ppid\":%d", (int)getpid(), (int)getppid());
    if (*format) {
        putchar(',');
        va_start(rest, format);
        vprintf(format, rest);
        va_end(rest);
    }
    printf("}\n");
    fflush(stdout);
}

static UNUSED const char *error_name(int error) {
    const char *name = strerrorname_np(error);
    return name ? name : "unknown";
}

/* Reports that the act failed at `step` and ends the process. */
static UNUSED _Noreturn void fail_with(const char *step, int error) {
    report("\"ok\":false,\"step\":\"%s\",\"errno\":%d,\"error\":\"%s\"", step, error, error_name(error));
    exit(EXIT_FAILED);
}

static UNUSED _Noreturn void fail(const char *step) { fail_with(step, errno); }

/* Reports that this machine can't do the act at all and ends the process. */
static UNUSED _Noreturn void lacking(const char *step) {
    int error = errno;
    report("\"ok\":false,\"lacking\":\"%s\",\"errno\":%d,\"error\":\"%s\"", step, error, error_name(error));
    exit(EXIT_LACKING);
}

/* Whether the error says "not here" and not "not you". */
static UNUSED bool is_lacking(int error) {
    return error == ENOSYS || error == EOPNOTSUPP || error == ENOTTY || error == EAFNOSUPPORT ||
           error == EPROTONOSUPPORT;
}

static UNUSED _Noreturn void fail_or_lacking(const char *step) {
    if (is_lacking(errno))
        lacking(step);
    fail(step);
}

/* Reads a number argument; anything else ends the process with the usage code. */
static UNUSED long number(const char *text, long least, long most) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < least || value > most) {
        fprintf(stderr, "%s: '%s' is not a number from %ld to %ld\n", act_name, text, least, most);
        exit(EXIT_USAGE);
    }
    return value;
}

/* Writes everything or fails at `step`. */
static UNUSED void write_all(int fd, const void *bytes, size_t length, const char *step) {
    const char *at = bytes;
    while (length > 0) {
        ssize_t wrote = write(fd, at, length);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            fail(step);
        at += wrote;
        length -= (size_t)wrote;
    }
}

static UNUSED void sleep_ms(long milliseconds) {
    struct timespec left = {milliseconds / 1000, (milliseconds % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

/* Waits for one child and returns its raw status. */
static UNUSED int wait_for(pid_t child) {
    int status;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            fail("waitpid");
    }
    return status;
}

/* Passes `fd` over a unix socket. One byte of data goes along, as the kernel demands. */
static UNUSED void send_fd(int channel, int fd) {
    char byte = 'f';
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    if (sendmsg(channel, &message, MSG_NOSIGNAL) != 1)
        fail("send descriptor");
}

/* Receives a descriptor over a unix socket. */
static UNUSED int receive_fd(int channel) {
    char byte;
    struct iovec part = {&byte, 1};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
    if (got < 0)
        fail("receive descriptor");
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (got == 0 || !header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
        fail_with("receive descriptor", EBADMSG);
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/* One act of an actor: its name, the least number of arguments, and what to print about them. */
struct act {
    const char *name;
    int least;
    void (*run)(int argc, char **argv);
    const char *arguments;
};

/* Runs the act that the command line names. Returns the exit code of an actor's main. */
static UNUSED int run_act(const char *program, const struct act *acts, size_t count, int argc, char **argv) {
    for (size_t i = 0; argc > 1 && i < count; i++) {
        if (strcmp(acts[i].name, argv[1]) == 0 && argc - 2 >= acts[i].least) {
            act_name = acts[i].name;
            acts[i].run(argc - 2, argv + 2);
            return EXIT_DONE;
        }
    }
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "usage: %s %s %s\n", program, acts[i].name, acts[i].arguments);
    return EXIT_USAGE;
}

#endif
