/* Claims of io/loop.h, io/timer.h, io/watch.h and io/resolve.h. */
#include "base/fd.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/timer.h"
#include "io/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { MANY = 64 };

struct bench {
    struct loop *loop;
    struct timer *timers[MANY];
    int fired[MANY]; /* numbers, in the order in which they fired */
    int count;
};

struct mark {
    struct bench *bench;
    int number;
};

static void setup(struct bench *b)
{
    struct err e;
    *b = (struct bench){ 0 };
    assert_int_equal(loop_new(&b->loop, &e), 0);
}

static void teardown(struct bench *b)
{
    for (int i = 0; i < MANY; i++)
        timer_free(b->timers[i]);
    loop_free(b->loop);
}

static void note(void *ctx)
{
    struct mark *m = ctx;
    m->bench->fired[m->bench->count++] = m->number;
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
    struct bench b;
    struct mark marks[MANY];
    setup(&b);
    for (int i = 0; i < MANY; i++) {
        int number = i * 37 % MANY; /* every number once, mixed */
        marks[i] = (struct mark){ &b, number };
        b.timers[i] = timer_new(b.loop, note, &marks[i]);
        timer_start(b.timers[i], (uint64_t)number);
    }
    loop_run(b.loop);
    assert_int_equal(b.count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(b.fired[i], i);
    teardown(&b);
}

static void a_timer_that_is_stopped_or_freed_never_fires(void **state)
{
    struct bench b;
    struct mark marks[MANY];
    setup(&b);
    for (int i = 0; i < MANY; i++) {
        marks[i] = (struct mark){ &b, i };
        b.timers[i] = timer_new(b.loop, note, &marks[i]);
        timer_start(b.timers[i], (uint64_t)(i * 29 % MANY));
    }
    for (int i = 0; i < MANY; i++) {
        if (i % 3 == 1)
            timer_stop(b.timers[i]);
        if (i % 3 != 2)
            continue;
        timer_free(b.timers[i]);
        b.timers[i] = NULL;
    }
    loop_run(b.loop);
    assert_int_equal(b.count, (MANY + 2) / 3);
    for (int i = 0; i < b.count; i++)
        assert_int_equal(b.fired[i] % 3, 0);
    for (int i = 1; i < b.count; i++)
        assert_true(b.fired[i - 1] * 29 % MANY < b.fired[i] * 29 % MANY);
    teardown(&b);
}

static void a_timer_that_is_set_anew_fires_once_at_the_new_deadline(void **state)
{
    struct bench b;
    struct mark marks[3];
    setup(&b);
    for (int i = 0; i < 3; i++) {
        marks[i] = (struct mark){ &b, i };
        b.timers[i] = timer_new(b.loop, note, &marks[i]);
        timer_start(b.timers[i], (uint64_t)(5 + i));
    }
    timer_start(b.timers[0], 9); /* later */
    timer_start(b.timers[2], 1); /* earlier */
    loop_run(b.loop);
    assert_int_equal(b.count, 3);
    assert_int_equal(b.fired[0], 2);
    assert_int_equal(b.fired[1], 1);
    assert_int_equal(b.fired[2], 0);
    teardown(&b);
}

static void free_all(void *ctx)
{
    struct bench *b = ctx;
    b->count++;
    for (int i = 0; i < MANY; i++) {
        timer_free(b->timers[i]);
        b->timers[i] = NULL;
    }
}

static void a_timer_may_free_itself_and_others_that_are_due(void **state)
{
    struct bench b;
    setup(&b);
    for (int i = 0; i < MANY; i++) {
        b.timers[i] = timer_new(b.loop, free_all, &b);
        timer_start(b.timers[i], 1);
    }
    loop_run(b.loop);
    assert_int_equal(b.count, 1);
    teardown(&b);
}

static void stop(void *ctx)
{
    struct bench *b = ctx;
    b->count++;
    loop_stop(b->loop);
}

static void fire_again_at_once(void *ctx)
{
    struct bench *b = ctx;
    timer_start(b->timers[0], 0);
    loop_later(b->loop, stop, b);
}

static void a_timer_that_sets_itself_anew_for_at_once_holds_up_nobody(void **state)
{
    struct bench b;
    setup(&b);
    b.timers[0] = timer_new(b.loop, fire_again_at_once, &b);
    timer_start(b.timers[0], 0);
    loop_run(b.loop); /* ends, by what was asked for later */
    teardown(&b);
}

static void a_loop_that_was_stopped_can_run_again(void **state)
{
    struct bench b;
    setup(&b);
    b.timers[0] = timer_new(b.loop, stop, &b);
    timer_start(b.timers[0], 10 * 60 * 1000);
    loop_later(b.loop, stop, &b);
    loop_run(b.loop); /* the timer would keep it */
    assert_int_equal(b.count, 1);
    timer_start(b.timers[0], 1);
    loop_run(b.loop);
    assert_int_equal(b.count, 2);
    teardown(&b);
}

static void on_address(void *ctx, const struct socket_address *list, size_t count)
{
    struct bench *b = ctx;
    assert_int_equal(count, 1);
    assert_int_equal(list[0].v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    b->count++;
}

static void look_up(void *ctx)
{
    struct bench *b = ctx;
    assert_non_null(resolve_new(b->loop, "127.0.0.1", on_address, b));
}

static void a_look_up_wakes_a_loop_that_sleeps(void **state)
{
    struct bench b;
    setup(&b);
    look_up(&b);
    loop_run(b.loop);
    assert_int_equal(b.count, 1);
    b.timers[0] = timer_new(b.loop, look_up, &b);
    timer_start(b.timers[0], 5); /* from within a turn, and nothing else to wait for */
    loop_run(b.loop);
    assert_int_equal(b.count, 2);
    teardown(&b);
}

static void a_cancelled_look_up_is_never_heard_of(void **state)
{
    struct bench b;
    setup(&b);
    resolve_cancel(resolve_new(b.loop, "127.0.0.1", on_address, &b));
    loop_run(b.loop);
    assert_int_equal(resolve_pending(b.loop), 0);
    resolve_cancel(resolve_new(b.loop, "127.0.0.1", on_address, &b));
    teardown(&b);
    assert_int_equal(b.count, 0);
}

/* A watched end of a socket pair, and how often it was told what. */
struct ends {
    struct bench bench;
    struct watch *watch;
    int other;
    unsigned next;     /* the interest that the callback sets */
    int reads, writes; /* that it was told of */
};

static void on_ready(void *ctx, unsigned events)
{
    struct ends *x = ctx;
    x->reads += (events & WATCH_READ) != 0;
    x->writes += (events & WATCH_WRITE) != 0;
    watch_set(x->watch, x->next);
}

static void pair_up(struct ends *x)
{
    int pair[2];
    *x = (struct ends){ 0 };
    setup(&x->bench);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    x->watch = watch_new(x->bench.loop, pair[0], on_ready, x);
    x->other = pair[1];
    x->bench.timers[0] = timer_new(x->bench.loop, stop, &x->bench);
}

/* Turns for a moment. */
static void run(struct ends *x)
{
    timer_start(x->bench.timers[0], 10);
    loop_run(x->bench.loop);
}

static void part(struct ends *x)
{
    watch_free(x->watch);
    fd_drop(&x->other);
    teardown(&x->bench);
}

static void what_is_not_wanted_any_more_is_not_told(void **state)
{
    struct ends x;
    pair_up(&x);
    watch_set(x.watch, WATCH_READ);
    assert_int_equal(write(x.other, "a", 1), 1);
    run(&x); /* x.next is nothing, and the byte stays unread */
    assert_int_equal(x.reads, 1);
    x.next = WATCH_READ; /* wanted again: told again, every turn until it is read */
    watch_set(x.watch, WATCH_READ);
    run(&x);
    assert_true(x.reads > 1);
    part(&x);
}

static void one_interest_can_end_while_the_other_goes_on(void **state)
{
    struct ends x;
    pair_up(&x);
    watch_set(x.watch, WATCH_READ | WATCH_WRITE);
    x.next = WATCH_WRITE;
    assert_int_equal(write(x.other, "a", 1), 1);
    run(&x);
    assert_int_equal(x.reads, 1);
    assert_true(x.writes > 1);
    part(&x);
}

static void an_end_that_nobody_waits_for_is_not_told(void **state)
{
    struct ends x;
    pair_up(&x);
    watch_set(x.watch, WATCH_READ);
    watch_set(x.watch, 0);
    fd_drop(&x.other);
    run(&x);
    assert_int_equal(x.reads + x.writes, 0);
    watch_set(x.watch, WATCH_READ);
    run(&x);
    assert_int_equal(x.reads, 1);
    part(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(a_timer_that_is_stopped_or_freed_never_fires),
        cmocka_unit_test(a_timer_that_is_set_anew_fires_once_at_the_new_deadline),
        cmocka_unit_test(a_timer_may_free_itself_and_others_that_are_due),
        cmocka_unit_test(a_timer_that_sets_itself_anew_for_at_once_holds_up_nobody),
        cmocka_unit_test(a_loop_that_was_stopped_can_run_again),
        cmocka_unit_test(a_look_up_wakes_a_loop_that_sleeps),
        cmocka_unit_test(a_cancelled_look_up_is_never_heard_of),
        cmocka_unit_test(what_is_not_wanted_any_more_is_not_told),
        cmocka_unit_test(one_interest_can_end_while_the_other_goes_on),
        cmocka_unit_test(an_end_that_nobody_waits_for_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
