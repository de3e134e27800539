/* Claims of base/str.h. */
#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void equal_means_same_bytes(void **state)
{
    assert_true(str_eq(STR("abc"), STR("abc")));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq((struct str){ NULL, 0 }, STR("")));
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
}

static void case_is_folded_for_ascii_only(void **state)
{
    assert_true(str_eq_nocase(STR("Host"), STR("hOST")));
    assert_false(str_eq_nocase(STR("["), STR("{")));
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
    assert_false(str_eq_nocase(STR("a"), STR("ab")));
}

static void starts_and_ends(void **state)
{
    assert_true(str_starts(STR("/usr/bin"), STR("/usr")));
    assert_false(str_starts(STR("/us"), STR("/usr")));
    assert_true(str_starts(STR("x"), STR("")));
    assert_true(str_ends(STR("a.json"), STR(".json")));
    assert_false(str_ends(STR("json"), STR(".json")));
    assert_true(str_ends(STR(""), STR("")));
}

static void order_is_that_of_unsigned_bytes(void **state)
{
    assert_true(str_compare(STR("a"), STR("b")) < 0);
    assert_true(str_compare(STR("b"), STR("a")) > 0);
    assert_true(str_compare(STR("a"), STR("ab")) < 0);
    assert_true(str_compare(STR("\x7f"), STR("\x80")) < 0);
    assert_int_equal(str_compare(STR(""), (struct str){ NULL, 0 }), 0);
}

static void index_finds_first_and_last(void **state)
{
    assert_int_equal(str_index(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_last_index(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_index(STR("abc"), '/'), -1);
    assert_int_equal(str_last_index(STR(""), '/'), -1);
    assert_int_equal(str_index((struct str){ NULL, 0 }, 'x'), -1);
}

static void has_finds_runs_behind_a_nul(void **state)
{
    assert_true(str_has(STR("a\0bcd"), STR("cd")));
    assert_true(str_has(STR("abc"), STR("")));
    assert_true(str_has((struct str){ NULL, 0 }, STR("")));
    assert_false(str_has(STR("ab"), STR("abc")));
}

static void skip_stops_at_the_end(void **state)
{
    assert_true(str_eq(str_skip(STR("abc"), 1), STR("bc")));
    assert_int_equal(str_skip(STR("abc"), 9).n, 0);
    assert_int_equal(str_skip((struct str){ NULL, 0 }, 3).n, 0);
}

static void trim_takes_blanks_and_tabs_at_both_ends(void **state)
{
    assert_true(str_eq(str_trim(STR(" \t a b \t")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t ")).n, 0);
    assert_true(str_eq(str_trim(STR("\na")), STR("\na")));
}

static void cut_gives_every_part_once(void **state)
{
    struct str rest = STR("a,,b,"), part;
    static const char *const parts[] = { "a", "", "b", "" };
    for (size_t i = 0; i < COUNT(parts); i++) {
        assert_true(str_cut(&rest, ',', &part));
        assert_true(str_eq(part, str_of(parts[i])));
    }
    assert_false(str_cut(&rest, ',', &part));
}

static void cut_of_nothing_gives_one_empty_part(void **state)
{
    struct str rest = STR(""), part;
    assert_true(str_cut(&rest, ',', &part));
    assert_int_equal(part.n, 0);
    assert_false(str_cut(&rest, ',', &part));
}

static void numbers_are_digits_only_and_fit(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t value;
    } rows[] = {
        { "0", true, 0 },
        { "007", true, 7 },
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999", false, 0 },
        { "", false, 0 },
        { "+1", false, 0 },
        { "-1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x1", false, 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint64_t value = 0;
        bool ok = str_to_u64(str_of(rows[i].text), &value);
        if (ok != rows[i].ok || value != rows[i].value)
            fail_msg("'%s' gave %d, %llu", rows[i].text, ok, (unsigned long long)value);
    }
}

static void a_failed_number_leaves_the_variable_alone(void **state)
{
    uint64_t value = 42;
    assert_false(str_to_u64(STR("12x"), &value));
    assert_int_equal(value, 42);
}

static void dup_keeps_nul_bytes_and_ends_in_nul(void **state)
{
    AUTO_FREE char *copy = str_dup(STR("a\0b"));
    assert_memory_equal(copy, "a\0b", 4);
    AUTO_FREE char *empty = str_dup((struct str){ NULL, 0 });
    assert_string_equal(empty, "");
}

static void utf8_is_well_formed_or_not(void **state)
{
    static const struct {
        struct str bytes;
        bool ok;
    } rows[] = {
        { { "", 0 }, true },
        { { NULL, 0 }, true },
        { { "plain", 5 }, true },
        { { "\xc3\xa9", 2 }, true },
        { { "\xe2\x82\xac", 3 }, true },
        { { "\xf0\x9f\x98\x80", 4 }, true },
        { { "\xf4\x8f\xbf\xbf", 4 }, true },  /* U+10FFFF */
        { { "\xf4\x90\x80\x80", 4 }, false }, /* above it */
        { { "\xc0\x80", 2 }, false },         /* overlong NUL */
        { { "\xc1\xbf", 2 }, false },
        { { "\xe0\x9f\xbf", 3 }, false },
        { { "\xf0\x8f\xbf\xbf", 4 }, false },
        { { "\xed\xa0\x80", 3 }, false }, /* surrogate */
        { { "\xed\x9f\xbf", 3 }, true },
        { { "\xee\x80\x80", 3 }, true },
        { { "\x80", 1 }, false },
        { { "\xc3", 1 }, false },
        { { "\xe2\x82", 2 }, false },
        { { "\xf0\x9f\x98", 3 }, false },
        { { "\xc3(", 2 }, false },
        { { "\xff", 1 }, false },
        { { "\xf5\x80\x80\x80", 4 }, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (str_is_utf8(rows[i].bytes) != rows[i].ok)
            fail_msg("row %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_means_same_bytes),
        cmocka_unit_test(case_is_folded_for_ascii_only),
        cmocka_unit_test(starts_and_ends),
        cmocka_unit_test(order_is_that_of_unsigned_bytes),
        cmocka_unit_test(index_finds_first_and_last),
        cmocka_unit_test(has_finds_runs_behind_a_nul),
        cmocka_unit_test(skip_stops_at_the_end),
        cmocka_unit_test(trim_takes_blanks_and_tabs_at_both_ends),
        cmocka_unit_test(cut_gives_every_part_once),
        cmocka_unit_test(cut_of_nothing_gives_one_empty_part),
        cmocka_unit_test(numbers_are_digits_only_and_fit),
        cmocka_unit_test(a_failed_number_leaves_the_variable_alone),
        cmocka_unit_test(dup_keeps_nul_bytes_and_ends_in_nul),
        cmocka_unit_test(utf8_is_well_formed_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
