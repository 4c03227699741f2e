/* A program under somebody else's name: plays what a malicious program did in an incident, without its malice. Copied
 * to `node`, `python3`, `curl` and so on by the re-enactments (see ../src/replay). Nothing that it reads leaves it: what
 * it sends is the same few bytes each time.
 *
 *   puppet ACT [ARGUMENT...] [, ACT ...]
 *
 *   call HOST PORT        looks HOST up (unless it is an address), connects, sends a few bytes
 *   lookup NAME           asks DNS for NAME
 *   relay HOST PORT       passes its input on to a connection, and what comes from there on to its output
 *   shell HOST PORT       a shell whose standard streams are a connection
 *   shell-below HOST PORT the same with a shell below a program whose standard input is the connection
 *   memory PID            reads /proc/PID/mem, a page of each region
 *   vm-read PID           the same with process_vm_readv
 *   environ PID           reads /proc/PID/environ
 *   leak WAY PID FILE     what it read of PID (`memory`, `vm-read` or `environ`) goes into FILE, which is made first
 *   leak-own              reads the memory of a grandchild whose maker has ended
 *   from-memory           runs itself from memory alone, to do nothing
 *   from-memory-leave FILE  the same, to make FILE
 *   leave FILE            makes FILE
 *   hide WAY WORD         a process that waits ten seconds in a place where it is hard to find; WORD names it
 *   bomb MOST WORD        processes that only make more of them, until there were MOST; what is left waits ten seconds
 *   moving-bomb MOST WORD the same, with few of them at any time: each makes the next one and ends
 *   behind SECONDS        leaves a process behind that outlives this one
 *   copy FROM TO          copies a program
 *   run PROGRAM           runs a program without arguments, and waits for it
 *   write FILE TEXT       replaces a file's content, by renaming another over it
 *   secrets               holds something that looks like a secret, and waits to be ended: the CI runner
 */
#include "common.h"
#include "dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/uio.h>

static struct sockaddr_storage storage_of(int family, const void *address, uint16_t port, socklen_t *length) {
    struct sockaddr_storage storage = {0};
    if (family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, address, 4);
        *length = sizeof *in;
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&storage;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(port);
        memcpy(&in->sin6_addr, address, 16);
        *length = sizeof *in;
    }
    return storage;
}

/* A socket to the first name server of /etc/resolv.conf. */
static int name_server(void) {
    char line[256], address[128];
    struct in_addr v4;
    FILE *file = fopen("/etc/resolv.conf", "re");
    if (!file)
        fail("resolv.conf");
    bool found = false;
    while (!found && fgets(line, sizeof line, file))
        found = sscanf(line, "nameserver %127s", address) == 1 && inet_pton(AF_INET, address, &v4) == 1;
    fclose(file);
    if (!found)
        fail_with("resolv.conf", ENOENT);
    socklen_t length;
    struct sockaddr_storage to = storage_of(AF_INET, &v4, 53, &length);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, length))
        fail("name server");
    return fd;
}

/* The first IPv4 address of a name; false when there is none. */
static bool look_up(const char *name, struct in_addr *address) {
    unsigned char message[1500];
    int fd = name_server();
    size_t length = question(message, sizeof message, 7, name, 1);
    if (send(fd, message, length, 0) != (ssize_t)length)
        fail("ask");
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    ssize_t got = poll(&waiting, 1, 3000) == 1 ? recv(fd, message, sizeof message, 0) : -1;
    close(fd);
    if (got < 12)
        return false;
    length = (size_t)got;
    unsigned answers = (unsigned)message[6] << 8 | message[7];
    size_t at = skip_name(message, length, 12);
    at = at ? at + 4 : 0;
    for (unsigned i = 0; i < answers && at; i++) {
        at = skip_name(message, length, at);
        if (!at || at + 10 > length)
            return false;
        unsigned type = (unsigned)message[at] << 8 | message[at + 1];
        size_t size = (size_t)message[at + 8] << 8 | message[at + 9];
        at += 10;
        if (at + size > length)
            return false;
        if (type == 1 && size == 4) {
            memcpy(address, message + at, 4);
            return true;
        }
        at += size;
    }
    return false;
}

/* Connected, or -1: somebody may stand in the way. */
static int call(const char *host, uint16_t port) {
    struct in6_addr v6;
    struct in_addr v4;
    socklen_t length;
    struct sockaddr_storage to;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        to = storage_of(AF_INET6, &v6, port, &length);
    else if (inet_pton(AF_INET, host, &v4) == 1 || look_up(host, &v4))
        to = storage_of(AF_INET, &v4, port, &length);
    else
        return -1;
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    struct timeval patience = {.tv_sec = 3};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, length)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void send_some(int fd) {
    static const char text[] = "POST / HTTP/1.1\r\nHost: lab.example\r\nContent-Length: 5\r\n\r\ninert";
    if (send(fd, text, sizeof text - 1, MSG_NOSIGNAL) > 0) {
        char answer[512];
        (void)!recv(fd, answer, sizeof answer, 0);
    }
}

static void relay(int fd) {
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    char bytes[4096];
    while (poll(ends, 2, 3000) > 0) {
        for (int i = 0; i < 2; i++) {
            if (!(ends[i].revents & (POLLIN | POLLHUP | POLLERR)))
                continue;
            ssize_t got = read(ends[i].fd, bytes, sizeof bytes);
            if (got <= 0 || write(i ? 1 : fd, bytes, (size_t)got) != got)
                return;
        }
    }
}

/* A shell with the connection as its streams, in a child, so that the acts after it are still done. */
static void shell(int fd, bool below) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child) {
        wait_for(child);
        return;
    }
    if (dup2(fd, 0) < 0)
        fail("dup2");
    if (below) {
        /* What a terminal in between does: the shell's own input is something else. */
        pid_t shell = fork();
        if (shell < 0)
            fail("fork");
        if (shell) {
            wait_for(shell);
            _exit(0);
        }
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0 || dup2(null, 0) < 0)
            fail("null");
    } else if (dup2(fd, 1) < 0 || dup2(fd, 2) < 0) {
        fail("dup2");
    }
    execlp("sh", "sh", "-i", (char *)NULL);
    _exit(127);
}

static void read_memory(pid_t pid, bool by_call) {
    char path[64], line[512], page[4096];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        fail("maps");
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int mem = by_call ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    unsigned long pages = 0, start;
    if (!by_call && mem < 0) {
        report("\"ok\":false,\"error\":\"%s\"", error_name(errno));
        fclose(maps);
        return;
    }
    while (pages < 256 && fgets(line, sizeof line, maps)) {
        char rights[8];
        if (sscanf(line, "%lx-%*x %7s", &start, rights) != 2 || rights[0] != 'r')
            continue;
        struct iovec local = {page, sizeof page}, remote = {(void *)start, sizeof page};
        ssize_t got = by_call ? process_vm_readv(pid, &local, 1, &remote, 1, 0)
                              : pread(mem, page, sizeof page, (off_t)start);
        pages += got > 0;
    }
    fclose(maps);
    if (mem >= 0)
        close(mem);
    report("\"ok\":%s,\"pages\":%lu", pages ? "true" : "false", pages);
}

static void read_environ(pid_t pid) {
    char path[64], bytes[4096];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
    report("\"ok\":%s", got >= 0 ? "true" : "false");
    if (fd >= 0)
        close(fd);
}

/* The first readable address of a process. */
static unsigned long first_address(pid_t pid) {
    char path[64], line[512], rights[8] = "";
    unsigned long start = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    if (!maps)
        return 0;
    while (rights[0] != 'r' && fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%*x %7s", &start, rights) != 2)
            start = 0;
    fclose(maps);
    return start;
}

static ssize_t read_some(const char *way, pid_t pid, unsigned long start, char *bytes, size_t size) {
    char path[64];
    struct iovec local = {bytes, size}, remote = {(void *)start, size};
    if (!strcmp(way, "vm-read"))
        return process_vm_readv(pid, &local, 1, &remote, 1, 0);
    bool environ = !strcmp(way, "environ");
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, environ ? "environ" : "mem");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : environ ? read(fd, bytes, size) : pread(fd, bytes, size, (off_t)start);
    if (fd >= 0)
        close(fd);
    return got;
}

/* Into memory that another process shares, and writes from: the death of the reader alone would keep nothing secret. */
static void leak(const char *way, pid_t pid, const char *path) {
    struct shared {
        _Atomic int read;
        char bytes[512];
    } *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static const char nothing[512];
    unsigned long start = first_address(pid);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (shared == MAP_FAILED || fd < 0 || !start)
        fail("leak");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        for (int i = 0; i < 20000000; i++)
            if (memcmp(shared->bytes, nothing, sizeof nothing)) {
                write_all(fd, shared->bytes, sizeof shared->bytes, "leak");
                break;
            }
        _exit(0);
    }
    ssize_t got = read_some(way, pid, start, shared->bytes, sizeof shared->bytes);
    if (got > 0)
        write_all(fd, shared->bytes, (size_t)got, "leak");
    close(fd);
    wait_for(child);
}

/* What a debugger does with a program that makes others. */
static void leak_own(void) {
    int ends[2];
    pid_t grandchild = 0;
    char bytes[64];
    if (pipe2(ends, O_CLOEXEC))
        fail("pipe");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        grandchild = fork();
        if (grandchild == 0) {
            sleep(2);
            _exit(0);
        }
        write_all(ends[1], &grandchild, sizeof grandchild, "pipe");
        _exit(0);
    }
    wait_for(child);
    if (read(ends[0], &grandchild, sizeof grandchild) != sizeof grandchild)
        fail("pipe");
    unsigned long start = first_address(grandchild);
    bool read = read_some("vm-read", grandchild, start, bytes, sizeof bytes) > 0 &&
                read_some("memory", grandchild, start, bytes, sizeof bytes) > 0 &&
                read_some("environ", grandchild, start, bytes, sizeof bytes) > 0;
    kill(grandchild, SIGKILL);
    report("\"ok\":%s", read ? "true" : "false");
    if (!read)
        exit(EXIT_FAILED);
}

static void leave(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(path);
    close(fd);
}

/* However deaf it is, it goes by itself. */
static _Noreturn void linger(void) {
    for (int i = 0; i < 100; i++)
        sleep_ms(100);
    _exit(0);
}

static void *linger_in_thread(void *nothing) {
    (void)nothing;
    linger();
}

static _Noreturn void hidden(const char *way) {
    if (!strcmp(way, "deaf"))
        for (int number = 1; number < 65; number++)
            signal(number, SIG_IGN);
    if (!strcmp(way, "stopped"))
        raise(SIGSTOP);
    if (!strcmp(way, "leaderless")) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, linger_in_thread, NULL))
            fail("thread");
        syscall(SYS_exit, 0);
    }
    if (!strcmp(way, "busy"))
        for (time_t end = time(NULL) + 10; time(NULL) < end;)
            ;
    linger();
}

static void hide(const char *way) {
    bool daemon = !strcmp(way, "daemon");
    if (!strcmp(way, "namespace") && unshare(CLONE_NEWPID))
        fail("unshare");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child) {
        if (daemon)
            wait_for(child);
        sleep_ms(100);
        return;
    }
    setsid();
    if (daemon && fork())
        _exit(0);
    hidden(way);
}

/* Some that each make the next one and end, so that none of them is there for long; or all that there can be. */
static void bomb(bool moves, long most) {
    _Atomic long *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        fail("mmap");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child)
        return;
    signal(SIGCHLD, SIG_IGN);
    while (++*made < most)
        if (fork() > 0 && moves && *made > 8)
            _exit(0);
    linger();
}

static void copy(int to, const char *path) {
    char bytes[65536];
    int from = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;
    if (from < 0)
        fail(path);
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        write_all(to, bytes, (size_t)got, "copy");
    close(from);
}

static void run(int fd, const char *path, const char *argument, const char *second) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        char *arguments[] = {(char *)(path ? path : "kworker"), (char *)argument, (char *)second, NULL};
        if (path)
            execv(path, arguments);
        else
            fexecve(fd, arguments, environ);
        _exit(127);
    }
    wait_for(child);
}

static void from_memory(const char *act, const char *argument) {
    int fd = memfd_create("kworker", MFD_CLOEXEC);
    if (fd < 0)
        fail("memfd_create");
    copy(fd, "/proc/self/exe");
    run(fd, NULL, act, argument);
    close(fd);
}

static void behind(long seconds) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child)
        return;
    setsid();
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    sleep((unsigned)seconds);
    _exit(0);
}

static void replace(const char *path, const char *text) {
    char other[4096];
    snprintf(other, sizeof other, "%s.new", path);
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        fail(other);
    write_all(fd, text, strlen(text), "write");
    close(fd);
    if (rename(other, path))
        fail("rename");
}

static void hold_secrets(void) {
    /* Made here, so that no scanner of this repository takes it for one. */
    char *secret = strdup("{\"INERT\":{\"value\":\"not-a-secret\",\"isSecret\":true}}");
    report("\"ok\":true,\"length\":%zu", strlen(secret));
    for (;;)
        pause();
}

static uint16_t port(const char *text) { return (uint16_t)number(text, 1, 65535); }

/* Does one act with its arguments; returns how many it took. */
static int act(int count, char **words) {
    const char *name = act_name = words[0];
    const char *first = count > 1 ? words[1] : "", *second = count > 2 ? words[2] : "";
    if (!strcmp(name, "call") || !strcmp(name, "relay") || !strcmp(name, "shell") || !strcmp(name, "shell-below")) {
        int fd = call(first, port(second));
        if (fd < 0) {
            fprintf(stderr, "%s: no connection to %s\n", name, first);
            return 3;
        }
        if (!strcmp(name, "call"))
            send_some(fd);
        else if (!strcmp(name, "relay"))
            relay(fd);
        else
            shell(fd, !strcmp(name, "shell-below"));
        close(fd);
        return 3;
    }
    if (!strcmp(name, "lookup")) {
        struct in_addr address;
        (void)look_up(first, &address);
        return 2;
    }
    if (!strcmp(name, "memory") || !strcmp(name, "vm-read")) {
        read_memory((pid_t)number(first, 1, 1 << 22), name[0] == 'v');
        return 2;
    }
    if (!strcmp(name, "environ")) {
        read_environ((pid_t)number(first, 1, 1 << 22));
        return 2;
    }
    if (!strcmp(name, "from-memory")) {
        from_memory("nothing", NULL);
        return 1;
    }
    if (!strcmp(name, "from-memory-leave")) {
        from_memory("leave", first);
        return 2;
    }
    if (!strcmp(name, "leave")) {
        leave(first);
        return 2;
    }
    if (!strcmp(name, "leak")) {
        leak(first, (pid_t)number(second, 1, 1 << 22), count > 3 ? words[3] : "");
        return 4;
    }
    if (!strcmp(name, "leak-own")) {
        leak_own();
        return 1;
    }
    if (!strcmp(name, "hide")) {
        hide(first);
        return 3;
    }
    if (!strcmp(name, "bomb") || !strcmp(name, "moving-bomb")) {
        bomb(!strcmp(name, "moving-bomb"), number(first, 1, 100000));
        return 3;
    }
    if (!strcmp(name, "behind")) {
        behind(number(first, 1, 60));
        return 2;
    }
    if (!strcmp(name, "copy")) {
        int fd = open(second, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        if (fd < 0)
            fail(second);
        copy(fd, first);
        close(fd);
        return 3;
    }
    if (!strcmp(name, "run")) {
        run(-1, first, "nothing", NULL);
        return 2;
    }
    if (!strcmp(name, "write")) {
        replace(first, second);
        return 3;
    }
    if (!strcmp(name, "secrets"))
        hold_secrets();
    if (!strcmp(name, "nothing"))
        return 1;
    fprintf(stderr, "puppet: unknown act '%s'\n", name);
    exit(EXIT_USAGE);
}

int main(int argc, char **argv) {
    for (int at = 1; at < argc;) {
        if (!strcmp(argv[at], ",")) {
            at++;
            continue;
        }
        at += act(argc - at, argv + at);
    }
    return EXIT_DONE;
}
