/* Claims of control/deadlines.h. */
#include "control/deadlines.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct alarm {
    struct deadline deadline;
    struct deadlines *all;
    int64_t now, again;
    size_t fired;
};

static void fire(struct deadline *t, void *ctx)
{
    struct alarm *a = ctx;
    assert_int_equal(t->place, 0);
    assert_true(t->at <= a->now);
    a->fired++;
    if (a->again)
        deadlines_set(a->all, t, a->again);
}

static void deadlines_fire_in_time_and_once(void **state)
{
    enum { COUNT = 500 };
    struct deadlines all = { 0 };
    struct alarm *alarms = mem_array(COUNT, sizeof *alarms);
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        alarms[i] = (struct alarm){ .deadline = { .fire = fire, .ctx = &alarms[i] }, .all = &all };
        deadlines_set(&all, &alarms[i].deadline, (int64_t)(i * 7919 % 1000));
    }
    for (size_t i = 0; i < COUNT; i += 3) /* moved */
        deadlines_set(&all, &alarms[i].deadline, (int64_t)(i * 31 % 1000));
    for (size_t i = 1; i < COUNT; i += 3)
        deadlines_drop(&all, &alarms[i].deadline);
    for (int64_t now = 0; now <= 1000; now++) {
        for (size_t i = 0; i < COUNT; i++)
            alarms[i].now = now;
        deadlines_fire(&all, now);
        assert_true(deadlines_next(&all) > now);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(alarms[i].fired, i % 3 != 1 && alarms[i].deadline.at <= now);
    }
    assert_int_equal(deadlines_next(&all), INT64_MAX);
    deadlines_release(&all);
    free(alarms);
}

static void what_sets_itself_anew_does_not_keep_the_loop(void **state)
{
    struct deadlines all = { 0 };
    struct alarm a = { .deadline = { .fire = fire, .ctx = &a }, .all = &all, .now = 5, .again = 5 };
    (void)state;
    deadlines_set(&all, &a.deadline, 5);
    deadlines_fire(&all, 5);
    assert_int_equal(a.fired, 1);
    assert_int_equal(deadlines_next(&all), 5);
    deadlines_set(&all, &a.deadline, INT64_MAX);
    assert_int_equal(deadlines_next(&all), INT64_MAX);
    deadlines_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadlines_fire_in_time_and_once),
        cmocka_unit_test(what_sets_itself_anew_does_not_keep_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
