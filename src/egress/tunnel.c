#include "egress/tunnel.h"

#include "egress/first_bytes.h"

#include <unistd.h>

static bool on_moved(void *ctx, enum relay_side from, size_t n)
{
    struct client *c = ctx;
    return egress_count(c->sandbox, client_is_inside(c, from), n);
}

static void on_over(void *ctx, bool clean)
{
    struct client *c = ctx;
    (void)clean; /* the sockets have told both ends all there is to tell */
    client_close(c);
}

/* T15: what the client says first decides whether this is the stream that was judged. */
static enum relay_peek on_peek(void *ctx, struct str bytes, bool last)
{
    struct client *c = ctx;
    const char *reason = NULL;
    if (bytes.n == 0)
        return RELAY_PASS; /* the client has ended without a word */
    switch (first_bytes_judge(&c->sandbox->policy, &c->want.host, c->want.port, bytes, &reason)) {
    case FIRST_BYTES_MORE:
        if (!last)
            return RELAY_MORE;
        reason = "the TLS greeting is not complete";
        break;
    case FIRST_BYTES_PASS:
        return RELAY_PASS;
    case FIRST_BYTES_REFUSE:
        break;
    }
    egress_report(c->sandbox, &c->want, true, NULL, reason, c->protocol->violation);
    return RELAY_STOP;
}

void tunnel_relay(struct client *c, int fd, struct str hello, bool judge_first_bytes)
{
    struct egress *e = c->sandbox->egress;
    struct relay_options options = { .peek = judge_first_bytes ? on_peek : NULL,
                                     .moved = on_moved,
                                     .over = on_over,
                                     .ctx = c,
                                     .room = &e->room };
    if (client_send(c, hello) < 0) {
        close(fd);
        client_close(c);
        return;
    }
    struct watch *client = c->watch;
    c->watch = NULL;
    c->relay = relay_new(e->loop, client, watch_new(e->loop, fd, NULL, NULL), &options);
    client_enter(c, CLIENT_TUNNEL, 0);
    if (c->out.n)
        relay_put(c->relay, RELAY_UPSTREAM, buf_str(&c->out));
    relay_put(c->relay, RELAY_CLIENT, buf_str(&c->in));
    bool within = egress_count(c->sandbox, client_is_inside(c, RELAY_CLIENT), c->in.n);
    buf_release(&c->in);
    buf_release(&c->out);
    if (c->ended)
        relay_end(c->relay, RELAY_CLIENT);
    if (within)
        relay_start(c->relay);
    else
        client_close(c);
}

static void on_hop(void *ctx, const struct hop_result *result)
{
    struct client *c = ctx;
    c->hop = NULL;
    if (result->fd < 0) {
        c->protocol->refused(c, result->failure, result->reason);
        client_settle(c);
        return;
    }
    c->dialled = result->address;
    const struct egress_policy *p = &c->sandbox->policy;
    AUTO_BUF hello = { 0 };
    c->protocol->opened(c, &hello);
    tunnel_relay(c, result->fd, buf_str(&hello), p->check_sni || p->require_host_match);
    client_settle(c);
}

static void connect_out(struct client *c)
{
    if (c->sandbox->policy.refuse_opaque_tunnels) {
        egress_report(c->sandbox, &c->want, true, NULL, "refuseOpaqueTunnels",
                      c->protocol->violation);
        c->protocol->refused(c, ANSWER_OPAQUE, "opaque tunnels are refused");
        return;
    }
    c->hop = hop_new(c->sandbox, &c->want, HOP_TUNNEL, on_hop, c);
}

static void on_permission(void *ctx, bool allowed, const char *reason)
{
    struct client *c = ctx;
    c->permission = NULL;
    c->by_person = allowed;
    if (allowed)
        connect_out(c);
    else
        c->protocol->refused(c, ANSWER_NOT_ALLOWED, reason);
    client_settle(c);
}

void tunnel_request(struct client *c)
{
    const char *reason;
    client_enter(c, CLIENT_WAIT, 0);
    if (!egress_count(c->sandbox, true, 0)) {
        c->protocol->refused(c, ANSWER_LIMIT, NULL);
        return;
    }
    c->wanting = true;
    switch (permission_get(c->sandbox, &c->want, &reason, &c->permission, on_permission, c)) {
    case EGRESS_ALLOW:
        connect_out(c);
        break;
    case EGRESS_DENY:
        c->protocol->refused(c, ANSWER_NOT_ALLOWED, reason);
        break;
    case EGRESS_ASK:
        if (c->ended)
            client_close(c); /* nobody is there to be asked for */
        break;
    }
}
