#include "net/server-int.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>

enum {
    CHUNK_HEAD = 8, /* "ffff\r\n" and a NUL */
    CHUNK_FRAME = sizeof "ffff\r\n\r\n0\r\n\r\n" - 1,
    FIRST_ROOM = 1000, /* most bursts of events are shorter */
    QUEUE_WHEN_SHORT =
        4 << 10 /* of a stream, while more than half of the server's memory is in use */
};

static size_t waiting(const struct connection *c)
{
    return c->out.n - c->out_done;
}

bool output_waits(const struct connection *c)
{
    return waiting(c) > 0;
}

/* How many bytes the socket took. */
static size_t write_some(struct connection *c, struct str bytes)
{
    if (c->broken || !bytes.n)
        return 0;
    ssize_t sent = transport_write(c->transport, bytes);
    if (sent < 0 && errno != EAGAIN)
        c->broken = true;
    if (sent <= 0)
        return 0;
    c->server->counters.bytes_out += (uint64_t)sent;
    return (size_t)sent;
}

/* Behind what waits already; what has left makes room first. */
static void keep(struct connection *c, struct str bytes)
{
    struct buf *out = &c->out;
    server_discharge(c->server, out->cap);
    if (c->out_done && bytes.n >= out->cap - out->n) {
        out->n -= c->out_done;
        memmove(out->p, out->p + c->out_done, out->n);
        c->out_done = 0;
    }
    buf_add(out, bytes);
    server_charge(c->server, out->cap);
}

void output_send(struct connection *c, struct str bytes)
{
    if (!output_waits(c))
        bytes = str_skip(bytes, write_some(c, bytes));
    if (!c->broken && bytes.n)
        keep(c, bytes);
}

void output_release(struct connection *c)
{
    server_discharge(c->server, c->out.cap);
    buf_release(&c->out);
    c->out_done = 0;
}

void output_flush(struct connection *c)
{
    size_t sent = write_some(c, str_skip(buf_str(&c->out), c->out_done));
    c->out_done += sent;
    if (c->broken || !output_waits(c))
        output_release(c);
    else if (sent && c->wait.in == &c->server->waits[WAIT_STALL])
        wait_start(c->wait.in, &c->wait);
    if (c->stream && !c->broken)
        stream_drained(c->stream);
}

static void on_flush(void *ctx)
{
    struct connection *c = ctx;
    c->flushing = false;
    if (!c->transport)
        return;
    output_flush(c);
    connection_go(c);
}

static void flush_later(struct connection *c)
{
    if (c->flushing)
        return;
    c->flushing = true;
    loop_later(c->server->loop, on_flush, c);
}

/* Readers that take nothing share what there is with everybody else. */
static size_t queue_size(const struct connection *c)
{
    const struct server *s = c->server;
    return s->counters.memory > s->options.memory_budget / 2 ? QUEUE_WHEN_SHORT : STREAM_QUEUE;
}

size_t output_room(const struct connection *c)
{
    size_t size = queue_size(c), taken = waiting(c) + CHUNK_FRAME;
    return taken < size ? size - taken : 0;
}

bool output_is_half_empty(const struct connection *c)
{
    return waiting(c) <= queue_size(c) / 2;
}

void output_stream(struct connection *c, bool chunked, struct str bytes)
{
    char head[CHUNK_HEAD];
    CHECK(bytes.n <= output_room(c));
    if (!c->out.cap) {
        buf_room(&c->out, FIRST_ROOM);
        server_charge(c->server, c->out.cap);
    }
    if (chunked) {
        int n = snprintf(head, sizeof head, "%zx\r\n", bytes.n);
        keep(c, (struct str){ head, (size_t)n });
    }
    keep(c, bytes);
    if (chunked)
        keep(c, STR("\r\n"));
    flush_later(c);
}

void output_end_chunks(struct connection *c)
{
    keep(c, STR("0\r\n\r\n"));
    flush_later(c);
}
