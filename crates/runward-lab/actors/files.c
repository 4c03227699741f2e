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
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/un.h>

enum { MOST_CONTENT = 16 << 20 };

struct content {
    const char *bytes;
    size_t length;
};

/* Who did it, where that isn't this process. */
static pid_t doer;

static _Noreturn void done(const char *target) {
    struct stat now;
    printf("{\"act\":");
    print_string(act_name);
    printf(",\"pid\":%d,\"ppid\":%d,\"ok\":true,\"path\":", (int)(doer ? doer : getpid()), (int)getppid());
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

/* Puts the times of last access and change back after the write. */
static void act_mtime(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY);
    struct stat old = status_of(fd);
    struct timespec times[2] = {old.st_atim, old.st_mtim};
    fit(fd, content.length);
    write_all(fd, content.bytes, content.length, "write");
    if (futimens(fd, times) < 0)
        fail("futimens");
    close_or_fail(fd);
    if (utimensat(AT_FDCWD, target, times, 0) < 0)
        fail("utimensat");
}

/* Runs an act in a child, which is then the one who did it. */
static void in_child(void (*act)(const char *, struct content), const char *target, struct content content) {
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        act(target, content);
        _exit(0);
    }
    doer = child;
    wait_for(child);
}

static void quick(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY | O_TRUNC);
    write_all(fd, content.bytes, content.length, "write");
    /* Nobody closes it but the end of the process. */
}

static void act_quick(const char *target, struct content content) { in_child(quick, target, content); }

/* Hands the target's descriptor to a child, which writes. */
static void act_given_fd(const char *target, struct content content) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        fail("socketpair");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        int fd = receive_fd(ends[0]);
        fit(fd, content.length);
        write_all(fd, content.bytes, content.length, "write");
        _exit(0);
    }
    int fd = open_target(target, O_WRONLY);
    send_fd(ends[1], fd);
    close_or_fail(fd);
    doer = child;
    wait_for(child);
}

/* A child that holds the target open until it is killed; its number of the descriptor is the parent's. */
static pid_t holder(const char *target, int flags, int *fd) {
    *fd = open_target(target, flags);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    close_or_fail(*fd);
    return child;
}

static void end(pid_t child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* Takes the descriptor out of another process. */
static void act_getfd(const char *target, struct content content) {
    int theirs;
    pid_t child = holder(target, O_WRONLY, &theirs);
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    int fd = process < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, process, theirs, 0);
    if (fd < 0) {
        int error = errno;
        end(child);
        errno = error;
        fail_or_lacking("pidfd_getfd");
    }
    fit(fd, content.length);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
    end(child);
}

/* Opens what another process has open for reading. */
static void act_proc_fd(const char *target, struct content content) {
    int theirs;
    pid_t child = holder(target, O_RDONLY, &theirs);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, theirs);
    act_write(path, content);
    end(child);
}

/* Opens the file behind a mapping. */
static void act_map_files(const char *target, struct content content) {
    int reader = open_target(target, O_RDONLY);
    char *view = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0);
    if (view == MAP_FAILED)
        fail("mmap");
    char path[96];
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (unsigned long)view, (unsigned long)view + 4096);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT)
            lacking("map_files");
        fail_or_lacking("open map_files");
    }
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

/* Writes into another process's mapping of the target, which is then the only one that still has it. */
static void act_vm_write(const char *target, struct content content) {
    int fd = open_target(target, O_RDWR);
    fit(fd, content.length);
    char *view = mmap(NULL, content.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED)
        fail("mmap");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pause();
        _exit(0);
    }
    if (munmap(view, content.length) < 0)
        fail("munmap");
    close_or_fail(fd);
    /* What this process did to the file itself, its length, has been looked at by then. */
    sleep_ms(300);
    struct iovec mine = {(void *)content.bytes, content.length}, theirs = {view, content.length};
    if (process_vm_writev(child, &mine, 1, &theirs, 1, 0) != (ssize_t)content.length) {
        int error = errno;
        end(child);
        errno = error;
        fail_or_lacking("process_vm_writev");
    }
    end(child);
    doer = child;
}

/* How long a mount stands, so that whoever watches mounts has time to. */
enum { MOUNTED_MS = 400 };

static void mount_or_fail(const char *from, const char *to, const char *kind, unsigned long flags, const char *data) {
    if (mount(from, to, kind, flags, data) < 0) {
        if (errno == ENODEV || errno == EPERM || errno == EINVAL)
            lacking("mount");
        fail_or_lacking("mount");
    }
}

static char *folder_beside(const char *target, const char *suffix) {
    char *name;
    if (asprintf(&name, "%s-%s-%d", folder_of(target), suffix, (int)getpid()) < 0)
        fail("asprintf");
    if (mkdir(name, 0755) < 0)
        fail("mkdir");
    return name;
}

static const char *name_of(const char *target) {
    const char *slash = strrchr(target, '/');
    return slash ? slash + 1 : target;
}

static char *in_folder(const char *folder, const char *name) {
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        fail("asprintf");
    return path;
}

/* Writes through another mount of the target's folder. */
static void act_bind_alias(const char *target, struct content content) {
    char *alias = folder_beside(target, "alias");
    mount_or_fail(folder_of(target), alias, NULL, MS_BIND, NULL);
    act_write(in_folder(alias, name_of(target)), content);
    if (umount2(alias, MNT_DETACH) < 0)
        fail("umount");
    rmdir(alias);
}

/* Shows another file at the target's place; the target itself does not change. */
static void act_bind_over(const char *target, struct content content) {
    char *other = new_beside(target, content);
    mount_or_fail(other, target, NULL, MS_BIND, NULL);
    sleep_ms(MOUNTED_MS);
    if (umount2(target, MNT_DETACH) < 0)
        fail("umount");
    unlink(other);
}

/* The same where only this process and its children see it. */
static void act_private_bind(const char *target, struct content content) {
    if (unshare(CLONE_NEWNS) < 0)
        fail_or_lacking("unshare");
    mount_or_fail(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    act_bind_over(target, content);
}

/* Moves a mount that was made without a place to the target's place (since Linux 5.2). */
static void act_move_mount(const char *target, struct content content) {
    enum { TREE_CLONE = 1, MOVE_EMPTY_PATH = 4 };
    char *other = new_beside(target, content);
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, other, TREE_CLONE);
    if (tree < 0)
        fail_or_lacking("open_tree");
    if (syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_EMPTY_PATH) < 0)
        fail_or_lacking("move_mount");
    sleep_ms(MOUNTED_MS);
    if (umount2(target, MNT_DETACH) < 0)
        fail("umount");
    unlink(other);
}

/* A file system in memory over the folder, with a file of the target's name in it. */
static void act_tmpfs_over(const char *target, struct content content) {
    char *folder = folder_of(target);
    mount_or_fail("none", folder, "tmpfs", 0, NULL);
    act_write(target, content);
    sleep_ms(MOUNTED_MS);
    if (umount2(folder, MNT_DETACH) < 0)
        fail("umount");
}

/* An overlay with `lower` below; its layer for writing is `upper`, or in memory. */
static char *overlay(const char *target, const char *lower, const char *upper, const char *at) {
    char *memory = folder_beside(target, "layers"), *data;
    if (!upper) {
        mount_or_fail("none", memory, "tmpfs", 0, NULL);
        upper = in_folder(memory, "upper");
        mkdir(upper, 0755);
    }
    char *work = in_folder(memory, "work");
    mkdir(work, 0755);
    if (asprintf(&data, "lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work) < 0)
        fail("asprintf");
    mount_or_fail("none", at, "overlay", 0, data);
    return memory;
}

/* An overlay over the folder, written through. */
static void act_overlay_over(const char *target, struct content content) {
    char *folder = folder_of(target), *memory = overlay(target, folder, NULL, folder);
    act_write(target, content);
    sleep_ms(MOUNTED_MS);
    if (umount2(folder, MNT_DETACH) < 0)
        fail("umount");
    umount2(memory, MNT_DETACH);
    rmdir(memory);
}

static void overwrite(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY);
    write_all(fd, content.bytes, content.length, "write");
    close_or_fail(fd);
}

static void overmap(const char *target, struct content content) {
    int fd = open_target(target, O_RDWR);
    char *view = mmap(NULL, content.length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (view == MAP_FAILED)
        fail("mmap");
    memcpy(view, content.bytes, content.length);
    if (munmap(view, content.length) < 0)
        fail("munmap");
    close_or_fail(fd);
}

/* An overlay elsewhere that has the folder as its layer for writing. The file keeps its length: cutting it is heard. */
static void over_upper(void (*act)(const char *, struct content), const char *target, struct content content) {
    char *folder = folder_of(target), *at = folder_beside(target, "merged"), *empty = folder_beside(target, "lower");
    char *memory = overlay(target, empty, folder, at);
    act(in_folder(at, name_of(target)), content);
    sleep_ms(MOUNTED_MS);
    if (umount2(at, MNT_DETACH) < 0)
        fail("umount");
    umount2(memory, MNT_DETACH);
    rmdir(at);
    rmdir(empty);
}

static void act_overlay_upper(const char *target, struct content content) { over_upper(overwrite, target, content); }
static void act_overlay_map(const char *target, struct content content) { over_upper(overmap, target, content); }

/* Writes to a loop device that has the target behind it. */
static void act_loop(const char *target, struct content content) {
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    if (control < 0)
        lacking("loop devices");
    int free_one = ioctl(control, LOOP_CTL_GET_FREE);
    if (free_one < 0)
        lacking("a free loop device");
    char path[64];
    snprintf(path, sizeof path, "/dev/loop%d", free_one);
    int device = open(path, O_RDWR | O_CLOEXEC), file = open_target(target, O_RDWR);
    if (device < 0 || ioctl(device, LOOP_SET_FD, file) < 0)
        lacking("loop device");
    close_or_fail(file);
    write_all(device, content.bytes, content.length, "write device");
    if (fsync(device) < 0)
        fail("fsync");
    ioctl(device, LOOP_CLR_FD, 0);
    close_or_fail(device);
}

/* Has a process that waits at a socket write: see `serve`. */
static void act_daemon(const char *target, struct content content) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *place = getenv("RUNWARD_LAB_SOCKET");
    if (!place)
        fail_with("RUNWARD_LAB_SOCKET", EINVAL);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place);
    int to = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = open_target(target, O_WRONLY);
    if (to < 0 || connect(to, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect");
    send_fd(to, fd);
    close_or_fail(fd);
    write_all(to, content.bytes, content.length, "send");
    shutdown(to, SHUT_WR);
    char done_with;
    if (read(to, &done_with, 1) != 1)
        fail("answer");
}

/* Waits at a socket for one descriptor, and writes to it what comes after. */
static void act_serve(char **argv) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", argv[0]);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 1) < 0)
        fail("listen");
    int from = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (from < 0)
        fail("accept");
    int fd = receive_fd(from);
    if (ftruncate(fd, 0) < 0)
        fail("ftruncate");
    char bytes[4096];
    ssize_t got;
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        write_all(fd, bytes, (size_t)got, "write");
    close_or_fail(fd);
    write_all(from, "x", 1, "answer");
}

/* Puts another folder in the place of the target's. */
static void act_folder(const char *target, struct content content) {
    char *folder = folder_of(target), *other = folder_beside(target, "other"), *old;
    act_write(in_folder(other, name_of(target)), content);
    if (asprintf(&old, "%s-old", folder) < 0 || rename(folder, old) < 0 || rename(other, folder) < 0)
        fail("rename");
}

/* More than is hashed in one go. */
static void act_large(const char *target, struct content content) {
    int fd = open_target(target, O_WRONLY | O_TRUNC);
    for (int at = 0; at < 6; at++) {
        if (ftruncate(fd, (at + 1) << 20) < 0)
            fail("ftruncate");
        if (pwrite(fd, content.bytes, content.length, at << 20) < 0)
            fail("pwrite");
    }
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
    {"mtime", act_mtime},
    {"quick", act_quick},
    {"given-fd", act_given_fd},
    {"getfd", act_getfd},
    {"proc-fd", act_proc_fd},
    {"map-files", act_map_files},
    {"vm-write", act_vm_write},
    {"bind-alias", act_bind_alias},
    {"bind-over", act_bind_over},
    {"private-bind", act_private_bind},
    {"move-mount", act_move_mount},
    {"tmpfs-over", act_tmpfs_over},
    {"overlay-over", act_overlay_over},
    {"overlay-upper", act_overlay_upper},
    {"overlay-map", act_overlay_map},
    {"loop", act_loop},
    {"daemon", act_daemon},
    {"folder", act_folder},
    {"large", act_large},
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
static void act_insert(char **argv) { range(argv, FALLOC_FL_INSERT_RANGE, "insert range"); }
static void act_zero(char **argv) { range(argv, FALLOC_FL_ZERO_RANGE, "zero range"); }

/* A byte in the middle, with the length and the times as they were. */
static void act_one_byte(char **argv) {
    int fd = open_target(argv[0], O_RDWR);
    struct stat old = status_of(fd);
    struct timespec times[2] = {old.st_atim, old.st_mtim};
    char byte;
    if (pread(fd, &byte, 1, old.st_size / 2) != 1)
        fail("pread");
    byte ^= 1;
    if (pwrite(fd, &byte, 1, old.st_size / 2) != 1)
        fail("pwrite");
    close_or_fail(fd);
    if (utimensat(AT_FDCWD, argv[0], times, 0) < 0)
        fail("utimensat");
}

/* A byte far behind the end, with a hole before it. */
static void act_sparse(char **argv) {
    int fd = open_target(argv[0], O_WRONLY);
    if (pwrite(fd, "x", 1, 3 << 20) != 1)
        fail("pwrite");
    close_or_fail(fd);
}

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
    {"insert", 3, act_insert, "TARGET OFFSET LENGTH"},
    {"one-byte", 1, act_one_byte, "TARGET"},
    {"sparse", 1, act_sparse, "TARGET"},
    {"serve", 1, act_serve, "SOCKET"},
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
