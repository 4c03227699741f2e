/* The witness: tells of every IP packet that comes in on a device, whoever it is for.
 *
 *   wire DEVICE
 *
 * A line of JSON for each packet. For each line on standard input it answers `{"settled":true,"lost":N}` once all that
 * came before is told, where N counts packets that it had no room for. Ends with its standard input.
 */
#include "common.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/* How many bytes of a packet are looked at, and of its payload told. */
enum { SEEN = 2048, TOLD = 512, BUFFER = 64 << 20 };

static unsigned long lost;

static int open_device(const char *device) {
    int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), room = BUFFER, on = 1;
    if (fd < 0)
        fail("socket AF_PACKET");
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_protocol = htons(0x0003 /* ETH_P_ALL */),
                             .sll_ifindex = (int)if_nametoindex(device)};
    if (at.sll_ifindex == 0)
        fail("if_nametoindex");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        fail("SO_RCVBUFFORCE");
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        fail("bind");
    return fd;
}

static void tell(const unsigned char *packet, size_t seen, size_t length) {
    bool six = packet[0] >> 4 == 6;
    if (seen < (six ? 40u : 20u) || (!six && packet[0] >> 4 != 4))
        return;
    char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
    inet_ntop(six ? AF_INET6 : AF_INET, packet + (six ? 8 : 12), from, sizeof from);
    inet_ntop(six ? AF_INET6 : AF_INET, packet + (six ? 24 : 16), to, sizeof to);
    size_t at = six ? 40 : (size_t)(packet[0] & 15) * 4;
    unsigned protocol = six ? packet[6] : packet[9], port = 0;
    /* The device may hand down more than the packet. */
    size_t end = six ? 40u + (packet[4] << 8 | packet[5]) : (size_t)(packet[2] << 8 | packet[3]);
    if (end >= at && end < length)
        length = end;
    while (six && (protocol == 0 || protocol == 43 || protocol == 60) && at + 8 <= seen) {
        protocol = packet[at];
        at += (size_t)(packet[at + 1] + 1) * 8;
    }
    bool ports = protocol == 6 || protocol == 17 || protocol == 136;
    if (ports && at + 4 <= seen)
        port = (unsigned)packet[at + 2] << 8 | packet[at + 3];
    if (protocol == 6 && at + 13 <= seen)
        at += (size_t)(packet[at + 12] >> 4) * 4;
    else if (protocol != 6 && ports)
        at += 8;
    size_t payload = length > at ? length - at : 0;
    printf("{\"from\":\"%s\",\"to\":\"%s\",\"protocol\":%u,\"port\":%u,\"payload\":%zu,\"first\":", from, to, protocol,
           port, payload);
    size_t told = at < seen ? seen - at : 0;
    if (told > payload)
        told = payload;
    print_hex(packet + at, told > TOLD ? TOLD : told);
    puts("}");
}

static void drain(int fd) {
    unsigned char packet[SEEN];
    for (;;) {
        struct sockaddr_ll from;
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(fd, packet, sizeof packet, MSG_TRUNC, (struct sockaddr *)&from, &size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return;
        /* PACKET_IGNORE_OUTGOING is younger than some kernels. */
        if (from.sll_pkttype == PACKET_OUTGOING)
            continue;
        tell(packet, (size_t)got < sizeof packet ? (size_t)got : sizeof packet, (size_t)got);
    }
}

static void settle(int fd) {
    struct tpacket_stats statistics;
    socklen_t size = sizeof statistics;
    if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) < 0)
        fail("PACKET_STATISTICS");
    lost += statistics.tp_drops;
    printf("{\"settled\":true,\"lost\":%lu}\n", lost);
}

int main(int argc, char **argv) {
    act_name = "wire";
    if (argc != 2) {
        fprintf(stderr, "usage: wire DEVICE\n");
        return EXIT_USAGE;
    }
    struct pollfd waits[2] = {{open_device(argv[1]), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    puts("{\"ready\":true}");
    fflush(stdout);
    for (;;) {
        if (poll(waits, 2, -1) < 0 && errno != EINTR)
            fail("poll");
        drain(waits[0].fd);
        if (waits[1].revents) {
            char lines[64];
            ssize_t got = read(STDIN_FILENO, lines, sizeof lines);
            if (got <= 0)
                return EXIT_DONE;
            drain(waits[0].fd);
            for (ssize_t i = 0; i < got; i++)
                if (lines[i] == '\n')
                    settle(waits[0].fd);
        }
        fflush(stdout);
    }
}
