#include "net/server-int.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "net/sse_stream-int.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    ACCEPTS_AT_ONCE = 16,
    ACCEPT_AGAIN_MS = 100, /* after descriptors have run out */
    LOG_AT_ONCE = 16 << 10,
    LOG_AFTER_MS = 100
};

const struct server_options server_options_default = {
    .connections = 10000,
    .body_limit = 32 << 20,
    .memory_budget = 256 << 20,
    .head_ms = 10000,
    .body_ms = 60000,
    .body_rate = 1000,
    .idle_ms = 75000,
    .stall_ms = 60000,
    .ping_ms = 15000,
    .linger_ms = 2000,
    .access_log = true,
};

void server_charge(struct server *s, size_t bytes)
{
    s->counters.memory += bytes;
}

void server_discharge(struct server *s, size_t bytes)
{
    CHECK(bytes <= s->counters.memory);
    s->counters.memory -= bytes;
}

bool server_is_short(const struct server *s, size_t more)
{
    size_t budget = s->options.memory_budget;
    return s->counters.memory > budget || more > budget - s->counters.memory;
}

static void pool_fill(void *ctx, void *bytes, size_t n)
{
    struct server *s = ctx;
    if (n > s->pool_left) {
        random_fill(&s->random, s->pool, sizeof s->pool);
        s->pool_left = sizeof s->pool;
    }
    CHECK(n <= s->pool_left);
    s->pool_left -= n;
    memcpy(bytes, s->pool + s->pool_left, n);
}

struct id server_request_id(struct server *s)
{
    return id_make("req_", &(struct random_source){ pool_fill, s });
}

struct str server_date(struct server *s)
{
    uint64_t second = loop_now(s->loop) / 1000;
    if (s->date.n && s->date_made == second)
        return buf_str(&s->date);
    char text[64];
    struct tm parts;
    time_t now = time(NULL);
    gmtime_r(&now, &parts);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts); /* RFC 9110 5.6.7 */
    buf_empty(&s->date);
    buf_addf(&s->date, "server: postern\r\ndate: %s\r\n", text);
    s->date_made = second;
    return buf_str(&s->date);
}

static void write_log(void *ctx)
{
    struct server *s = ctx;
    log_write(buf_str(&s->log));
    buf_empty(&s->log);
    timer_stop(s->log_timer);
}

void server_log(struct server *s, const char *name, const struct log_field *fields, size_t count)
{
    if (!s->log.n)
        timer_start(s->log_timer, LOG_AFTER_MS);
    log_event_add(&s->log, name, fields, count);
    if (s->log.n >= LOG_AT_ONCE)
        write_log(s);
}

static void accept_again(struct server *s)
{
    s->full = false;
    for (size_t i = 0; i < s->listener_count; i++)
        watch_set(s->listeners[i].watch, WATCH_READ);
}

static void on_accept_timer(void *ctx)
{
    accept_again(ctx);
}

static void accept_nobody(struct server *s)
{
    s->full = true;
    for (size_t i = 0; i < s->listener_count; i++)
        watch_set(s->listeners[i].watch, 0);
}

static struct connection *connection_of(struct wait *w)
{
    return (struct connection *)((char *)w - offsetof(struct connection, wait));
}

/* Makes room by closing who has idled longest. */
static bool close_idle(struct server *s)
{
    struct wait *w = s->waits[WAIT_IDLE].first;
    if (w)
        connection_close(connection_of(w));
    return w != NULL;
}

static void on_connection(void *ctx, unsigned events)
{
    struct listener *at = ctx;
    struct server *s = at->server;
    (void)events;
    for (int i = 0; i < ACCEPTS_AT_ONCE && !s->full; i++) {
        struct socket_address peer;
        bool at_limit = s->counters.connections >= s->options.connections;
        if (at_limit && i > 0)
            return; /* only the first is known to wait; for nobody, nobody has to go */
        if (at_limit && !close_idle(s)) {
            accept_nobody(s);
            return;
        }
        int fd = socket_accept(watch_fd(at->watch), &peer);
        if (fd >= 0) {
            connection_new(s, fd, at, &peer);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            if (close_idle(s))
                continue;
            accept_nobody(s);
            timer_start(s->accept_timer, ACCEPT_AGAIN_MS);
        } else {
            return;
        }
    }
}

static void tell_stopped(void *ctx)
{
    struct server *s = ctx;
    timer_stop(s->stop_timer);
    write_log(s);
    if (s->stopped)
        s->stopped(s->stopped_ctx);
}

void server_left(struct server *s)
{
    s->counters.connections--;
    if (s->stopping && !s->counters.connections)
        loop_later(s->loop, tell_stopped, s);
    else if (s->full && !s->stopping)
        accept_again(s);
}

#define LATE(name, kind)                                                                           \
    static void late_##name(struct wait *w)                                                        \
    {                                                                                              \
        connection_late(connection_of(w), kind);                                                   \
    }
LATE(head, WAIT_HEAD)
LATE(body, WAIT_BODY)
LATE(idle, WAIT_IDLE)
LATE(stall, WAIT_STALL)
LATE(linger, WAIT_LINGER)
#undef LATE

static void cut_all(void *ctx)
{
    struct server *s = ctx;
    while (s->connections)
        connection_close(s->connections);
}

struct server *server_new(struct loop *l, const struct server_options *options,
                          const struct server_handler *handler, struct random_source random)
{
    struct server *s = mem_get(sizeof *s);
    s->loop = l;
    s->options = *options;
    s->handler = *handler;
    s->random = random;
    waits_init(&s->waits[WAIT_HEAD], l, options->head_ms, late_head);
    waits_init(&s->waits[WAIT_BODY], l, options->body_ms, late_body);
    waits_init(&s->waits[WAIT_IDLE], l, options->idle_ms, late_idle);
    waits_init(&s->waits[WAIT_STALL], l, options->stall_ms, late_stall);
    waits_init(&s->waits[WAIT_LINGER], l, options->linger_ms, late_linger);
    waits_init(&s->pings, l, options->ping_ms, sse_stream_late);
    s->accept_timer = timer_new(l, on_accept_timer, s);
    s->log_timer = timer_new(l, write_log, s);
    s->stop_timer = timer_new(l, cut_all, s);
    return s;
}

int server_listen(struct server *s, const char *address, struct tls_server *tls, uint16_t *port,
                  struct err *e)
{
    struct listening at;
    if (s->listener_count == LISTENERS_MAX)
        return err_set(e, E_INPUT, 0, "more than %d addresses to listen at", LISTENERS_MAX);
    if (listen_open(address, &at, e) != 0)
        return -1;
    if (!at.local && !tls && !s->options.allow_plain) {
        listen_close(&at);
        return err_set(e, E_DENIED, 0,
                       "'%s' can be reached from other machines and has no TLS certificate",
                       address);
    }
    struct listener *new = &s->listeners[s->listener_count++];
    *new = (struct listener){ .at = at, .server = s, .tls = tls };
    new->watch = watch_new_shared(s->loop, fd_take(&new->at.fd), on_connection, new);
    watch_set(new->watch, WATCH_READ);
    if (port)
        *port = at.port;
    return 0;
}

static void close_listeners(struct server *s)
{
    for (size_t i = 0; i < s->listener_count; i++) {
        watch_free(s->listeners[i].watch);
        listen_close(&s->listeners[i].at);
    }
    s->listener_count = 0;
    timer_stop(s->accept_timer);
}

/* Owners answer from the loop, not from here, so nobody but us changes the list. */
void server_stop(struct server *s, uint64_t deadline_ms, void (*stopped)(void *ctx), void *ctx)
{
    s->stopping = true;
    s->stopped = stopped;
    s->stopped_ctx = ctx;
    close_listeners(s);
    if (!s->connections)
        loop_later(s->loop, tell_stopped, s);
    else
        timer_start(s->stop_timer, deadline_ms);
    for (struct connection *c = s->connections, *next; c; c = next) {
        next = c->next;
        if (c->stream)
            stream_tell_gone(c->stream);
        else if (c->call && c->call->lent)
            call_tell_gone(c->call);
        else if (connection_is_idle(c))
            connection_close(c);
    }
}

static void give_back(void *ctx)
{
    struct server *s = ctx;
    CHECK(!s->counters.requests && !s->counters.streams && !s->counters.memory);
    write_log(s);
    for (size_t i = 0; i < WAIT_KINDS; i++)
        waits_release(&s->waits[i]);
    waits_release(&s->pings);
    timer_free(s->accept_timer);
    timer_free(s->log_timer);
    timer_free(s->stop_timer);
    buf_release(&s->page);
    buf_release(&s->date);
    buf_release(&s->log);
    free(s);
}

/* What was asked for later, such as telling an owner, comes before the end. */
void server_free(struct server *s)
{
    if (!s)
        return;
    s->stopped = NULL;
    close_listeners(s);
    cut_all(s);
    loop_later(s->loop, give_back, s);
}

const struct server_counters *server_counters(const struct server *s)
{
    return &s->counters;
}
