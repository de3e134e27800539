/* Claims of net/server.h and net/request.h, over loopback. */
#include "base/moment.h"
#include "net/server.h"
#include "peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { BIG = 32 << 20 /* more than the kernel's buffers hold */ };

struct bench {
    struct loop *loop;
    struct server *server;
    struct server_options options;
    uint16_t port;
    struct request *held; /* what /hold keeps */
    size_t body_limit;    /* that admit gives, 0: the server's own */
    unsigned admitted, handled, gone;
    enum request_gone when;
    bool stopped;
    struct buf seen; /* what the handler saw */
};

static void on_gone(void *ctx)
{
    struct bench *b = ctx;
    b->gone++;
}

static void answer_text(struct request *r, int status, struct str body)
{
    request_answer(
        r, &(struct answer){ .status = status, .content_type = "text/plain", .body = body });
}

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    struct bench *b = ctx;
    b->admitted++;
    if (b->body_limit)
        *body_limit = b->body_limit;
    if (str_eq(r->path, STR("/refused"))) {
        request_fail(r, &(struct failure){ .status = 401, .message = STR("who are you?") });
        return false;
    }
    if (str_eq(r->path, STR("/refused-later"))) {
        b->held = r;
        return false;
    }
    if (str_eq(r->path, STR("/dropped"))) {
        request_drop(r);
        return false;
    }
    return true;
}

static void describe(struct bench *b, struct request *r)
{
    buf_addf(&b->seen, "%.*s", STR_ARGS(r->method));
    for (size_t i = 0; i < r->segment_count; i++)
        buf_addf(&b->seen, " /%.*s", STR_ARGS(r->segments[i]));
    for (size_t i = 0; i < r->parameter_count; i++)
        buf_addf(&b->seen, " %.*s=%.*s", STR_ARGS(r->parameters[i].name),
                 STR_ARGS(r->parameters[i].value));
    buf_add(&b->seen, STR("\n"));
}

static void handle(void *ctx, struct request *r)
{
    struct bench *b = ctx;
    b->handled++;
    describe(b, r);
    if (str_eq(r->segments[0], STR("hold"))) {
        b->held = r;
        request_on_gone(r, b->when, on_gone, b);
    } else if (str_eq(r->segments[0], STR("big"))) {
        AUTO_BUF body = { 0 };
        memset(buf_room(&body, BIG), 'b', BIG);
        buf_grew(&body, BIG);
        answer_text(r, 200, buf_str(&body));
    } else if (str_eq(r->segments[0], STR("nothing"))) {
        answer_text(r, 204, STR(""));
    } else {
        answer_text(r, 200, r->body.n ? r->body : STR("hello"));
    }
}

static void setup_with(struct bench *b, const struct server_options *options)
{
    struct err e;
    *b = (struct bench){ .options = *options };
    b->options.access_log = false;
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->server = server_new(b->loop, &b->options, &(struct server_handler){ admit, handle, b },
                           random_of_kernel());
    assert_int_equal(server_listen(b->server, "127.0.0.1:0", NULL, &b->port, &e), 0);
    assert_true(b->port > 0);
}

static void setup(struct bench *b)
{
    setup_with(b, &server_options_default);
}

static void teardown(struct bench *b)
{
    server_free(b->server);
    loop_free(b->loop);
    buf_release(&b->seen);
}

static const char get_hello[] = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

static void an_answer_has_request_id_length_and_date(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, get_hello);
    peer_expect(&p, "HTTP/1.1 200 OK\r\nserver: postern\r\ndate: ");
    peer_expect(&p, " GMT\r\nrequest-id: req_");
    assert_int_equal(str_index(buf_str(&p.got), '\r'), 24);
    peer_expect(&p, "\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello");
    assert_int_equal(p.got.n, 0);
    peer_close(&p);
    teardown(&b);
}

static void a_connection_serves_many_requests_also_when_they_come_at_once(void **state)
{
    enum { MANY = 600 }; /* more than is read at once */
    struct bench b;
    struct peer p;
    AUTO_BUF all = { 0 };
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    for (int i = 0; i < MANY; i++)
        buf_addf(&all, "POST /n%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d", i, i);
    peer_send(&p, buf_str(&all));
    for (int i = 0; i < MANY; i++) {
        char body[16];
        snprintf(body, sizeof body, "\r\n\r\n%04d", i);
        peer_expect(&p, body);
    }
    assert_int_equal(p.got.n, 0);
    assert_int_equal(server_counters(b.server)->accepted, 1);
    assert_int_equal(server_counters(b.server)->answers[2], MANY);
    peer_close(&p);
    teardown(&b);
}

static bool is_held(void *ctx)
{
    const struct bench *b = ctx;
    return b->held != NULL;
}

static void the_next_request_waits_for_the_answer_to_the_one_before(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    loop_for(b.loop, 5);
    assert_int_equal(b.handled, 1);
    answer_text(b.held, 200, STR("first"));
    assert_int_equal(b.handled, 1); /* not from inside request_answer */
    peer_expect(&p, "first");
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

static void segments_and_parameters_are_decoded_once(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p,
             "GET /v1/a%2Fb%2520c?s%5B%5D=x+y&created_at[gte]=1%3A2 HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "hello");
    peer_say(&p, "GET http://a.example?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "hello");
    peer_say(&p, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "hello");
    assert_string_equal(buf_text(&b.seen), "GET /v1 /a/b%20c s[]=x y created_at[gte]=1:2\n"
                                           "GET / x=1\n"
                                           "OPTIONS /\n");
    peer_close(&p);
    teardown(&b);
}

static void parameters_are_found_by_either_spelling_of_a_list(void **state)
{
    static const struct url_parameter parameters[] = { { STR("a"), STR("1") },
                                                       { STR("b"), STR("2") },
                                                       { STR("a[]"), STR("3") },
                                                       { STR("a[x]"), STR("4") } };
    struct request r = { .parameters = parameters, .parameter_count = 4 };
    struct str value;
    size_t at = 0;
    assert_true(str_eq(request_parameter(&r, STR("b")), STR("2")));
    assert_true(str_eq(request_parameter(&r, STR("a[x]")), STR("4")));
    assert_null(request_parameter(&r, STR("c")).p);
    assert_true(request_parameter_next(&r, STR("a"), &at, &value) && str_eq(value, STR("1")));
    assert_true(request_parameter_next(&r, STR("a"), &at, &value) && str_eq(value, STR("3")));
    assert_false(request_parameter_next(&r, STR("a"), &at, &value));
}

/* Each is answered with the error envelope, and the connection ends. */
static void what_is_no_sound_request_is_refused_with_an_envelope(void **state)
{
    static const struct {
        const char *bytes, *status, *type;
    } rows[] = {
        { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400", "invalid_request_error" },
        { "GARBAGE\r\n\r\n", "400", "invalid_request_error" },
        { "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400", "invalid_request_error" },
        { "GET /?a=%0 HTTP/1.1\r\nHost: a\r\n\r\n", "400", "invalid_request_error" },
        { "GET / HTTP/1.1\r\n\r\n", "400", "invalid_request_error" },
        { "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400", "invalid_request_error" },
        { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "400", "invalid_request_error" },
        { "GET / HTTP/1.1\r\nHost: a\r\nExpect: fun\r\n\r\n", "417", "invalid_request_error" },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 33554433\r\n\r\n", "413",
          "request_too_large" },
        { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400",
          "invalid_request_error" },
        { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
          "400", "invalid_request_error" },
    };
    struct bench b;
    setup(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct peer p;
        peer_connect(&p, b.loop, b.port);
        peer_say(&p, rows[i].bytes);
        peer_expect(&p, "HTTP/1.1 ");
        peer_expect(&p, rows[i].status);
        peer_expect(&p, "request-id: req_");
        peer_expect(&p, "content-type: application/json\r\n");
        peer_expect(&p, "connection: close\r\n");
        peer_expect(&p, "{\"type\":\"error\",\"error\":{\"type\":\"");
        peer_expect(&p, rows[i].type);
        peer_expect(&p, "\"request_id\":\"req_");
        peer_finish(&p);
        peer_expect_end(&p);
        assert_false(p.reset);
        peer_close(&p);
    }
    assert_int_equal(b.handled, 0);
    teardown(&b);
}

static void a_head_beyond_the_limits_is_431(void **state)
{
    struct bench b;
    AUTO_BUF many = { 0 }, long_one = { 0 };
    setup(&b);
    buf_add(&many, STR("GET / HTTP/1.1\r\nHost: a\r\n"));
    for (int i = 0; i < 10000; i++)
        buf_addf(&many, "a%d: b\r\n", i);
    buf_add(&many, STR("\r\n"));
    buf_addf(&long_one, "GET /%0*d HTTP/1.1\r\nHost: a\r\n\r\n", 70000, 1);
    const struct str heads[] = { buf_str(&many), buf_str(&long_one) };
    for (size_t i = 0; i < 2; i++) {
        struct peer p;
        peer_connect(&p, b.loop, b.port);
        peer_send(&p, heads[i]);
        peer_expect(&p, "HTTP/1.1 431 ");
        peer_expect_end(&p);
        peer_close(&p);
    }
    teardown(&b);
}

static void a_failure_carries_details_and_retry_fields(void **state)
{
    AUTO_BUF out = { 0 };
    failure_write(&out,
                  &(struct failure){ .status = 409,
                                     .message = STR("it \"is\" so"),
                                     .type = "memory_path_conflict_error",
                                     .code = "a_code",
                                     .details = STR("\"current_state\":\"stopped\""),
                                     .members = STR("\"conflicting_path\":\"/x\"") },
                  &(struct id){ "req_1" });
    assert_string_equal(buf_text(&out),
                        "{\"type\":\"error\",\"error\":{\"type\":\"memory_path_conflict_error\","
                        "\"message\":\"it \\\"is\\\" so\",\"details\":{\"error_code\":\"a_code\","
                        "\"current_state\":\"stopped\"},\"conflicting_path\":\"/x\"},"
                        "\"request_id\":\"req_1\"}");
}

static void a_field_from_outside_cannot_begin_another(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    const struct http1_field field = { STR("x-name"), STR("a\r\nset-cookie: b") };
    request_answer(b.held, &(struct answer){ .status = 200, .fields = &field, .field_count = 1 });
    peer_expect(&p, "x-name: a  set-cookie: b\r\n\r\n");
    peer_close(&p);
    teardown(&b);
}

static void head_and_204_have_no_body(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "content-length: 5\r\n\r\n");
    peer_say(&p, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 204 No Content\r\n");
    peer_expect(&p, "\r\n\r\n");
    assert_int_equal(p.got.n, 0);
    peer_say(&p, get_hello);
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

static void http_1_0_is_answered_and_closed_unless_it_asks_to_keep(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    peer_expect(&p, "connection: keep-alive\r\n\r\nhello");
    peer_say(&p, "GET /hello HTTP/1.0\r\n\r\n");
    peer_expect(&p, "connection: close\r\n\r\nhello");
    peer_expect_end(&p);
    assert_false(p.reset);
    peer_close(&p);
    teardown(&b);
}

static void bodies_come_with_a_length_or_in_chunks(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n");
    peer_expect(&p, "\r\n\r\nabc0123456789abcdef");
    AUTO_BUF body = { 0 };
    for (int i = 0; i < 300000; i++)
        buf_addf(&body, "%07d,", i);
    AUTO_BUF head = { 0 };
    buf_addf(&head, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", body.n);
    peer_send(&p, buf_str(&head));
    peer_send(&p, buf_str(&body));
    peer_expect(&p, "\r\n\r\n0000000,0000001,");
    peer_expect(&p, "0299999,");
    assert_int_equal(server_counters(b.server)->memory, 0);
    peer_close(&p);
    teardown(&b);
}

static void expect_100_continue_is_encouraged_once_admitted(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p,
             "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(p.got.n, 0);
    peer_say(&p, "abc");
    peer_expect(&p, "\r\n\r\nabc");
    peer_say(
        &p,
        "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 401 ");
    peer_expect(&p, "connection: close\r\n");
    peer_finish(&p);
    peer_expect_end(&p);
    assert_false(p.reset);
    peer_close(&p);
    teardown(&b);
}

static void a_refusal_before_the_body_keeps_the_connection_when_the_body_is_short(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
    peer_expect(&p, "who are you?");
    peer_say(&p, "def");
    peer_say(&p, get_hello);
    peer_expect(&p, "hello");
    peer_say(&p, "GET /refused HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect(&p, "who are you?");
    peer_say(&p, get_hello);
    peer_expect(&p, "hello");
    assert_int_equal(b.handled, 2);
    peer_close(&p);
    teardown(&b);
}

/* The client goes on sending and must still be able to read the answer. */
static void a_refusal_reaches_a_client_that_is_still_sending_a_large_body(void **state)
{
    struct bench b;
    struct peer p;
    AUTO_BUF body = { 0 };
    setup(&b);
    memset(buf_room(&body, 4 << 20), 'x', 4 << 20);
    buf_grew(&body, 4 << 20);
    b.body_limit = 1 << 20;
    static const char *const heads[] = {
        "POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n",
    };
    for (int i = 0; i < 2; i++) {
        peer_connect(&p, b.loop, b.port);
        peer_say(&p, heads[i]);
        peer_send(&p, buf_str(&body));
        peer_finish(&p);
        peer_expect(&p, i ? "HTTP/1.1 413 " : "HTTP/1.1 401 ");
        peer_expect_end(&p);
        assert_false(p.reset);
        peer_close(&p);
    }
    assert_int_equal(b.handled, 0);
    teardown(&b);
}

static void chunks_beyond_the_limit_are_413(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    b.body_limit = 4;
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");
    peer_expect(&p, "HTTP/1.1 413 ");
    peer_close(&p);
    teardown(&b);
}

static void a_request_can_be_refused_later_without_its_body(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /refused-later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    loop_until(b.loop, is_held, &b);
    answer_text(b.held, 403, STR("no"));
    peer_expect(&p, "\r\n\r\nno");
    b.held = NULL;
    peer_say(&p, "GET /refused-later HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    answer_text(b.held, 403, STR("never"));
    peer_expect(&p, "\r\n\r\nnever");
    peer_say(&p, get_hello);
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

static void a_dropped_request_cuts_the_connection(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_expect_end(&p);
    assert_int_equal(p.got.n, 0);
    peer_close(&p);
    teardown(&b);
}

static void bodies_in_flight_have_a_budget(void **state)
{
    struct bench b;
    struct peer p, q;
    struct server_options options = server_options_default;
    options.memory_budget = 100000;
    AUTO_BUF body = { 0 };
    setup_with(&b, &options);
    memset(buf_room(&body, 90000), 'x', 90000);
    buf_grew(&body, 90000);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /hold HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n");
    peer_send(&p, buf_str(&body));
    loop_until(b.loop, is_held, &b);
    peer_connect(&q, b.loop, b.port);
    peer_say(&q, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    peer_send(&q, (struct str){ body.p, 20000 });
    peer_expect(&q, "HTTP/1.1 529 ");
    peer_expect(&q, "retry-after: 1\r\n");
    peer_expect(&q, "overloaded_error");
    peer_close(&q);
    answer_text(b.held, 200, STR("done"));
    peer_expect(&p, "done");
    assert_int_equal(server_counters(b.server)->memory, 0);
    peer_close(&p);
    teardown(&b);
}

static void heads_that_never_end_have_the_same_budget(void **state)
{
    struct bench b;
    struct peer p;
    struct server_options options = server_options_default;
    AUTO_BUF head = { 0 };
    options.memory_budget = 40000;
    setup_with(&b, &options);
    buf_addf(&head, "GET /%0*d", 60000, 1);
    peer_connect(&p, b.loop, b.port);
    peer_send(&p, buf_str(&head));
    peer_expect(&p, "HTTP/1.1 529 ");
    peer_finish(&p);
    peer_expect_end(&p);
    assert_int_equal(server_counters(b.server)->memory, 0);
    peer_close(&p);
    teardown(&b);
}

static void a_length_alone_takes_no_memory(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\nabc");
    loop_for(b.loop, 5);
    assert_true(server_counters(b.server)->memory < 4096);
    peer_close(&p);
    teardown(&b);
}

static void slow_heads_and_slow_bodies_are_408(void **state)
{
    static const char *const starts[] = {
        "GET / HT",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na",
    };
    struct bench b;
    struct server_options options = server_options_default;
    options.head_ms = options.body_ms = 200;
    setup_with(&b, &options);
    for (int i = 0; i < 2; i++) {
        struct peer p;
        peer_connect(&p, b.loop, b.port);
        peer_say(&p, starts[i]);
        peer_expect(&p, "HTTP/1.1 408 ");
        peer_expect(&p, "timeout_error");
        peer_finish(&p);
        peer_expect_end(&p);
        peer_close(&p);
    }
    teardown(&b);
}

struct dripping {
    struct peer *peer;
    struct timer *timer;
};

static void drip(void *ctx)
{
    struct dripping *d = ctx;
    if (d->peer->got.n)
        return;
    (void)!write(watch_fd(d->peer->watch), "x", 1);
    timer_start(d->timer, 5);
}

static void a_body_that_drips_is_408_although_each_byte_is_progress(void **state)
{
    struct bench b;
    struct peer p;
    struct server_options options = server_options_default;
    options.body_ms = 50;
    setup_with(&b, &options);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    struct dripping d = { .peer = &p };
    d.timer = timer_new(b.loop, drip, &d);
    timer_start(d.timer, 1);
    peer_expect(&p, "HTTP/1.1 408 ");
    timer_free(d.timer);
    peer_close(&p);
    teardown(&b);
}

static void idle_connections_are_closed_silently(void **state)
{
    struct bench b;
    struct peer p, q;
    struct server_options options = server_options_default;
    options.idle_ms = 200;
    options.head_ms = 200;
    setup_with(&b, &options);
    peer_connect(&p, b.loop, b.port); /* never says anything */
    peer_connect(&q, b.loop, b.port);
    peer_say(&q, get_hello);
    peer_expect(&q, "hello");
    peer_expect_end(&p);
    peer_expect_end(&q);
    assert_int_equal(p.got.n + q.got.n, 0);
    assert_false(p.reset || q.reset);
    peer_close(&p);
    peer_close(&q);
    teardown(&b);
}

static void a_client_that_half_closes_gets_its_answers(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_finish(&p);
    loop_until(b.loop, is_held, &b);
    loop_for(b.loop, 5);
    assert_int_equal(b.gone, 0);
    assert_true(request_is_waited_for(b.held));
    answer_text(b.held, 200, STR("first"));
    peer_expect(&p, "first");
    peer_expect(&p, "hello");
    peer_expect_end(&p);
    assert_false(p.reset);
    peer_close(&p);
    teardown(&b);
}

static bool is_gone(void *ctx)
{
    const struct bench *b = ctx;
    return b->gone > 0;
}

static void a_client_that_is_cut_is_told_once_and_answering_goes_nowhere(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "POST /hold?a=b HTTP/1.1\r\nHost: a\r\nX: y\r\nContent-Length: 3\r\n\r\nabc");
    loop_until(b.loop, is_held, &b);
    peer_abort(&p);
    loop_until(b.loop, is_gone, &b);
    assert_false(request_is_waited_for(b.held));
    /* The request is still all there. */
    assert_true(str_eq(b.held->path, STR("/hold")) && str_eq(b.held->body, STR("abc")));
    assert_true(str_eq(request_parameter(b.held, STR("a")), STR("b")));
    assert_true(str_eq(http1_field(&b.held->head, STR("x")), STR("y")));
    answer_text(b.held, 200, STR("nobody"));
    loop_for(b.loop, 5);
    assert_int_equal(b.gone, 1);
    assert_int_equal(server_counters(b.server)->answers[0], 1);
    assert_int_equal(server_counters(b.server)->requests, 0);
    teardown(&b);
}

static void a_long_poll_can_take_the_end_of_the_clients_data_for_its_going(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    b.when = GONE_ENDED;
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    peer_close(&p);
    loop_until(b.loop, is_gone, &b);
    request_drop(b.held);
    teardown(&b);
}

static bool has_request(void *ctx)
{
    const struct bench *b = ctx;
    return server_counters(b->server)->requests == 1;
}

static bool has_nobody(void *ctx)
{
    const struct bench *b = ctx;
    return server_counters(b->server)->connections == 0;
}

/* A client that leaves in the middle of a body never reaches the handler. */
static void a_body_that_is_cut_is_silent(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    for (int i = 0; i < 2; i++) {
        peer_connect(&p, b.loop, b.port);
        peer_say(&p, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 300\r\n\r\nabc");
        loop_until(b.loop, has_request, &b);
        if (i)
            peer_abort(&p);
        else
            peer_close(&p);
        loop_until(b.loop, has_nobody, &b);
    }
    assert_int_equal(b.admitted, 2);
    assert_int_equal(b.handled, 0);
    assert_int_equal(server_counters(b.server)->requests, 0);
    teardown(&b);
}

static bool has_stalled(void *ctx)
{
    const struct bench *b = ctx;
    return server_counters(b->server)->stalled == 1;
}

static void a_reader_that_takes_nothing_is_cut_off(void **state)
{
    struct bench b;
    struct peer p;
    struct server_options options = server_options_default;
    options.stall_ms = 30;
    setup_with(&b, &options);
    peer_connect(&p, b.loop, b.port);
    p.deaf = true;
    peer_say(&p, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, has_stalled, &b);
    assert_true(server_counters(b.server)->bytes_out < BIG);
    assert_int_equal(server_counters(b.server)->connections, 0);
    assert_int_equal(server_counters(b.server)->memory, 0);
    peer_close(&p);
    teardown(&b);
}

static void a_large_answer_arrives_whole(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    p.deaf = true;
    peer_say(&p, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    peer_say(&p, get_hello);
    loop_for(b.loop, 5);
    peer_read_again(&p);
    peer_expect(&p, "content-length: 33554432\r\n\r\n");
    peer_expect(&p, "bHTTP/1.1 200 OK");
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
}

static void beyond_the_limit_the_longest_idle_connection_makes_room(void **state)
{
    struct bench b;
    struct peer p[3];
    struct server_options options = server_options_default;
    options.connections = 2;
    setup_with(&b, &options);
    for (int i = 0; i < 2; i++) {
        peer_connect(&p[i], b.loop, b.port);
        peer_say(&p[i], get_hello);
        peer_expect(&p[i], "hello");
    }
    peer_connect(&p[2], b.loop, b.port);
    peer_say(&p[2], get_hello);
    peer_expect(&p[2], "hello");
    peer_expect_end(&p[0]);
    assert_false(p[1].ended);
    for (int i = 0; i < 3; i++)
        peer_close(&p[i]);
    teardown(&b);
}

static void beyond_the_limit_without_idle_ones_the_next_waits_its_turn(void **state)
{
    struct bench b;
    struct peer p, q;
    struct server_options options = server_options_default;
    options.connections = 1;
    setup_with(&b, &options);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    peer_connect(&q, b.loop, b.port);
    peer_say(&q, get_hello);
    loop_for(b.loop, 5);
    assert_int_equal(q.got.n, 0);
    answer_text(b.held, 200, STR("done"));
    peer_expect(&p, "done");
    peer_expect(&q, "hello");
    peer_close(&p);
    peer_close(&q);
    teardown(&b);
}

static void on_stopped(void *ctx)
{
    struct bench *b = ctx;
    b->stopped = true;
}

static bool is_stopped(void *ctx)
{
    const struct bench *b = ctx;
    return b->stopped;
}

static void stopping_closes_the_idle_tells_owners_and_lets_answers_finish(void **state)
{
    struct bench b;
    struct peer p, q;
    setup(&b);
    peer_connect(&q, b.loop, b.port);
    peer_say(&q, get_hello);
    peer_expect(&q, "hello");
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    server_stop(b.server, 10000, on_stopped, &b);
    peer_expect_end(&q);
    loop_until(b.loop, is_gone, &b);
    assert_false(b.stopped);
    answer_text(b.held, 200, STR("bye"));
    peer_expect(&p, "connection: close\r\n\r\nbye");
    peer_expect_end(&p);
    loop_until(b.loop, is_stopped, &b);
    peer_close(&p);
    peer_close(&q);
    teardown(&b);
}

static void after_the_deadline_what_is_left_is_cut(void **state)
{
    struct bench b;
    struct peer p;
    setup(&b);
    peer_connect(&p, b.loop, b.port);
    peer_say(&p, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    loop_until(b.loop, is_held, &b);
    server_stop(b.server, 10, on_stopped, &b);
    loop_until(b.loop, is_stopped, &b);
    answer_text(b.held, 200, STR("too late"));
    peer_expect_end(&p);
    assert_int_equal(p.got.n, 0);
    peer_close(&p);
    teardown(&b);
}

static void plain_http_beyond_loopback_needs_a_flag(void **state)
{
    struct bench b;
    struct err e;
    struct server_options options = server_options_default;
    setup(&b);
    assert_int_equal(server_listen(b.server, "0.0.0.0:0", NULL, NULL, &e), -1);
    assert_int_equal(e.kind, E_DENIED);
    assert_int_equal(server_listen(b.server, "[::]:0", NULL, NULL, &e), -1);
    assert_int_equal(e.kind, E_DENIED);
    teardown(&b);
    options.allow_plain = true;
    setup_with(&b, &options);
    assert_int_equal(server_listen(b.server, "0.0.0.0:0", NULL, NULL, &e), 0);
    teardown(&b);
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const rows[] = {
        "",         "127.0.0.1",    "127.0.0.1:", "127.0.0.1:65536", "localhost:80", "[::1]",
        "::1:80",   "[::1:80",      ":80",        "unix:relative",   "unix:",        "1.2.3:80",
        "[::g]:80", "127.0.0.1:-1",
    };
    struct bench b;
    struct err e;
    setup(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(server_listen(b.server, rows[i], NULL, NULL, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
    }
    teardown(&b);
}

static void a_unix_socket_is_served_and_removed(void **state)
{
    struct bench b;
    struct err e;
    struct peer p;
    char dir[] = "/tmp/test-server-XXXXXX", address[64];
    setup(&b);
    assert_non_null(mkdtemp(dir));
    snprintf(address, sizeof address, "unix:%s/s", dir);
    const char *path = address + 5;
    assert_int_equal(server_listen(b.server, address, NULL, NULL, &e), 0);
    peer_take(&p, b.loop, socket_connect_unix(path));
    peer_say(&p, get_hello);
    peer_expect(&p, "hello");
    peer_close(&p);
    teardown(&b);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_request_id_length_and_date),
        cmocka_unit_test(a_connection_serves_many_requests_also_when_they_come_at_once),
        cmocka_unit_test(the_next_request_waits_for_the_answer_to_the_one_before),
        cmocka_unit_test(segments_and_parameters_are_decoded_once),
        cmocka_unit_test(parameters_are_found_by_either_spelling_of_a_list),
        cmocka_unit_test(what_is_no_sound_request_is_refused_with_an_envelope),
        cmocka_unit_test(a_head_beyond_the_limits_is_431),
        cmocka_unit_test(a_failure_carries_details_and_retry_fields),
        cmocka_unit_test(a_field_from_outside_cannot_begin_another),
        cmocka_unit_test(head_and_204_have_no_body),
        cmocka_unit_test(http_1_0_is_answered_and_closed_unless_it_asks_to_keep),
        cmocka_unit_test(bodies_come_with_a_length_or_in_chunks),
        cmocka_unit_test(expect_100_continue_is_encouraged_once_admitted),
        cmocka_unit_test(a_refusal_before_the_body_keeps_the_connection_when_the_body_is_short),
        cmocka_unit_test(a_refusal_reaches_a_client_that_is_still_sending_a_large_body),
        cmocka_unit_test(chunks_beyond_the_limit_are_413),
        cmocka_unit_test(a_request_can_be_refused_later_without_its_body),
        cmocka_unit_test(a_dropped_request_cuts_the_connection),
        cmocka_unit_test(bodies_in_flight_have_a_budget),
        cmocka_unit_test(heads_that_never_end_have_the_same_budget),
        cmocka_unit_test(a_length_alone_takes_no_memory),
        cmocka_unit_test(slow_heads_and_slow_bodies_are_408),
        cmocka_unit_test(a_body_that_drips_is_408_although_each_byte_is_progress),
        cmocka_unit_test(idle_connections_are_closed_silently),
        cmocka_unit_test(a_client_that_half_closes_gets_its_answers),
        cmocka_unit_test(a_client_that_is_cut_is_told_once_and_answering_goes_nowhere),
        cmocka_unit_test(a_long_poll_can_take_the_end_of_the_clients_data_for_its_going),
        cmocka_unit_test(a_body_that_is_cut_is_silent),
        cmocka_unit_test(a_reader_that_takes_nothing_is_cut_off),
        cmocka_unit_test(a_large_answer_arrives_whole),
        cmocka_unit_test(beyond_the_limit_the_longest_idle_connection_makes_room),
        cmocka_unit_test(beyond_the_limit_without_idle_ones_the_next_waits_its_turn),
        cmocka_unit_test(stopping_closes_the_idle_tells_owners_and_lets_answers_finish),
        cmocka_unit_test(after_the_deadline_what_is_left_is_cut),
        cmocka_unit_test(plain_http_beyond_loopback_needs_a_flag),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_unix_socket_is_served_and_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
