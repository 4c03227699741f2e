/* The least of io_uring that an act needs: one entry submitted, one completion awaited. No liburing. */
#ifndef RUNWARD_LAB_URING_H
#define RUNWARD_LAB_URING_H

#include "common.h"

#if __has_include(<linux/io_uring.h>)
#include <linux/io_uring.h>
#include <sys/mman.h>

struct ring {
    int fd;
    unsigned flags;
    unsigned *sq_head, *sq_tail, *sq_mask, *sq_flags, *sq_array;
    unsigned *cq_head, *cq_tail, *cq_mask;
    struct io_uring_sqe *entries;
    struct io_uring_cqe *completions;
};

/* Sets a ring up, with `flags` for io_uring_setup (IORING_SETUP_SQPOLL, or none). */
static UNUSED void ring_open(struct ring *ring, unsigned flags) {
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = flags;
    params.sq_thread_idle = 200;
    ring->flags = flags;
    ring->fd = (int)syscall(SYS_io_uring_setup, 4, &params);
    /* EPERM is what the kernel.io_uring_disabled switch answers. */
    if (ring->fd < 0) {
        if (errno == EPERM || errno == ENOSYS)
            lacking("io_uring_setup");
        fail("io_uring_setup");
    }
    size_t sq_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    int protection = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
    char *sq = mmap(NULL, sq_size, protection, how, ring->fd, IORING_OFF_SQ_RING);
    char *cq = mmap(NULL, cq_size, protection, how, ring->fd, IORING_OFF_CQ_RING);
    ring->entries = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), protection, how, ring->fd,
                         IORING_OFF_SQES);
    if (sq == MAP_FAILED || cq == MAP_FAILED || (void *)ring->entries == MAP_FAILED)
        fail("mmap io_uring");
    ring->sq_head = (unsigned *)(sq + params.sq_off.head);
    ring->sq_tail = (unsigned *)(sq + params.sq_off.tail);
    ring->sq_mask = (unsigned *)(sq + params.sq_off.ring_mask);
    ring->sq_flags = (unsigned *)(sq + params.sq_off.flags);
    ring->sq_array = (unsigned *)(sq + params.sq_off.array);
    ring->cq_head = (unsigned *)(cq + params.cq_off.head);
    ring->cq_tail = (unsigned *)(cq + params.cq_off.tail);
    ring->cq_mask = (unsigned *)(cq + params.cq_off.ring_mask);
    ring->completions = (struct io_uring_cqe *)(cq + params.cq_off.cqes);
}

/* Submits one entry and returns its result: what the system call would have returned, or a negative errno. */
static UNUSED int ring_do(struct ring *ring, const struct io_uring_sqe *entry) {
    unsigned tail = *ring->sq_tail, slot = tail & *ring->sq_mask;
    ring->entries[slot] = *entry;
    ring->sq_array[slot] = slot;
    __atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);

    unsigned submit = 1, enter = IORING_ENTER_GETEVENTS;
    if (ring->flags & IORING_SETUP_SQPOLL) {
        /* The kernel's own thread takes the entry; it only has to be woken if it went to sleep. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        submit = 0;
        if (__atomic_load_n(ring->sq_flags, __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
            enter |= IORING_ENTER_SQ_WAKEUP;
    }
    for (;;) {
        if (syscall(SYS_io_uring_enter, ring->fd, submit, 1, enter, NULL, 0) < 0 && errno != EINTR)
            fail("io_uring_enter");
        unsigned head = *ring->cq_head;
        if (head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
            int result = ring->completions[head & *ring->cq_mask].res;
            __atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
            return result;
        }
        /* A signal can end the wait after the entry was taken: never submit it twice. */
        if (__atomic_load_n(ring->sq_head, __ATOMIC_ACQUIRE) == tail + 1)
            submit = 0;
    }
}

/* As ring_do, but ends the process if this kernel doesn't know the operation (77) or the operation fails. */
static UNUSED int ring_must(struct ring *ring, const struct io_uring_sqe *entry, const char *step) {
    struct io_uring_probe *probe = calloc(1, sizeof *probe + 256 * sizeof *probe->ops);
    if (!probe)
        fail("calloc");
    if (syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_PROBE, probe, 256) < 0)
        lacking("io_uring probe");
    bool known = entry->opcode <= probe->last_op && (probe->ops[entry->opcode].flags & IO_URING_OP_SUPPORTED);
    free(probe);
    if (!known) {
        errno = EOPNOTSUPP;
        lacking(step);
    }
    int result = ring_do(ring, entry);
    if (result < 0)
        fail_with(step, -result);
    return result;
}
#else
#define RUNWARD_LAB_NO_URING 1
#endif

#endif
