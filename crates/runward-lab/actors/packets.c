/* The packets actor: what goes below the sockets of TCP and UDP.
 *
 *   packets ACT ADDRESS PORT     see `acts` at the end of this file for the list
 *
 * Each sends one UDP datagram to ADDRESS PORT that it has written itself, headers and all. The acts that write frames
 * ask for the hardware address of the gateway as any host does, and take the device of the default route.
 */
#include "common.h"
#include "packet.h"
#include "target.h"
#include "uring.h"

#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#if __has_include(<linux/if_xdp.h>)
#include <linux/if_xdp.h>
#endif
#ifndef PACKET_QDISC_BYPASS
#define PACKET_QDISC_BYPASS 20
#endif

static void act_raw_ip(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    unsigned char packet[PACKET_ROOM];
    size_t length = write_packet(packet, &to);
    int fd = socket(to.at.ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0)
        fail_or_lacking("socket SOCK_RAW");
    struct target raw = to;
    /* The port has no meaning for a raw socket; IPv6 wants it to be 0. */
    if (raw.at.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&raw.at)->sin6_port = 0;
    if (sendto(fd, packet, length, 0, address_of(&raw), raw.size) != (ssize_t)length)
        fail("sendto");
    done(fd, &to, PAYLOAD, 0);
}

/* packets raw-protocol ADDRESS NUMBER: the kernel writes the IP header, with a protocol of our choice. */
static void act_raw_protocol(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], "0");
    int fd = socket(to.at.ss_family, SOCK_RAW | SOCK_CLOEXEC, (int)number(argv[1], 1, 255));
    if (fd < 0)
        fail_or_lacking("socket SOCK_RAW");
    if (sendto(fd, pattern(PAYLOAD), PAYLOAD, 0, address_of(&to), to.size) != PAYLOAD)
        fail("sendto");
    done(fd, &to, PAYLOAD, 0);
}

static int packet_socket(int type) {
    int fd = socket(AF_PACKET, type | SOCK_CLOEXEC, htons(0x0003 /* ETH_P_ALL */));
    if (fd < 0)
        fail_or_lacking("socket AF_PACKET");
    return fd;
}

static void send_frame(int fd, const struct target *to) {
    unsigned char frame[FRAME_ROOM];
    struct link link = find_link(fd);
    size_t length = write_frame(frame, &link, to);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = link.index, .sll_halen = 6};
    memcpy(at.sll_addr, link.gateway, 6);
    if (sendto(fd, frame, length, 0, (struct sockaddr *)&at, sizeof at) != (ssize_t)length)
        fail("sendto");
    done(fd, to, PAYLOAD, 0);
}

static void act_packet(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    send_frame(packet_socket(SOCK_RAW), &to);
}

/* The kernel writes the frame's header. */
static void act_packet_dgram(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    unsigned char packet[PACKET_ROOM];
    int asking = packet_socket(SOCK_RAW), fd = packet_socket(SOCK_DGRAM);
    struct link link = find_link(asking);
    size_t length = write_packet(packet, &to);
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_ifindex = link.index,
                             .sll_halen = 6,
                             .sll_protocol = htons(to.at.ss_family == AF_INET6 ? 0x86dd : 0x0800)};
    memcpy(at.sll_addr, link.gateway, 6);
    if (sendto(fd, packet, length, 0, (struct sockaddr *)&at, sizeof at) != (ssize_t)length)
        fail("sendto");
    done(fd, &to, PAYLOAD, 0);
}

/* Past the queueing discipline, and with that past every filter of the device. */
static void act_packet_bypass(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    int fd = packet_socket(SOCK_RAW), on = 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) < 0)
        fail_or_lacking("PACKET_QDISC_BYPASS");
    send_frame(fd, &to);
}

#ifndef RUNWARD_LAB_NO_URING
/* A packet socket that no system call asked for. */
static void act_packet_uring(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    struct ring ring;
    ring_open(&ring, 0);
    struct io_uring_sqe entry;
    memset(&entry, 0, sizeof entry);
    entry.opcode = 45; /* IORING_OP_SOCKET */
    entry.fd = AF_PACKET;
    entry.off = SOCK_RAW;
    entry.len = htons(0x0003);
    send_frame(ring_must(&ring, &entry, "io_uring socket"), &to);
}
#else
static void act_packet_uring(int argc UNUSED, char **argv UNUSED) {
    errno = ENOSYS;
    lacking("io_uring headers at build time");
}
#endif

#ifdef AF_XDP
/* A frame from memory that is shared with the device. */
static void act_xdp(int argc UNUSED, char **argv) {
    enum { FRAME = 4096, FRAMES = 4 };
    struct target to = parse_target(argv[0], argv[1]);
    int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail_or_lacking("socket AF_XDP");
    int asking = packet_socket(SOCK_RAW);
    struct link link = find_link(asking);
    unsigned char *area = mmap(NULL, FRAME * FRAMES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        fail("mmap");
    struct xdp_umem_reg memory = {.addr = (uintptr_t)area, .len = FRAME * FRAMES, .chunk_size = FRAME};
    int entries = FRAMES;
    if (setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &memory, sizeof memory) < 0 ||
        setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &entries, sizeof entries) < 0 ||
        setsockopt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &entries, sizeof entries) < 0 ||
        setsockopt(fd, SOL_XDP, XDP_TX_RING, &entries, sizeof entries) < 0)
        fail_or_lacking("XDP rings");
    struct xdp_mmap_offsets offsets;
    socklen_t size = sizeof offsets;
    if (getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &size) < 0)
        fail_or_lacking("XDP_MMAP_OFFSETS");
    char *ring = mmap(NULL, offsets.tx.desc + FRAMES * sizeof(struct xdp_desc), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_POPULATE, fd, XDP_PGOFF_TX_RING);
    if (ring == MAP_FAILED)
        fail("mmap XDP");
    struct sockaddr_xdp at = {.sxdp_family = AF_XDP,
                              .sxdp_flags = XDP_COPY,
                              .sxdp_ifindex = (uint32_t)link.index};
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        fail_or_lacking("bind AF_XDP");
    struct xdp_desc *first = (struct xdp_desc *)(ring + offsets.tx.desc);
    *first = (struct xdp_desc){.addr = 0, .len = (uint32_t)write_frame(area, &link, &to)};
    __atomic_store_n((uint32_t *)(ring + offsets.tx.producer), 1, __ATOMIC_RELEASE);
    if (sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0)
        fail("sendto");
    done(fd, &to, PAYLOAD, 0);
}
#else
static void act_xdp(int argc UNUSED, char **argv UNUSED) {
    errno = EAFNOSUPPORT;
    lacking("AF_XDP headers at build time");
}
#endif

static int open_tun(char *name) {
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
            lacking("/dev/net/tun");
        fail("open /dev/net/tun");
    }
    struct ifreq request;
    memset(&request, 0, sizeof request);
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    if (ioctl(fd, TUNSETIFF, &request) < 0)
        fail_or_lacking("TUNSETIFF");
    memcpy(name, request.ifr_name, IFNAMSIZ);
    return fd;
}

static void bring_up(const char *name) {
    struct ifreq request;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, name, IFNAMSIZ);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fail("socket");
    request.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        fail("SIOCSIFFLAGS");
    close(fd);
}

/* In a container the settings can only be read, and may be right already. */
static void write_setting(const char *path, const char *value) {
    char now[8] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && read(fd, now, sizeof now - 1) > 0 && strncmp(now, value, strlen(value)) == 0) {
        close(fd);
        return;
    }
    close(fd);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        fail(path);
    close(fd);
}

/* A packet that comes in on a device of the job's own, for this machine to pass on: no socket sends it. */
static void act_tun(int argc UNUSED, char **argv) {
    struct target to = parse_target(argv[0], argv[1]);
    char name[IFNAMSIZ];
    unsigned char packet[PACKET_ROOM];
    /* Nobody believes a packet that comes in with this machine's own address. */
    struct target own = parse_target(to.at.ss_family == AF_INET6 ? "fd00:7::1" : "10.7.7.1", "0");
    int fd = open_tun(name);
    bring_up(name);
    write_setting("/proc/sys/net/ipv4/ip_forward", "1");
    write_setting("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    size_t length = write_packet_from(packet, &own.at, &to);
    write_all(fd, packet, length, "write to the device");
    sleep_ms(100);
    report("\"ok\":true,\"address\":\"%s\",\"sent\":%d", to.text, PAYLOAD);
    exit(EXIT_DONE);
}

static const struct act acts[] = {
    {"raw-ip", 2, act_raw_ip, "ADDRESS PORT"},
    {"raw-protocol", 2, act_raw_protocol, "ADDRESS NUMBER"},
    {"packet", 2, act_packet, "ADDRESS PORT"},
    {"packet-dgram", 2, act_packet_dgram, "ADDRESS PORT"},
    {"packet-bypass", 2, act_packet_bypass, "ADDRESS PORT"},
    {"packet-uring", 2, act_packet_uring, "ADDRESS PORT"},
    {"xdp", 2, act_xdp, "ADDRESS PORT"},
    {"tun", 2, act_tun, "ADDRESS PORT"},
};

int main(int argc, char **argv) { return run_act("packets", acts, sizeof acts / sizeof *acts, argc, argv); }
