/* Claims of io/relay.h, io/dial.h and io/loop.h, over socket pairs and loopback. */
#include "io/dial.h"
#include "io/relay.h"
#include "io/timer.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

/* Two ends that the test holds, and the relay between. */
struct bench {
    struct loop *loop;
    struct relay_room room;
    struct relay *relay;
    int client, server; /* non-blocking */
    bool over, clean;
    uint64_t moved[2], moved_max;
    enum relay_peek peek;
    struct str peeked;
    struct timer *tick;
};

static void on_over(void *ctx, bool clean)
{
    struct bench *b = ctx;
    b->over = true;
    b->clean = clean;
    loop_stop(b->loop);
}

static bool on_moved(void *ctx, enum relay_side from, size_t n)
{
    struct bench *b = ctx;
    b->moved[from] += n;
    return !b->moved_max || b->moved[from] <= b->moved_max;
}

static enum relay_peek on_peek(void *ctx, struct str bytes, bool last)
{
    struct bench *b = ctx;
    (void)last;
    return bytes.n < b->peeked.n ? RELAY_MORE : b->peek;
}

static void on_tick(void *ctx)
{
    struct bench *b = ctx;
    loop_stop(b->loop);
}

/* Lets the loop run for a moment. */
static void turn(struct bench *b)
{
    timer_start(b->tick, 1);
    loop_run(b->loop);
    timer_stop(b->tick);
}

enum { PATIENCE = 10000 }; /* turns before a test gives up */

static void until_over(struct bench *b)
{
    for (int i = 0; i < PATIENCE && !b->over; i++)
        turn(b);
    assert_true(b->over);
}

static void begin(struct bench *b, bool peek)
{
    int near[2], far[2];
    struct err e;
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->tick = timer_new(b->loop, on_tick, b);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, near), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, far), 0);
    b->client = near[0];
    b->server = far[0];
    struct relay_options options = { .peek = peek ? on_peek : NULL,
                                     .moved = on_moved,
                                     .over = on_over,
                                     .ctx = b,
                                     .room = &b->room };
    b->relay = relay_new(b->loop, watch_new(b->loop, near[1], NULL, NULL),
                         watch_new(b->loop, far[1], NULL, NULL), &options);
}

static void end(struct bench *b)
{
    relay_free(b->relay);
    timer_free(b->tick);
    close(b->client);
    if (b->server >= 0)
        close(b->server);
    loop_free(b->loop);
}

/* Waits for these bytes; "" waits for the end. */
static void expect(struct bench *b, int fd, const char *text)
{
    char got[256];
    size_t want = strlen(text), had = 0;
    ssize_t n = -1;
    for (int i = 0; i < PATIENCE && (had < want || want == 0) && n != 0; i++) {
        turn(b);
        n = read(fd, got + had, sizeof got - had);
        had += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(had, want);
    assert_memory_equal(got, text, want);
    assert_true(want || n == 0);
}

static void bytes_go_both_ways(void **state)
{
    struct bench b = { 0 };
    begin(&b, false);
    relay_put(b.relay, RELAY_UPSTREAM, STR("hello "));
    relay_start(b.relay);
    assert_int_equal(write(b.server, "there", 5), 5);
    assert_int_equal(write(b.client, "question", 8), 8);
    expect(&b, b.client, "hello there");
    expect(&b, b.server, "question");
    end(&b);
}

static void half_close_lets_the_answer_through(void **state)
{
    struct bench b = { 0 };
    begin(&b, false);
    relay_start(b.relay);
    assert_int_equal(write(b.client, "all", 3), 3);
    shutdown(b.client, SHUT_WR);
    expect(&b, b.server, "all");
    expect(&b, b.server, "");
    for (int i = 0; i < 5; i++) { /* the other direction lives as long as it wants */
        assert_int_equal(write(b.server, "more", 4), 4);
        expect(&b, b.client, "more");
    }
    shutdown(b.server, SHUT_WR);
    until_over(&b);
    assert_true(b.over && b.clean);
    end(&b);
}

/* Sends  bytes from one side with a reader that takes them late, and compares. */
static void transfer(struct bench *b, size_t total, int from, int to)
{
    char out[8192], in[8192];
    size_t sent = 0, got = 0, held = 0;
    while (got < total) {
        while (sent < total) {
            size_t n = total - sent < sizeof out ? total - sent : sizeof out;
            for (size_t i = 0; i < n; i++)
                out[i] = (char)((sent + i) * 2654435761u >> 24);
            ssize_t done = write(from, out, n);
            if (done < 0)
                break;
            sent += (size_t)done;
        }
        turn(b);
        held = sent - got > held ? sent - got : held;
        ssize_t n = read(to, in, sizeof in);
        for (ssize_t i = 0; i < n; i++)
            assert_int_equal(in[i], (char)((got + (size_t)i) * 2654435761u >> 24));
        got += n > 0 ? (size_t)n : 0;
    }
    /* Two socket buffers of 208 KiB, and what the relay holds. */
    assert_true(held <= (size_t)RELAY_QUEUE + RELAY_PIPE + (1 << 20));
}

static void a_slow_reader_slows_its_writer(void **state)
{
    struct bench b = { 0 };
    begin(&b, false);
    relay_start(b.relay);
    transfer(&b, 3 << 20, b.client, b.server);
    assert_int_equal(b.moved[RELAY_CLIENT], 3 << 20);
    end(&b);
}

static void a_long_transfer_through_a_pipe_is_the_same_bytes(void **state)
{
    struct bench b = { .room = { 2 } };
    begin(&b, false);
    relay_start(b.relay);
    transfer(&b, 3 << 20, b.server, b.client);
    assert_int_equal(b.room.pipes, 1);
    shutdown(b.server, SHUT_WR);
    shutdown(b.client, SHUT_WR);
    until_over(&b);
    assert_true(b.over && b.clean);
    assert_int_equal(b.room.pipes, 2);
    end(&b);
}

static void nothing_is_forwarded_before_the_first_bytes_are_judged(void **state)
{
    char byte;
    struct bench b = { .peek = RELAY_PASS, .peeked = STR("first") };
    begin(&b, true);
    relay_start(b.relay);
    assert_int_equal(write(b.server, "banner", 6), 6); /* the server may speak first */
    assert_int_equal(write(b.client, "fir", 3), 3);
    expect(&b, b.client, "banner");
    assert_int_equal(read(b.server, &byte, 1), -1);
    assert_int_equal(write(b.client, "st!", 3), 3);
    expect(&b, b.server, "first!");
    end(&b);
}

static void a_refusal_of_the_first_bytes_ends_it_without_a_byte(void **state)
{
    struct bench b = { .peek = RELAY_STOP, .peeked = STR("bad") };
    begin(&b, true);
    relay_put(b.relay, RELAY_CLIENT, STR("bad"));
    relay_start(b.relay);
    until_over(&b);
    assert_true(b.over);
    assert_false(b.clean);
    relay_free(b.relay);
    b.relay = NULL;
    expect(&b, b.server, "");
    end(&b);
}

static void first_bytes_that_end_undecided_are_refused(void **state)
{
    struct bench b = { .peek = RELAY_PASS, .peeked = STR("longer") };
    begin(&b, true);
    relay_start(b.relay);
    assert_int_equal(write(b.client, "long", 4), 4);
    shutdown(b.client, SHUT_WR);
    until_over(&b);
    assert_true(b.over && !b.clean);
    end(&b);
}

static void the_owner_can_end_it_by_count(void **state)
{
    struct bench b = { .moved_max = 10 };
    begin(&b, false);
    relay_start(b.relay);
    assert_int_equal(write(b.client, "0123456789", 10), 10);
    turn(&b);
    assert_false(b.over);
    assert_int_equal(write(b.client, "0", 1), 1);
    until_over(&b);
    assert_true(b.over && !b.clean);
    end(&b);
}

static void a_reader_that_goes_away_ends_the_transfer(void **state)
{
    struct bench b = { 0 };
    begin(&b, false);
    relay_start(b.relay);
    close(b.server);
    b.server = -1;
    assert_int_equal(write(b.client, "x", 1), 1);
    shutdown(b.client, SHUT_WR);
    until_over(&b);
    assert_true(b.over);
    end(&b);
}

struct call {
    struct loop *loop;
    int fd, os;
    size_t which;
};

static void on_dialled(void *ctx, int fd, size_t which, int os)
{
    struct call *c = ctx;
    c->fd = fd;
    c->which = which;
    c->os = os;
    loop_stop(c->loop);
}

static int listen_on(const char *address, struct socket_address *out)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof out->v4;
    *out = (struct socket_address){ .v4 = { .sin_family = AF_INET } };
    (void)address;
    out->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, &out->sa, size), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, &out->sa, &size), 0);
    return fd;
}

static void the_first_address_that_answers_wins(void **state)
{
    struct call c = { .fd = -1 };
    struct err e;
    struct socket_address list[2];
    int closed = listen_on("127.0.0.1", &list[0]), open = listen_on("127.0.0.1", &list[1]);
    close(closed);
    assert_int_equal(loop_new(&c.loop, &e), 0);
    assert_non_null(dial_new(c.loop, list, 2, 5000, on_dialled, &c));
    assert_int_equal(c.fd, -1); /* the callback comes from the loop */
    loop_run(c.loop);
    assert_true(c.fd >= 0);
    assert_int_equal(c.which, 1);
    close(c.fd);
    close(open);
    loop_free(c.loop);
}

static void when_all_fail_the_last_reason_is_told(void **state)
{
    struct call c = { .fd = -1 };
    struct err e;
    struct socket_address address;
    close(listen_on("127.0.0.1", &address));
    assert_int_equal(loop_new(&c.loop, &e), 0);
    assert_non_null(dial_new(c.loop, &address, 1, 5000, on_dialled, &c));
    loop_run(c.loop);
    assert_int_equal(c.fd, -1);
    assert_int_equal(c.os, ECONNREFUSED);
    loop_free(c.loop);
}

static void a_cancelled_dial_is_never_heard_of(void **state)
{
    struct call c = { .fd = -2 };
    struct err e;
    struct socket_address address;
    int open = listen_on("127.0.0.1", &address);
    assert_int_equal(loop_new(&c.loop, &e), 0);
    dial_cancel(dial_new(c.loop, &address, 1, 5000, on_dialled, &c));
    loop_run(c.loop);
    assert_int_equal(c.fd, -2);
    close(open);
    loop_free(c.loop);
}

static void note(void *ctx)
{
    int *count = ctx;
    ++*count;
}

static void what_is_asked_for_later_runs_once(void **state)
{
    struct loop *loop;
    struct err e;
    int count = 0;
    assert_int_equal(loop_new(&loop, &e), 0);
    loop_later(loop, note, &count);
    loop_later(loop, note, &count);
    assert_int_equal(count, 0);
    loop_run(loop);
    assert_int_equal(count, 2);
    loop_later(loop, note, &count);
    loop_free(loop);
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_later_runs_once),
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(half_close_lets_the_answer_through),
        cmocka_unit_test(a_slow_reader_slows_its_writer),
        cmocka_unit_test(a_long_transfer_through_a_pipe_is_the_same_bytes),
        cmocka_unit_test(nothing_is_forwarded_before_the_first_bytes_are_judged),
        cmocka_unit_test(a_refusal_of_the_first_bytes_ends_it_without_a_byte),
        cmocka_unit_test(first_bytes_that_end_undecided_are_refused),
        cmocka_unit_test(the_owner_can_end_it_by_count),
        cmocka_unit_test(a_reader_that_goes_away_ends_the_transfer),
        cmocka_unit_test(the_first_address_that_answers_wins),
        cmocka_unit_test(when_all_fail_the_last_reason_is_told),
        cmocka_unit_test(a_cancelled_dial_is_never_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
