/* Connections that are handed on as they are, to a port of a loopback: the ports of x.network.ports, and
 * httpProxyPort and socksProxyPort, where a proxy of the host does the filtering and gets no token of
 * ours. */
#include "base/check.h"
#include "egress/tunnel.h"
#include "io/dial.h"
#include "io/socket.h"

#include <stdlib.h>

enum { FORWARD_MS = 10 * 1000 };

static void nothing_to_read(struct client *c)
{
    (void)c;
}

static void refused(struct client *c, enum answer answer, const char *reason)
{
    (void)answer;
    (void)reason;
    client_close(c);
}

/* Who connected hears that nobody answers: a connection that just ends could be an empty answer. */
static void reset(struct client *c, enum answer answer, const char *reason)
{
    (void)answer;
    (void)reason;
    socket_abort_on_close(watch_fd(c->watch));
    client_close(c);
}

static void opened(struct client *c, struct buf *hello)
{
    (void)c;
    (void)hello;
}

static const struct client_protocol client_forward = {
    .input = nothing_to_read,
    .refused = refused,
    .opened = opened,
    .violation = "network-outbound",
};

static const struct client_protocol client_port_out = {
    .input = nothing_to_read,
    .refused = reset,
    .opened = opened,
    .violation = "network-outbound",
};

static const struct client_protocol client_port_in = {
    .input = nothing_to_read,
    .refused = reset,
    .opened = opened,
    .violation = "network-inbound",
};

static void relay_to(struct client *c, int fd)
{
    if (fd < 0)
        c->protocol->refused(c, ANSWER_BAD_GATEWAY, NULL);
    else
        tunnel_relay(c, fd, STR(""), false);
    client_settle(c);
}

static void on_dialled(void *ctx, int fd, size_t which, int os)
{
    struct client *c = ctx;
    (void)which;
    (void)os;
    c->dial = NULL;
    relay_to(c, fd);
}

static void on_entered(void *ctx, int fd, int os)
{
    struct client *c = ctx;
    (void)os;
    c->entry = NULL;
    relay_to(c, fd);
}

static void dial_loopback(struct client *c, uint16_t host_port)
{
    struct socket_address loopback[2] = { 0 };
    loopback[0].v4.sin_family = AF_INET;
    loopback[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    loopback[1].v6.sin6_family = AF_INET6;
    loopback[1].v6.sin6_addr = in6addr_loopback;
    for (int i = 0; i < 2; i++)
        socket_address_set_port(&loopback[i], host_port);
    c->dial = dial_new(c->sandbox->egress->loop, loopback, 2, FORWARD_MS, on_dialled, c);
}

void forward_to_proxy(struct client *c, uint16_t host_port)
{
    c->protocol = &client_forward;
    client_enter(c, CLIENT_WAIT, 0);
    dial_loopback(c, host_port);
}

/* The file asked for the forward, so only the deny list may be against it. */
static bool judge(struct client *c)
{
    const struct egress_forward *f = c->forward;
    struct egress_verdict verdict =
        egress_policy_judge_forward(&c->sandbox->policy, f->outer, f->inner);
    bool denied = verdict.decision == EGRESS_DENY;
    const char *rule = denied      ? verdict.rule
                       : f->inward ? "x.network.ports.in"
                                   : "x.network.ports.out";
    return egress_report(c->sandbox, &c->want, denied, rule, verdict.reason,
                         c->protocol->violation) &&
           !denied;
}

void forward_begin(struct client *c)
{
    struct egress_sandbox *s = c->sandbox;
    const struct egress_forward *f = c->forward;
    struct err e;
    c->protocol = f->inward ? &client_port_in : &client_port_out;
    c->want.method = f->inward ? EGRESS_PORT_IN : EGRESS_PORT_OUT;
    c->want.port = f->outer;
    if (f->inward)
        c->want.client_port = 0; /* that one is the host's, and says nothing about the sandbox */
    CHECK(host_parse(STR("localhost"), &c->want.host, &e) == 0);
    client_enter(c, CLIENT_WAIT, 0);
    c->wanting = true;
    if (!egress_count(s, true, 0) || !judge(c) || (f->inward && !s->inlet)) {
        c->protocol->refused(c, ANSWER_NOT_ALLOWED, NULL);
        return;
    }
    if (f->inward)
        c->entry = entry_new(s->inlet, f->inner, FORWARD_MS, on_entered, c);
    else
        dial_loopback(c, f->outer);
}
