/* policy.h - what a command may reach: the `network` part of the settings, compiled.
 *
 * Filled by sandbox/settings from the file, used by the egress proxy for every connection and
 * request. Everything here is a decision: no socket, no clock, no look-up.
 */
#pragma once

#include "egress/domains.h"

struct domain_patterns {
    struct domain_pattern *items; /* owned */
    size_t count;
};

/* A proxy one hop further out (contract 3.3.4). */
struct proxy_hop {
    bool set, tls;       /* tls: https:// */
    char *host;          /* owned */
    uint16_t port;       /* never 0 when set */
    char *authorization; /* owned; "Basic ..." or NULL. A secret: never logged, never printed */
};

enum ambiguous_target { AMBIGUOUS_REFUSE, AMBIGUOUS_AS_SPELLED, AMBIGUOUS_NORMALIZE };

struct egress_policy {
    struct domain_patterns allowed, denied;
    char **denied_reasons; /* one per denied pattern, NULL where the file gives none; owned */
    bool strict_allowlist;

    struct ip_block *denied_addresses; /* owned */
    size_t denied_address_count;
    bool refuse_private; /* x.network.refusePrivate */

    struct proxy_hop parent_http, parent_https;
    char *no_proxy; /* owned; comma list as written, or NULL */

    char *mitm_socket; /* owned; NULL when there is no mitmProxy */
    struct domain_patterns mitm_domains;

    uint16_t http_proxy_port, socks_proxy_port; /* external proxies on the host; 0 = built-in */

    char **strip_response_headers; /* owned, NULL-terminated, or NULL */
    bool allow_plaintext_header_set, refuse_opaque_tunnels, require_host_match;
    enum ambiguous_target ambiguous_request_target;

    bool check_sni;           /* x.network.checkSni, default true */
    bool transparent;         /* x.network.transparent */
    bool dns;                 /* a private resolver answers (x.network.dns is "proxy") */
    uint64_t max_bytes_out;   /* 0 = no limit */
    uint32_t max_connections; /* default 1024 */
};

/* Sets the defaults of the contract (nothing allowed, checkSni on, 1024 connections). */
void egress_policy_init(struct egress_policy *p);
void egress_policy_release(struct egress_policy *p);

enum egress_decision { EGRESS_DENY, EGRESS_ALLOW, EGRESS_ASK };

struct egress_verdict {
    enum egress_decision decision;
    /* For a denial, what the client is told; borrowed from the policy or static. */
    const char *reason;
    const char *rule; /* the entry that decided (its `rule`, else as written), or NULL; borrowed */
};

/* Contract 3.3.2, steps 3 to 8. EGRESS_ASK only when `can_ask`. */
struct egress_verdict egress_policy_judge(const struct egress_policy *p, const struct host *h,
                                          uint16_t port, bool can_ask);

/* The deny list alone, for a port forward of the file (contract 4.2): it stands for localhost,
 * 127.0.0.1 and ::1 at both of its ports. Never EGRESS_ASK. */
struct egress_verdict egress_policy_judge_forward(const struct egress_policy *p, uint16_t outer,
                                                  uint16_t inner);

/* Contract 3.3.3: may `address`, to which the *name* `h` resolved, be dialled? NULL when it may,
 * else the class that refuses it, such as "loopback address". `own`/`own_count` are the addresses
 * assigned to this host. Not called for hosts that are IP literals themselves. */
const char *egress_address_refused(const struct egress_policy *p, const struct host *h,
                                   const struct ip_address *address, uint16_t port,
                                   const struct ip_address *own, size_t own_count);

/* True when this host goes direct although there is a parent proxy (contract 3.3.4, noProxy;
 * loopback always does). */
bool egress_policy_bypasses_parent(const struct egress_policy *p, const struct host *h);

/* Reads a proxy URL ("http://user:pw@host:3128", scheme optional). The message never repeats the
 * user information. */
int proxy_hop_parse(struct str url, struct proxy_hop *out, struct err *e);
void proxy_hop_release(struct proxy_hop *hop);
