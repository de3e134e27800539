/* One claim of net/server.h: whatever peers and owners do, in whatever order, every request and every
 * stream is given back exactly once, and nothing is left. Each round is one seed: CHAOS_SEED=4711
 * CHAOS_ROUNDS=1 repeats one, more rounds look longer. */
#include "base/moment.h"
#include "net/server.h"
#include "net/sse_stream.h"
#include "peer.h"

#include "io/socket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { ROUNDS = 150, STEPS = 120, PEERS = 12, HELD = 64 };

struct chaos {
    struct loop *loop;
    struct server *server;
    uint16_t port;
    uint64_t seed;
    struct peer peers[PEERS];
    struct owner {
        struct chaos *chaos;
        struct request *request;
        struct sse_stream *stream;
        size_t done;
    } held[HELD];
    unsigned lent, returned;
    bool stopped;
};

static unsigned roll(struct chaos *c, unsigned sides)
{
    c->seed = c->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(c->seed >> 33) % sides;
}

static struct owner *free_owner(struct chaos *c)
{
    for (size_t i = 0; i < HELD; i++)
        if (!c->held[i].request && !c->held[i].stream)
            return &c->held[i];
    return NULL;
}

static void pump(struct owner *o)
{
    char data[9000];
    memset(data, 'd', sizeof data);
    for (int i = 0; i < 20; i++)
        if (!sse_stream_event(o->stream, STR("event"), STR("id"), (struct str){ data, sizeof data },
                              &o->done))
            return;
}

static void end_stream(struct owner *o)
{
    sse_stream_end(o->stream);
    o->chaos->returned++;
    *o = (struct owner){ .chaos = o->chaos };
}

static void on_ready(void *ctx)
{
    struct owner *o = ctx;
    if (roll(o->chaos, 8) == 0)
        end_stream(o);
    else
        pump(o);
}

static void on_stream_gone(void *ctx)
{
    struct owner *o = ctx;
    if (roll(o->chaos, 2))
        pump(o);
    end_stream(o);
}

static void answer(struct chaos *c, struct owner *o, struct request *r)
{
    static char large[200000];
    size_t n = roll(c, 4) ? roll(c, 100) : sizeof large;
    c->returned++;
    unsigned what = roll(c, 6);
    if (what == 0) {
        request_drop(r);
    } else if (what == 1) {
        request_fail(r, &(struct failure){ .status = 404, .message = STR("no") });
    } else if (what == 2 && o) {
        c->returned--; /* end_stream counts */
        o->stream = sse_stream_begin(r, &(struct stream_owner){ on_ready, on_stream_gone, o });
        o->done = 0;
    } else {
        request_answer(r,
                       &(struct answer){ .status = roll(c, 5) ? 200 : 204, .body = { large, n } });
    }
}

static void on_gone(void *ctx)
{
    struct owner *o = ctx;
    struct request *r = o->request;
    if (roll(o->chaos, 3) == 0)
        return; /* answers another time */
    o->request = NULL;
    answer(o->chaos, o, r);
}

/* Answers now, or keeps it. */
static void receive(struct chaos *c, struct request *r)
{
    struct owner *o = free_owner(c);
    c->lent++;
    if (!o || roll(c, 2)) {
        answer(c, o, r);
        return;
    }
    o->request = r;
    if (roll(c, 2))
        request_on_gone(r, roll(c, 2) ? GONE_ENDED : GONE_BROKEN, on_gone, o);
}

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    struct chaos *c = ctx;
    if (roll(c, 4) == 0)
        *body_limit = roll(c, 2000);
    if (roll(c, 4))
        return true;
    receive(c, r);
    return false;
}

static void handle(void *ctx, struct request *r)
{
    receive(ctx, r);
}

static const char *const pieces[] = {
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a HTTP/1.0\r\n\r\n",
    "HEAD /a?b=c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n"
     "GET /c HTTP/1.1\r\nHost: a\r\n\r\n"),
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
    "cde",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "3\r\nabc\r\n",
    "0\r\n\r\n",
    "GET /a HTTP/1.1\r\nHo",
    "st: a\r\n\r\n",
    "garbage\r\n\r\n",
    "\r\n",
    "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n",
};

static void act_peer(struct chaos *c)
{
    struct peer *p = &c->peers[roll(c, PEERS)];
    if (!p->watch) {
        peer_connect(p, c->loop, c->port);
        p->deaf = roll(c, 5) == 0;
        return;
    }
    switch (roll(c, 12)) {
    case 0:
        peer_close(p);
        break;
    case 1:
        peer_abort(p);
        break;
    case 2:
        peer_finish(p);
        break;
    case 3:
        if (p->deaf)
            peer_read_again(p);
        break;
    default: {
        const char *piece = pieces[roll(c, sizeof pieces / sizeof *pieces)];
        struct str bytes = str_of(piece);
        if (roll(c, 4) == 0)
            bytes.n = roll(c, (unsigned)bytes.n) + 1;
        (void)socket_write(watch_fd(p->watch),
                           bytes); /* what is not taken is lost: that is one more cut */
    }
    }
}

static void act_owner(struct chaos *c)
{
    struct owner *o = &c->held[roll(c, HELD)];
    if (o->stream) {
        if (roll(c, 2))
            pump(o);
        else
            end_stream(o);
    } else if (o->request) {
        struct request *r = o->request;
        o->request = NULL;
        answer(c, o, r);
    }
}

static void on_stopped(void *ctx)
{
    struct chaos *c = ctx;
    c->stopped = true;
}

static bool is_stopped(void *ctx)
{
    const struct chaos *c = ctx;
    return c->stopped;
}

static void finish(struct chaos *c)
{
    if (roll(c, 2)) {
        server_stop(c->server, roll(c, 30), on_stopped, c);
        loop_until(c->loop, is_stopped, c);
    }
    for (size_t i = 0; i < HELD; i++) {
        struct owner *o = &c->held[i];
        struct request *r = o->request;
        o->request = NULL;
        if (r)
            answer(c, NULL, r);
        if (o->stream)
            end_stream(o);
    }
    server_free(c->server);
    for (size_t i = 0; i < PEERS; i++)
        if (c->peers[i].watch)
            peer_close(&c->peers[i]);
    loop_free(c->loop); /* checks that no timer and no watch is left */
}

static void round_of(uint64_t seed)
{
    struct err e;
    struct chaos *c = mem_get(sizeof *c);
    c->seed = seed;
    for (size_t i = 0; i < HELD; i++)
        c->held[i].chaos = c;
    struct server_options options = server_options_default;
    options.access_log = false;
    options.connections = roll(c, 2) ? 6 : 100;
    options.memory_budget = roll(c, 2) ? 100000 : 64 << 20;
    options.head_ms = options.body_ms = options.idle_ms = options.stall_ms = 1 + roll(c, 40);
    options.ping_ms = 1 + roll(c, 10);
    options.linger_ms = 1 + roll(c, 10);
    assert_int_equal(loop_new(&c->loop, &e), 0);
    c->server = server_new(c->loop, &options, &(struct server_handler){ admit, handle, c },
                           random_of_kernel());
    assert_int_equal(server_listen(c->server, "127.0.0.1:0", NULL, &c->port, &e), 0);
    for (int i = 0; i < STEPS; i++) {
        act_peer(c);
        if (roll(c, 2))
            act_owner(c);
        if (roll(c, 3) == 0)
            loop_for(c->loop, roll(c, 8) == 0 ? 3 : 0);
    }
    finish(c);
    if (c->lent != c->returned)
        fail_msg("seed %llu: %u lent, %u given back", (unsigned long long)seed, c->lent,
                 c->returned);
    free(c);
}

static void every_request_is_given_back_whatever_happens(void **state)
{
    const char *from = getenv("CHAOS_SEED"), *rounds = getenv("CHAOS_ROUNDS");
    uint64_t first = from ? strtoull(from, NULL, 10) : 1;
    uint64_t count = rounds ? strtoull(rounds, NULL, 10) : ROUNDS;
    for (uint64_t seed = first; seed < first + count; seed++)
        round_of(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_is_given_back_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
