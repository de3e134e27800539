/* Claims of io/loop.h, io/timer.h and io/resolve.h. */
#include "io/loop.h"
#include "io/resolve.h"
#include "io/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(a_timer_that_is_stopped_or_freed_never_fires),
        cmocka_unit_test(a_timer_that_is_set_anew_fires_once_at_the_new_deadline),
        cmocka_unit_test(a_timer_may_free_itself_and_others_that_are_due),
        cmocka_unit_test(a_loop_that_was_stopped_can_run_again),
        cmocka_unit_test(a_look_up_wakes_a_loop_that_sleeps),
        cmocka_unit_test(a_cancelled_look_up_is_never_heard_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
