#include "egress/hop.h"

#include "base/fd.h"
#include "egress/via.h"
#include "io/dial.h"
#include "io/tls.h"

#include <errno.h>
#include <stdlib.h>

enum { DIRECT_MS = 30 * 1000, PARENT_MS = 30 * 1000, HANDSHAKE_MS = 30 * 1000 };

struct hop {
    struct egress_sandbox *sandbox;
    const struct want *want;
    enum hop_kind kind;
    struct hop_result result;
    /* At most one of these is under way. */
    struct resolve *resolve;
    struct dial *dial;
    struct tls_dial *tls;
    struct via *via;
    struct host name; /* that is being looked up: the host's, or the parent proxy's */
    struct socket_address list[RESOLVE_MAX];
    size_t count;
    bool told;
    hop_done *done;
    void *ctx;
};

static const struct proxy_hop *parent_of(const struct hop *h)
{
    const struct egress_policy *p = &h->sandbox->policy;
    return h->kind == HOP_TUNNEL ? &p->parent_https : &p->parent_http;
}

static void tell(void *ctx)
{
    struct hop *h = ctx;
    if (h->done)
        h->done(h->ctx, &h->result);
    else
        fd_drop(&h->result.fd);
    free(h);
}

static void finish(struct hop *h)
{
    h->told = true;
    loop_later(h->sandbox->egress->loop, tell, h);
}

static void fail(struct hop *h, enum answer failure, const char *reason)
{
    h->result.fd = -1;
    h->result.failure = failure;
    h->result.reason = reason;
    finish(h);
}

static void on_tunnel(void *ctx, int fd)
{
    struct hop *h = ctx;
    h->via = NULL;
    h->result.fd = fd;
    if (fd < 0)
        fail(h, ANSWER_BAD_GATEWAY, "the proxy further out refused");
    else
        finish(h);
}

/* There is a stream to whoever is next. Proxies still have to be told where a tunnel leads. */
static void have_stream(struct hop *h, int fd)
{
    if (h->result.via == HOP_DIRECT || h->kind == HOP_PLAIN) {
        h->result.fd = fd;
        finish(h);
        return;
    }
    char authority[300];
    host_authority(&h->want->host, h->want->port, 0, authority);
    const char *authorization = h->result.via == HOP_PARENT ? parent_of(h)->authorization : NULL;
    h->via =
        via_new(h->sandbox->egress->loop, fd, authority, authorization, HANDSHAKE_MS, on_tunnel, h);
}

static void on_tls(void *ctx, int fd)
{
    struct hop *h = ctx;
    h->tls = NULL;
    if (fd < 0)
        fail(h, ANSWER_BAD_GATEWAY, "no TLS with the proxy further out");
    else
        have_stream(h, fd);
}

static void read_address(const struct socket_address *from, struct ip_address *out)
{
    *out = (struct ip_address){ .family = from->sa.sa_family };
    if (out->family == AF_INET)
        out->v4 = from->v4.sin_addr;
    else
        out->v6 = from->v6.sin6_addr;
    if (out->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&out->v6)) {
        struct in_addr v4;
        memcpy(&v4, &out->v6.s6_addr[12], sizeof v4);
        *out = (struct ip_address){ .family = AF_INET, .v4 = v4 };
    }
}

static struct socket_address write_address(const struct ip_address *from, uint16_t port)
{
    struct socket_address to = { 0 };
    to.sa.sa_family = (sa_family_t)from->family;
    if (from->family == AF_INET)
        to.v4.sin_addr = from->v4;
    else
        to.v6.sin6_addr = from->v6;
    socket_address_set_port(&to, port);
    return to;
}

static void on_dialled(void *ctx, int fd, size_t which, int os)
{
    struct hop *h = ctx;
    h->dial = NULL;
    if (fd < 0) {
        fail(h, ANSWER_BAD_GATEWAY, strerrordesc_np(os));
        return;
    }
    if (h->result.via == HOP_DIRECT && !h->want->host.is_ip)
        read_address(&h->list[which], &h->result.address);
    const struct proxy_hop *parent = parent_of(h);
    if (h->result.via == HOP_PARENT && parent->tls)
        h->tls = tls_dial_new(h->sandbox->egress->tls, fd, parent->host, HANDSHAKE_MS, on_tls, h);
    else
        have_stream(h, fd);
}

static void begin_dial(struct hop *h, uint64_t timeout_ms)
{
    h->dial = dial_new(h->sandbox->egress->loop, h->list, h->count, timeout_ms, on_dialled, h);
}

/* Drops the addresses that this name may not lead to. NULL when one is left, else the class that
 * comes first in the contract's order. */
static const char *drop_refused(struct hop *h)
{
    struct egress *egress = h->sandbox->egress;
    const char *class = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < h->count; i++) {
        struct ip_address address;
        read_address(&h->list[i], &address);
        const char *refused =
            egress_address_refused(&h->sandbox->policy, &h->want->host, &address, h->want->port,
                                   egress->own.items, egress->own.count);
        if (!refused)
            h->list[kept++] = h->list[i];
        else if (!class)
            class = refused;
    }
    h->count = kept;
    return kept ? NULL : class;
}

/* The addresses of the next machine are known: judges them, and dials. */
static void on_resolved(struct hop *h, const struct socket_address *list, size_t count)
{
    bool direct = h->result.via == HOP_DIRECT;
    if (count == 0) {
        fail(h, ANSWER_BAD_GATEWAY, "the name has no address");
        return;
    }
    if (list != h->list)
        memcpy(h->list, list, count * sizeof *list);
    h->count = count;
    for (size_t i = 0; i < count; i++)
        socket_address_set_port(&h->list[i], direct ? h->want->port : parent_of(h)->port);
    if (!direct) {
        begin_dial(h, PARENT_MS);
        return;
    }
    struct err e;
    if (own_addresses_refresh(&h->sandbox->egress->own, loop_now(h->sandbox->egress->loop), &e)) {
        fail(h, ANSWER_BAD_GATEWAY, "the addresses of this host are not known");
        return;
    }
    const char *refused = drop_refused(h);
    if (!refused) {
        begin_dial(h, DIRECT_MS);
        return;
    }
    egress_report(h->sandbox, h->want, true, NULL, refused, NULL);
    fail(h, ANSWER_ADDRESS, refused);
}

/* The answer to a look-up of ours. */
static void on_looked_up(void *ctx, const struct socket_address *list, size_t count)
{
    struct hop *h = ctx;
    struct egress_sandbox *s = h->sandbox;
    h->resolve = NULL;
    if (count)
        lookups_put(&s->lookups, &h->name, loop_now(s->egress->loop), list, count);
    on_resolved(h, list, count);
}

static void begin_resolve(struct hop *h, const struct host *name)
{
    struct egress_sandbox *s = h->sandbox;
    struct loop *loop = s->egress->loop;
    size_t known = lookups_find(&s->lookups, name, loop_now(loop), h->list);
    if (known) {
        on_resolved(h, h->list, known);
        return;
    }
    if (!lookups_take(&s->lookups, loop_now(loop))) {
        fail(h, ANSWER_BAD_GATEWAY, "too many look-ups");
        return;
    }
    h->name = *name;
    h->resolve = resolve_new(loop, name->text, on_looked_up, h);
    if (!h->resolve)
        fail(h, ANSWER_BAD_GATEWAY, "the name cannot be looked up");
}

/* Literals need no look-up: dialled as they are judged. */
static void begin_host(struct hop *h, const struct host *host, uint16_t port)
{
    if (!host->is_ip) {
        begin_resolve(h, host);
        return;
    }
    h->list[0] = write_address(&host->ip, port);
    h->count = 1;
    begin_dial(h, h->result.via == HOP_DIRECT ? DIRECT_MS : PARENT_MS);
}

static void begin_parent(struct hop *h)
{
    const struct proxy_hop *parent = parent_of(h);
    struct host host;
    struct err e;
    if (host_parse(str_of(parent->host), &host, &e) < 0)
        fail(h, ANSWER_BAD_GATEWAY, "the parent proxy has no usable name");
    else
        begin_host(h, &host, parent->port);
}

static void begin_mitm(struct hop *h)
{
    int fd = socket_connect_unix(h->sandbox->policy.mitm_socket);
    if (fd < 0)
        fail(h, ANSWER_BAD_GATEWAY, strerrordesc_np(errno));
    else
        have_stream(h, fd);
}

enum hop_via hop_way(const struct egress_sandbox *s, const struct want *want, enum hop_kind kind)
{
    const struct egress_policy *p = &s->policy;
    for (size_t i = 0; p->mitm_socket && i < p->mitm_domains.count; i++)
        if (domain_pattern_matches(&p->mitm_domains.items[i], &want->host, want->port))
            return HOP_MITM;
    const struct proxy_hop *parent = kind == HOP_TUNNEL ? &p->parent_https : &p->parent_http;
    bool further = parent->set && !egress_policy_bypasses_parent(p, &want->host);
    return further ? HOP_PARENT : HOP_DIRECT;
}

struct hop *hop_new(struct egress_sandbox *s, const struct want *want, enum hop_kind kind,
                    hop_done *done, void *ctx)
{
    struct hop *h = mem_get(sizeof *h);
    h->sandbox = s;
    h->want = want;
    h->kind = kind;
    h->done = done;
    h->ctx = ctx;
    h->result = (struct hop_result){ .fd = -1, .via = hop_way(s, want, kind) };
    switch (h->result.via) {
    case HOP_DIRECT:
        begin_host(h, &want->host, want->port);
        break;
    case HOP_PARENT:
        begin_parent(h);
        break;
    case HOP_MITM:
        begin_mitm(h);
        break;
    }
    return h;
}

void hop_cancel(struct hop *h)
{
    if (!h)
        return;
    resolve_cancel(h->resolve);
    dial_cancel(h->dial);
    tls_dial_cancel(h->tls);
    via_cancel(h->via);
    h->done = NULL;
    if (!h->told)
        finish(h);
}
