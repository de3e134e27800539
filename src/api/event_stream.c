/* event_stream.c - a session's events as they happen (contract 1.8, 2.5, 3.7).
 *
 * The engine's reader is a cursor in the log, the server's stream a bounded queue; this moves as much
 * from one to the other as there is room for. What does not fit (a byte, or the rest of a delta) waits in
 * `pending`.
 */
#include "api/events.h"

#include "api/api-int.h"
#include "api/handlers.h"
#include "io/timer.h"
#include "net/stream.h"

#include <stdlib.h>

struct event_stream {
    struct api *api;
    struct stream *out;
    struct reader *in;
    struct timer *ping;
    struct buf pending;
    bool over; /* nothing comes behind pending */
};

#define PING "event: ping\ndata: {}\n\n"

static void stream_free(struct event_stream *s)
{
    reader_close(s->in);
    timer_free(s->ping);
    buf_release(&s->pending);
    s->api->streams--;
    free(s);
}

static void finish(struct event_stream *s)
{
    stream_end(s->out);
    stream_free(s);
}

/* False while there is no room for all that waits; only the rest is kept. */
static bool put_pending(struct event_stream *s)
{
    struct buf rest = { 0 };
    if (!s->pending.n)
        return true;
    size_t put = stream_put(s->out, buf_str(&s->pending));
    timer_start(s->ping, s->api->settings.ping_ms);
    buf_add(&rest, str_skip(buf_str(&s->pending), put));
    buf_release(&s->pending);
    if (rest.n)
        s->pending = rest;
    else
        buf_release(&rest);
    return !s->pending.n;
}

static void pump(void *ctx)
{
    struct event_stream *s = ctx;
    while (put_pending(s)) {
        if (s->over) {
            finish(s);
            return;
        }
        /* One byte more than fits, so that the stream tells when there is room again. */
        enum reader_state state = reader_next(s->in, &s->pending, stream_room(s->out) + 1);
        s->over = state == READER_OVER;
        if (!s->pending.n && !s->over)
            return;
    }
}

static void on_gone(void *ctx)
{
    finish(ctx);
}

/* Nothing was sent for a while; an event that waits for room is no reason for a ping. */
static void on_silence(void *ctx)
{
    struct event_stream *s = ctx;
    if (!s->pending.n && !reader_in_event(s->in))
        stream_put(s->out, STR(PING));
    timer_start(s->ping, s->api->settings.ping_ms);
}

/* 0, or -1 and answered. */
static int read_options(struct errand *x, struct reader_options *o)
{
    enum { MAX = 100 };
    struct str deltas[MAX];
    struct str last = http1_field(&x->request->head, STR("last-event-id"));
    if (errand_bool(x, "extensions", &o->extensions) < 0)
        return -1;
    int count = errand_texts(x, "event_deltas", deltas, MAX);
    if (count < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        if (str_eq(deltas[i], STR("agent.message"))) {
            o->message_deltas = true;
        } else if (str_eq(deltas[i], STR("agent.thinking"))) {
            o->thinking_deltas = true;
        } else {
            errand_fail(x, 400, NULL, "event_deltas: takes agent.message and agent.thinking");
            return -1;
        }
    }
    if (last.n && !id_read(last, &o->last_event)) {
        errand_fail(x, 400, NULL, "last-event-id: is no id of an event");
        return -1;
    }
    return 0;
}

void event_stream_begin(struct errand *x, const struct record *session)
{
    static const struct http1_field fields[] = { { { "cache-control", 13 }, { "no-cache", 8 } },
                                                 { { "x-accel-buffering", 17 }, { "no", 2 } } };
    static const struct reader_events events = { .ready = pump };
    struct reader_options options = { 0 };
    struct err e = { 0 };
    struct api *api = x->api;
    if (read_options(x, &options) < 0)
        return;
    struct event_stream *s = mem_get(sizeof *s);
    s->api = api;
    s->in = reader_open(api->parts.engine, &session->id, &options, &events, s, &e);
    if (!s->in) {
        free(s);
        if (e.kind == E_MISSING)
            errand_fail(x, 404, NULL, "there is no such session, or no such last-event-id in it");
        else
            errand_fail_store(x, &e);
        return;
    }
    api->streams++;
    s->ping = timer_new(api->parts.loop, on_silence, s);
    struct stream_owner owner = { .ready = pump, .gone = on_gone, .ctx = s };
    s->out = stream_begin(errand_yield(x),
                          &(struct answer){ .status = 200,
                                            .content_type = "text/event-stream",
                                            .body = STR(PING),
                                            .fields = fields,
                                            .field_count = sizeof fields / sizeof *fields },
                          &owner);
    timer_start(s->ping, api->settings.ping_ms);
    pump(s);
}

void events_stream(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) == 0)
        event_stream_begin(x, &session);
}
