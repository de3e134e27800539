/* Claims of proto/json_slice.h. */
#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void assert_str(struct str got, const char *want)
{
    if (!str_eq(got, str_of(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARGS(got), want);
}

static void json_is_told_from_what_is_none(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        { "{}", true },
        { " [1, -2.5e+3, \"a\\u00e4\\n\", true, false, null, {\"a\":[{}]}] ", true },
        { "\"x\"", true },
        { "0", true },
        { "-0.1E5", true },
        { "", false },
        { " ", false },
        { "01", false },
        { "1.", false },
        { "-", false },
        { "1e", false },
        { "{", false },
        { "}", false },
        { "[1,]", false },
        { "[,1]", false },
        { "[1 2]", false },
        { "[1}", false },
        { "{\"a\"}", false },
        { "{\"a\":}", false },
        { "{\"a\":1,}", false },
        { "{\"a\":1 \"b\":2}", false },
        { "{a:1}", false },
        { "{1:1}", false },
        { "{\"a\"::1}", false },
        { "\"x", false },
        { "\"\\x\"", false },
        { "\"\\u12g4\"", false },
        { "\"\\", false },
        { "\"a\nb\"", false },
        { "tru", false },
        { "{} {}", false },
        { "1,2", false },
        { "]", false },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (json_slice_check(str_of(cases[i].text)) != cases[i].good)
            fail_msg("%s", cases[i].text);
}

static void nesting_is_bounded(void **state)
{
    enum { DEPTH = 2 * JSON_DEPTH_MAX };
    char text[2 * DEPTH + 2];
    (void)state;
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_true(json_slice_check((struct str){ text, sizeof text - 2 }));
    memset(text, '[', DEPTH + 1);
    memset(text + DEPTH + 1, ']', DEPTH + 1);
    assert_false(json_slice_check((struct str){ text, sizeof text }));
}

static void members_and_items_come_as_they_stand(void **state)
{
    struct json_slice s;
    (void)state;
    assert_true(json_slice_begin(&s, STR("{ \"a\" : [1, 2] ,\"b\":{\"a\":\"}\"}}")));
    assert_true(json_slice_next(&s));
    assert_str(s.key, "a");
    assert_str(s.value, "[1, 2]");
    assert_true(json_slice_next(&s));
    assert_str(s.key, "b");
    assert_str(s.value, "{\"a\":\"}\"}");
    assert_false(json_slice_next(&s));
    assert_false(s.bad);

    assert_true(json_slice_begin(&s, STR("[\"x\",{}]")));
    assert_true(json_slice_next(&s));
    assert_str(s.value, "\"x\"");
    assert_true(json_slice_next(&s));
    assert_str(s.value, "{}");
    assert_false(json_slice_next(&s));
    assert_false(s.bad);

    assert_false(json_slice_begin(&s, STR("1")));
    assert_str(json_slice_get(STR("{\"a\":1,\"b\":[]}"), "b"), "[]");
    assert_int_equal(json_slice_get(STR("{\"a\":{\"b\":1}}"), "b").n, 0);
}

static void a_walk_over_broken_text_ends_and_says_so(void **state)
{
    static const char *const cases[] = { "{\"a\":1",    "{\"a\" 1}", "{\"a\":1}}", "{\"a\":[1}",
                                         "{\"a\":1 2}", "[1,",       "[",          "{,}" };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_slice s;
        assert_true(json_slice_begin(&s, str_of(cases[i])));
        while (json_slice_next(&s))
            ;
        if (!s.bad)
            fail_msg("%s", cases[i]);
    }
}

static void values_say_what_they_are(void **state)
{
    bool yes = false;
    int64_t i = 0;
    uint64_t u = 0;
    struct str s = { 0 };
    AUTO_ARENA a;
    (void)state;
    arena_init(&a, 4096);
    assert_true(json_slice_bool(STR("true"), &yes) && yes);
    assert_true(json_slice_bool(STR("false"), &yes) && !yes);
    assert_false(json_slice_bool(STR("1"), &yes));
    assert_true(json_slice_i64(STR("-7"), &i) && i == -7);
    assert_false(json_slice_i64(STR("9223372036854775808"), &i));
    assert_false(json_slice_i64(STR("1.5"), &i));
    assert_true(json_slice_u64(STR("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(json_slice_str(STR("\"plain\""), &s, &a));
    assert_str(s, "plain");
    assert_true(json_slice_str(STR("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20ac\\ud83d\\ude00z\""),
                               &s, &a));
    assert_str(s, "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z");
    assert_false(json_slice_str(STR("\"\\ud83d\""), &s, &a));
    assert_false(json_slice_str(STR("\"\\ude00\\ud83d\""), &s, &a));
    assert_false(json_slice_str(STR("\"\\u0000\""), &s, &a));
    assert_false(json_slice_str(STR("7"), &s, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_told_from_what_is_none),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(members_and_items_come_as_they_stand),
        cmocka_unit_test(a_walk_over_broken_text_ends_and_says_so),
        cmocka_unit_test(values_say_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
