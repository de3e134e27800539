/* Claims of net/fetch.h and io/tls_server.h: our client against our server over loopback, and against a
 * peer that misbehaves. */
#include "base/moment.h"
#include "certificate.h"
#include "io/listen.h"
#include "net/fetch.h"
#include "net/server.h"
#include "net/sse_stream.h"
#include "peer.h"
#include "proto/sse.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* What became of one fetch. */
struct outcome {
    struct fetch *fetch;
    enum fetch_end end;
    int status, heads, pieces;
    bool done;
    bool pause_at_head, cancel_at_head, cancel_at_body;
    struct buf type, body;
    struct bench *bench;
};

struct bench {
    struct loop *loop;
    struct server *server;
    struct fetcher *fetcher;
    struct tls_server *tls;
    uint16_t port, tls_port;
    struct request *held;
    struct sse_stream *stream;
    unsigned ready, gone;
    struct buf seen;
    char dir[32], certificate[64], key[64];
    /* A peer in the place of the server. */
    struct listening raw;
    bool allow;
    unsigned asked;
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
    buf_addf(&b->seen, "%.*s", STR_ARGS(r->method));
    for (size_t i = 0; i < r->head.count; i++)
        if (str_starts(r->head.fields[i].name, STR("X-")))
            buf_addf(&b->seen, " %.*s=%.*s", STR_ARGS(r->head.fields[i].name),
                     STR_ARGS(r->head.fields[i].value));
    buf_addf(&b->seen, " %.*s%s\n", STR_ARGS(r->body), r->tls ? " tls" : "");
    if (str_eq(r->path, STR("/hold"))) {
        b->held = r;
        request_on_gone(r, GONE_ENDED, on_gone, b);
    } else if (str_eq(r->path, STR("/stream"))) {
        b->stream = sse_stream_begin(r, &(struct stream_owner){ on_ready, on_gone, b });
    } else if (str_eq(r->path, STR("/away"))) {
        const struct http1_field to = { STR("location"), STR("/hello") };
        request_answer(r,
                       &(struct answer){
                           .status = 302, .fields = &to, .field_count = 1, .body = STR("away") });
    } else if (str_eq(r->path, STR("/big"))) {
        AUTO_BUF body = { 0 };
        memset(buf_room(&body, 1 << 20), 'b', 1 << 20);
        buf_grew(&body, 1 << 20);
        request_answer(r, &(struct answer){ .status = 200, .body = buf_str(&body) });
    } else {
        request_answer(r, &(struct answer){
                              .status = 200, .content_type = "text/plain", .body = STR("hello") });
    }
}

static void setup(struct bench *b)
{
    struct err e;
    struct server_options quiet = server_options_default;
    *b = (struct bench){ .dir = "/tmp/test-fetch-XXXXXX", .raw.fd = -1 };
    quiet.access_log = false;
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->certificate, sizeof b->certificate, "%s/certificate", b->dir);
    snprintf(b->key, sizeof b->key, "%s/key", b->dir);
    certificate_write(b->certificate, b->key, "first");
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->server = server_new(b->loop, &quiet, &(struct server_handler){ admit, handle, b },
                           random_of_kernel());
    assert_int_equal(tls_server_new(b->loop, b->certificate, b->key, &b->tls, &e), 0);
    assert_int_equal(server_listen(b->server, "127.0.0.1:0", NULL, &b->port, &e), 0);
    assert_int_equal(server_listen(b->server, "127.0.0.1:0", b->tls, &b->tls_port, &e), 0);
    assert_int_equal(listen_open("127.0.0.1:0", &b->raw, &e), 0);
    const struct fetcher_options mine = { .proxy = "", .ca_file = b->certificate };
    assert_int_equal(fetcher_new(b->loop, &mine, &b->fetcher, &e), 0);
}

static void teardown(struct bench *b)
{
    fetcher_free(b->fetcher);
    server_free(b->server);
    tls_server_free(b->tls);
    listen_close(&b->raw);
    loop_free(b->loop);
    buf_release(&b->seen);
    unlink(b->certificate);
    unlink(b->key);
    assert_int_equal(rmdir(b->dir), 0);
}

static void on_head(void *ctx, struct fetch *f, int status)
{
    struct outcome *o = ctx;
    struct str type = fetch_answer_field(f, "Content-Type");
    o->heads++;
    o->status = status;
    if (type.p)
        buf_add(&o->type, type);
    if (o->pause_at_head)
        fetch_pause(f);
    if (o->cancel_at_head)
        fetch_cancel(f);
}

static void on_body(void *ctx, struct fetch *f, struct str bytes)
{
    struct outcome *o = ctx;
    assert_true(bytes.n <= 16 << 10);
    o->pieces++;
    buf_add(&o->body, bytes);
    if (o->cancel_at_body)
        fetch_cancel(f);
}

static void on_done(void *ctx, const struct fetch_result *result)
{
    struct outcome *o = ctx;
    assert_false(o->done);
    o->done = true;
    o->end = result->end;
    o->status = result->status;
    assert_non_null(result->text);
}

static void begin(struct bench *b, struct outcome *o, const struct fetch_options *options,
                  const char *scheme, uint16_t port, const char *path)
{
    char url[128];
    struct fetch_options mine = *options;
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, port, path);
    mine.url = url;
    mine.on_head = on_head;
    mine.on_body = on_body;
    mine.on_done = on_done;
    mine.ctx = o;
    o->bench = b;
    o->fetch = fetch_new(b->fetcher, &mine);
    assert_false(o->done);
}

static bool is_done(void *ctx)
{
    const struct outcome *o = ctx;
    return o->done;
}

static void outcome_release(struct outcome *o)
{
    buf_release(&o->type);
    buf_release(&o->body);
}

static void finish(struct bench *b, struct outcome *o, enum fetch_end end, int status)
{
    loop_until(b->loop, is_done, o);
    assert_int_equal(o->end, end);
    assert_int_equal(o->status, status);
}

static void a_fetch_gets_status_fields_and_body(void **state)
{
    struct bench b;
    struct outcome o = { 0 };
    setup(&b);
    begin(&b, &o, &(struct fetch_options){ 0 }, "http", b.port, "/hello");
    finish(&b, &o, FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&o.body), "hello");
    assert_string_equal(buf_text(&o.type), "text/plain");
    assert_int_equal(o.heads, 1);
    assert_string_equal(buf_text(&b.seen), "GET \n");
    outcome_release(&o);
    teardown(&b);
}

static void method_fields_and_body_go_as_they_are_given(void **state)
{
    static const struct fetch_field fields[] = { { STR("X-A"), STR("b c") },
                                                 { STR("X-E"), STR("") } };
    struct bench b;
    struct outcome o[3] = { 0 };
    setup(&b);
    begin(&b, &o[0],
          &(struct fetch_options){ .body = STR("{}"), .fields = fields, .field_count = 2 }, "http",
          b.port, "/hello");
    finish(&b, &o[0], FETCH_COMPLETE, 200);
    begin(&b, &o[1], &(struct fetch_options){ .method = "PUT" }, "http", b.port, "/hello");
    finish(&b, &o[1], FETCH_COMPLETE, 200);
    begin(&b, &o[2], &(struct fetch_options){ .method = "HEAD" }, "http", b.port, "/hello");
    finish(&b, &o[2], FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&b.seen), "POST X-A=b c X-E= {}\nPUT \nHEAD \n");
    assert_int_equal(server_counters(b.server)->accepted, 1); /* one connection for all */
    for (int i = 0; i < 3; i++)
        outcome_release(&o[i]);
    teardown(&b);
}

static void a_field_or_url_that_cannot_be_used_ends_the_fetch_from_the_loop(void **state)
{
    static const struct fetch_field bad[] = { { STR("X-A"), STR("b\r\nX-C: d") } };
    struct bench b;
    struct outcome o[3] = { 0 };
    setup(&b);
    begin(&b, &o[0], &(struct fetch_options){ .fields = bad, .field_count = 1 }, "http", b.port,
          "/");
    finish(&b, &o[0], FETCH_INPUT, 0);
    begin(&b, &o[1], &(struct fetch_options){ 0 }, "file", b.port, "/");
    finish(&b, &o[1], FETCH_INPUT, 0);
    begin(&b, &o[2], &(struct fetch_options){ 0 }, "ht tp", b.port, "/");
    finish(&b, &o[2], FETCH_INPUT, 0);
    assert_int_equal(b.seen.n, 0);
    teardown(&b);
}

static void tls_is_verified_against_the_roots_that_were_given(void **state)
{
    struct bench b;
    struct outcome o[2] = { 0 };
    struct fetcher *strict;
    struct err e;
    setup(&b);
    begin(&b, &o[0], &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    finish(&b, &o[0], FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&b.seen), "GET  tls\n");
    assert_int_equal(fetcher_new(b.loop, &(struct fetcher_options){ .proxy = "" }, &strict, &e), 0);
    struct fetcher *mine = b.fetcher;
    b.fetcher = strict;
    begin(&b, &o[1], &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    finish(&b, &o[1], FETCH_TLS, 0);
    b.fetcher = mine;
    fetcher_free(strict);
    outcome_release(&o[0]);
    teardown(&b);
}

static void a_large_answer_comes_whole_over_tls(void **state)
{
    struct bench b;
    struct outcome o = { 0 };
    setup(&b);
    begin(&b, &o, &(struct fetch_options){ 0 }, "https", b.tls_port, "/big");
    finish(&b, &o, FETCH_COMPLETE, 200);
    assert_int_equal(o.body.n, 1 << 20);
    outcome_release(&o);
    teardown(&b);
}

static void plain_and_tls_garbage_end_cleanly(void **state)
{
    struct bench b;
    struct outcome o[2] = { 0 };
    struct peer p;
    setup(&b);
    begin(&b, &o[0], &(struct fetch_options){ 0 }, "http", b.tls_port, "/hello");
    finish(&b, &o[0], FETCH_BROKEN, 0);
    begin(&b, &o[1], &(struct fetch_options){ 0 }, "https", b.port, "/hello");
    finish(&b, &o[1], FETCH_TLS, 0);
    peer_connect(&p, b.loop, b.tls_port);
    peer_say(&p, "\x16\x03\x01\xff\xff garbage");
    peer_finish(&p);
    peer_expect_end(&p);
    peer_close(&p);
    assert_int_equal(b.seen.n, 0);
    teardown(&b);
}

/* A second later, because the files are looked at once a second. */
static void a_new_certificate_is_taken_and_a_bad_one_is_not(void **state)
{
    struct bench b;
    struct outcome o = { 0 };
    struct err e;
    char other[64];
    setup(&b);
    int fd = open(b.key, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_int_equal(write(fd, "nonsense", 8), 8);
    close(fd);
    assert_int_equal(tls_server_reload(b.tls, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
    begin(&b, &o, &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    finish(&b, &o, FETCH_COMPLETE, 200); /* the old pair serves on */
    snprintf(other, sizeof other, "%s/other", b.dir);
    certificate_write(other, b.key, "second");
    assert_int_equal(tls_server_reload(b.tls, &e), -1); /* the key fits the other certificate */
    assert_int_equal(rename(other, b.certificate), 0);
    assert_int_equal(tls_server_reload(b.tls, &e), 0);
    fetcher_free(b.fetcher);
    const struct fetcher_options mine = { .proxy = "", .ca_file = b.certificate };
    assert_int_equal(fetcher_new(b.loop, &mine, &b.fetcher, &e), 0);
    outcome_release(&o);
    o = (struct outcome){ 0 };
    begin(&b, &o, &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    finish(&b, &o, FETCH_COMPLETE, 200);
    outcome_release(&o);
    teardown(&b);
}

static void a_changed_certificate_is_found_by_itself(void **state)
{
    struct bench b;
    struct outcome o = { 0 };
    struct err e;
    setup(&b);
    certificate_write(b.certificate, b.key, "second");
    loop_for(b.loop, 1100); /* the files are looked at once a second */
    fetcher_free(b.fetcher);
    const struct fetcher_options mine = { .proxy = "", .ca_file = b.certificate };
    assert_int_equal(fetcher_new(b.loop, &mine, &b.fetcher, &e), 0);
    begin(&b, &o, &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    finish(&b, &o, FETCH_COMPLETE, 200);
    outcome_release(&o);
    teardown(&b);
}

static void files_that_hold_no_pair_are_refused_with_their_name(void **state)
{
    struct bench b;
    struct err e;
    struct tls_server *none;
    setup(&b);
    assert_int_equal(tls_server_new(b.loop, "/nonexistent", b.key, &none, &e), -1);
    assert_int_equal(e.kind, E_IO);
    assert_non_null(strstr(e.text, "/nonexistent"));
    assert_int_equal(tls_server_new(b.loop, b.key, b.key, &none, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
    teardown(&b);
}

static bool is_streaming(void *ctx)
{
    const struct bench *b = ctx;
    return b->stream != NULL;
}

/* The events of a stream so far, as "name|id|data;". */
static void read_events(const struct outcome *o, struct buf *out)
{
    struct sse s;
    struct err e;
    size_t used;
    struct str bytes = buf_str(&o->body);
    sse_init(&s, 1 << 20);
    while (sse_feed(&s, bytes, &used, &e) == SSE_EVENT) {
        bytes = str_skip(bytes, used);
        buf_addf(out, "%.*s|%.*s|%.*s;", STR_ARGS(s.event.name), STR_ARGS(s.event.id),
                 STR_ARGS(s.event.data));
    }
    sse_release(&s);
}

static void events_arrive_and_the_end_is_clean(void **state)
{
    static const char *const schemes[] = { "http", "https" };
    struct bench b;
    setup(&b);
    for (int i = 0; i < 2; i++) {
        struct outcome o = { 0 };
        size_t done = 0;
        AUTO_BUF told = { 0 };
        b.stream = NULL;
        begin(&b, &o, &(struct fetch_options){ 0 }, schemes[i], i ? b.tls_port : b.port, "/stream");
        loop_until(b.loop, is_streaming, &b);
        assert_true(sse_stream_event(b.stream, STR("a.b"), STR("sevt_1"), STR("{\"x\":1}"), &done));
        assert_true(sse_stream_event(b.stream, STR("c"), STR(""), STR("{\n\"x\":\r\n2}"), &done));
        sse_stream_end(b.stream);
        finish(&b, &o, FETCH_COMPLETE, 200);
        read_events(&o, &told);
        assert_string_equal(buf_text(&o.type), "text/event-stream");
        assert_string_equal(buf_text(&told), "ping||{};a.b|sevt_1|{\"x\":1};c||{ \"x\":  2};");
        outcome_release(&o);
    }
    assert_int_equal(server_counters(b.server)->streams, 0);
    assert_int_equal(b.gone, 0);
    teardown(&b);
}

static bool is_gone(void *ctx)
{
    const struct bench *b = ctx;
    return b->gone > 0;
}

static bool has_head(void *ctx)
{
    const struct outcome *o = ctx;
    return o->heads > 0;
}

static bool has_piece(void *ctx)
{
    const struct outcome *o = ctx;
    return o->pieces > 0;
}

static bool is_held(void *ctx)
{
    const struct bench *b = ctx;
    return b->held != NULL;
}

static void a_paused_fetch_slows_its_sender_and_goes_on(void **state)
{
    struct bench b;
    struct outcome o = { .pause_at_head = true };
    setup(&b);
    begin(&b, &o, &(struct fetch_options){ .idle_ms = 400 }, "http", b.port, "/big");
    loop_until(b.loop, has_head, &o);
    loop_for(b.loop, 500); /* paused time is no silence */
    assert_int_equal(o.pieces, 0);
    assert_false(o.done);
    fetch_resume(o.fetch);
    assert_int_equal(o.pieces, 0);
    finish(&b, &o, FETCH_COMPLETE, 200);
    assert_int_equal(o.body.n, 1 << 20);
    outcome_release(&o);
    teardown(&b);
}

static void after_a_cancel_nothing_is_called(void **state)
{
    struct bench b;
    struct outcome at_once = { 0 }, waiting = { 0 }, at_head = { .cancel_at_head = true },
                   at_body = { .cancel_at_body = true }, paused = { .pause_at_head = true };
    setup(&b);
    begin(&b, &at_once, &(struct fetch_options){ 0 }, "http", b.port, "/hello");
    fetch_cancel(at_once.fetch);
    begin(&b, &waiting, &(struct fetch_options){ 0 }, "http", b.port, "/hold");
    begin(&b, &at_head, &(struct fetch_options){ 0 }, "http", b.port, "/big");
    begin(&b, &at_body, &(struct fetch_options){ 0 }, "http", b.port, "/big");
    begin(&b, &paused, &(struct fetch_options){ 0 }, "http", b.port, "/big");
    loop_until(b.loop, is_held, &b);
    loop_until(b.loop, has_head, &at_head);
    loop_until(b.loop, has_piece, &at_body);
    loop_until(b.loop, has_head, &paused);
    fetch_cancel(waiting.fetch);
    fetch_resume(paused.fetch);
    fetch_cancel(paused.fetch);
    loop_until(b.loop, is_gone, &b); /* the server sees the client leave */
    request_drop(b.held);
    loop_for(b.loop, 10);
    assert_int_equal(at_once.heads + waiting.heads, 0);
    assert_int_equal(at_head.heads, 1);
    assert_int_equal(at_head.pieces, 0);
    assert_int_equal(at_body.pieces, 1);
    assert_int_equal(paused.pieces, 0);
    assert_false(at_once.done || waiting.done || at_head.done || at_body.done || paused.done);
    outcome_release(&at_head);
    outcome_release(&at_body);
    outcome_release(&paused);
    teardown(&b);
}

static void freeing_the_fetcher_cancels_all(void **state)
{
    struct bench b;
    struct outcome o[3] = { 0 };
    setup(&b);
    begin(&b, &o[0], &(struct fetch_options){ 0 }, "http", b.port, "/hold");
    loop_until(b.loop, is_held, &b);
    begin(&b, &o[1], &(struct fetch_options){ 0 }, "http", b.port, "/hello");
    begin(&b, &o[2], &(struct fetch_options){ 0 }, "https", b.tls_port, "/hello");
    fetch_resume(o[2].fetch);
    fetcher_free(b.fetcher);
    b.fetcher = NULL;
    loop_until(b.loop, is_gone, &b);
    request_drop(b.held);
    for (int i = 0; i < 3; i++)
        assert_false(o[i].done);
    teardown(&b);
}

static void each_bound_of_time_ends_a_fetch(void **state)
{
    static const struct fetch_options rows[] = { { .idle_ms = 300 }, { .total_ms = 300 } };
    struct bench b;
    setup(&b);
    for (size_t i = 0; i < 2; i++) {
        struct outcome o = { 0 };
        b.gone = 0;
        begin(&b, &o, &rows[i], "http", b.port, "/hold");
        finish(&b, &o, FETCH_TIMEOUT, 0);
        loop_until(b.loop, is_gone, &b);
        request_drop(b.held);
    }
    teardown(&b);
}

static void an_answer_beyond_the_limit_ends_the_fetch(void **state)
{
    struct bench b;
    struct outcome o = { 0 }, fits = { 0 };
    setup(&b);
    begin(&b, &o, &(struct fetch_options){ .body_limit = 100000 }, "http", b.port, "/big");
    finish(&b, &o, FETCH_TOO_LARGE, 200);
    assert_true(o.body.n <= 100000);
    begin(&b, &fits, &(struct fetch_options){ .body_limit = 5 }, "http", b.port, "/hello");
    finish(&b, &fits, FETCH_COMPLETE, 200);
    outcome_release(&o);
    outcome_release(&fits);
    teardown(&b);
}

static void redirects_are_followed_only_when_asked(void **state)
{
    struct bench b;
    struct outcome no = { 0 }, yes = { 0 };
    setup(&b);
    begin(&b, &no, &(struct fetch_options){ 0 }, "http", b.port, "/away");
    finish(&b, &no, FETCH_COMPLETE, 302);
    assert_string_equal(buf_text(&no.body), "away");
    begin(&b, &yes, &(struct fetch_options){ .redirects = 1 }, "http", b.port, "/away");
    finish(&b, &yes, FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&yes.body), "hello");
    assert_int_equal(yes.heads, 1);
    outcome_release(&no);
    outcome_release(&yes);
    teardown(&b);
}

static bool allow(void *ctx, const struct sockaddr *address)
{
    struct outcome *o = ctx;
    o->bench->asked++;
    assert_int_equal(address->sa_family, AF_INET);
    return o->bench->allow;
}

static void each_address_is_judged_before_it_is_dialled(void **state)
{
    struct bench b;
    struct outcome o[3] = { 0 };
    setup(&b);
    begin(&b, &o[0], &(struct fetch_options){ 0 }, "http", b.port, "/hello");
    finish(&b, &o[0], FETCH_COMPLETE, 200);
    /* The connection that is kept has not been judged, and is not used. */
    begin(&b, &o[1], &(struct fetch_options){ .allow = allow }, "http", b.port, "/hello");
    finish(&b, &o[1], FETCH_DENIED, 0);
    b.allow = true;
    begin(&b, &o[2], &(struct fetch_options){ .allow = allow }, "http", b.port, "/hello");
    finish(&b, &o[2], FETCH_COMPLETE, 200);
    assert_int_equal(b.asked, 2);
    for (int i = 0; i < 3; i++)
        outcome_release(&o[i]);
    teardown(&b);
}

static bool raw_accepted(void *ctx)
{
    struct bench *b = ctx;
    int fd = socket_accept(b->raw.fd, NULL);
    if (fd < 0)
        return false;
    b->asked = (unsigned)fd;
    return true;
}

/* What a peer says in place of a sound answer. */
static void a_peer_that_misbehaves_ends_the_fetch(void **state)
{
    static const struct {
        const char *says;
        enum fetch_end end;
        int status;
        const char *body;
    } rows[] = {
        { "", FETCH_BROKEN, 0, "" },
        { "nonsense\r\n\r\n", FETCH_BROKEN, 0, "" },
        { "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", FETCH_BROKEN, 200, "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", FETCH_BROKEN, 200,
          "abc" },
        { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", FETCH_BROKEN, 200,
          "" },
        { "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil close", FETCH_COMPLETE, 200,
          "until close" },
    };
    struct bench b;
    setup(&b);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outcome o = { 0 };
        struct peer p;
        begin(&b, &o, &(struct fetch_options){ 0 }, "http", b.raw.port, "/");
        loop_until(b.loop, raw_accepted, &b);
        peer_take(&p, b.loop, (int)b.asked);
        peer_expect(&p, "\r\n\r\n");
        for (const char *at = rows[i].says; *at; at++) { /* one byte at a time */
            peer_send(&p, (struct str){ at, 1 });
            loop_for(b.loop, 0);
        }
        peer_close(&p);
        finish(&b, &o, rows[i].end, rows[i].status);
        assert_string_equal(buf_text(&o.body), rows[i].body);
        assert_true(o.heads <= 1);
        outcome_release(&o);
    }
    teardown(&b);
}

static void a_port_that_nobody_listens_on_is_no_connection(void **state)
{
    struct bench b;
    struct outcome o = { 0 };
    setup(&b);
    listen_close(&b.raw);
    begin(&b, &o, &(struct fetch_options){ 0 }, "http", b.raw.port, "/");
    finish(&b, &o, FETCH_CONNECT, 0);
    teardown(&b);
}

/* The proxy is a peer that sees the request for the other host. */
static void a_proxy_is_used_unless_the_fetch_is_direct(void **state)
{
    struct bench b;
    struct outcome o = { 0 }, direct = { 0 };
    struct peer p;
    struct err e;
    char proxy[64];
    setup(&b);
    fetcher_free(b.fetcher);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", b.raw.port);
    assert_int_equal(
        fetcher_new(b.loop, &(struct fetcher_options){ .proxy = proxy }, &b.fetcher, &e), 0);
    begin(&b, &o, &(struct fetch_options){ 0 }, "http", b.port, "/hello");
    loop_until(b.loop, raw_accepted, &b);
    peer_take(&p, b.loop, (int)b.asked);
    peer_expect(&p, "GET http://127.0.0.1:");
    peer_expect(&p, "\r\n\r\n");
    peer_say(&p, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    finish(&b, &o, FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&o.body), "abc");
    begin(&b, &direct, &(struct fetch_options){ .direct = true }, "http", b.port, "/hello");
    finish(&b, &direct, FETCH_COMPLETE, 200);
    assert_string_equal(buf_text(&direct.body), "hello");
    peer_close(&p);
    outcome_release(&o);
    outcome_release(&direct);
    teardown(&b);
}

/* Its look-up may take as long as it likes; the loop does not wait for it. */
static void a_name_is_looked_up_without_holding_the_loop(void **state)
{
    struct bench b;
    struct outcome none = { 0 }, cancelled = { 0 };
    setup(&b);
    struct fetch_options options = { .url = "http://name.invalid/",
                                     .on_done = on_done,
                                     .ctx = &none };
    none.bench = &b;
    none.fetch = fetch_new(b.fetcher, &options);
    options.ctx = &cancelled;
    cancelled.fetch = fetch_new(b.fetcher, &options);
    loop_for(b.loop, 1);
    fetch_cancel(cancelled.fetch);
    finish(&b, &none, FETCH_RESOLVE, 0);
    assert_false(cancelled.done);
    teardown(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fetch_gets_status_fields_and_body),
        cmocka_unit_test(method_fields_and_body_go_as_they_are_given),
        cmocka_unit_test(a_field_or_url_that_cannot_be_used_ends_the_fetch_from_the_loop),
        cmocka_unit_test(tls_is_verified_against_the_roots_that_were_given),
        cmocka_unit_test(a_large_answer_comes_whole_over_tls),
        cmocka_unit_test(plain_and_tls_garbage_end_cleanly),
        cmocka_unit_test(a_new_certificate_is_taken_and_a_bad_one_is_not),
        cmocka_unit_test(a_changed_certificate_is_found_by_itself),
        cmocka_unit_test(files_that_hold_no_pair_are_refused_with_their_name),
        cmocka_unit_test(events_arrive_and_the_end_is_clean),
        cmocka_unit_test(a_paused_fetch_slows_its_sender_and_goes_on),
        cmocka_unit_test(after_a_cancel_nothing_is_called),
        cmocka_unit_test(freeing_the_fetcher_cancels_all),
        cmocka_unit_test(each_bound_of_time_ends_a_fetch),
        cmocka_unit_test(an_answer_beyond_the_limit_ends_the_fetch),
        cmocka_unit_test(redirects_are_followed_only_when_asked),
        cmocka_unit_test(each_address_is_judged_before_it_is_dialled),
        cmocka_unit_test(a_peer_that_misbehaves_ends_the_fetch),
        cmocka_unit_test(a_port_that_nobody_listens_on_is_no_connection),
        cmocka_unit_test(a_proxy_is_used_unless_the_fetch_is_direct),
        cmocka_unit_test(a_name_is_looked_up_without_holding_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
