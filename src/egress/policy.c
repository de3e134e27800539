#include "egress/policy.h"

#include "base/check.h"

#include <stdlib.h>

enum { CONNECTIONS_DEFAULT = 1024 };

void egress_policy_init(struct egress_policy *p)
{
    *p = (struct egress_policy){ .check_sni = true, .max_connections = CONNECTIONS_DEFAULT };
}

static void patterns_release(struct domain_patterns *list)
{
    for (size_t i = 0; i < list->count; i++)
        domain_pattern_release(&list->items[i]);
    free(list->items);
    *list = (struct domain_patterns){ 0 };
}

void egress_policy_release(struct egress_policy *p)
{
    if (p->denied_reasons)
        for (size_t i = 0; i < p->denied.count; i++)
            free(p->denied_reasons[i]);
    free(p->denied_reasons);
    patterns_release(&p->allowed);
    patterns_release(&p->denied);
    patterns_release(&p->mitm_domains);
    free(p->denied_addresses);
    proxy_hop_release(&p->parent_http);
    proxy_hop_release(&p->parent_https);
    free(p->no_proxy);
    free(p->mitm_socket);
    for (char **name = p->strip_response_headers; name && *name; name++)
        free(*name);
    free(p->strip_response_headers);
    *p = (struct egress_policy){ 0 };
}

/* Position of the first pattern that matches, or -1. */
static ptrdiff_t patterns_find(const struct domain_patterns *list, const struct host *h,
                               uint16_t port)
{
    for (size_t i = 0; i < list->count; i++)
        if (domain_pattern_matches(&list->items[i], h, port))
            return (ptrdiff_t)i;
    return -1;
}

static const char *rule_of(const struct domain_pattern *p)
{
    return p->rule ? p->rule : p->text;
}

static struct egress_verdict denied_by(const struct egress_policy *p, ptrdiff_t at)
{
    const char *given = p->denied_reasons ? p->denied_reasons[at] : NULL;
    return (struct egress_verdict){ EGRESS_DENY, given ? given : "host is on the deny list",
                                    rule_of(&p->denied.items[at]) };
}

struct egress_verdict egress_policy_judge_forward(const struct egress_policy *p, uint16_t outer,
                                                  uint16_t inner)
{
    static const char *const names[] = { "localhost", "127.0.0.1", "::1" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct host host;
        struct err e;
        CHECK(host_parse(str_of(names[i]), &host, &e) == 0);
        ptrdiff_t at = patterns_find(&p->denied, &host, outer);
        if (at < 0)
            at = patterns_find(&p->denied, &host, inner);
        if (at >= 0)
            return denied_by(p, at);
    }
    return (struct egress_verdict){ EGRESS_ALLOW, NULL, NULL };
}

struct egress_verdict egress_policy_judge(const struct egress_policy *p, const struct host *h,
                                          uint16_t port, bool can_ask)
{
    static const char not_listed[] = "host is not on the allow list";
    ptrdiff_t at = patterns_find(&p->denied, h, port);
    if (at >= 0)
        return denied_by(p, at);
    at = patterns_find(&p->allowed, h, port);
    if (at >= 0)
        return (struct egress_verdict){ EGRESS_ALLOW, NULL, rule_of(&p->allowed.items[at]) };
    if (!p->strict_allowlist && can_ask)
        return (struct egress_verdict){ EGRESS_ASK, NULL, NULL };
    return (struct egress_verdict){ EGRESS_DENY, not_listed, NULL };
}
