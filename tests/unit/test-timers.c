/* Claims of control/timers.h. */
#include "control/timers.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct alarm {
    struct timer timer;
    struct timers *all;
    int64_t now, again;
    size_t fired;
};

static void fire(struct timer *t, void *ctx)
{
    struct alarm *a = ctx;
    assert_int_equal(t->place, 0);
    assert_true(t->at <= a->now);
    a->fired++;
    if (a->again)
        timers_set(a->all, t, a->again);
}

static void timers_fire_in_time_and_once(void **state)
{
    enum { COUNT = 500 };
    struct timers all = { 0 };
    struct alarm *alarms = mem_array(COUNT, sizeof *alarms);
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        alarms[i] = (struct alarm){ .timer = { .fire = fire, .ctx = &alarms[i] }, .all = &all };
        timers_set(&all, &alarms[i].timer, (int64_t)(i * 7919 % 1000));
    }
    for (size_t i = 0; i < COUNT; i += 3) /* moved */
        timers_set(&all, &alarms[i].timer, (int64_t)(i * 31 % 1000));
    for (size_t i = 1; i < COUNT; i += 3)
        timers_drop(&all, &alarms[i].timer);
    for (int64_t now = 0; now <= 1000; now++) {
        for (size_t i = 0; i < COUNT; i++)
            alarms[i].now = now;
        timers_fire(&all, now);
        assert_true(timers_next(&all) > now);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(alarms[i].fired, i % 3 != 1 && alarms[i].timer.at <= now);
    }
    assert_int_equal(timers_next(&all), INT64_MAX);
    timers_release(&all);
    free(alarms);
}

static void what_sets_itself_anew_does_not_keep_the_loop(void **state)
{
    struct timers all = { 0 };
    struct alarm a = { .timer = { .fire = fire, .ctx = &a }, .all = &all, .now = 5, .again = 5 };
    (void)state;
    timers_set(&all, &a.timer, 5);
    timers_fire(&all, 5);
    assert_int_equal(a.fired, 1);
    assert_int_equal(timers_next(&all), 5);
    timers_set(&all, &a.timer, INT64_MAX);
    assert_int_equal(timers_next(&all), INT64_MAX);
    timers_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_time_and_once),
        cmocka_unit_test(what_sets_itself_anew_does_not_keep_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
