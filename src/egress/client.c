#include "egress/client.h"

#include "base/check.h"
#include "base/log.h"
#include "egress/exchange.h"
#include "egress/upstream.h"
#include "io/socket.h"
#include "proto/socks5.h"

#include <errno.h>
#include <stdlib.h>

enum { READ_AT_ONCE = 16 << 10 };

static void on_ready(void *ctx, unsigned events);
static void on_deadline(void *ctx);

static void give_back(void *ctx)
{
    struct client *c = ctx;
    buf_release(&c->in);
    buf_release(&c->out);
    http1_release(&c->http);
    if (c->socks)
        socks5_release(c->socks);
    free(c->socks);
    free(c);
}

void client_close(struct client *c)
{
    if (c->phase == CLIENT_CLOSED)
        return;
    struct egress_sandbox *s = c->sandbox;
    c->phase = CLIENT_CLOSED;
    permission_cancel(c->permission);
    hop_cancel(c->hop);
    dial_cancel(c->dial);
    entry_cancel(c->entry);
    exchange_free(c->exchange);
    upstream_drop_owned(s, c);
    relay_free(c->relay);
    watch_free(c->watch);
    timer_free(c->timer);
    c->permission = NULL;
    c->hop = NULL;
    c->dial = NULL;
    c->entry = NULL;
    c->exchange = NULL;
    c->relay = NULL;
    c->watch = NULL;
    c->timer = NULL;
    if (c->holds_name)
        names_drop(s->names, c->held_name);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    s->client_count--;
    s->egress->buffered -= c->memory;
    egress_accept_interest(s);
    loop_later(s->egress->loop, give_back, c);
}

void client_consume(struct client *c, size_t n)
{
    CHECK(n <= c->in.n);
    c->in.n -= n;
    if (c->in.n) {
        memmove(c->in.p, c->in.p + n, c->in.n);
        c->in.p[c->in.n] = '\0';
    } else {
        buf_release(&c->in); /* idle connections hold no memory */
    }
}

/* The first write goes out at once whatever Nagle thinks; later ones need to be told. */
static ssize_t write_out(struct client *c, struct str bytes)
{
    if (c->writes < 2 && ++c->writes == 2)
        socket_no_delay(watch_fd(c->watch));
    return socket_write(watch_fd(c->watch), bytes);
}

int client_flush(struct client *c)
{
    while (c->out.n) {
        ssize_t sent = write_out(c, buf_str(&c->out));
        if (sent < 0)
            return errno == EAGAIN ? 0 : -1;
        c->out.n -= (size_t)sent;
        memmove(c->out.p, c->out.p + sent, c->out.n);
    }
    buf_release(&c->out);
    return 0;
}

int client_send(struct client *c, struct str bytes)
{
    if (c->out.n == 0) {
        ssize_t sent = write_out(c, bytes);
        if (sent < 0 && errno != EAGAIN)
            return -1;
        bytes = str_skip(bytes, sent > 0 ? (size_t)sent : 0);
    }
    if (bytes.n)
        buf_add(&c->out, bytes);
    return 0;
}

void client_enter(struct client *c, enum client_phase phase, uint64_t deadline_ms)
{
    c->phase = phase;
    if (deadline_ms)
        timer_start(c->timer, deadline_ms);
    else
        timer_stop(c->timer);
}

/* Buffers may grow, but not beyond what all clients together may hold. */
static void count_memory(struct client *c)
{
    struct egress *e = c->sandbox->egress;
    size_t memory = c->in.cap + c->out.cap + exchange_memory(c->exchange) + http1_memory(&c->http) +
                    (c->phase == CLIENT_TUNNEL ? 2 * RELAY_QUEUE : 0);
    e->buffered += memory - c->memory;
    bool grew = memory > c->memory;
    c->memory = memory;
    if (grew && e->buffered > BUFFERED_MAX)
        client_close(c);
}

static bool wants_input(const struct client *c)
{
    switch (c->phase) {
    case CLIENT_FIRST:
    case CLIENT_HEAD:
    case CLIENT_WAIT:
    case CLIENT_EXCHANGE:
        return !c->ended && !c->full && c->in.n < CLIENT_IN_MAX;
    case CLIENT_LINGER:
        return !c->ended && c->out.n == 0;
    case CLIENT_TUNNEL:
    case CLIENT_CLOSED:
        break;
    }
    return false;
}

void client_settle(struct client *c)
{
    if (c->phase == CLIENT_CLOSED)
        return;
    count_memory(c);
    if (c->phase == CLIENT_CLOSED || !c->watch)
        return;
    watch_set(c->watch, (wants_input(c) ? WATCH_READ : 0u) | (c->out.n ? WATCH_WRITE : 0u));
}

void client_finish(struct client *c)
{
    if (c->phase == CLIENT_CLOSED)
        return;
    client_enter(c, CLIENT_LINGER, LINGER_MS);
    if (client_flush(c) < 0 || (c->ended && c->out.n == 0)) {
        client_close(c);
        return;
    }
    /* A close with unread input would reset the connection and take our answer along, so we end our
     * side and drop what still comes. */
    if (c->out.n == 0)
        shutdown(watch_fd(c->watch), SHUT_WR);
}

/* What the client goes on sending after our last words is dropped, for a while. */
static void linger(struct client *c, unsigned events)
{
    if ((events & WATCH_WRITE) && c->out.n) {
        client_finish(c);
        return;
    }
    size_t size;
    char *drop = loop_scratch(c->sandbox->egress->loop, &size);
    ssize_t got = socket_read(watch_fd(c->watch), drop, size);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        client_close(c);
}

/* The first byte tells the protocol. Both ports speak both (contract 2.1). */
static void choose_protocol(struct client *c)
{
    char first = c->in.p[0];
    c->protocol = first == 0x04 || first == 0x05 ? &client_socks : &client_http;
    client_enter(c, CLIENT_HEAD, HEAD_MS);
}

static void handle_input(struct client *c)
{
    if (c->phase == CLIENT_FIRST && c->in.n)
        choose_protocol(c);
    if (c->phase == CLIENT_FIRST && c->ended)
        client_close(c);
    if (c->phase == CLIENT_HEAD || c->phase == CLIENT_EXCHANGE)
        c->protocol->input(c);
    if (c->phase != CLIENT_WAIT)
        return;
    /* Contract 3.3.6: what is sent before the decision is kept up to 64 KiB, more ends the
     * connection. Bodies of plain requests and transparent connections just have to wait. */
    if (c->in.n >= CLIENT_IN_MAX && c->protocol->waits_for_reply)
        client_close(c);
    else if (c->ended && c->permission)
        client_close(c); /* a person should not be asked for somebody who has gone */
}

static void run_resume(void *ctx)
{
    struct client *c = ctx;
    if (c->phase == CLIENT_HEAD)
        handle_input(c);
    client_settle(c);
}

/* A client that closes in between is given back after this has run: the loop keeps the order. */
void client_resume(struct client *c)
{
    if (c->in.n || c->ended)
        loop_later(c->sandbox->egress->loop, run_resume, c);
}

static void read_input(struct client *c)
{
    size_t room = CLIENT_IN_MAX - c->in.n;
    if (room > READ_AT_ONCE)
        room = READ_AT_ONCE;
    size_t size;
    char *bytes = loop_scratch(c->sandbox->egress->loop, &size);
    ssize_t got = socket_read(watch_fd(c->watch), bytes, room);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got < 0) {
        client_close(c);
        return;
    }
    if (got == 0)
        c->ended = true;
    else
        buf_add(&c->in, (struct str){ bytes, (size_t)got });
    handle_input(c);
}

static void on_ready(void *ctx, unsigned events)
{
    struct client *c = ctx;
    if (c->phase == CLIENT_LINGER) {
        linger(c, events);
        client_settle(c);
        return;
    }
    if ((events & WATCH_WRITE) && client_flush(c) < 0) {
        client_close(c);
        return;
    }
    if ((events & WATCH_WRITE) && c->exchange)
        exchange_client_writable(c->exchange);
    else if ((events & WATCH_WRITE) && c->phase == CLIENT_HEAD && c->out.n == 0)
        handle_input(c);
    if ((events & WATCH_READ) && wants_input(c))
        read_input(c);
    client_settle(c);
}

static void on_deadline(void *ctx)
{
    struct client *c = ctx;
    log_debug("egress: deadline of phase %d", (int)c->phase);
    client_close(c);
}

bool client_is_inside(const struct client *c, enum relay_side from)
{
    bool inward = c->forward && c->forward->inward;
    return (from == RELAY_CLIENT) != inward;
}

/* The port of the external proxy that serves this listener, or 0. */
static uint16_t outside_port(const struct egress_policy *p, enum egress_listener kind)
{
    return kind == EGRESS_LISTEN_HTTP    ? p->http_proxy_port
           : kind == EGRESS_LISTEN_SOCKS ? p->socks_proxy_port
                                         : 0;
}

void client_new(struct egress_sandbox *s, const struct listener *l, int fd, uint16_t client_port)
{
    struct client *c = mem_get(sizeof *c);
    c->sandbox = s;
    c->forward = l->forward.outer ? &l->forward : NULL;
    c->want.client_port = client_port;
    c->want.user = c->user;
    c->next = s->clients;
    c->link = &s->clients;
    if (s->clients)
        s->clients->link = &c->next;
    s->clients = c;
    s->client_count++;
    s->totals.connections++;
    c->watch = watch_new(s->egress->loop, fd, on_ready, c);
    c->timer = timer_new(s->egress->loop, on_deadline, c);
    http1_init(&c->http, HTTP1_REQUEST, NULL);
    client_enter(c, CLIENT_FIRST, FIRST_BYTE_MS);
    if (c->forward)
        forward_begin(c);
    else if (l->kind == EGRESS_LISTEN_TRANSPARENT)
        transparent_begin(c);
    else if (outside_port(&s->policy, l->kind))
        forward_to_proxy(c, outside_port(&s->policy, l->kind));
    else
        read_input(c); /* most clients speak at once: that saves a turn of the loop */
    client_settle(c);
}

void client_rejudge(struct client *c)
{
    if (!c->wanting || c->permission || c->phase == CLIENT_LINGER || c->phase == CLIENT_CLOSED)
        return;
    struct egress_sandbox *s = c->sandbox;
    struct egress_verdict verdict =
        c->forward ? egress_policy_judge_forward(&s->policy, c->forward->outer, c->forward->inner)
                   : egress_policy_judge(&s->policy, &c->want.host, c->want.port, s->can_ask);
    bool allowed =
        verdict.decision == EGRESS_ALLOW || (verdict.decision == EGRESS_ASK && c->by_person);
    const char *reason = verdict.reason ? verdict.reason : "host is not on the allow list";
    if (allowed && c->dialled.family) {
        reason = egress_address_refused(&s->policy, &c->want.host, &c->dialled, c->want.port,
                                        s->egress->own.items, s->egress->own.count);
        allowed = !reason;
    }
    if (allowed)
        return;
    egress_report(s, &c->want, true, verdict.rule, reason,
                  c->forward ? c->protocol->violation : NULL);
    client_close(c);
}
