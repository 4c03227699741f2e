/* Events as fast as they can be made, of one kind, to drown what else happens.
 *
 *   flood KIND MILLISECONDS [WORKERS]
 *
 *   processes   a process that ends at once
 *   programs    a process that runs this program, which ends at once
 *   connects    a UDP socket is connected to another address; no packet leaves
 *   lookups     a question to DNS on 127.0.0.1, each for another name
 *   files       a file in the working directory is made, renamed and removed
 *
 * Prints how many of these were done by all workers together.
 */
#include "common.h"
#include "dns.h"

#include <spawn.h>
#include <stdatomic.h>
#include <sys/mman.h>

extern char **environ;

enum { WORKERS_MAX = 16, AT_ONCE = 64 };

/* One worker's part. */
struct part {
    unsigned worker;
    /* For all to see. */
    _Atomic unsigned long *done;
    struct timespec end;
};

static bool is_over(struct part *part) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > part->end.tv_sec || (now.tv_sec == part->end.tv_sec && now.tv_nsec >= part->end.tv_nsec);
}

static void processes(struct part *part) {
    while (!is_over(part)) {
        pid_t child = vfork();
        if (child == 0)
            _exit(0);
        if (child < 0)
            fail("vfork");
        wait_for(child);
        ++*part->done;
    }
}

static void programs(struct part *part) {
    char *arguments[] = {(char *)"flood", (char *)"nothing", NULL};
    while (!is_over(part)) {
        pid_t child;
        int error = posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ);
        if (error)
            fail_with("spawn", error);
        wait_for(child);
        ++*part->done;
    }
}

static void connects(struct part *part) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    struct sockaddr_in to = {.sin_family = AF_INET};
    uint32_t number = 0;
    while (!is_over(part)) {
        for (int i = 0; i < AT_ONCE; i++) {
            number++;
            /* 127.WORKER.x.y, and a port that is not that of DNS. */
            to.sin_addr.s_addr = htonl(0x7f000000 | part->worker << 16 | (number >> 12 & 0xffff));
            to.sin_port = htons((uint16_t)(1024 + (number & 0xfff)));
            if (connect(fd, (struct sockaddr *)&to, sizeof to))
                fail("connect");
            ++*part->done;
        }
    }
    close(fd);
}

static void lookups(struct part *part) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to))
        fail("socket");
    unsigned char message[512];
    char name[64];
    unsigned long number = 0;
    while (!is_over(part)) {
        for (int i = 0; i < AT_ONCE; i++) {
            snprintf(name, sizeof name, "n%lu.w%u.flood.example", number++, part->worker);
            size_t length = question(message, sizeof message, (uint16_t)number, name, 1);
            /* Nobody listens: every other one fails with the news of that, and is sent again. */
            if (send(fd, message, length, 0) != (ssize_t)length && send(fd, message, length, 0) != (ssize_t)length)
                fail("send");
            ++*part->done;
        }
    }
    close(fd);
}

static void files(struct part *part) {
    char name[32], other[32];
    unsigned long number = 0;
    while (!is_over(part)) {
        snprintf(name, sizeof name, "w%u-%lu", part->worker, number);
        snprintf(other, sizeof other, "w%u-%lu.new", part->worker, number++);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) || rename(name, other) || unlink(other))
            fail("file");
        ++*part->done;
    }
}

static const struct kind {
    const char *name;
    void (*run)(struct part *);
} kinds[] = {
    {"processes", processes}, {"programs", programs}, {"connects", connects}, {"lookups", lookups}, {"files", files},
};

static const struct kind *kind_of(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    fprintf(stderr, "usage: flood processes|programs|connects|lookups|files MILLISECONDS [WORKERS]\n");
    exit(EXIT_USAGE);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return EXIT_DONE;
    const struct kind *kind = kind_of(argc > 2 ? argv[1] : "");
    act_name = kind->name;
    long milliseconds = number(argv[2], 1, 600000);
    unsigned workers = argc > 3 ? (unsigned)number(argv[3], 1, WORKERS_MAX) : 1;
    _Atomic unsigned long *done =
        mmap(NULL, sizeof *done * WORKERS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (done == MAP_FAILED)
        fail("mmap");
    struct part part = {0};
    clock_gettime(CLOCK_MONOTONIC, &part.end);
    part.end.tv_sec += milliseconds / 1000;
    part.end.tv_nsec += milliseconds % 1000 * 1000000;
    if (part.end.tv_nsec >= 1000000000) {
        part.end.tv_sec++;
        part.end.tv_nsec -= 1000000000;
    }
    pid_t children[WORKERS_MAX];
    for (unsigned i = 0; i < workers; i++) {
        part.worker = i;
        part.done = done + i;
        children[i] = fork();
        if (children[i] < 0)
            fail("fork");
        if (children[i] == 0) {
            kind->run(&part);
            _exit(0);
        }
    }
    int failed = 0;
    unsigned long all = 0;
    for (unsigned i = 0; i < workers; i++) {
        failed += wait_for(children[i]) != 0;
        all += done[i];
    }
    report("\"ok\":%s,\"done\":%lu,\"milliseconds\":%ld", failed ? "false" : "true", all, milliseconds);
    return failed ? EXIT_FAILED : EXIT_DONE;
}
