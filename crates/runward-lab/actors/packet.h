/* A UDP datagram written by hand, down to the frame that it travels in. */
#ifndef RUNWARD_LAB_PACKET_H
#define RUNWARD_LAB_PACKET_H

#include "common.h"
#include "target.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>

/* Bytes of the datagram, and room for the headers before it. */
enum { PAYLOAD = 40, PACKET_ROOM = 40 + 8 + PAYLOAD, FRAME_ROOM = 14 + PACKET_ROOM };

/* The way out: the device of the default route, and who is at its other end. */
struct link {
    char name[IFNAMSIZ];
    int index;
    unsigned char own[6], gateway[6];
    uint32_t own_v4, gateway_v4; /* network order */
};

static UNUSED uint32_t sum_bytes(uint32_t sum, const unsigned char *at, size_t length) {
    for (; length > 1; length -= 2, at += 2)
        sum += (uint32_t)(at[0] << 8 | at[1]);
    return length ? sum + (uint32_t)(at[0] << 8) : sum;
}

static UNUSED void put_checksum(unsigned char *at, uint32_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    sum = ~sum & 0xffff;
    at[0] = (unsigned char)(sum >> 8);
    at[1] = (unsigned char)sum;
}

/* The address that this machine would send from. */
static UNUSED void own_address(const struct target *to, struct sockaddr_storage *own) {
    socklen_t size = sizeof *own;
    memset(own, 0, size);
    FILE *addresses = fopen(to->at.ss_family == AF_INET6 ? "/proc/net/if_inet6" : "/proc/net/fib_trie", "re");
    if (!addresses)
        fail("read the own address");
    /* No socket is asked, because a fence may stand at it. Every address but loopback and link-local ones will do. */
    char line[256], last[INET_ADDRSTRLEN] = "";
    while (fgets(line, sizeof line, addresses)) {
        if (to->at.ss_family == AF_INET6) {
            unsigned char *into = ((struct sockaddr_in6 *)own)->sin6_addr.s6_addr;
            unsigned scope;
            for (int i = 0; i < 16; i++)
                sscanf(line + 2 * i, "%2hhx", &into[i]);
            if (sscanf(line + 32, " %*x %*x %x", &scope) == 1 && scope == 0)
                break;
        } else {
            char text[INET_ADDRSTRLEN];
            if (sscanf(line, " |-- %15[0-9.]", text) == 1)
                strcpy(last, text);
            if (strstr(line, "/32 host LOCAL") && strncmp(last, "127.", 4) != 0 &&
                inet_pton(AF_INET, last, &((struct sockaddr_in *)own)->sin_addr) == 1)
                break;
        }
    }
    fclose(addresses);
    own->ss_family = to->at.ss_family;
}

/* Writes the whole packet, from the IP header on, and returns its length. */
static UNUSED size_t write_packet_from(unsigned char *packet, const struct sockaddr_storage *own,
                                       const struct target *to) {
    enum { UDP = 8 + PAYLOAD };
    bool six = to->at.ss_family == AF_INET6;
    size_t header = six ? 40 : 20, width = six ? 16 : 4, addresses = six ? 8 : 12;
    memset(packet, 0, header + UDP);
    if (six) {
        packet[0] = 0x60;
        packet[5] = UDP;
        packet[6] = 17;
        packet[7] = 64;
        memcpy(packet + 8, &((const struct sockaddr_in6 *)own)->sin6_addr, 16);
        memcpy(packet + 24, &((const struct sockaddr_in6 *)&to->at)->sin6_addr, 16);
    } else {
        packet[0] = 0x45;
        packet[3] = (unsigned char)(header + UDP);
        packet[8] = 64;
        packet[9] = 17;
        memcpy(packet + 12, &((const struct sockaddr_in *)own)->sin_addr, 4);
        memcpy(packet + 16, &((const struct sockaddr_in *)&to->at)->sin_addr, 4);
        put_checksum(packet + 10, sum_bytes(0, packet, 20));
    }
    unsigned char *udp = packet + header;
    udp[0] = 0xbb;
    udp[1] = 0x53;
    udp[2] = (unsigned char)(to->port >> 8);
    udp[3] = (unsigned char)to->port;
    udp[5] = UDP;
    memcpy(udp + 8, pattern(PAYLOAD), PAYLOAD);
    put_checksum(udp + 6, sum_bytes(sum_bytes(17 + UDP, packet + addresses, 2 * width), udp, UDP));
    return header + UDP;
}

static UNUSED size_t write_packet(unsigned char *packet, const struct target *to) {
    struct sockaddr_storage own;
    own_address(to, &own);
    return write_packet_from(packet, &own, to);
}

static UNUSED size_t write_frame(unsigned char *frame, const struct link *link, const struct target *to) {
    memcpy(frame, link->gateway, 6);
    memcpy(frame + 6, link->own, 6);
    frame[12] = to->at.ss_family == AF_INET6 ? 0x86 : 0x08;
    frame[13] = to->at.ss_family == AF_INET6 ? 0xdd : 0x00;
    return 14 + write_packet(frame + 14, to);
}

/* Finds device and gateway of the default route for IPv4, and asks for the gateway's hardware address through `fd`, a
 * packet socket. */
static UNUSED struct link find_link(int fd) {
    struct link link;
    struct target any = parse_target("0.0.0.0", "0");
    struct sockaddr_storage own;
    struct ifreq request;
    char line[256];
    bool found = false;
    memset(&link, 0, sizeof link);
    FILE *routes = fopen("/proc/net/route", "re");
    while (routes && !found && fgets(line, sizeof line, routes)) {
        unsigned to;
        found = sscanf(line, "%15s %x %x", link.name, &to, &link.gateway_v4) == 3 && to == 0;
    }
    if (routes)
        fclose(routes);
    if (!found)
        fail_with("default route", ENETUNREACH);
    own_address(&any, &own);
    link.own_v4 = ((struct sockaddr_in *)&own)->sin_addr.s_addr;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, link.name, IFNAMSIZ);
    if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
        fail("SIOCGIFINDEX");
    link.index = request.ifr_ifindex;
    if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
        fail("SIOCGIFHWADDR");
    memcpy(link.own, request.ifr_hwaddr.sa_data, 6);

    unsigned char ask[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
    memcpy(ask + 6, link.own, 6);
    memcpy(ask + 22, link.own, 6);
    memcpy(ask + 28, &link.own_v4, 4);
    memcpy(ask + 38, &link.gateway_v4, 4);
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = link.index, .sll_halen = 6};
    memset(at.sll_addr, 0xff, 6);
    for (int tries = 0; tries < 3; tries++) {
        if (sendto(fd, ask, sizeof ask, 0, (struct sockaddr *)&at, sizeof at) < 0)
            fail("ask for the gateway");
        struct pollfd wait = {fd, POLLIN, 0};
        while (poll(&wait, 1, 1000) == 1) {
            unsigned char answer[2048];
            ssize_t got = recv(fd, answer, sizeof answer, MSG_DONTWAIT);
            if (got >= 42 && answer[12] == 8 && answer[13] == 6 && answer[21] == 2 &&
                memcmp(answer + 28, &link.gateway_v4, 4) == 0) {
                memcpy(link.gateway, answer + 22, 6);
                return link;
            }
        }
    }
    fail_with("ask for the gateway", ETIMEDOUT);
}

#endif
