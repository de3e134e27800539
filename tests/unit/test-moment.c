/* RFC 3339 times. */
#include "base/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *text;
    int64_t moment;
} same[] = {
    { "1970-01-01T00:00:00.000000Z", 0 },
    { "1969-12-31T23:59:59.999999Z", -1 },
    { "2000-02-29T12:00:00.000001Z", 951825600000001 },
    { "2026-11-25T02:13:07.123456Z", 1795572787123456 },
    { "9999-12-31T23:59:59.999999Z", 253402300799999999 },
};

static void a_moment_is_written_and_read_back(void **state)
{
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char text[MOMENT_SIZE];
        int64_t back;
        moment_write(text, same[i].moment);
        assert_string_equal(text, same[i].text);
        assert_true(moment_read(str_of(text), &back));
        assert_true(back == same[i].moment);
    }
}

static void offsets_and_short_fractions_are_read(void **state)
{
    int64_t a, b;
    assert_true(moment_read(STR("2026-11-25T02:13:07Z"), &a));
    assert_true(moment_read(STR("2026-11-25T03:43:07.0+01:30"), &b));
    assert_true(a == b);
    assert_true(moment_read(STR("2026-11-24t21:13:07.5-05:00"), &b));
    assert_true(b == a + 500000);
    assert_true(moment_read(STR("2026-11-25T02:13:07.1234569Z"), &b));
    assert_true(b == a + 123456);
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-11-25",
        "2026-11-25T02:13Z",
        "2026-11-25T02:13:07",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00Zx",
        "2026-1-01T00:00:00Z",
        "+026-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t out;
        if (moment_read(str_of(bad[i]), &out))
            fail_msg("'%s' was read", bad[i]);
    }
}

static void times_out_of_range_are_cut(void **state)
{
    char text[MOMENT_SIZE];
    moment_write(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
    moment_write(text, INT64_MIN);
    assert_string_equal(text, "0000-01-01T00:00:00.000000Z");
}

static void a_set_clock_is_come_up_to_slowly(void **state)
{
    const int64_t second = 1000000, hour = 3600 * second;
    struct steady s = { 0 };
    int64_t machine = 1000 * hour, counted = 7 * second, before;
    assert_int_equal(steady_step(&s, machine, counted), machine);
    assert_int_equal(steady_step(&s, machine + second, counted + second), machine + second);
    machine += second;
    counted += second;
    before = s.now;
    machine -= hour; /* set back: it goes on, a little slower */
    assert_int_equal(steady_step(&s, machine + 10 * second, counted + 10 * second),
                     before + 9 * second);
    machine += 10 * second;
    counted += 10 * second;
    before = s.now;
    machine += 2 * hour; /* set forward: no jump, a little faster */
    assert_int_equal(steady_step(&s, machine + 10 * second, counted + 10 * second),
                     before + 11 * second);
    machine += 20 * hour;
    counted += 20 * hour;
    assert_int_equal(steady_step(&s, machine, counted), machine); /* and agrees in the end */
    assert_int_equal(steady_step(&s, machine, counted), machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_moment_is_written_and_read_back),
        cmocka_unit_test(offsets_and_short_fractions_are_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(times_out_of_range_are_cut),
        cmocka_unit_test(a_set_clock_is_come_up_to_slowly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
