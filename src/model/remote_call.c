/* One request to a provider: its body goes out, its stream comes in, and the agent loop is told. */
#include "model/remote-int.h"

#include "base/check.h"
#include "base/log.h"
#include "io/timer.h"
#include "model/call-int.h"
#include "model/chat_stream.h"
#include "model/messages_stream.h"

#include <stdlib.h>

enum {
    BODY_MAX = 64 << 20,      /* bytes of a whole stream, pings and all */
    COMPLAINT_MAX = 64 << 10, /* bytes that are read of an error */
    FIELDS_MAX = 8            /* besides those of the configuration */
};

struct remote_call {
    struct model_call call; /* first */
    struct remote *remote;
    struct remote_call *next, **link;
    struct model_events events;
    void *ctx;
    struct id session;
    union {
        struct reply reply;
        struct messages_stream messages;
        struct chat_stream chat;
    } stream;
    struct fetch *fetch; /* NULL: there is none (any more) */
    struct timer *later; /* tells a failure from before there was a fetch */
    struct buf complaint;
    int64_t retry_after;
    bool streams;     /* the answer is an event stream */
    bool told;        /* `done` was called: only the rest of the stream is still awaited */
    bool in_callback; /* of the fetch or the timer */
    bool dead;        /* to be freed at the end of that callback */
};

void remote_call_free(struct remote_call *c)
{
    fetch_cancel(c->fetch);
    timer_free(c->later);
    if (c->remote->dialect == DIALECT_MESSAGES)
        messages_stream_release(&c->stream.messages);
    else
        chat_stream_release(&c->stream.chat);
    reply_release(&c->stream.reply);
    buf_release(&c->complaint);
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
}

static void cancel(struct model_call *call)
{
    struct remote_call *c = (struct remote_call *)call;
    c->stream.reply.cancelled = true;
    if (!c->in_callback) {
        remote_call_free(c);
        return;
    }
    fetch_cancel(c->fetch);
    c->fetch = NULL;
    c->dead = true;
}

static void leave(struct remote_call *c)
{
    c->in_callback = false;
    if (c->dead)
        remote_call_free(c);
}

static const char *const failure_words[] = {
    [MODEL_OK] = "none",
    [MODEL_OVERLOADED] = "overloaded",
    [MODEL_RATE_LIMITED] = "rate_limited",
    [MODEL_REQUEST_FAILED] = "failed",
    [MODEL_REQUEST_REFUSED] = "refused",
    [MODEL_BILLING] = "billing",
    [MODEL_CONTEXT_TOO_LONG] = "context_too_long",
    [MODEL_UNKNOWN] = "unknown",
};

/* The outcome is whole; tells it unless nobody wants to know. */
static void tell_done(struct remote_call *c)
{
    struct reply *r = &c->stream.reply;
    if (r->cancelled || c->told)
        return;
    c->told = true;
    if (r->outcome.failure)
        log_event("model.failed", LOG_STR("provider", str_of(c->remote->name)),
                  LOG_STR("session", id_str(&c->session)),
                  LOG_STR("failure", str_of(failure_words[r->outcome.failure])));
    c->events.done(c->ctx, &r->outcome);
}

/* --- the answer --- */

static void on_head(void *ctx, struct fetch *f, int status)
{
    struct remote_call *c = ctx;
    struct str type = fetch_answer_field(f, "content-type");
    c->streams = status == 200 && (!type.p || str_starts(type, STR("text/event-stream")));
    struct str seconds = fetch_answer_field(f, "retry-after");
    struct str ms = fetch_answer_field(f, "retry-after-ms");
    c->retry_after = retry_after_read(seconds.p ? seconds : STR(""), ms.p ? ms : STR(""));
}

/* When the answer is whole, the agent loop goes on at once; the few bytes that end the stream are
 * awaited aside, so that the connection can be used again. */
static void on_body(void *ctx, struct fetch *f, struct str bytes)
{
    struct remote_call *c = ctx;
    c->in_callback = true;
    if (!c->streams) {
        size_t room = COMPLAINT_MAX - c->complaint.n;
        buf_add(&c->complaint, (struct str){ bytes.p, bytes.n < room ? bytes.n : room });
    } else if (!c->told) {
        reply_feed(&c->stream.reply, bytes);
        if (c->stream.reply.over) {
            reply_end(&c->stream.reply);
            tell_done(c);
        }
    }
    if (c->told && c->stream.reply.outcome.failure) {
        fetch_cancel(c->fetch);
        c->fetch = NULL;
        c->dead = true;
    }
    leave(c);
}

/* What came instead of a stream. */
static void complain(struct remote_call *c, int status)
{
    struct reply *r = &c->stream.reply;
    struct err e;
    AUTO_JSON body = NULL;
    AUTO_BUF said = { 0 };
    bool read = json_parse(buf_str(&c->complaint), &body, &e) == 0;
    struct complaint complaint = complaint_read(status == 200 ? 0 : status, read ? body : NULL);
    complaint_write(&said, &complaint,
                    (struct hidden){ c->remote->secrets, c->remote->secret_count });
    bool silent = said.n == 0;
    if (status == 200 && silent)
        reply_fail(r, MODEL_REQUEST_FAILED, "the provider '%s' did not answer with an event stream",
                   c->remote->name);
    else
        reply_fail(r, complaint_meaning(&complaint), "the provider '%s' answered %d%s%s",
                   c->remote->name, status, silent ? "" : ": ", buf_text(&said));
    r->outcome.retry_after = c->retry_after;
}

static enum model_failure failure_of(enum fetch_end end)
{
    return end == FETCH_INPUT || end == FETCH_DENIED ? MODEL_REQUEST_REFUSED : MODEL_REQUEST_FAILED;
}

static void on_done(void *ctx, const struct fetch_result *result)
{
    struct remote_call *c = ctx;
    struct reply *r = &c->stream.reply;
    c->in_callback = true;
    c->fetch = NULL;
    if (!c->told) {
        bool complete = result->end == FETCH_COMPLETE;
        if (c->streams)
            r->reader->end(r); /* it may be whole without its last event */
        if (complete && !c->streams)
            complain(c, result->status);
        else if (!complete && !r->over)
            reply_fail(r, failure_of(result->end), "no answer from the provider '%s': %s",
                       c->remote->name, result->text);
        reply_end(r);
        tell_done(c);
    }
    c->dead = true;
    leave(c);
}

static void on_later(void *ctx)
{
    struct remote_call *c = ctx;
    c->in_callback = true;
    reply_end(&c->stream.reply);
    tell_done(c);
    c->dead = true;
    leave(c);
}

/* --- the request --- */

static size_t add_field(struct fetch_field *fields, size_t n, const char *name, struct str value)
{
    fields[n] = (struct fetch_field){ str_of(name), value };
    return n + 1;
}

/* `bearer` holds the value of the field that opens the Chat wire. */
static size_t make_fields(const struct remote *r, const struct model_request *request,
                          struct fetch_field *fields, struct str bearer)
{
    size_t n = 0;
    n = add_field(fields, n, "content-type", STR("application/json"));
    n = add_field(fields, n, "accept", STR("text/event-stream"));
    n = add_field(fields, n, "user-agent", STR("postern/" POSTERN_VERSION));
    if (r->dialect == DIALECT_MESSAGES) {
        n = add_field(fields, n, "anthropic-version", STR("2023-06-01"));
        if (str_eq(request->speed, STR("fast")))
            n = add_field(fields, n, "anthropic-beta", STR("fast-mode-2026-02-01"));
        if (!secret_is_none(&r->key))
            n = add_field(fields, n, "x-api-key", secret_reveal(&r->key));
    } else if (bearer.n) {
        n = add_field(fields, n, "authorization", bearer);
    }
    CHECK(n <= FIELDS_MAX);
    for (size_t i = 0; i < r->header_count; i++)
        fields[n++] = r->headers[i];
    return n;
}

static void send_request(struct remote_call *c, const struct model_request *request,
                         struct str body)
{
    const struct remote *r = c->remote;
    struct fetch_field *fields = mem_array(FIELDS_MAX + r->header_count, sizeof *fields);
    AUTO_BUF bearer = { 0 };
    if (!secret_is_none(&r->key)) {
        buf_add(&bearer, STR("Bearer "));
        buf_add(&bearer, secret_reveal(&r->key));
    }
    const struct fetch_options options = {
        .method = "POST",
        .url = r->url,
        .fields = fields,
        .field_count = make_fields(r, request, fields, buf_str(&bearer)),
        .body = body,
        .connect_ms = r->connect_ms,
        .idle_ms = r->idle_ms,
        .body_limit = BODY_MAX,
        .on_head = on_head,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = c,
    };
    c->fetch = fetch_new(r->fetcher, &options);
    free(fields);
    mem_wipe(bearer.p, bearer.n);
}

static int make_body(struct remote_call *c, const struct model_request *request,
                     const struct upstream *upstream, struct buf *body, struct err *e)
{
    if (c->remote->dialect == DIALECT_MESSAGES)
        return messages_body(body, request, upstream, e);
    return chat_body(body, request, upstream, &c->stream.chat.seed, e);
}

struct model_call *remote_start(struct remote *r, const struct model_request *request,
                                const struct upstream *upstream, const struct model_events *events,
                                void *ctx)
{
    bool messages = r->dialect == DIALECT_MESSAGES;
    struct remote_call *c = mem_get(sizeof *c);
    struct err e = { 0 };
    AUTO_BUF body = { 0 };
    *c = (struct remote_call){ .call = { cancel },
                               .remote = r,
                               .next = r->calls,
                               .link = &r->calls,
                               .events = *events,
                               .ctx = ctx,
                               .session = request->session };
    if (r->calls)
        r->calls->link = &c->next;
    r->calls = c;
    reply_init(&c->stream.reply, messages ? &messages_reader : &chat_reader, &c->events, ctx,
               (struct hidden){ r->secrets, r->secret_count });
    if (make_body(c, request, upstream, &body, &e) == 0) {
        send_request(c, request, buf_str(&body));
    } else {
        reply_fail(&c->stream.reply, MODEL_REQUEST_REFUSED, "%s", e.text);
        c->later = timer_new(r->loop, on_later, c);
        timer_start(c->later, 0);
    }
    return &c->call;
}
