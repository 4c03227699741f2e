/* The process actor: every way to make, change and lose a process, one act for each.
 *
 *   procs ACT [ARGUMENT]…     see `acts` at the end of this file for the list
 *
 * Where an act takes COMMAND, the process that the act is about becomes that command, found as a path.
 */
#include "common.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { MOST_PROCESSES = 1000000, MOST_AT_ONCE = 4096 };

/* Where this program can be run again from, whatever name it was started under. */
static const char *const self_path = "/proc/self/exe";

extern char **environ;

static _Noreturn void become(char **command) {
    fflush(stdout);
    execv(command[0], command);
    fail("execv");
}

static pid_t fork_or_fail(void) {
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    return child;
}

/* The exit code that a shell would give for a raw wait status. */
static int shell_code(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

static _Noreturn void report_child(pid_t child, int status) {
    report("\"ok\":true,\"child\":%d,\"status\":%d", (int)child, shell_code(status));
    exit(shell_code(status));
}

struct storm {
    long wanted, at_once, started, ended, failed;
};

/* Waits for one child of the storm; its end counts as a failure unless it was clean. */
static void storm_reap(struct storm *storm) {
    int status;
    pid_t child = waitpid(-1, &status, 0);
    if (child < 0) {
        if (errno == EINTR)
            return;
        fail("waitpid");
    }
    storm->ended++;
    if (status != 0)
        storm->failed++;
}

/* Runs `wanted` children, `at_once` at a time; each becomes `command`, or just ends if there is none. */
static void storm_run(int argc, char **argv, char **command) {
    struct storm storm = {.wanted = number(argv[0], 0, MOST_PROCESSES),
                          .at_once = argc > 1 ? number(argv[1], 1, MOST_AT_ONCE) : 16};
    bool each = argc > 2 && strcmp(argv[2], "pids") == 0;
    if (each)
        printf("{\"act\":\"%s\",\"pid\":%d,\"children\":[", act_name, (int)getpid());
    while (storm.ended < storm.wanted) {
        if (storm.started == storm.wanted || storm.started - storm.ended == storm.at_once) {
            storm_reap(&storm);
            continue;
        }
        /* The buffer must be empty when the process doubles, or its content would be written twice. */
        fflush(stdout);
        pid_t child = fork();
        if (child < 0 && errno == EAGAIN && storm.started > storm.ended) {
            storm_reap(&storm);
            continue;
        }
        if (child < 0)
            fail("fork");
        if (child == 0) {
            if (command) {
                execv(command[0], command);
                _exit(127);
            }
            _exit(0);
        }
        if (each)
            printf("%s%d", storm.started ? "," : "", (int)child);
        storm.started++;
    }
    if (each)
        printf("]}\n");
    report("\"ok\":%s,\"count\":%ld,\"failed\":%ld", storm.failed ? "false" : "true", storm.ended, storm.failed);
    exit(storm.failed ? EXIT_FAILED : EXIT_DONE);
}

static void act_burst(int argc, char **argv) {
    storm_run(argc, argv, (char *[]){(char *)self_path, "exit", "0", NULL});
}

static void act_forkonly(int argc, char **argv) { storm_run(argc, argv, NULL); }

static void detach_output(void) {
    int null = open("/dev/null", O_RDWR);
    if (null < 0)
        fail("open /dev/null");
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    if (null > 2)
        close(null);
}

/* A proper daemon: forked twice, in a session of its own, with nothing of ours open. The command runs after the
 * wait. */
static void act_daemon(int argc UNUSED, char **argv) {
    long milliseconds = number(argv[0], 0, 600000);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    pid_t middle = fork_or_fail();
    if (middle == 0) {
        if (setsid() < 0)
            _exit(EXIT_FAILED);
        pid_t last = fork();
        if (last < 0)
            _exit(EXIT_FAILED);
        if (last > 0)
            _exit(0);
        pid_t own = getpid();
        if (write(ends[1], &own, sizeof own) != (ssize_t)sizeof own)
            _exit(EXIT_FAILED);
        close(ends[0]);
        close(ends[1]);
        detach_output();
        sleep_ms(milliseconds);
        execv(argv[1], argv + 1);
        _exit(127);
    }
    close(ends[1]);
    pid_t last = 0;
    if (read(ends[0], &last, sizeof last) != (ssize_t)sizeof last)
        fail_with("daemon", ECHILD);
    wait_for(middle);
    report("\"ok\":true,\"middle\":%d,\"daemon\":%d", (int)middle, (int)last);
    exit(EXIT_DONE);
}

/* The command's process loses its parent before it starts, and keeps our output. */
static void act_orphan(int argc UNUSED, char **argv) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    pid_t middle = fork_or_fail();
    if (middle == 0) {
        pid_t parent = getpid(), orphan = fork();
        if (orphan < 0)
            _exit(EXIT_FAILED);
        if (orphan > 0)
            _exit(0);
        while (getppid() == parent)
            sleep_ms(1);
        pid_t own = getpid();
        if (write(ends[1], &own, sizeof own) != (ssize_t)sizeof own)
            _exit(EXIT_FAILED);
        execv(argv[0], argv);
        _exit(127);
    }
    close(ends[1]);
    wait_for(middle);
    pid_t orphan = 0;
    if (read(ends[0], &orphan, sizeof orphan) != (ssize_t)sizeof orphan)
        fail_with("orphan", ECHILD);
    /* The pipe closes with the exec: a job that ended sooner would have killed the orphan before it
     * ran its command. */
    char end;
    if (read(ends[0], &end, 1) != 0)
        fail_with("orphan", EPROTO);
    report("\"ok\":true,\"middle\":%d,\"orphan\":%d", (int)middle, (int)orphan);
    exit(EXIT_DONE);
}

static void *exec_in_thread(void *command) {
    report("\"ok\":true,\"thread\":%ld", (long)syscall(SYS_gettid));
    become(command);
}

/* exec from a thread that isn't the leader: the kernel gives it the leader's pid. */
static void act_thread_exec(int argc UNUSED, char **argv) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, exec_in_thread, argv);
    if (error)
        fail_with("pthread_create", error);
    pthread_join(thread, NULL);
    exit(EXIT_FAILED);
}

static void *fork_in_thread(void *command) {
    long thread = syscall(SYS_gettid);
    pid_t child = fork_or_fail();
    if (child == 0)
        become(command);
    int status = wait_for(child);
    report("\"ok\":true,\"thread\":%ld,\"child\":%d,\"status\":%d", thread, (int)child, shell_code(status));
    exit(shell_code(status));
}

/* fork from a thread that isn't the leader. */
static void act_thread_fork(int argc UNUSED, char **argv) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, fork_in_thread, argv);
    if (error)
        fail_with("pthread_create", error);
    pthread_join(thread, NULL);
    exit(EXIT_FAILED);
}

static void act_vfork(int argc UNUSED, char **argv) {
    fflush(stdout);
    pid_t child = vfork();
    if (child < 0)
        fail("vfork");
    if (child == 0) {
        execv(argv[0], argv);
        _exit(127);
    }
    report_child(child, wait_for(child));
}

/* A child clones with CLONE_PARENT, so the command's process is its sibling and ours to wait for. */
static void act_clone_parent(int argc UNUSED, char **argv) {
    pid_t middle = fork_or_fail();
    if (middle == 0) {
        long sibling = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        if (sibling == 0) {
            execv(argv[0], argv);
            _exit(127);
        }
        _exit(sibling < 0 ? EXIT_FAILED : 0);
    }
    pid_t sibling = 0;
    int middle_status = -1, sibling_status = -1;
    for (int i = 0; i < 2; i++) {
        int status;
        pid_t ended = waitpid(-1, &status, 0);
        if (ended < 0)
            fail("waitpid");
        if (ended == middle)
            middle_status = status;
        else
            sibling = ended, sibling_status = status;
        if (middle_status > 0)
            fail_with("clone CLONE_PARENT", ECHILD);
    }
    report("\"ok\":true,\"middle\":%d,\"sibling\":%d,\"status\":%d", (int)middle, (int)sibling,
           shell_code(sibling_status));
    exit(shell_code(sibling_status));
}

/* procs show …: the arguments that really arrived, byte by byte. */
static void act_show(int argc, char **argv) {
    printf("{\"act\":\"show\",\"pid\":%d,\"ppid\":%d,\"ok\":true,\"argc\":%d,\"args_hex\":[", (int)getpid(),
           (int)getppid(), argc);
    for (int i = 0; i < argc; i++) {
        if (i)
            putchar(',');
        print_hex(argv[i], strlen(argv[i]));
    }
    printf("]}\n");
    exit(EXIT_DONE);
}

/* procs many-args COUNT [LENGTH]: becomes `procs count-args` with that many arguments of that length. */
static void act_many_args(int argc, char **argv) {
    long count = number(argv[0], 0, 2000000), length = argc > 1 ? number(argv[1], 0, 131071) : 6;
    char **arguments = calloc((size_t)count + 3, sizeof *arguments);
    if (!arguments)
        fail("calloc");
    arguments[0] = (char *)self_path;
    arguments[1] = "count-args";
    for (long i = 0; i < count; i++) {
        arguments[i + 2] = malloc((size_t)length + 1);
        if (!arguments[i + 2])
            fail("malloc");
        memset(arguments[i + 2], 'x', (size_t)length);
        arguments[i + 2][length] = 0;
        /* The number at the end tells a reader where a list was cut. */
        char digits[24];
        int used = snprintf(digits, sizeof digits, "%ld", i);
        if (used <= length)
            memcpy(arguments[i + 2] + length - used, digits, (size_t)used);
    }
    execv(self_path, arguments);
    fail("execv");
}

static void act_count_args(int argc, char **argv) {
    size_t bytes = 0;
    for (int i = 0; i < argc; i++)
        bytes += strlen(argv[i]);
    report("\"ok\":true,\"count\":%d,\"bytes\":%zu", argc, bytes);
    exit(EXIT_DONE);
}

/* Arguments that are not UTF-8: a lone continuation byte, an overlong slash, a surrogate, a cut sequence, 0xff. */
static void act_raw_args(int argc UNUSED, char **argv UNUSED) {
    become((char *[]){(char *)self_path, "show", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf0\x9f\x98", "caf\xe9",
                      "\xff", "", NULL});
}

/* Arguments that would do harm to a terminal, a log, a page or a shell that trusted them. */
static void act_control_args(int argc UNUSED, char **argv UNUSED) {
    become((char *[]){(char *)self_path, "show", "\n{\"kind\":\"job_end\"}\n", "\r\b\t\a\f\v",
                      "\x1b[2J\x1b]0;title\x07",
                      "\xe2\x80\xae"
                      "gpj.exe",
                      "<script>alert(1)</script>", "$(reboot)`reboot`;reboot", "::error::injected",
                      "%s%n", "\x7f", NULL});
}

/* Becomes itself with no argument at all, not even a name. Kernels since 5.18 make that one empty argument. */
static void act_empty_argv(int argc UNUSED, char **argv UNUSED) {
    char *none[] = {NULL}, *environment[] = {NULL};
    execve(self_path, none, environment);
    fail("execve");
}

/* Copies this program into `fd`. */
static void copy_self(int fd) {
    int from = open(self_path, O_RDONLY | O_CLOEXEC);
    if (from < 0)
        fail("open self");
    static char buffer[65536];
    for (;;) {
        ssize_t got = read(from, buffer, sizeof buffer);
        if (got < 0)
            fail("read self");
        if (got == 0)
            break;
        write_all(fd, buffer, (size_t)got, "copy self");
    }
    close(from);
}

/* procs memfd [ARGUMENT]…: becomes a copy of itself that lives in memory only, by descriptor and without a path. */
static void act_memfd(int argc, char **argv) {
    int fd = memfd_create("runward-lab-actor", MFD_CLOEXEC);
    if (fd < 0)
        fail_or_lacking("memfd_create");
    copy_self(fd);
    char **arguments = calloc((size_t)argc + 3, sizeof *arguments);
    if (!arguments)
        fail("calloc");
    arguments[0] = "in-memory";
    arguments[1] = "show";
    memcpy(arguments + 2, argv, (size_t)argc * sizeof *argv);
    fflush(stdout);
    syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
    fail_or_lacking("execveat");
}

/* procs long-path FOLDER [LENGTH]: runs a copy of itself under a path of that many bytes, and removes the tree. */
static void act_long_path(int argc, char **argv) {
    enum { MOST = 4095, SEGMENT = 200 };
    size_t length = (size_t)(argc > 1 ? number(argv[1], 1, MOST) : MOST), used = strlen(argv[0]);
    char path[MOST + 1];
    if (argv[0][0] != '/' || used + 3 > length) {
        fprintf(stderr, "%s: FOLDER must be absolute and shorter than LENGTH\n", act_name);
        exit(EXIT_USAGE);
    }
    strcpy(path, argv[0]);
    /* Folders first; the last segment, of what is left, is the program. */
    while (length - used > SEGMENT + 2) {
        path[used++] = '/';
        memset(path + used, 'd', SEGMENT);
        used += SEGMENT;
        path[used] = 0;
        if (mkdir(path, 0755) < 0)
            fail("mkdir");
    }
    size_t folders = used;
    path[used++] = '/';
    memset(path + used, 'p', length - used);
    path[length] = 0;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    if (fd < 0)
        fail("create program");
    copy_self(fd);
    if (close(fd) < 0)
        fail("close program");
    pid_t child = fork_or_fail();
    if (child == 0) {
        execv(path, (char *[]){path, "exit", "0", NULL});
        _exit(127);
    }
    int status = wait_for(child);
    unlink(path);
    for (used = folders; used > strlen(argv[0]);) {
        path[used] = 0;
        rmdir(path);
        used -= SEGMENT + 1;
    }
    report("\"ok\":%s,\"child\":%d,\"length\":%zu,\"status\":%d", status ? "false" : "true", (int)child, length,
           shell_code(status));
    exit(status ? EXIT_FAILED : EXIT_DONE);
}

static void act_exit(int argc UNUSED, char **argv) { _exit((int)number(argv[0], 0, 255)); }

static _Noreturn void die_by(int signal_number) {
    /* No core files: a test may do this many times. */
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(signal_number, SIG_DFL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal_number);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    raise(signal_number);
    _exit(EXIT_FAILED);
}

static void act_signal(int argc UNUSED, char **argv) { die_by((int)number(argv[0], 1, 64)); }

/* One child for each way to end that has a code of its own. */
static void act_endings(int argc UNUSED, char **argv UNUSED) {
    static const int codes[] = {0, 1, 2, 42, 126, 127, 128, 255};
    static const int signals[] = {SIGHUP, SIGTERM, SIGKILL, SIGSEGV, SIGABRT};
    enum { CODES = sizeof codes / sizeof *codes, SIGNALS = sizeof signals / sizeof *signals };
    for (int i = 0; i < CODES + SIGNALS; i++) {
        pid_t child = fork_or_fail();
        if (child == 0 && i < CODES)
            _exit(codes[i]);
        if (child == 0)
            die_by(signals[i - CODES]);
        int status = wait_for(child);
        bool as_meant = i < CODES ? WIFEXITED(status) && WEXITSTATUS(status) == codes[i]
                                  : WIFSIGNALED(status) && WTERMSIG(status) == signals[i - CODES];
        report("\"ok\":%s,\"child\":%d,\"code\":%d,\"signal\":%d", as_meant ? "true" : "false", (int)child,
               WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        if (!as_meant)
            exit(EXIT_FAILED);
    }
    exit(EXIT_DONE);
}

/* procs fork-bomb MOST: forks until the kernel refuses or MOST is reached, then ends them all.
 * The children die with their parent, so that a killed test leaves nothing behind. */
static void act_fork_bomb(int argc UNUSED, char **argv) {
    long most = number(argv[0], 1, 20000), made = 0;
    pid_t *children = calloc((size_t)most, sizeof *children), parent = getpid();
    int error = 0;
    if (!children)
        fail("calloc");
    for (; made < most; made++) {
        pid_t child = fork();
        if (child < 0) {
            error = errno;
            break;
        }
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != parent)
                _exit(0);
            for (;;)
                pause();
        }
        children[made] = child;
    }
    for (long i = 0; i < made; i++)
        kill(children[i], SIGKILL);
    for (long i = 0; i < made; i++)
        wait_for(children[i]);
    report("\"ok\":true,\"count\":%ld,\"refused\":%s,\"error\":\"%s\"", made, error ? "true" : "false",
           error ? error_name(error) : "");
    exit(EXIT_DONE);
}

/* procs limit COUNT COMMAND…: the command under RLIMIT_NPROC. It counts a user's processes and doesn't hold root. */
static void act_limit(int argc UNUSED, char **argv) {
    rlim_t most = (rlim_t)number(argv[0], 0, MOST_PROCESSES);
    struct rlimit limit = {most, most};
    if (setrlimit(RLIMIT_NPROC, &limit) < 0)
        fail("setrlimit");
    become(argv + 1);
}

/* procs cgroup FOLDER COMMAND…: moves itself into that cgroup, then becomes the command. */
static void act_cgroup(int argc UNUSED, char **argv) {
    char *procs;
    if (asprintf(&procs, "%s/cgroup.procs", argv[0]) < 0)
        fail("asprintf");
    int fd = open(procs, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail("open cgroup.procs");
    write_all(fd, "0", 1, "write cgroup.procs");
    close(fd);
    report("\"ok\":true");
    become(argv + 1);
}

static void act_sleep(int argc UNUSED, char **argv) {
    long milliseconds = number(argv[0], 0, 600000);
    report("\"ok\":true");
    sleep_ms(milliseconds);
    exit(EXIT_DONE);
}

static const struct {
    const char *name;
    int least;
    void (*run)(int argc, char **argv);
    const char *arguments;
} acts[] = {
    {"burst", 1, act_burst, "COUNT [AT-ONCE [pids]]"},
    {"forkonly", 1, act_forkonly, "COUNT [AT-ONCE [pids]]"},
    {"daemon", 2, act_daemon, "MILLISECONDS COMMAND…"},
    {"orphan", 1, act_orphan, "COMMAND…"},
    {"thread-exec", 1, act_thread_exec, "COMMAND…"},
    {"thread-fork", 1, act_thread_fork, "COMMAND…"},
    {"vfork", 1, act_vfork, "COMMAND…"},
    {"clone-parent", 1, act_clone_parent, "COMMAND…"},
    {"show", 0, act_show, "[ARGUMENT]…"},
    {"many-args", 1, act_many_args, "COUNT [LENGTH]"},
    {"count-args", 0, act_count_args, "[ARGUMENT]…"},
    {"raw-args", 0, act_raw_args, ""},
    {"control-args", 0, act_control_args, ""},
    {"empty-argv", 0, act_empty_argv, ""},
    {"memfd", 0, act_memfd, "[ARGUMENT]…"},
    {"long-path", 1, act_long_path, "FOLDER [LENGTH]"},
    {"exit", 1, act_exit, "CODE"},
    {"signal", 1, act_signal, "NUMBER"},
    {"endings", 0, act_endings, ""},
    {"fork-bomb", 1, act_fork_bomb, "MOST"},
    {"limit", 2, act_limit, "COUNT COMMAND…"},
    {"cgroup", 2, act_cgroup, "FOLDER COMMAND…"},
    {"sleep", 1, act_sleep, "MILLISECONDS"},
};

int main(int argc, char **argv) {
    /* This is what `empty-argv` becomes. */
    if (argc == 0 || (argc == 1 && argv[0][0] == 0)) {
        act_name = "empty-argv";
        report("\"ok\":true,\"argc\":%d", argc);
        return EXIT_DONE;
    }
    for (size_t i = 0; argc > 1 && i < sizeof acts / sizeof *acts; i++) {
        if (strcmp(acts[i].name, argv[1]) == 0 && argc - 2 >= acts[i].least) {
            act_name = acts[i].name;
            acts[i].run(argc - 2, argv + 2);
            return EXIT_DONE;
        }
    }
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        fprintf(stderr, "usage: procs %s %s\n", acts[i].name, acts[i].arguments);
    return EXIT_USAGE;
}
