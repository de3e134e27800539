#include "egress/client.h"
#include "egress/clean.h"
#include "egress/resolver.h"
#include "egress/upstream.h"

#include "base/check.h"
#include "io/socket.h"
#include "io/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCEPT_AT_ONCE = 32, REASON_UNITS = 500 };

static const char *const method_names[EGRESS_METHODS] = {
    [EGRESS_CONNECT] = "connect",         [EGRESS_HTTP] = "http", [EGRESS_SOCKS] = "socks",
    [EGRESS_TRANSPARENT] = "transparent", [EGRESS_DNS] = "dns",   [EGRESS_PORT_IN] = "port-in",
    [EGRESS_PORT_OUT] = "port-out",
};

static const char *const listener_names[EGRESS_LISTENERS] = {
    [EGRESS_LISTEN_HTTP] = "http",
    [EGRESS_LISTEN_SOCKS] = "socks",
    [EGRESS_LISTEN_TRANSPARENT] = "transparent",
    [EGRESS_LISTEN_DNS_UDP] = "dns-udp",
    [EGRESS_LISTEN_DNS_TCP] = "dns-tcp",
};

const char *egress_method_name(enum egress_method method)
{
    return method_names[method];
}

int egress_listener_find(struct str name)
{
    for (int i = 0; i < EGRESS_LISTENERS; i++)
        if (str_eq(name, str_of(listener_names[i])))
            return i;
    return -1;
}

struct egress *egress_new(struct loop *loop)
{
    struct egress *e = mem_get(sizeof *e);
    e->loop = loop;
    e->room.pipes = RELAY_PIPES;
    e->tls = tls_client_new(loop);
    return e;
}

void egress_free(struct egress *e)
{
    if (!e)
        return;
    tls_client_free(e->tls);
    own_addresses_release(&e->own);
    free(e);
}

static void take_policy(struct egress_sandbox *s, struct egress_policy *policy)
{
    s->policy = *policy;
    egress_policy_init(policy);
}

struct egress_sandbox *egress_sandbox_new(struct egress *e, struct egress_policy *policy,
                                          struct str token, bool can_ask,
                                          const struct egress_hooks *hooks)
{
    CHECK(token.n > 0 && token.n <= TOKEN_MAX);
    struct egress_sandbox *s = mem_get(sizeof *s);
    s->egress = e;
    take_policy(s, policy);
    memcpy(s->token, token.p, token.n);
    s->can_ask = can_ask;
    s->hooks = *hooks;
    lookups_init(&s->lookups, loop_now(e->loop));
    rate_init(&s->queries, QUERIES_PER_SECOND, QUERY_BURST, loop_now(e->loop));
    return s;
}

void egress_accept_interest(struct egress_sandbox *s)
{
    bool room = s->client_count < s->policy.max_connections;
    for (size_t i = 0; i < s->listener_count; i++)
        watch_set(s->listeners[i].watch, room ? WATCH_READ : 0);
}

/* At the limit the rest waits in the kernel's queue, which has its own bound. */
static void on_connection(void *ctx, unsigned events)
{
    struct listener *l = ctx;
    struct egress_sandbox *s = l->sandbox;
    (void)events;
    for (int i = 0; i < ACCEPT_AT_ONCE && s->client_count < s->policy.max_connections; i++) {
        struct socket_address peer = { 0 };
        int fd = socket_accept(watch_fd(l->watch), &peer);
        if (fd < 0)
            break; /* none; or out of descriptors, and then a later turn may have one */
        client_new(s, l, fd, socket_address_port(&peer));
    }
    egress_accept_interest(s);
}

static int make_non_blocking(int fd, struct err *e)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(e, E_INPUT, errno, "a listener cannot be used");
    return 0;
}

static int check_listener(const struct egress_sandbox *s, int fd, struct err *e)
{
    if (s->listener_count < LISTENERS_MAX && make_non_blocking(fd, e) == 0)
        return 0;
    close(fd);
    return s->listener_count == LISTENERS_MAX ? err_set(e, E_INPUT, 0, "too many listeners") : -1;
}

static void add_listener(struct egress_sandbox *s, const struct listener *row, int fd)
{
    struct listener *l = &s->listeners[s->listener_count++];
    *l = *row;
    socket_stays_local(fd);
    l->watch = watch_new_shared(s->egress->loop, fd, on_connection, l);
    egress_accept_interest(s);
}

int egress_sandbox_listen(struct egress_sandbox *s, enum egress_listener kind, int fd,
                          struct err *e)
{
    if (check_listener(s, fd, e) < 0)
        return -1;
    bool dns = kind == EGRESS_LISTEN_DNS_UDP || kind == EGRESS_LISTEN_DNS_TCP;
    if ((dns || kind == EGRESS_LISTEN_TRANSPARENT) && !s->names)
        s->names = names_new();
    if (dns) {
        if (!s->resolver)
            s->resolver = resolver_new(s);
        resolver_listen(s->resolver, fd, kind == EGRESS_LISTEN_DNS_UDP);
        return 0;
    }
    add_listener(s, &(struct listener){ .sandbox = s, .kind = kind }, fd);
    return 0;
}

int egress_sandbox_forward(struct egress_sandbox *s, const struct egress_forward *forward, int fd,
                           struct err *e)
{
    if (check_listener(s, fd, e) < 0)
        return -1;
    add_listener(s, &(struct listener){ .sandbox = s, .forward = *forward }, fd);
    return 0;
}

void egress_sandbox_reach_in(struct egress_sandbox *s, int fd)
{
    CHECK(!s->inlet);
    s->inlet = inlet_new(s->egress->loop, fd);
}

#define SWAP(a, b)                                                                                 \
    do {                                                                                           \
        __typeof__(a) was = (a);                                                                   \
        (a) = (b);                                                                                 \
        (b) = was;                                                                                 \
    } while (0)

/* The parts that contract 6 calls live. Everything else is fixed at start. */
static void take_live_parts(struct egress_policy *now, struct egress_policy *next)
{
    SWAP(now->allowed, next->allowed);
    SWAP(now->denied, next->denied);
    SWAP(now->denied_reasons, next->denied_reasons);
    SWAP(now->strict_allowlist, next->strict_allowlist);
    SWAP(now->denied_addresses, next->denied_addresses);
    SWAP(now->denied_address_count, next->denied_address_count);
    SWAP(now->mitm_socket, next->mitm_socket);
    SWAP(now->mitm_domains, next->mitm_domains);
    egress_policy_release(next);
    egress_policy_init(next);
}

void egress_sandbox_update(struct egress_sandbox *s, struct egress_policy *policy)
{
    take_live_parts(&s->policy, policy);
    upstream_drop_idle(s); /* judged by the old rules */
    permission_rejudge(s);
    for (struct client *c = s->clients, *next; c; c = next) {
        next = c->next;
        client_rejudge(c);
    }
}

void egress_sandbox_answer(struct egress_sandbox *s, uint64_t id, bool allow, struct str reason)
{
    permission_answer(s, id, allow, reason);
}

struct egress_totals egress_sandbox_totals(const struct egress_sandbox *s)
{
    return s->totals;
}

void egress_sandbox_free(struct egress_sandbox *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->listener_count; i++)
        watch_free(s->listeners[i].watch);
    s->listener_count = 0;
    while (s->clients)
        client_close(s->clients);
    upstream_drop_idle(s);
    inlet_free(s->inlet);
    resolver_free(s->resolver);
    names_free(s->names);
    lookups_release(&s->lookups);
    egress_policy_release(&s->policy);
    mem_wipe(s->token, sizeof s->token);
    free(s);
}

bool egress_report(struct egress_sandbox *s, const struct want *want, bool denied, const char *rule,
                   const char *reason, const char *violation_kind)
{
    AUTO_BUF line = { 0 };
    if (denied) {
        char authority[300];
        host_authority(&want->host, want->port, 0, authority);
        s->totals.denied++;
        buf_addf(&line, "deny %s%s", violation_kind ? violation_kind : "network-outbound",
                 authority[0] ? " " : "");
        clean_text(&line, str_of(authority), REASON_UNITS);
        buf_add(&line, STR(" ("));
        clean_text(&line, str_of(reason), REASON_UNITS);
        buf_add_byte(&line, ')');
    }
    struct egress_event event = {
        .denied = denied,
        .method = want->method,
        .host = want->host.text,
        .port = want->port,
        .rule = rule,
        .reason = reason,
        .violation = denied ? buf_text(&line) : NULL,
        .client_port = want->client_port,
        .user = want->user ? want->user : "",
    };
    return s->hooks.event(s->hooks.ctx, &event);
}

void egress_report_malformed(struct egress_sandbox *s, const struct want *want, struct str raw,
                             const char *reason)
{
    struct want shown = *want;
    AUTO_BUF clean = { 0 };
    clean_text(&clean, raw, sizeof shown.host.text);
    size_t n = clean.n < sizeof shown.host.text - 1 ? clean.n : sizeof shown.host.text - 1;
    while (n < clean.n && n && ((unsigned char)clean.p[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    shown.host = (struct host){ 0 };
    memcpy(shown.host.text, buf_text(&clean), n);
    egress_report(s, &shown, true, NULL, reason, NULL);
}

bool egress_count(struct egress_sandbox *s, bool out, size_t n)
{
    *(out ? &s->totals.bytes_out : &s->totals.bytes_in) += n;
    return !out || !s->policy.max_bytes_out || s->totals.bytes_out <= s->policy.max_bytes_out;
}
