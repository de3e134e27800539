/* Claims of base/table.h. */
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

enum { MANY = 5000 };

struct thing {
    char name[16];
    int times; /* how often a walk met it */
};

static struct thing things[MANY];

static void fill(struct table *t)
{
    for (int i = 0; i < MANY; i++) {
        things[i] = (struct thing){ 0 };
        snprintf(things[i].name, sizeof things[i].name, "sesn_%d", i);
        table_put(t, str_of(things[i].name), &things[i]);
    }
}

static void every_thing_is_found_by_its_name(void **state)
{
    struct table t = { 0 };
    assert_null(table_find(&t, STR("sesn_1")));
    fill(&t);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(table_find(&t, str_of(things[i].name)), &things[i]);
    assert_null(table_find(&t, STR("sesn_")));
    assert_null(table_find(&t, STR("")));
    table_release(&t);
}

static void a_dropped_thing_is_gone_and_the_others_are_found(void **state)
{
    struct table t = { 0 };
    fill(&t);
    for (int i = 0; i < MANY; i += 3) {
        assert_ptr_equal(table_drop(&t, str_of(things[i].name)), &things[i]);
        assert_null(table_drop(&t, str_of(things[i].name)));
    }
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(table_find(&t, str_of(things[i].name)), i % 3 ? &things[i] : NULL);
    for (int i = 0; i < MANY; i += 3)
        table_put(&t, str_of(things[i].name), &things[i]);
    assert_int_equal(t.count, MANY);
    table_release(&t);
}

static void a_walk_meets_each_thing_once(void **state)
{
    struct table t = { 0 };
    fill(&t);
    size_t at = 0, met = 0;
    for (struct thing *thing; (thing = table_next(&t, &at)); met++)
        assert_int_equal(thing->times++, 0);
    assert_int_equal(met, MANY);
    table_release(&t);
}

static void names_may_hold_any_bytes(void **state)
{
    struct table t = { 0 };
    int zero, other, none;
    table_put(&t, STR("a\0b"), &zero);
    table_put(&t, STR("a\0c"), &other);
    table_put(&t, STR(""), &none);
    assert_ptr_equal(table_find(&t, STR("a\0b")), &zero);
    assert_ptr_equal(table_find(&t, STR("a\0c")), &other);
    assert_ptr_equal(table_find(&t, (struct str){ NULL, 0 }), &none);
    assert_null(table_find(&t, STR("a")));
    table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_thing_is_found_by_its_name),
        cmocka_unit_test(a_dropped_thing_is_gone_and_the_others_are_found),
        cmocka_unit_test(a_walk_meets_each_thing_once),
        cmocka_unit_test(names_may_hold_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
