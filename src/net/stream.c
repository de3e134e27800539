#include "net/server-int.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

static void note_end(const struct stream *s)
{
    if (!s->server->options.access_log)
        return;
    const struct log_field fields[] = {
        LOG_STR("request", id_str(&s->id)),
        LOG_NUMBER("bytes_out", (int64_t)s->sent),
        LOG_NUMBER("ms", (int64_t)(loop_now(s->server->loop) - s->began)),
        LOG_STR("end", s->connection ? STR("server") : STR("reader")),
    };
    server_log(s->server, "http.stream_end", fields, sizeof fields / sizeof *fields);
}

static struct stream *stream_new(struct call *call, const struct stream_owner *owner)
{
    struct stream *s = mem_get(sizeof *s);
    s->server = call->server;
    s->connection = call->connection;
    s->id = call->request.id;
    s->owner = *owner;
    s->began = call->began;
    s->mute = str_eq(call->request.method, STR("HEAD"));
    s->chunked = !s->mute && call->request.head.minor > 0;
    s->server->counters.streams++;
    return s;
}

struct stream *stream_begin(struct request *r, const struct answer *a,
                            const struct stream_owner *owner)
{
    struct call *call = (struct call *)r;
    struct connection *c = call->connection;
    struct stream *s = stream_new(call, owner);
    answer_note(call, c ? a->status : 0, 0);
    if (c) {
        struct buf *page = &call->server->page;
        c->keep = answer_keeps(c) && (s->chunked || s->mute);
        buf_empty(page);
        answer_write_head(page, call, a, s->chunked ? LENGTH_CHUNKED : LENGTH_NONE, c->keep);
        output_send(c, buf_str(page));
        c->stream = s;
        connection_taken(c);
    }
    bool told = call->told;
    call_give_back(call);
    CHECK(stream_put(s, a->body) == a->body.n);
    if (c && !c->busy)
        connection_settle(c);
    if (told)
        stream_tell_gone(s);
    return s;
}

const struct id *stream_id(const struct stream *s)
{
    return &s->id;
}

size_t stream_room(const struct stream *s)
{
    return s->connection && !s->mute ? output_room(s->connection) : SIZE_MAX;
}

size_t stream_put(struct stream *s, struct str bytes)
{
    size_t room = stream_room(s);
    size_t n = bytes.n < room ? bytes.n : room;
    s->hungry = n < bytes.n;
    s->sent += n;
    if (n && s->connection && !s->mute)
        output_stream(s->connection, s->chunked, (struct str){ bytes.p, n });
    return n;
}

bool stream_is_drained(const struct stream *s)
{
    return !s->connection || !output_waits(s->connection);
}

/* Asking at the first free byte would make pieces of a few bytes. */
void stream_drained(struct stream *s)
{
    if (!s->hungry || !output_is_half_empty(s->connection))
        return;
    s->hungry = false;
    s->owner.ready(s->owner.ctx);
}

static void stream_free(struct stream *s)
{
    s->server->counters.streams--;
    free(s);
}

static void give_back(struct stream *s)
{
    s->given_back = true;
    note_end(s);
    if (!s->telling)
        stream_free(s);
}

static void on_tell(void *ctx)
{
    struct stream *s = ctx;
    s->telling = false;
    if (s->given_back)
        stream_free(s);
    else
        s->owner.gone(s->owner.ctx);
}

void stream_tell_gone(struct stream *s)
{
    if (s->told)
        return;
    s->told = s->telling = true;
    loop_later(s->server->loop, on_tell, s);
}

void stream_detach(struct stream *s)
{
    s->connection->stream = NULL;
    s->connection = NULL;
    stream_tell_gone(s);
}

void stream_end(struct stream *s)
{
    struct connection *c = s->connection;
    if (c) {
        if (s->chunked)
            output_end_chunks(c);
        c->stream = NULL;
        connection_answered(c);
    }
    give_back(s);
}

void stream_drop(struct stream *s)
{
    struct connection *c = s->connection;
    if (c) {
        c->stream = NULL;
        transport_abort(c->transport);
        connection_close(c);
    }
    give_back(s);
}
