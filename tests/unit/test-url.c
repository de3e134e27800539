/* Claims of proto/url.h. */
#include "proto/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { ROOM = 16 };

static void assert_str(struct str got, const char *want)
{
    assert_int_equal(got.n, strlen(want));
    assert_memory_equal(got.p ? got.p : "", want, got.n);
}

static void a_segment_is_decoded_exactly_once(void **state)
{
    static const struct {
        struct str text;
        const char *want; /* NULL: malformed */
    } rows[] = {
        { STR(""), "" },         { STR("abc"), "abc" },
        { STR("a%20b"), "a b" }, { STR("a+b"), "a+b" },
        { STR("%2F"), "/" },     { STR("%2f%2e"), "/." },
        { STR("%252F"), "%2F" }, { STR("%e2%82%ac"), "\xe2\x82\xac" },
        { STR("%"), NULL },      { STR("%2"), NULL },
        { STR("a%zz"), NULL },   { STR("%00"), NULL },
        { STR("%2g"), NULL },    { STR("%%20"), NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char out[ROOM];
        size_t n;
        assert_int_equal(url_decode(rows[i].text, out, &n), rows[i].want != NULL);
        if (rows[i].want)
            assert_str((struct str){ out, n }, rows[i].want);
    }
}

static void a_path_has_one_segment_for_each_slash(void **state)
{
    static const struct {
        struct str path;
        size_t count;
        const char *want[4];
    } rows[] = {
        { STR("/"), 1, { "" } },
        { STR("/v1/a%2Fb"), 2, { "v1", "a/b" } },
        { STR("/v1/"), 2, { "v1", "" } },
        { STR("//x"), 2, { "", "x" } },
        { STR("/a/../%2e%2e"), 3, { "a", "..", ".." } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str segments[4];
        char memory[ROOM];
        assert_int_equal(url_segment_count(rows[i].path), rows[i].count);
        assert_true(url_path_decode(rows[i].path, segments, memory));
        for (size_t j = 0; j < rows[i].count; j++)
            assert_str(segments[j], rows[i].want[j]);
    }
}

static void one_bad_escape_makes_the_whole_path_malformed(void **state)
{
    struct str segments[4];
    char memory[ROOM];
    assert_false(url_path_decode(STR("/a/%/b"), segments, memory));
    assert_false(url_path_decode(STR("/a/b%00"), segments, memory));
}

static void a_query_gives_decoded_names_and_values_in_order(void **state)
{
    static const struct str query =
        STR("limit=20&statuses%5B%5D=idle&statuses[]=running&created_at%5Bgte%5D=2026-01-01T00%3A00"
            "&flag&&empty=&a=b=c&q=x+y%2Bz");
    static const char *const want[][2] = {
        { "limit", "20" },
        { "statuses[]", "idle" },
        { "statuses[]", "running" },
        { "created_at[gte]", "2026-01-01T00:00" },
        { "flag", "" },
        { "empty", "" },
        { "a", "b=c" },
        { "q", "x y+z" },
    };
    struct url_parameter parameters[ROOM];
    char memory[256];
    size_t count;
    assert_true(url_parameter_count(query) <= ROOM && query.n <= sizeof memory);
    assert_true(url_query_decode(query, parameters, &count, memory));
    assert_int_equal(count, sizeof want / sizeof *want);
    for (size_t i = 0; i < count; i++) {
        assert_str(parameters[i].name, want[i][0]);
        assert_str(parameters[i].value, want[i][1]);
    }
}

static void an_empty_query_has_no_parameter(void **state)
{
    struct url_parameter parameters[1];
    size_t count = 7;
    assert_int_equal(url_parameter_count(STR("")), 0);
    assert_true(url_query_decode(STR(""), parameters, &count, (char[1]){ 0 }));
    assert_int_equal(count, 0);
}

static void a_bad_escape_in_name_or_value_makes_the_query_malformed(void **state)
{
    static const struct str rows[] = { STR("a=%"), STR("%g1=a"), STR("a=1&b=%0"), STR("a=%00") };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct url_parameter parameters[4];
        char memory[ROOM];
        size_t count;
        assert_false(url_query_decode(rows[i], parameters, &count, memory));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_segment_is_decoded_exactly_once),
        cmocka_unit_test(a_path_has_one_segment_for_each_slash),
        cmocka_unit_test(one_bad_escape_makes_the_whole_path_malformed),
        cmocka_unit_test(a_query_gives_decoded_names_and_values_in_order),
        cmocka_unit_test(an_empty_query_has_no_parameter),
        cmocka_unit_test(a_bad_escape_in_name_or_value_makes_the_query_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
