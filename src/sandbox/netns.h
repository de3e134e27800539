/* netns.h - the inside of a fresh network namespace: loopback, listeners, redirect.
 *
 * Called by init inside the new namespace while it still owns it, before the command exists
 * (architecture 6, contract 4.2). The listening sockets are made here and passed out to the
 * supervisor; nothing listens on the host.
 */
#pragma once

#include "base/err.h"
#include "egress/domains.h"

#include <stdbool.h>

enum { NETNS_HTTP_PORT = 3128, NETNS_SOCKS_PORT = 1080, NETNS_DNS_PORT = 53 };

/* What the resolver hands out: 198.18.0.0/15 (RFC 2544, for tests only). */
#define NETNS_STANDINS 0xc6120000u
enum { NETNS_STANDIN_BITS = 15 };

/* What a listening socket is for; the names of the channel's "listeners". */
enum netns_listener_kind {
    LISTENER_HTTP,
    LISTENER_SOCKS,
    LISTENER_TRANSPARENT,
    LISTENER_DNS_UDP,
    LISTENER_DNS_TCP
};
const char *netns_listener_name(enum netns_listener_kind kind);

struct netns_listener {
    enum netns_listener_kind kind;
    int fd; /* close-on-exec; owned by whoever holds the set */
};

#define NETNS_LISTENERS_MAX 10

struct netns_options {
    bool proxy;                 /* 127.0.0.1 and ::1, ports 3128 and 1080 */
    bool transparent;           /* routes and redirect rules */
    bool resolver;              /* port 53 of every address; with transparent only */
    bool redirect_all_literals; /* somebody can be asked: every IPv4 literal goes to the proxy */
    const struct ip_block
        *literals; /* IPv4 literals that allowedDomains names, with optional ports */
    const uint16_t *literal_ports; /* 0 = every port */
    size_t literal_count;
};

/* Brings loopback up (127.0.0.1 and ::1) and opens the listeners; `out` has room for
 * NETNS_LISTENERS_MAX. Those of ::1 are left out where IPv6 is off. */
int netns_build(const struct netns_options *options, struct netns_listener *out, size_t *count,
                struct err *e);

/* Sockets through which the namespace's rules and routes are made, also by a process outside that owns the
 * namespace's user namespace: the kernel takes milliseconds for the rules, and init has other work. */
struct netns_control {
    int netfilter, route; /* owned; -1 = none */
};
int netns_control_open(struct netns_control *c, struct err *e);
void netns_control_drop(struct netns_control *c);

/* Adds the nftables rules and the routes for `transparent`. Connections come in at LISTENER_TRANSPARENT, queries at
 * LISTENER_DNS_*, each as it was sent: where it was meant to go is its own local address (getsockname; IP_PKTINFO). Who
 * connects to the transparent listener's own address wanted nothing: that lies in 127.0.0.0/8, which is never redirected.
 * Fails with E_SANDBOX and the errno when the kernel does not grant it; the listeners of netns_build stay usable. */
int netns_redirect(const struct netns_options *options, const struct netns_listener *listeners,
                   size_t count, const struct netns_control *c, struct err *e);
