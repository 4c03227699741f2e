/* The file actor: every way to alter a file, one act for each.
 *
 *   files ACT TARGET [ARGUMENT]…     see `acts` at the end of this file for the list
 *
 * Acts with CONTENT leave the target holding exactly that, unless they say otherwise. `same ACT TARGET` runs such an
 * act with the content that the target already has, so that nothing changes but everything moves.
 */
#include "common.h"
#include "uring.h"

#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

enum { MOST_CONTENT = 16 << 20 };

struct content {
    const char *bytes;
    size_t length;
};

static _Noreturn void done(const char *target) {
    struct stat now;
    printf("{\"act\":");
    print_string(act_name);
    printf(",\"pid\":%d,\"ppid\":%d,\"ok\":true,\"path\":", (int)getpid(), (int)getppid());
    print_string(target);
    if (lstat(target, &now) == 0)
        printf(",\"size\":%lld,\"inode\":%llu", (long long)now.st_size, (unsigned long long)now.st_ino);
    printf("}\n");
    fflush(stdout);
    exit(EXIT_DONE);
}

static int open_target(const char *target, int flags) {
    int fd = open(target, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        fail("open");
    return fd;
}

static struct stat status_of(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0)
        fail("fstat");
    return status;
}

/* Cuts the file to `length`, but only if that changes it: a needless truncate would be a second alteration. */
static void fit(int fd, size_t length) {
    if ((size_t)status_of(fd).st_size != length && ftruncate(fd, (off_t)length) < 0)
        fail("ftruncate");
}

static void close_or_fail(int fd) {
    if (close(fd) < 0)
        fail("close");
}

/* A name next to the target that no other act uses at the same time. */
static char *beside(const char *target) {
    char *name;
    if (asprintf(&name, "%s.lab-%d", target, (int)getpid()) < 0)
        fail("asprintf");
    return name;
}

static char *folder_of(const char *target) {
    const char *slash = strrchr(target, '/');
    /* The root's own slash stays. */
    size_t length = !slash ? 0 : slash == target ? 1 : (size_t)(slash - target);
    char *folder = slash ? strndup(target, length) : strdup(".");
    if (!folder)
        fail("strdup");
    return folder;
}

/* Writes a fresh file beside the target and returns its name. */
static char *new_beside(const char *target, struct content content) {
    char *name = beside(target);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        fail("create beside");
    write_all(fd, content.bytes, content.length, "write beside");
    close_or_fail(fd);
    return name;
}

/* A nameless file with the content, on the target's own file system if `same_device`, else in memory. */
static int source(const char *target, struct content content, bool same_device) {
    int fd;
    if (same_device) {
        fd = open(folder_of(target), O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
        if (fd < 0) {
            char *name = beside(target);
            fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
            if (fd >= 0)
                unlink(name);
        }
    } else {
        fd = memfd_create("runward-lab", MFD_CLOEXEC);
    }
    if (fd < 0)
        fail_or_lacking("make source");
    write_all(fd, content.bytes, content.length, "write source");
    if (lseek(fd, 0, SEEK_SET) < 0)
        fail("lseek");
    return fd;
}

static void act_write(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

/* Overwrites from the start without truncating first. */
static void act_pwrite(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY);
    size_t at = 0;
    while (at < content.length) {
        ssize_t wrote = pwrite(fd, content.bytes + at, content.length - at, (off_t)at);
        if (wrote < 0)
            fail("pwrite");
        at += (size_t)wrote;
    }
    fit(fd, content.length);
    close_or_fail(fd);
}

static void act_rename_over(const char *target, struct content content) {
    if (rename(new_beside(target, content), target) < 0)
        fail("rename");
}

static void act_exchange(const char *target, struct content content) {
    char *name = new_beside(target, content);
    if (renameat2(AT_FDCWD, name, AT_FDCWD, target, RENAME_EXCHANGE) < 0) {
        int error = errno;
        unlink(name);
        errno = error;
        /* EINVAL is what a file system without exchange answers. */
        if (errno == EINVAL)
            lacking("renameat2 RENAME_EXCHANGE");
        fail_or_lacking("renameat2 RENAME_EXCHANGE");
    }
    if (unlink(name) < 0)
        fail("unlink old");
}

/* Stores through a shared mapping after the descriptor is closed: no write call, and nothing open when it happens. */
static void act_mmap(const char *target, struct content content) {
    int fd = open_target(target, O_RDWR);
    fit(fd, content.length);
    if (content.length == 0)
        return close_or_fail(fd);
    char *view = mmap(NULL, content.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED)
        fail("mmap");
    close_or_fail(fd);
    memcpy(view, content.bytes, content.length);
    if (munmap(view, content.length) < 0)
        fail("munmap");
}

static void act_copy_file_range(const char *target, struct content content) {
    int from = source(target, content, true), fd = open_target(target, O_WRONLY);
    size_t left = content.length;
    while (left > 0) {
        ssize_t copied = copy_file_range(from, NULL, fd, NULL, left, 0);
        if (copied < 0)
            fail_or_lacking("copy_file_range");
        if (copied == 0)
            fail_with("copy_file_range", EIO);
        left -= (size_t)copied;
    }
    fit(fd, content.length);
    close_or_fail(fd);
}

static void act_sendfile(const char *target, struct content content) {
    int from = source(target, content, false), fd = open_target(target, O_WRONLY);
    size_t left = content.length;
    while (left > 0) {
        ssize_t copied = sendfile(fd, from, NULL, left);
        if (copied < 0)
            fail_or_lacking("sendfile");
        if (copied == 0)
            fail_with("sendfile", EIO);
        left -= (size_t)copied;
    }
    fit(fd, content.length);
    close_or_fail(fd);
}

static void act_splice(const char *target, struct content content) {
    int from = source(target, content, false), fd = open_target(target, O_WRONLY), ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        fail("pipe");
    size_t left = content.length;
    while (left > 0) {
        ssize_t in = splice(from, NULL, ends[1], NULL, left < 4096 ? left : 4096, 0);
        if (in < 0)
            fail_or_lacking("splice in");
        if (in == 0)
            fail_with("splice in", EIO);
        for (ssize_t held = in; held > 0;) {
            ssize_t out = splice(ends[0], NULL, fd, NULL, (size_t)held, 0);
            if (out < 0)
                fail_or_lacking("splice out");
            if (out == 0)
                fail_with("splice out", EIO);
            held -= out;
        }
        left -= (size_t)in;
    }
    fit(fd, content.length);
    close_or_fail(fd);
}

/* Writes through a second name of the same inode. */
static void act_hardlink(const char *target, struct content content) {
    char *name = beside(target);
    if (link(target, name) < 0)
        fail("link");
    act_write(name, content);
    if (unlink(name) < 0)
        fail("unlink");
}

static void act_symlink(const char *target, struct content content) {
    char *name = beside(target), *whole = realpath(target, NULL);
    if (!whole)
        fail("realpath");
    if (symlink(whole, name) < 0)
        fail("symlink");
    act_write(name, content);
    if (unlink(name) < 0)
        fail("unlink");
}

static void act_uring(const char *target, struct content content) {
#ifndef RUNWARD_LAB_NO_URING
    struct ring ring;
    ring_open(&ring, 0);
    int fd = open_target(target, O_WRONLY);
    size_t at = 0;
    while (at < content.length) {
        struct io_uring_sqe entry;
        memset(&entry, 0, sizeof entry);
        entry.opcode = IORING_OP_WRITE;
        entry.fd = fd;
        entry.addr = (uintptr_t)(content.bytes + at);
        entry.len = (unsigned)(content.length - at);
        entry.off = at;
        int wrote = ring_must(&ring, &entry, "io_uring write");
        if (wrote == 0)
            fail_with("io_uring write", EIO);
        at += (size_t)wrote;
    }
    fit(fd, content.length);
    close_or_fail(fd);
#else
    (void)target, (void)content;
    errno = ENOSYS;
    lacking("io_uring headers at build time");
#endif
}

static void act_delete_create(const char *target, struct content content) {
    if (unlink(target) < 0)
        fail("unlink");
    int fd = open_target(target, O_WRONLY | O_CREAT | O_EXCL);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

/* A file that never had a name gets the target's. */
static void act_tmpfile(const char *target, struct content content) {
    int fd = open(folder_of(target), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0644);
    if (fd < 0)
        fail_or_lacking("open O_TMPFILE");
    write_all(fd, content.bytes, content.length, "write");
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (unlink(target) < 0 && errno != ENOENT)
        fail("unlink");
    if (linkat(AT_FDCWD, self, AT_FDCWD, target, AT_SYMLINK_FOLLOW) < 0)
        fail("linkat");
    close_or_fail(fd);
}

/* Another process opens the target; this one only writes through the descriptor it was given. */
static void act_passed_fd(const char *target, struct content content) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        send_fd(ends[1], open_target(target, O_WRONLY));
        _exit(0);
    }
    close(ends[1]);
    int fd = receive_fd(ends[0]);
    wait_for(child);
    fit(fd, content.length);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

/* Opens the target for reading, and again for writing through /proc. */
static void act_reopen(const char *target, struct content content) {
    int reader = open_target(target, O_RDONLY);
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", reader);
    int fd = open(self, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        fail("open /proc/self/fd");
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

static void act_reflink(const char *target, struct content content) {
    int from = source(target, content, true), fd = open_target(target, O_WRONLY);
    if (ioctl(fd, FICLONE, from) < 0) {
        if (errno == EINVAL || errno == EXDEV)
            lacking("FICLONE");
        fail_or_lacking("FICLONE");
    }
    fit(fd, content.length);
    close_or_fail(fd);
}

/* Opens by handle: no path is looked up for the opening that writes. */
static void act_handle(const char *target, struct content content) {
    struct file_handle *handle = calloc(1, sizeof *handle + MAX_HANDLE_SZ);
    int mount;
    if (!handle)
        fail("calloc");
    handle->handle_bytes = MAX_HANDLE_SZ;
    if (name_to_handle_at(AT_FDCWD, target, handle, &mount, 0) < 0)
        fail_or_lacking("name_to_handle_at");
    int folder = open(folder_of(target), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        fail("open folder");
    int fd = open_by_handle_at(folder, handle, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0)
        fail_or_lacking("open_by_handle_at");
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

static void act_append(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY | O_APPEND);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

/* Acts that leave the target holding CONTENT. */
static const struct {
    const char *name;
    void (*run)(const char *target, struct content content);
} content_acts[] = {
    {"write", act_write},
    {"pwrite", act_pwrite},
    {"rename-over", act_rename_over},
    {"exchange", act_exchange},
    {"mmap", act_mmap},
    {"copy-file-range", act_copy_file_range},
    {"sendfile", act_sendfile},
    {"splice", act_splice},
    {"hardlink", act_hardlink},
    {"symlink", act_symlink},
    {"uring", act_uring},
    {"delete-create", act_delete_create},
    {"tmpfile", act_tmpfile},
    {"passed-fd", act_passed_fd},
    {"reopen", act_reopen},
    {"reflink", act_reflink},
    {"handle", act_handle},
};

static void act_pwrite_at(char **argv) {
    int fd = open_target(argv[0], O_WRONLY);
    size_t length = strlen(argv[2]);
    if (pwrite(fd, argv[2], length, number(argv[1], 0, MOST_CONTENT)) != (ssize_t)length)
        fail("pwrite");
    close_or_fail(fd);
}

static void act_append_argument(char **argv) {
    act_append(argv[0], (struct content){argv[1], strlen(argv[1])});
}

static void act_truncate(char **argv) {
    if (truncate(argv[0], number(argv[1], 0, MOST_CONTENT)) < 0)
        fail("truncate");
}

static void act_ftruncate(char **argv) {
    int fd = open_target(argv[0], O_WRONLY);
    if (ftruncate(fd, number(argv[1], 0, MOST_CONTENT)) < 0)
        fail("ftruncate");
    close_or_fail(fd);
}

static void range(char **argv, int mode, const char *step) {
    int fd = open_target(argv[0], O_RDWR);
    if (fallocate(fd, mode, number(argv[1], 0, MOST_CONTENT), number(argv[2], 1, MOST_CONTENT)) < 0)
        fail_or_lacking(step);
    close_or_fail(fd);
}

static void act_punch(char **argv) { range(argv, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, "punch hole"); }
static void act_collapse(char **argv) { range(argv, FALLOC_FL_COLLAPSE_RANGE, "collapse range"); }
static void act_zero(char **argv) { range(argv, FALLOC_FL_ZERO_RANGE, "zero range"); }

static void act_delete(char **argv) {
    if (unlink(argv[0]) < 0)
        fail("unlink");
}

static void act_create(char **argv) {
    int fd = open_target(argv[0], O_WRONLY | O_CREAT | O_EXCL);
    write_all(fd, argv[1], strlen(argv[1]), "write");
    close_or_fail(fd);
}

static void act_rename(char **argv) {
    if (rename(argv[0], argv[1]) < 0)
        fail("rename");
}

/* Acts with arguments of their own. */
static const struct {
    const char *name;
    int arguments;
    void (*run)(char **argv);
    const char *usage;
} other_acts[] = {
    {"append", 2, act_append_argument, "TARGET CONTENT"},
    {"pwrite-at", 3, act_pwrite_at, "TARGET OFFSET CONTENT"},
    {"truncate", 2, act_truncate, "TARGET SIZE"},
    {"ftruncate", 2, act_ftruncate, "TARGET SIZE"},
    {"punch", 3, act_punch, "TARGET OFFSET LENGTH"},
    {"collapse", 3, act_collapse, "TARGET OFFSET LENGTH"},
    {"zero", 3, act_zero, "TARGET OFFSET LENGTH"},
    {"delete", 1, act_delete, "TARGET"},
    {"create", 2, act_create, "TARGET CONTENT"},
    {"rename", 2, act_rename, "TARGET NEW"},
};

static struct content read_target(const char *target) {
    int fd = open_target(target, O_RDONLY);
    struct stat status = status_of(fd);
    if (status.st_size > MOST_CONTENT)
        fail_with("read", EFBIG);
    size_t length = (size_t)status.st_size, at = 0;
    char *bytes = malloc(length + 1);
    if (!bytes)
        fail("malloc");
    while (at < length) {
        ssize_t got = read(fd, bytes + at, length - at);
        if (got < 0)
            fail("read");
        if (got == 0)
            break;
        at += (size_t)got;
    }
    close_or_fail(fd);
    return (struct content){bytes, at};
}

static void run_content_act(const char *name, const char *target, struct content content) {
    for (size_t i = 0; i < sizeof content_acts / sizeof *content_acts; i++) {
        if (strcmp(content_acts[i].name, name) == 0) {
            act_name = content_acts[i].name;
            content_acts[i].run(target, content);
            done(target);
        }
    }
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "same") == 0) {
        act_name = "same";
        run_content_act(argv[2], argv[3], read_target(argv[3]));
    } else if (argc == 4) {
        run_content_act(argv[1], argv[2], (struct content){argv[3], strlen(argv[3])});
    }
    for (size_t i = 0; argc > 2 && i < sizeof other_acts / sizeof *other_acts; i++) {
        if (strcmp(other_acts[i].name, argv[1]) == 0 && argc - 2 == other_acts[i].arguments) {
            act_name = other_acts[i].name;
            other_acts[i].run(argv + 2);
            done(argv[2]);
        }
    }
    for (size_t i = 0; i < sizeof content_acts / sizeof *content_acts; i++)
        fprintf(stderr, "usage: files %s TARGET CONTENT\n", content_acts[i].name);
    fprintf(stderr, "usage: files same ACT-WITH-CONTENT TARGET\n");
    for (size_t i = 0; i < sizeof other_acts / sizeof *other_acts; i++)
        fprintf(stderr, "usage: files %s %s\n", other_acts[i].name, other_acts[i].usage);
    return EXIT_USAGE;
}
