/* Claims of net/stream.h and net/sse_stream.h, over loopback. */
#include "base/moment.h"
#include "net/server.h"
#include "net/sse_stream.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct bench {
    struct loop *loop;
    struct server *server;
    uint16_t port;
    struct sse_stream *stream;
    unsigned ready, gone;
};

static void on_ready(void *ctx)
{
    struct bench *b = ctx;
    b->ready++;
}

static void on_gone(void *ctx)
{
    struct bench *b = ctx;
    b->gone++;
}

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    return true;
}

static void handle(void *ctx, struct request *r)
{
    struct bench *b = ctx;
    if (str_eq(r->path, STR("/stream")))
        b->stream = sse_stream_begin(r, &(struct stream_owner){ on_ready, on_gone, b });
    else
        request_answer(r, &(struct answer){ .status = 200, .body = STR("hello") });
}

static void setup_with(struct bench *b, const struct server_options *options)
{
    struct err e;
    struct server_options quiet = *options;
    *b = (struct bench){ 0 };
    quiet.access_log = false;
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->server = server_new(b->loop, &quiet, &(struct server_handler){ admit, handle, b },
                           random_of_kernel());
    assert_int_equal(server_listen(b->server, "127.0.0.1:0", NULL, &b->port, &e), 0);
}

static void setup(struct bench *b)
{
    setup_with(b, &server_options_default);
}

static void teardown(struct bench *b)
{
    server_free(b->server);
    loop_free(b->loop);
}

static void the_head_of_a_stream_comes_at_once_and_the_connection_serves_on(void **state)
{
    struct bench b;
    struct peer p;
    size_t done = 0;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 200 OK\r\n");
    peer_expect(&p, "request-id: req_");
    peer_expect(&p, "content-type: text/event-stream\r\n");
    peer_expect(&p, "transfer-encoding: chunked\r\n");
    peer_expect(&p, "cache-control: no-cache\r\n");
    peer_expect(&p, "x-accel-buffering: no\r\n\r\n16\r\nevent: ping\ndata: {}\n\n\r\n");
    assert_true(sse_stream_event(b.stream, STR("a"), STR("1"), STR("{}"), &done));
    peer_expect(&p, "19\r\nevent: a\nid: 1\ndata: {}\n\n\r\n");
    assert_int_equal(p.got.n, 0);
    sse_stream_end(b.stream);
    peer_expect(&p, "0\r\n\r\nHTTP/1.1 200 OK\r\n");
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

static void http_1_0_and_head_get_streams_without_chunks(void **state)
{
    struct bench b;
    struct peer p;
    size_t done = 0;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(&p, "connection: close\r\n\r\nevent: ping\ndata: {}\n\n");
    assert_true(sse_stream_event(b.stream, STR("a"), STR(""), STR("{}"), &done));
    sse_stream_end(b.stream);
    peer_expect(&p, "event: a\ndata: {}\n\n");
    peer_expect_end(&p);
    assert_int_equal(p.got.n, 0);
    peer_close(&p);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "\r\n\r\n");
    assert_true(sse_stream_event(b.stream, STR("a"), STR(""), STR("{}"), &done));
    sse_stream_end(b.stream);
    peer_say(&p, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 200 OK\r\n");
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

/* One event that is larger than all queues between. */
static void a_slow_reader_is_asked_for_bytes_when_there_is_room(void **state)
{
    enum { LARGE = 20 << 20 };
    struct bench b;
    struct peer p;
    size_t done = 0;
    AUTO_BUF data = { 0 };
    setup(&b);
    memset(buf_room(&data, LARGE), 'x', LARGE);
    buf_grew(&data, LARGE);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "data: {}\n\n\r\n");
    p.deaf = true;
    for (unsigned seen = 0;;) {
        assert_false(sse_stream_event(b.stream, STR("large"), STR(""), buf_str(&data), &done));
        assert_true(sse_stream_in_event(b.stream));
        loop_for(b.loop, 20);
        if (seen == b.ready)
            break; /* all queues are full */
        seen = b.ready;
    }
    assert_true(done > 0 && done < LARGE);
    peer_read_again(&p);
    unsigned before = b.ready;
    while (!sse_stream_event(b.stream, STR("large"), STR(""), buf_str(&data), &done))
        loop_for(b.loop, 1);
    assert_true(b.ready > before);
    assert_int_equal(done, 0);
    peer_expect(&p, "\n\n\r\n");
    assert_true(sse_stream_event(b.stream, STR("after"), STR(""), STR("{}"), &done));
    peer_expect(&p, "event: after\ndata: {}\n\n");
    sse_stream_end(b.stream);
    peer_close(&p);
    teardown(&b);
}

static bool is_gone(void *ctx)
{
    const struct bench *b = ctx;
    return b->gone > 0;
}

static void a_stream_whose_reader_takes_nothing_is_cut_off(void **state)
{
    struct bench b;
    struct peer p;
    size_t done = 0;
    AUTO_BUF data = { 0 };
    struct server_options options = server_options_default;
    options.stall_ms = 50;
    setup_with(&b, &options);
    memset(buf_room(&data, 32 << 20), 'x', 32 << 20);
    buf_grew(&data, 32 << 20);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "data: {}\n\n\r\n");
    p.deaf = true;
    while (!b.gone) {
        sse_stream_event(b.stream, STR("large"), STR(""), buf_str(&data), &done);
        loop_for(b.loop, 1);
    }
    assert_int_equal(server_counters(b.server)->stalled, 1);
    sse_stream_end(b.stream);
    peer_close(&p);
    teardown(&b);
}

static void a_silent_stream_pings_and_a_half_closed_reader_still_reads(void **state)
{
    struct bench b;
    struct peer p;
    struct server_options options = server_options_default;
    options.ping_ms = 10;
    setup_with(&b, &options);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_finish(&p);
    for (int i = 0; i < 4; i++)
        peer_expect(&p, "event: ping\ndata: {}\n\n\r\n");
    assert_true(server_counters(b.server)->pings >= 3);
    assert_int_equal(b.gone, 0);
    peer_abort(&p);
    loop_until(b.loop, is_gone, &b);
    sse_stream_end(b.stream);
    teardown(&b);
}

static void a_reader_that_is_cut_is_told_and_takes_everything_afterwards(void **state)
{
    struct bench b;
    struct peer p;
    size_t done = 0;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "data: {}\n\n\r\n");
    peer_abort(&p);
    loop_until(b.loop, is_gone, &b);
    assert_true(sse_stream_event(b.stream, STR("a"), STR(""), STR("{}"), &done));
    assert_int_equal(server_counters(b.server)->streams, 1);
    sse_stream_end(b.stream);
    assert_int_equal(server_counters(b.server)->streams, 0);
    assert_int_equal(b.gone, 1);
    teardown(&b);
}

static void on_stopped(void *ctx)
{
    *(bool *)ctx = true;
}

static bool flag_is_set(void *ctx)
{
    return *(bool *)ctx;
}

static void stopping_lets_a_stream_end_cleanly(void **state)
{
    struct bench b;
    struct peer p;
    bool stopped = false;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "data: {}\n\n\r\n");
    server_stop(b.server, 10000, on_stopped, &stopped);
    loop_until(b.loop, is_gone, &b);
    sse_stream_end(b.stream);
    peer_expect(&p, "0\r\n\r\n");
    peer_expect_end(&p);
    assert_false(p.reset);
    loop_until(b.loop, flag_is_set, &stopped);
    peer_close(&p);
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_head_of_a_stream_comes_at_once_and_the_connection_serves_on),
        cmocka_unit_test(http_1_0_and_head_get_streams_without_chunks),
        cmocka_unit_test(a_slow_reader_is_asked_for_bytes_when_there_is_room),
        cmocka_unit_test(a_stream_whose_reader_takes_nothing_is_cut_off),
        cmocka_unit_test(a_silent_stream_pings_and_a_half_closed_reader_still_reads),
        cmocka_unit_test(a_reader_that_is_cut_is_told_and_takes_everything_afterwards),
        cmocka_unit_test(stopping_lets_a_stream_end_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
