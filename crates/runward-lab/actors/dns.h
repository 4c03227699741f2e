/* DNS messages, as far as an actor writes and reads them. */
#ifndef RUNWARD_LAB_DNS_H
#define RUNWARD_LAB_DNS_H

#include "common.h"

#include <arpa/inet.h>
#include <netinet/in.h>

/* Writes a DNS question. Returns its length; `id` tells pipelined ones apart. */
static UNUSED size_t question(unsigned char *out, size_t room, uint16_t id, const char *name, uint16_t type) {
    size_t at = 12;
    memset(out, 0, 12);
    out[0] = (unsigned char)(id >> 8);
    out[1] = (unsigned char)id;
    out[2] = 1; /* recursion desired */
    out[5] = 1; /* one question */
    while (*name) {
        const char *dot = strchr(name, '.');
        size_t length = dot ? (size_t)(dot - name) : strlen(name);
        if (length == 0 || length > 63 || at + length + 6 > room || at + length > 12 + 254) {
            fprintf(stderr, "%s: not a domain name\n", act_name);
            exit(EXIT_USAGE);
        }
        out[at++] = (unsigned char)length;
        memcpy(out + at, name, length);
        at += length;
        name += length;
        if (*name == '.')
            name++;
    }
    out[at++] = 0;
    out[at++] = (unsigned char)(type >> 8);
    out[at++] = (unsigned char)type;
    out[at++] = 0;
    out[at++] = 1; /* class IN */
    return at;
}

static UNUSED uint16_t type_number(const char *text) {
    static const struct {
        const char *name;
        uint16_t value;
    } known[] = {{"A", 1}, {"CNAME", 5}, {"MX", 15}, {"TXT", 16},
                 {"AAAA", 28}, {"SRV", 33}, {"HTTPS", 65}, {"ANY", 255}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, text) == 0)
            return known[i].value;
    return (uint16_t)number(text, 0, 65535);
}

/* Skips a possibly compressed name. Returns the offset after it, or 0 if it runs out of the message. */
static UNUSED size_t skip_name(const unsigned char *message, size_t length, size_t at) {
    while (at < length) {
        if (message[at] == 0)
            return at + 1;
        if (message[at] >= 0xc0)
            return at + 2 <= length ? at + 2 : 0;
        at += (size_t)message[at] + 1;
    }
    return 0;
}

/* Prints the line about one answer: its code, its flags and the addresses in it. */
static UNUSED void report_answer(const unsigned char *message, size_t length) {
    if (length < 12)
        fail_with("answer", EBADMSG);
    char addresses[2048] = "";
    size_t used = 0, at = 12;
    unsigned questions = (unsigned)message[4] << 8 | message[5], answers = (unsigned)message[6] << 8 | message[7];
    for (unsigned i = 0; i < questions && at; i++) {
        at = skip_name(message, length, at);
        at = at && at + 4 <= length ? at + 4 : 0;
    }
    for (unsigned i = 0; i < answers && at; i++) {
        at = skip_name(message, length, at);
        if (!at || at + 10 > length)
            break;
        unsigned type = (unsigned)message[at] << 8 | message[at + 1];
        size_t size = (size_t)message[at + 8] << 8 | message[at + 9];
        at += 10;
        if (at + size > length)
            break;
        char text[INET6_ADDRSTRLEN];
        int family = type == 1 && size == 4 ? AF_INET : type == 28 && size == 16 ? AF_INET6 : 0;
        if (family && inet_ntop(family, message + at, text, sizeof text) && used + sizeof text + 4 < sizeof addresses)
            used += (size_t)snprintf(addresses + used, sizeof addresses - used, "%s\"%s\"", used ? "," : "", text);
        at += size;
    }
    report("\"ok\":true,\"id\":%u,\"rcode\":%u,\"truncated\":%s,\"answers\":%u,\"addresses\":[%s]",
           (unsigned)message[0] << 8 | message[1], message[3] & 15u, message[2] & 2 ? "true" : "false", answers,
           addresses);
}

#endif
