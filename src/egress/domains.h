/* domains.h - host names as the sandbox judges them: canonical hosts and domain patterns.
 *
 * Pure text work (sandbox contract 3.3.1 and 3.3.2, steps 1 and 2). One canonical form is used for
 * judging, dialling and forwarding, so that two spellings of a host can never be judged differently
 * from how they are dialled.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* An IPv4 or IPv6 address. IPv4-mapped IPv6 is always held as IPv4. */
struct ip_address {
    int family; /* AF_INET or AF_INET6 */
    union {
        struct in_addr v4;
        struct in6_addr v6;
    };
};

/* Same family and same bytes. */
bool ip_equal(const struct ip_address *a, const struct ip_address *b);

/* Text form (IPv6 compressed, without brackets). `out` has room for INET6_ADDRSTRLEN. */
void ip_text(const struct ip_address *a, char *out);

/* Reads an address as inet_pton does: dotted decimal, or IPv6 without brackets and zone. */
bool ip_parse(struct str text, struct ip_address *out);

/* An address block such as 10.0.0.0/8. */
struct ip_block {
    struct ip_address base;
    unsigned bits;
};

/* Reads "10.0.0.0/8", "10.0.0.1", "fd00::/8", "::1" (no brackets, no zone). */
int ip_block_parse(struct str text, struct ip_block *out, struct err *e);
bool ip_block_has(const struct ip_block *block, const struct ip_address *address);

/* A host in canonical form: lower case, one trailing dot removed, every inet_aton spelling of an
 * IPv4 address ("127.1", "0x7f.1", "2130706433", octal) as dotted decimal, IPv6 compressed without
 * brackets, IPv4-mapped IPv6 as IPv4. */
struct host {
    char text[256]; /* NUL-terminated */
    bool is_ip;
    struct ip_address ip; /* valid when is_ip */
};

/* Judges and canonicalises what a client sent. Brackets around IPv6 are accepted and dropped; a zone
 * ("%eth0"), NUL, control characters, more than 255 bytes or anything outside [A-Za-z0-9._-] that
 * is no IP literal is refused: E_INPUT "malformed host". */
int host_parse(struct str raw, struct host *out, struct err *e);

/* "example.com:443" or "[::1]:443" from a canonical host, for request lines and Host fields. With
 * port == default_port the port is left out. `out` has room for 270 bytes. */
void host_authority(const struct host *h, uint16_t port, uint16_t default_port, char *out);

enum domain_list { DOMAIN_ALLOWED, DOMAIN_DENIED };

struct domain_pattern {
    char *text; /* as written in the settings; owned by whoever owns the pattern */
    char *rule; /* where it stands, for logs: "network.deniedDomains[0] (*.example.com)"; owned, or
                         NULL: domain_pattern_parse does not know */
    struct host host; /* what must match; for "*.example.com" this is "example.com" */
    bool wildcard;    /* "*.host": strict subdomains only, never an IP literal */
    bool any;         /* "*" (only in a deny list) */
    uint16_t port;    /* 0 = every port */
};

/* Reads one pattern (contract 3.3.1). The message says what is wrong and how it should look.
 * On success `out->text` is a heap copy; domain_pattern_release frees it. */
int domain_pattern_parse(struct str text, enum domain_list list, struct domain_pattern *out,
                         struct err *e);
void domain_pattern_release(struct domain_pattern *p);

bool domain_pattern_matches(const struct domain_pattern *p, const struct host *h, uint16_t port);
