#include "egress/exchange.h"

#include "egress/http.h"
#include "egress/upstream.h"
#include "io/socket.h"
#include "proto/http1_write.h"

#include <errno.h>
#include <stdlib.h>

enum {
    READ_AT_ONCE = 64 << 10,
    OUT_ROOM = 32 << 10 /* a side with more than this waiting gets nothing new */
};

struct exchange {
    struct client *client;
    struct upstream *up; /* NULL before the hop is made */
    struct str path;     /* a piece of the request's head */
    enum http1_framing up_framing, down_framing;
    bool request_done;
    bool head_sent; /* the client has begun to get the response */
    bool answered;  /* any byte of a response has come */
    bool closing;   /* the client's connection ends with this response */
    bool over;
};

static void on_upstream(void *ctx, unsigned events);
static void find_upstream(struct exchange *x);

size_t exchange_memory(const struct exchange *x)
{
    return x && x->up ? sizeof *x->up + x->up->out.cap + http1_memory(&x->up->http) : 0;
}

static void give_back(void *ctx)
{
    free(ctx);
}

void exchange_free(struct exchange *x)
{
    if (!x || x->over)
        return;
    x->over = true;
    upstream_close(x->up);
    x->up = NULL;
    loop_later(x->client->sandbox->egress->loop, give_back, x);
}

/* Our own answer in place of a response. */
static void answer(struct exchange *x, enum answer kind, const char *reason)
{
    struct client *c = x->client;
    const struct http1_head *head = &c->http.head;
    bool whole = head->framing == HTTP1_NONE;
    struct answer_options options = { .head = str_eq(head->method, STR("HEAD")),
                                      .close = !head->keep_alive || !whole,
                                      .reason = str_of(reason) };
    bool begun = x->head_sent;
    c->exchange = NULL;
    exchange_free(x);
    if (begun)
        client_close(c); /* half a response: only a cut tells the client */
    else
        http_answer(c, kind, &options);
}

/* Request line, Host and fields for the next hop. */
static void write_head(struct exchange *x)
{
    struct client *c = x->client;
    const struct http1_head *head = &c->http.head;
    bool further = x->up->via != HOP_DIRECT;
    char authority[300];
    AUTO_BUF target = { 0 };
    host_authority(&c->want.host, c->want.port, 80, authority);
    if (further)
        buf_addf(&target, "http://%s", authority);
    bool asterisk = !further && x->path.n == 0 && str_eq(head->method, STR("OPTIONS"));
    if (asterisk)
        buf_add_byte(&target, '*'); /* RFC 9112 3.2.4 */
    else if ((x->path.n == 0 && !further) || (x->path.n && x->path.p[0] != '/'))
        buf_add_byte(&target, '/');
    buf_add(&target, x->path);
    const char *authorization = c->sandbox->policy.parent_http.authorization;
    struct http1_forward how = {
        .target = buf_str(&target),
        .authority = str_of(authority),
        .proxy_authorization = x->up->via == HOP_PARENT ? str_of(authorization) : (struct str){ 0 },
        .peer_minor = 1,
    };
    x->up_framing = http1_write_request(&x->up->out, head, &how);
}

/* Hands the connection on to the next request, or closes it. */
static void release_upstream(struct exchange *x, bool reusable)
{
    struct upstream *u = x->up;
    const struct http1_head *head = &x->client->http.head;
    bool personal = http1_field(head, STR("Authorization")).p != NULL;
    x->up = NULL;
    if (reusable)
        upstream_keep(u, personal ? x->client : NULL);
    else
        upstream_close(u);
}

/* The response is complete. */
static void finish(struct exchange *x, bool reusable)
{
    struct client *c = x->client;
    bool next = x->request_done && !x->closing && (c->in.n || !c->ended);
    release_upstream(x, reusable && x->request_done);
    c->exchange = NULL;
    exchange_free(x);
    if (client_flush(c) < 0)
        client_close(c);
    else if (next)
        http_next(c);
    else
        client_finish(c);
}

/* The server's side has failed. A connection that had been used before may have been closed while
 * nobody looked: then a new one gets the request, which has no body. */
static void upstream_failed(struct exchange *x)
{
    bool again = x->up->used_before && !x->answered;
    upstream_close(x->up);
    x->up = NULL;
    if (again)
        find_upstream(x);
    else
        answer(x, ANSWER_BAD_GATEWAY, NULL);
}

static void set_interest(struct exchange *x)
{
    struct client *c = x->client;
    if (x->over || !x->up)
        return;
    c->full = x->request_done || x->up->out.n > OUT_ROOM;
    watch_set(x->up->watch,
              (c->out.n < OUT_ROOM ? WATCH_READ : 0u) | (x->up->out.n ? WATCH_WRITE : 0u));
    client_enter(c, CLIENT_EXCHANGE, STALL_MS);
}

/* Moves the request's body from the client's buffer to the server's. -1 when the exchange is over. */
static int read_request(struct exchange *x)
{
    struct client *c = x->client;
    struct err e;
    while (!x->request_done && x->up->out.n <= OUT_ROOM) {
        size_t used = 0;
        int event = http1_feed(&c->http, buf_str(&c->in), &used, &e);
        if (event == HTTP1_BODY)
            http1_write_body(&x->up->out, x->up_framing, c->http.body);
        client_consume(c, used);
        if (event == HTTP1_END) {
            http1_write_end(&x->up->out, x->up_framing);
            x->request_done = true;
        } else if (event == HTTP1_MORE && c->ended) {
            answer(x, ANSWER_BAD_REQUEST, NULL); /* the body is cut off */
            return -1;
        } else if (event == HTTP1_MORE) {
            return 0;
        } else if (event < 0) {
            answer(x, ANSWER_BAD_REQUEST, NULL);
            return -1;
        }
    }
    return 0;
}

/* Sends what waits for the server. -1 when the exchange is over or begins anew. */
static int flush_request(struct exchange *x)
{
    struct buf *out = &x->up->out;
    while (out->n) {
        ssize_t sent = socket_write(watch_fd(x->up->watch), buf_str(out));
        if (sent < 0 && errno == EAGAIN)
            return 0;
        if (sent < 0) {
            /* The server may have answered before it closed: reading finds out. */
            if (x->up->used_before && !x->answered) {
                upstream_failed(x);
                return -1;
            }
            buf_empty(out);
            x->closing = x->request_done = true;
            return 0;
        }
        if (!egress_count(x->client->sandbox, true, (size_t)sent)) {
            client_close(x->client);
            return -1;
        }
        out->n -= (size_t)sent;
        memmove(out->p, out->p + sent, out->n);
    }
    buf_release(out);
    return 0;
}

static void pump_request(struct exchange *x)
{
    for (;;) {
        bool was_done = x->request_done;
        if (read_request(x) < 0 || flush_request(x) < 0)
            return;
        if (was_done || x->request_done || x->up->out.n || x->client->in.n == 0)
            break;
    }
    set_interest(x);
}

/* A head from the server. -1 when it cannot be relayed. */
static int forward_head(struct exchange *x)
{
    struct client *c = x->client;
    const struct http1_head *head = &x->up->http.head;
    if (head->status == 101)
        return -1; /* nobody asked for another protocol: Upgrade is not forwarded */
    if (head->status < 200 && c->http.head.minor == 0)
        return 0; /* HTTP/1.0 does not know interim responses */
    if (head->status >= 200) {
        /* An answer before the whole request leaves a body behind that nobody would read. */
        x->closing =
            x->closing || !x->request_done || !c->http.head.keep_alive || (c->ended && !c->in.n);
        x->head_sent = true;
    }
    struct http1_forward how = { .drop = c->sandbox->policy.strip_response_headers,
                                 .close = head->status >= 200 && x->closing,
                                 .peer_minor = c->http.head.minor };
    x->down_framing = http1_write_response(&c->out, head, &how);
    if (head->status >= 200 && x->down_framing == HTTP1_UNTIL_CLOSE)
        x->closing = true;
    return 0;
}

static int forward_body(struct exchange *x, struct str piece)
{
    struct client *c = x->client;
    if (x->down_framing != HTTP1_CHUNKED)
        return client_send(c, piece);
    http1_write_body(&c->out, x->down_framing, piece);
    return 0;
}

/* Feeds the response's bytes. True when the exchange goes on. */
static bool read_response(struct exchange *x, struct str bytes)
{
    struct client *c = x->client;
    struct err e;
    for (;;) {
        size_t used = 0;
        int event = http1_feed(&x->up->http, bytes, &used, &e);
        bytes = str_skip(bytes, used);
        if (event == HTTP1_MORE)
            return true;
        if (event < 0 || (event == HTTP1_HEAD && forward_head(x) < 0)) {
            answer(x, ANSWER_BAD_GATEWAY, NULL);
            return false;
        }
        if (event == HTTP1_BODY && forward_body(x, x->up->http.body) < 0) {
            client_close(c);
            return false;
        }
        if (event != HTTP1_END)
            continue;
        bool interim = x->up->http.head.status < 200;
        bool reusable = x->up->http.head.keep_alive && bytes.n == 0;
        if (!interim)
            http1_write_end(&c->out, x->down_framing);
        http1_next(&x->up->http);
        if (interim)
            continue;
        finish(x, reusable);
        return false;
    }
}

/* The server has finished sending. */
static void response_ended(struct exchange *x)
{
    struct err e;
    if (x->answered && http1_eof(&x->up->http, &e) == HTTP1_END) {
        http1_write_end(&x->client->out, x->down_framing);
        finish(x, false);
        return;
    }
    upstream_failed(x);
}

static void pump_response(struct exchange *x)
{
    struct client *c = x->client;
    size_t size;
    char *bytes = loop_scratch(c->sandbox->egress->loop, &size);
    ssize_t got = socket_read(watch_fd(x->up->watch), bytes, READ_AT_ONCE);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        response_ended(x);
        return;
    }
    x->answered = true;
    egress_count(c->sandbox, false, (size_t)got);
    if (!read_response(x, (struct str){ bytes, (size_t)got }))
        return;
    if (client_flush(c) < 0)
        client_close(c);
}

static void on_upstream(void *ctx, unsigned events)
{
    struct exchange *x = ctx;
    struct client *c = x->client;
    if ((events & WATCH_READ) && x->up)
        pump_response(x);
    if ((events & WATCH_WRITE) && !x->over && x->up)
        pump_request(x);
    set_interest(x);
    client_settle(c);
}

void exchange_input(struct exchange *x)
{
    if (x->up)
        pump_request(x);
}

void exchange_client_writable(struct exchange *x)
{
    set_interest(x);
}

/* The server is there: the request goes out. */
static void have_upstream(struct exchange *x, struct upstream *u)
{
    struct client *c = x->client;
    x->up = u;
    c->dialled = u->address;
    http1_expect(&u->http, c->http.head.method);
    watch_hand(u->watch, on_upstream, x);
    client_enter(c, CLIENT_EXCHANGE, STALL_MS);
    write_head(x);
    pump_request(x);
}

static void on_hop(void *ctx, const struct hop_result *result)
{
    struct client *c = ctx;
    c->hop = NULL;
    if (result->fd < 0)
        answer(c->exchange, result->failure, result->reason);
    else
        have_upstream(c->exchange, upstream_new(c->sandbox, &c->want, result));
    client_settle(c);
}

/* A request that may be sent twice without harm, should the connection turn out to be dead. */
static bool is_repeatable(const struct http1_head *head)
{
    return head->framing == HTTP1_NONE &&
           (str_eq(head->method, STR("GET")) || str_eq(head->method, STR("HEAD")) ||
            str_eq(head->method, STR("OPTIONS")));
}

static void find_upstream(struct exchange *x)
{
    struct client *c = x->client;
    struct upstream *u = NULL;
    if (is_repeatable(&c->http.head))
        u = upstream_take(c->sandbox, &c->want, hop_way(c->sandbox, &c->want, HOP_PLAIN), c);
    client_enter(c, CLIENT_WAIT, 0);
    if (u)
        have_upstream(x, u);
    else
        c->hop = hop_new(c->sandbox, &c->want, HOP_PLAIN, on_hop, c);
}

static void on_permission(void *ctx, bool allowed, const char *reason)
{
    struct client *c = ctx;
    c->permission = NULL;
    c->by_person = allowed;
    if (allowed)
        find_upstream(c->exchange);
    else
        answer(c->exchange, ANSWER_NOT_ALLOWED, reason);
    client_settle(c);
}

void exchange_begin(struct client *c, struct str path)
{
    struct exchange *x = mem_get(sizeof *x);
    const char *reason;
    x->client = c;
    x->path = path;
    c->exchange = x;
    c->wanting = true;
    c->by_person = false;
    client_enter(c, CLIENT_WAIT, 0);
    if (!egress_count(c->sandbox, true, 0)) {
        answer(x, ANSWER_LIMIT, NULL);
        return;
    }
    switch (permission_get(c->sandbox, &c->want, &reason, &c->permission, on_permission, c)) {
    case EGRESS_ALLOW:
        find_upstream(x);
        break;
    case EGRESS_DENY:
        answer(x, ANSWER_NOT_ALLOWED, reason);
        break;
    case EGRESS_ASK:
        break;
    }
}
