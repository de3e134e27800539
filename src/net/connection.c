#include "net/server-int.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

static void give_back(void *ctx)
{
    free(ctx);
}

static void account(struct connection *c, size_t held)
{
    server_discharge(c->server, c->held);
    server_charge(c->server, held);
    c->held = held;
}

void connection_close(struct connection *c)
{
    if (!c->transport)
        return;
    account(c, 0);
    transport_free(c->transport);
    c->transport = NULL;
    wait_stop(&c->wait);
    if (c->call)
        call_detach(c->call);
    if (c->stream)
        stream_detach(c->stream);
    http1_release(&c->http);
    output_release(c);
    buf_release(&c->early);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    server_left(c->server);
    loop_later(c->server->loop, give_back, c);
}

bool connection_is_idle(const struct connection *c)
{
    return c->input == INPUT_HEAD && !c->early.n && !c->answered && !output_waits(c) &&
           c->wait.in == &c->server->waits[WAIT_IDLE];
}

/* Interest, and the bound on it, follow from the state alone. */
static enum wait_kind wait_kind_of(const struct connection *c)
{
    if (output_waits(c))
        return WAIT_STALL;
    if (c->finished)
        return WAIT_LINGER;
    if (c->input == INPUT_HEAD)
        return c->begun ? WAIT_HEAD : WAIT_IDLE;
    return c->input == INPUT_BODY || c->input == INPUT_SKIP ? WAIT_BODY : WAIT_NONE;
}

static bool is_reading(const struct connection *c)
{
    return c->input == INPUT_SKIP ||
           (!c->answered && (c->input == INPUT_HEAD || c->input == INPUT_BODY));
}

static bool wants_bytes(const struct connection *c)
{
    if (c->peer_ended)
        return false;
    if (c->finished || is_reading(c))
        return true;
    return c->input != INPUT_OVER &&
           c->early.n < EARLY_MAX; /* also to notice when the peer leaves */
}

static void on_later(void *ctx)
{
    connection_go(ctx);
}

void connection_settle(struct connection *c)
{
    if (!c->transport)
        return;
    if (c->broken)
        loop_later(c->server->loop, on_later, c);
    account(c, http1_memory(&c->http) + c->early.cap);
    enum wait_kind kind = wait_kind_of(c);
    struct waits *list = kind == WAIT_NONE ? NULL : &c->server->waits[kind];
    if (list && c->wait.in != list)
        wait_start(list, &c->wait);
    else if (!list)
        wait_stop(&c->wait);
    transport_want(c->transport, WATCH_GONE | (wants_bytes(c) ? (unsigned)WATCH_READ : 0u) |
                                     (output_waits(c) ? (unsigned)WATCH_WRITE : 0u));
}

/* Answers by itself, in the place of the handler, and ends the connection: the rest of what comes
 * cannot be trusted to be a request. */
static void refuse(struct connection *c, const struct failure *why)
{
    if (!c->call)
        c->call = call_new_empty(c);
    c->keep = false;
    if (c->input != INPUT_DONE)
        c->input = INPUT_OVER;
    request_fail(&c->call->request, why);
}

static void refuse_malformed(struct connection *c, const struct err *e)
{
    bool large = e->kind == E_BUSY;
    refuse(c, &(struct failure){ .status = large ? 431 : 400, .message = str_of(e->text) });
}

/* "Expect: 100-continue" of a body that has not begun to come. */
static bool must_encourage(const struct connection *c, const struct call *call)
{
    const struct http1_head *head = &call->request.head;
    return head->minor == 1 && !c->fresh.n && !c->early.n &&
           (head->framing == HTTP1_CHUNKED || head->length) && http1_field(head, STR("Expect")).p;
}

static const struct failure too_much = { .status = 529,
                                         .message = { "the server has too much to do", 29 },
                                         .retry_after = 1 };

/* What the server itself has against a request. */
static bool is_sound(const struct connection *c, const struct call *call, struct failure *why)
{
    const struct http1_head *head = &call->request.head;
    struct str expect = http1_field(head, STR("Expect"));
    if (expect.p && !str_eq_nocase(expect, STR("100-continue")))
        *why =
            (struct failure){ .status = 417, .message = STR("only 100-continue can be expected") };
    else if (server_is_short(c->server, 0))
        *why = too_much;
    else
        return true;
    return false;
}

static void admit(struct connection *c, struct call *call)
{
    struct server *s = c->server;
    call->body_limit = s->options.body_limit;
    call->lent = true;
    bool wanted = s->handler.admit(s->handler.ctx, &call->request, &call->body_limit);
    if (!c->transport)
        return;
    if (!wanted) {
        if (c->call)
            c->input = c->bodyless ? INPUT_SKIP : INPUT_HELD;
        return;
    }
    CHECK(c->call == call);
    call->lent = false;
    if (call->request.head.length > call->body_limit)
        refuse(c, &(struct failure){ .status = 413, .message = STR("the body is too large") });
    else if (must_encourage(c, call))
        output_send(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
}

static void on_head(struct connection *c)
{
    struct failure why;
    c->begun = false;
    c->input = INPUT_BODY;
    c->keep = c->http.head.keep_alive;
    c->bodyless = c->ask = c->http.head.framing != HTTP1_CHUNKED && !c->http.head.length;
    struct call *call = call_new(c, &why);
    if (call && is_sound(c, call, &why))
        admit(c, call);
    else
        refuse(c, &why);
}

/* Slower than body_rate on average is as good as stuck, once body_ms have passed. */
static bool is_too_slow(const struct connection *c, const struct call *call)
{
    const struct server_options *o = &c->server->options;
    uint64_t ms = loop_now(c->server->loop) - call->body_began;
    return ms > o->body_ms && call->body.n < ms * o->body_rate / 1000;
}

static void refuse_late(struct connection *c)
{
    refuse(c, &(struct failure){ .status = 408, .message = STR("the request comes too slowly") });
}

static void on_body(struct connection *c, struct str piece)
{
    struct failure why;
    if (c->input != INPUT_BODY)
        return;
    wait_start(&c->server->waits[WAIT_BODY], &c->wait);
    if (!call_add_body(c->call, piece, &why))
        refuse(c, &why);
    else if (is_too_slow(c, c->call))
        refuse_late(c);
}

static void on_end(struct connection *c)
{
    struct server *s = c->server;
    struct call *call = c->call;
    bool wanted = c->input == INPUT_BODY;
    c->input = INPUT_DONE;
    if (!wanted) {
        if (!c->call)
            http1_next(&c->http);
        return;
    }
    call->lent = true;
    call->request.body = buf_str(&call->body);
    s->handler.handle(s->handler.ctx, &call->request);
}

/* Reads up to one event. */
static void feed(struct connection *c)
{
    struct err e;
    size_t used;
    struct str *fresh = &c->fresh, early = buf_str(&c->early), bytes = early.n ? early : *fresh;
    int event = http1_feed(&c->http, bytes, &used, &e);
    c->ask = event == HTTP1_BODY;
    if (event == HTTP1_BODY) /* before its bytes are dropped */
        on_body(c, c->http.body);
    if (!c->transport)
        return;
    if (early.n && used) {
        memmove(c->early.p, c->early.p + used, early.n - used);
        c->early.n -= used;
        if (!c->early.n)
            buf_release(&c->early);
    } else if (used) {
        *fresh = str_skip(*fresh, used);
    }
    if (c->input == INPUT_HEAD && event == HTTP1_MORE && used) {
        c->begun = true;
        if (server_is_short(c->server, 0))
            refuse(c, &too_much);
    }
    if (event == HTTP1_HEAD)
        on_head(c);
    else if (event == HTTP1_END)
        on_end(c);
    else if (event < 0 && (c->input == INPUT_HEAD || c->input == INPUT_BODY))
        refuse_malformed(c, &e);
    else if (event < 0)
        c->input = INPUT_OVER; /* of a body that nobody wants */
}

/* The answer is out. True when there is something to go on with. */
static bool end_answer(struct connection *c)
{
    bool more = c->early.n || c->fresh.n;
    if (c->keep && c->input == INPUT_DONE && (more || !c->peer_ended) && !c->server->stopping) {
        c->answered = false;
        c->input = INPUT_HEAD;
        c->begun = more;
        return true;
    }
    if ((c->input == INPUT_DONE && !more) || c->peer_ended) {
        connection_close(c);
        return false;
    }
    /* Closing now would throw away what we have not read, and with it, at the peer, the answer that
     * it has not read. */
    c->finished = true;
    buf_release(&c->early);
    transport_finish(c->transport);
    return false;
}

static bool step(struct connection *c)
{
    if (!c->transport || c->finished)
        return false;
    if (c->broken) {
        connection_close(c);
        return false;
    }
    if (is_reading(c)) {
        if (c->early.n || c->fresh.n || c->ask) {
            feed(c);
            return true;
        }
        if (c->peer_ended && !output_waits(c))
            connection_close(c); /* what has begun to come will never be complete */
        return false;
    }
    return c->answered && !output_waits(c) && end_answer(c);
}

void connection_go(struct connection *c)
{
    if (c->busy)
        return;
    c->busy = true;
    while (step(c))
        ;
    c->busy = false;
    if (!c->transport)
        return;
    if (c->fresh.n && !c->finished && c->input != INPUT_OVER)
        buf_add(&c->early, c->fresh);
    c->fresh = (struct str){ 0 };
    connection_settle(c);
}

void connection_taken(struct connection *c)
{
    c->call = NULL;
    if (c->input == INPUT_DONE) {
        http1_next(&c->http); /* a stream may last; it does not need the head's memory */
    } else if (c->keep) {
        c->input = INPUT_SKIP;
    } else {
        http1_release(&c->http);
        c->input = c->bodyless && c->input != INPUT_OVER ? INPUT_DONE : INPUT_OVER;
    }
}

void connection_answered(struct connection *c)
{
    c->answered = true;
    if (c->busy)
        return;
    if (c->early.n || c->ask)
        loop_later(c->server->loop, on_later, c);
    else
        connection_go(c);
}

/* How much may come now, so that little is left over for later. */
static size_t read_size(const struct connection *c, size_t room)
{
    size_t most = EARLY_MAX - c->early.n;
    if (c->input == INPUT_BODY && c->http.head.framing == HTTP1_LENGTH) {
        uint64_t left = c->http.head.length - c->call->body.n;
        most = left < room ? (size_t)left : room;
    }
    return most < room ? most : room;
}

/* The peer has finished sending. What it has asked for completely is still answered. */
static void on_peer_ended(struct connection *c)
{
    c->peer_ended = true;
    if (c->finished) {
        connection_close(c);
        return;
    }
    if (c->call && c->call->lent && c->call->when == GONE_ENDED)
        call_tell_gone(c->call);
    connection_go(c);
}

static void on_readable(struct connection *c)
{
    size_t room;
    char *to = loop_scratch(c->server->loop, &room);
    ssize_t got = transport_read(c->transport, to, read_size(c, room));
    if (got == 0) {
        on_peer_ended(c);
    } else if (got < 0 && errno == EAGAIN) {
        connection_settle(c);
    } else if (got < 0) {
        connection_close(c);
    } else {
        c->server->counters.bytes_in += (uint64_t)got;
        if (!c->finished) /* else it is thrown away */
            c->fresh = (struct str){ to, (size_t)got };
        connection_go(c);
    }
}

static void on_ready(void *ctx, unsigned events)
{
    struct connection *c = ctx;
    if (events & WATCH_WRITE) {
        output_flush(c);
        connection_go(c);
    }
    if (c->transport && (events & WATCH_READ) && wants_bytes(c))
        on_readable(c);
    else if (c->transport && (events & WATCH_GONE))
        connection_close(c);
}

void connection_late(struct connection *c, enum wait_kind kind)
{
    bool begun = kind == WAIT_HEAD ? http1_memory(&c->http) > 0
                                   : kind == WAIT_BODY && c->input == INPUT_BODY;
    if (begun) {
        refuse_late(c);
        return;
    }
    if (kind == WAIT_STALL) {
        c->server->counters.stalled++;
        transport_abort(c->transport);
    }
    connection_close(c);
}

void connection_new(struct server *s, int fd, const struct listener *at,
                    const struct socket_address *peer)
{
    struct connection *c = mem_get(sizeof *c);
    c->server = s;
    c->peer = *peer;
    c->tls = at->tls != NULL;
    c->begun = true;
    c->transport = at->tls ? tls_server_accept(at->tls, fd, on_ready, c)
                           : transport_new(s->loop, fd, on_ready, c);
    if (!c->transport) {
        free(c);
        return;
    }
    http1_init(&c->http, HTTP1_REQUEST, NULL);
    c->next = s->connections;
    c->link = &s->connections;
    if (c->next)
        c->next->link = &c->next;
    s->connections = c;
    s->counters.accepted++;
    s->counters.connections++;
    connection_settle(c);
}
