/* Claims of control/alarms.h. */
#include "control/alarms.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct bell {
    struct alarm alarm;
    struct alarms *all;
    int64_t now, again;
    size_t fired;
};

static void fire(struct alarm *t, void *ctx)
{
    struct bell *a = ctx;
    assert_int_equal(t->place, 0);
    assert_true(t->at <= a->now);
    a->fired++;
    if (a->again)
        alarms_set(a->all, t, a->again);
}

static void alarms_fire_in_time_and_once(void **state)
{
    enum { COUNT = 500 };
    struct alarms all = { 0 };
    struct bell *bells = mem_array(COUNT, sizeof *bells);
    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        bells[i] = (struct bell){ .alarm = { .fire = fire, .ctx = &bells[i] }, .all = &all };
        alarms_set(&all, &bells[i].alarm, (int64_t)(i * 7919 % 1000));
    }
    for (size_t i = 0; i < COUNT; i += 3) /* moved */
        alarms_set(&all, &bells[i].alarm, (int64_t)(i * 31 % 1000));
    for (size_t i = 1; i < COUNT; i += 3)
        alarms_drop(&all, &bells[i].alarm);
    for (int64_t now = 0; now <= 1000; now++) {
        for (size_t i = 0; i < COUNT; i++)
            bells[i].now = now;
        alarms_fire(&all, now);
        assert_true(alarms_next(&all) > now);
        for (size_t i = 0; i < COUNT; i++)
            assert_int_equal(bells[i].fired, i % 3 != 1 && bells[i].alarm.at <= now);
    }
    assert_int_equal(alarms_next(&all), INT64_MAX);
    alarms_release(&all);
    free(bells);
}

static void what_sets_itself_anew_does_not_keep_the_loop(void **state)
{
    struct alarms all = { 0 };
    struct bell a = { .alarm = { .fire = fire, .ctx = &a }, .all = &all, .now = 5, .again = 5 };
    (void)state;
    alarms_set(&all, &a.alarm, 5);
    alarms_fire(&all, 5);
    assert_int_equal(a.fired, 1);
    assert_int_equal(alarms_next(&all), 5);
    alarms_set(&all, &a.alarm, INT64_MAX);
    assert_int_equal(alarms_next(&all), INT64_MAX);
    alarms_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alarms_fire_in_time_and_once),
        cmocka_unit_test(what_sets_itself_anew_does_not_keep_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
