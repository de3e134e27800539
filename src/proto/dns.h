/* dns.h - one DNS query and the answers of a resolver that looks nothing up (RFC 1035).
 *
 * Messages come and go without the two length bytes of TCP; dns_tcp_length frames them. Pure bytes:
 * no I/O, no memory.
 */
#pragma once

#include "base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    DNS_NAME_MAX = 255,   /* with dots, without the last one, and a NUL */
    DNS_ANSWER_MAX = 512, /* an answer of ours is never longer */
    DNS_TYPE_A = 1,
    DNS_TYPE_AAAA = 28
};

enum dns_verdict {
    DNS_QUERY,    /* `name`, `type` are valid; class IN */
    DNS_FORMERR,  /* malformed: answer dns_write with DNS_RCODE_FORMERR */
    DNS_NOTIMP,   /* no standard query, or not class IN */
    DNS_NO_ANSWER /* too short for a header, or a response: stay silent */
};

/* RFC 1035 4.1.1 */
enum dns_rcode {
    DNS_RCODE_NOERROR = 0,
    DNS_RCODE_FORMERR = 1,
    DNS_RCODE_SERVFAIL = 2,
    DNS_RCODE_NXDOMAIN = 3,
    DNS_RCODE_NOTIMP = 4,
    DNS_RCODE_REFUSED = 5
};

struct dns_query {
    uint16_t id, type;
    uint8_t opcode;
    bool recursion_desired, edns;
    /* The name with dots, as spelled (case kept). A label with a byte that stands in no host name
     * (a dot, a NUL, a space) makes the query malformed. "" is the root. */
    char name[DNS_NAME_MAX];
    struct str question; /* its bytes, to be repeated in the answer; a piece of the message */
};

/* Reads a message. Exactly one question, no compression, at most one additional record (EDNS);
 * anything else is malformed. */
enum dns_verdict dns_query_parse(struct str message, struct dns_query *out);

/* Writes an answer without records into `out` (DNS_ANSWER_MAX bytes); returns its length. */
size_t dns_write(const struct dns_query *q, enum dns_rcode rcode, char *out);

/* Writes an answer with one A record. */
size_t dns_write_a(const struct dns_query *q, struct in_addr address, uint32_t ttl, char *out);

/* TCP (RFC 1035 4.2.2): the length of the message whose first bytes are given, or -1 when fewer than
 * two bytes are there. The message starts at bytes.p + 2. */
int dns_tcp_length(struct str bytes);

/* Puts the two length bytes of a message of n bytes. */
void dns_tcp_put_length(size_t n, char out[2]);
