#include "net/server-int.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>

enum {
    CHUNK_HEAD = 8,                     /* "ffff\r\n" and a NUL */
    CHUNK_END = sizeof "0\r\n\r\n" - 1, /* has room at any time */
    CHUNK_FRAME = sizeof "ffff\r\n\r\n" - 1 + CHUNK_END
};

bool output_waits(const struct connection *c)
{
    return c->out.n > c->out_done || c->queue.len;
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

void output_send(struct connection *c, struct str bytes)
{
    if (!output_waits(c))
        bytes = str_skip(bytes, write_some(c, bytes));
    if (c->broken || !bytes.n)
        return;
    server_discharge(c->server, c->out.cap);
    buf_add(&c->out, bytes);
    server_charge(c->server, c->out.cap);
}

void output_release(struct connection *c)
{
    server_discharge(c->server, c->out.cap);
    buf_release(&c->out);
    c->out_done = 0;
    bufq_release(&c->queue);
}

void output_flush(struct connection *c)
{
    size_t moved = 0;
    if (c->out.n) {
        moved = write_some(c, str_skip(buf_str(&c->out), c->out_done));
        c->out_done += moved;
    }
    while (c->out_done == c->out.n && c->queue.len) {
        struct str run = bufq_peek(&c->queue);
        size_t sent = write_some(c, run);
        bufq_skip(&c->queue, sent);
        moved += sent;
        if (sent < run.n)
            break;
    }
    if (c->broken || !output_waits(c))
        output_release(c);
    else if (moved && c->wait.in == &c->server->waits[WAIT_STALL])
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

size_t output_room(const struct connection *c, bool chunked)
{
    size_t room = bufq_room(&c->queue);
    if (!chunked)
        return room;
    return room > CHUNK_FRAME ? room - CHUNK_FRAME : 0;
}

void output_stream(struct connection *c, bool chunked, struct str bytes)
{
    char head[CHUNK_HEAD];
    CHECK(bytes.n <= output_room(c, chunked));
    if (chunked) {
        int n = snprintf(head, sizeof head, "%zx\r\n", bytes.n);
        bufq_put(&c->queue, (struct str){ head, (size_t)n });
    }
    bufq_put(&c->queue, bytes);
    if (chunked)
        bufq_put(&c->queue, STR("\r\n"));
    flush_later(c);
}

void output_end_chunks(struct connection *c)
{
    CHECK(bufq_put(&c->queue, STR("0\r\n\r\n")) == CHUNK_END);
    flush_later(c);
}
