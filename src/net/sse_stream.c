#include "net/sse_stream.h"

#include "base/mem.h"
#include "net/server-int.h"
#include "net/sse_stream-int.h"
#include "proto/sse.h"

#include <stdlib.h>

/* An event up to this size is put together first, and leaves as one chunk. */
enum { TOGETHER_MAX = 8 << 10, PIECES = 8 };

struct sse_stream {
    struct stream *stream;
    struct server *server;
    struct stream_owner owner;
    struct wait ping; /* since something was sent last */
    bool in_event;
};

static const struct str ping = STR("event: ping\ndata: {}\n\n");

static void on_ready(void *ctx)
{
    struct sse_stream *s = ctx;
    s->owner.ready(s->owner.ctx);
}

static void on_gone(void *ctx)
{
    struct sse_stream *s = ctx;
    wait_stop(&s->ping);
    s->owner.gone(s->owner.ctx);
}

struct sse_stream *sse_stream_begin(struct request *r, const struct stream_owner *owner)
{
    static const struct http1_field fields[] = {
        { STR("cache-control"), STR("no-cache") },
        { STR("x-accel-buffering"), STR("no") },
    };
    struct sse_stream *s = mem_get(sizeof *s);
    s->server = ((struct call *)r)->server;
    s->owner = *owner;
    s->stream = stream_begin(r,
                             &(struct answer){ .status = 200,
                                               .content_type = "text/event-stream",
                                               .body = ping,
                                               .fields = fields,
                                               .field_count = sizeof fields / sizeof *fields },
                             &(struct stream_owner){ on_ready, on_gone, s });
    wait_start(&s->server->pings, &s->ping);
    return s;
}

const struct id *sse_stream_id(const struct sse_stream *s)
{
    return stream_id(s->stream);
}

bool sse_stream_in_event(const struct sse_stream *s)
{
    return s->in_event;
}

/* A queue that holds bytes is no silence, and an event that was begun must not be cut in two. */
void sse_stream_late(struct wait *w)
{
    struct sse_stream *s = (struct sse_stream *)((char *)w - offsetof(struct sse_stream, ping));
    if (!s->in_event && stream_is_drained(s->stream)) {
        stream_put(s->stream, ping);
        s->server->counters.pings++;
    }
    wait_start(&s->server->pings, &s->ping);
}

/* Puts what lies behind the first `done` bytes of all pieces. True when all is put. */
static bool put_pieces(struct sse_stream *s, const struct str *pieces, size_t *done)
{
    size_t before = 0;
    for (size_t i = 0; i < PIECES; i++) {
        struct str left = str_skip(pieces[i], *done - before);
        before += pieces[i].n;
        if (*done >= before)
            continue;
        size_t n = stream_put(s->stream, left);
        *done += n;
        if (n < left.n)
            return false;
    }
    return true;
}

static bool put_event(struct sse_stream *s, const struct str *pieces, size_t *done)
{
    size_t whole = 0;
    for (size_t i = 0; i < PIECES; i++)
        whole += pieces[i].n;
    if (whole > TOGETHER_MAX)
        return put_pieces(s, pieces, done);
    struct buf *page = &s->server->page;
    buf_empty(page);
    for (size_t i = 0; i < PIECES; i++)
        buf_add(page, pieces[i]);
    const struct str together[PIECES] = { buf_str(page) };
    return put_pieces(s, together, done);
}

static bool has_line_end(struct str data)
{
    return str_index(data, '\n') >= 0 || str_index(data, '\r') >= 0;
}

bool sse_stream_event(struct sse_stream *s, struct str name, struct str id, struct str data,
                      size_t *done)
{
    AUTO_BUF flat = { 0 };
    if (has_line_end(data)) {
        buf_add(&flat, data);
        for (size_t i = 0; i < flat.n; i++)
            if (flat.p[i] == '\n' || flat.p[i] == '\r')
                flat.p[i] = ' ';
        data = buf_str(&flat);
    }
    const struct str pieces[PIECES] = {
        STR("event: "), name,        id.n ? STR("\nid: ") : STR(""), id, STR("\ndata: "),
        data,           STR("\n\n"),
    };
    bool whole = put_event(s, pieces, done);
    if (whole)
        *done = 0;
    s->in_event = *done > 0;
    if (s->ping.in)
        wait_start(s->ping.in, &s->ping);
    return whole;
}

void sse_stream_end(struct sse_stream *s)
{
    wait_stop(&s->ping);
    if (s->in_event)
        stream_drop(s->stream);
    else
        stream_end(s->stream);
    free(s);
}
