/* Claims of proto/yaml.h, and of proto/places.h as yaml_parse fills it. */
#include "proto/json_write.h"
#include "proto/problems.h"
#include "proto/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void good_texts_become_the_tree_that_they_mean(void **state)
{
    static const struct {
        const char *yaml, *json;
    } rows[] = {
        { "", "null" },
        { "# nothing but a comment\n", "null" },
        { "a: b", "{\"a\":\"b\"}" },
        { "---\na: 1\n...\n", "{\"a\":1}" },
        { "\xef\xbb\xbf"
          "a: 1",
          "{\"a\":1}" },
        { "[~, null, Null, NULL, '', \"null\"]", "[null,null,null,null,\"\",\"null\"]" },
        { "a:\nb: ~", "{\"a\":null,\"b\":null}" },
        { "[true, True, FALSE, false, yes, no, on, off, y]",
          "[true,true,false,false,\"yes\",\"no\",\"on\",\"off\",\"y\"]" },
        { "[0, -0, 12, +3, -9223372036854775808, 9223372036854775807]",
          "[0,0,12,3,-9223372036854775808,9223372036854775807]" },
        { "[0x1F, 0o17, 0x7fffffffffffffff, '0x1']", "[31,15,9223372036854775807,\"0x1\"]" },
        { "[1.5, .5, 1., -1e3, 1.0E-2, +0.1]", "[1.5,0.5,1.0,-1000.0,0.01,0.1]" },
        { "[1_000, 1:30, 2026-11-25, 0b1, 1.2.3, -, +, 1e, ., e5, 0xg, '']", NULL },
        { "[1_000, 1:30, 2026-11-25, 0b1, 1.2.3, +, 1e, ., e5]",
          "[\"1_000\",\"1:30\",\"2026-11-25\",\"0b1\",\"1.2.3\",\"+\",\"1e\",\".\",\"e5\"]" },
        { "1: a\ntrue: b\n\"\\u00e4\": c", "{\"1\":\"a\",\"true\":\"b\",\"\xc3\xa4\":\"c\"}" },
        { "a: |\n  x\n  y\nb: >-\n  x\n  y", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}" },
        { "- a: [1, {b: c}]\n- - 2", "[{\"a\":[1,{\"b\":\"c\"}]},[2]]" },
        { "<<: 1", "{\"<<\":1}" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_JSON v = NULL;
        AUTO_BUF out = { 0 };
        int result = yaml_parse(str_of(rows[i].yaml), &v, NULL, &e);
        assert_int_equal(result, rows[i].json ? 0 : -1);
        if (result < 0)
            continue;
        json_write_value(&out, v);
        assert_string_equal(buf_text(&out), rows[i].json);
    }
}

static void doubtful_texts_are_refused_with_their_place(void **state)
{
    static const struct {
        struct str text;
        const char *place, *why;
    } rows[] = {
        { STR("a: 1\nb: 2\na: 3"), "line 3, column 1", "a second time" },
        { STR("a: &x 1\nb: *x"), "line 1, column 4", "anchors and aliases" },
        { STR("a: *x"), "line 1, column 4", "anchors and aliases" },
        { STR("&k a: 1"), "line 1, column 1", "anchors and aliases" },
        { STR("a: [1, &x [2]]"), "line 1, column 8", "anchors and aliases" },
        { STR("a: !!str 1"), "line 1, column 4", "tags" },
        { STR("a: !mine {}"), "line 1, column 4", "tags" },
        { STR("!!str a: 1"), "line 1, column 1", "tags" },
        { STR("? [a]\n: 1"), "line 1, column 3", "a key must be a text" },
        { STR("? {a: b}\n: 1"), "line 1, column 3", "a key must be a text" },
        { STR("'': 1"), "line 1, column 1", "an empty key" },
        { STR("a: 1\n---\nb: 2"), "line 2, column 1", "a second document" },
        { STR("a: \"x\\0y\""), "line 1, column 4", "a NUL" },
        { STR("\"a\\0\": 1"), "line 1, column 1", "a NUL" },
        { STR("a: x\0y"), "byte 4", "control characters" },
        { STR("a: \xff"), "byte 3", "UTF-8" },
        { STR("a: \"\\ud800\""), "line 1", "Unicode" },
        { STR("\xff\xfe"
              "a\0"),
          "byte 0", "UTF-8" },
        { STR("a: 0600"), "line 1, column 4", "leading zero" },
        { STR("a: -01"), "line 1, column 4", "leading zero" },
        { STR("a: 9223372036854775808"), "line 1, column 4", "64 bits" },
        { STR("a: -9223372036854775809"), "line 1, column 4", "64 bits" },
        { STR("a: 0x8000000000000000"), "line 1, column 4", "64 bits" },
        { STR("a: 0o8"), "line 1, column 4", "64 bits" },
        { STR("a: .inf"), "line 1, column 4", "not a finite number" },
        { STR("a: -.INF"), "line 1, column 4", "not a finite number" },
        { STR("a: .NaN"), "line 1, column 4", "not a finite number" },
        { STR("a: 1e999"), "line 1, column 4", "not a finite number" },
        { STR("a: [1"), "line 2", "" },
        { STR("a: b: c"), "line 1, column 5", "" },
        { STR("a:\n\tb: 1"), "line 2, column 1", "" },
        { STR("a: 'x"), "line ", "" },
        { STR("a: 1\n b: 2"), "line 2", "" },
        { STR("%YAML 3.0\n---\na: 1"), "line 1", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_JSON v = NULL;
        AUTO_PLACES places = NULL;
        if (yaml_parse(rows[i].text, &v, &places, &e) == 0)
            fail_msg("row %zu was read: %s", i, rows[i].text.p);
        assert_null(v);
        assert_null(places);
        assert_int_equal(e.kind, E_INPUT);
        if (strncmp(e.text, rows[i].place, strlen(rows[i].place)) || !strstr(e.text, rows[i].why))
            fail_msg("row %zu (%s): %s", i, rows[i].text.p, e.text);
    }
}

static void a_refusal_never_repeats_a_value(void **state)
{
    static const char *const texts[] = { "key: \"hunter2",  "key: hunter2: x", "key: [hunter2",
                                         "key: !hunter2 x", "key: *hunter2",   "%hunter2 x\n---" };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct err e = { 0 };
        AUTO_JSON v = NULL;
        if (yaml_parse(str_of(texts[i]), &v, NULL, &e) < 0)
            assert_null(strstr(e.text, "hunter2"));
    }
}

static int parse_nested(const char *open, size_t depth, struct err *e)
{
    AUTO_BUF text = { 0 };
    AUTO_JSON v = NULL;
    for (size_t i = 0; i < depth; i++)
        buf_add(&text, str_of(open));
    buf_add(&text, STR("0"));
    for (size_t i = 0; i < depth && *open != '-'; i++)
        buf_add(&text, *open == '[' ? STR("]") : STR("}"));
    return yaml_parse(buf_str(&text), &v, NULL, e);
}

static void depth_and_size_are_bounded(void **state)
{
    static const char *const opens[] = { "[", "{a: ", "- " };
    struct err e = { 0 };
    for (size_t i = 0; i < COUNT(opens); i++) {
        assert_int_equal(parse_nested(opens[i], JSON_DEPTH_MAX, &e), 0);
        assert_int_equal(parse_nested(opens[i], JSON_DEPTH_MAX + 1, &e), -1);
        assert_non_null(strstr(e.text, "too deeply"));
        assert_int_equal(parse_nested(opens[i], 100000, &e), -1);
    }
    AUTO_BUF text = { 0 };
    AUTO_JSON v = NULL;
    for (size_t i = 0; i < JSON_VALUES_MAX; i++)
        buf_add(&text, STR("- 1\n"));
    assert_int_equal(yaml_parse(buf_str(&text), &v, NULL, &e), -1);
    assert_non_null(strstr(e.text, "too many values"));
    while (text.n <= YAML_TEXT_MAX)
        buf_add(&text, STR("# more\n"));
    assert_int_equal(yaml_parse(buf_str(&text), &v, NULL, &e), -1);
    assert_non_null(strstr(e.text, "bytes"));
}

static void a_problem_is_found_on_its_line(void **state)
{
    static const struct {
        const char *path;
        size_t line;
    } rows[] = {
        { "", 2 },       { "a", 2 },       { "b", 3 },          { "b[0]", 4 },      { "b[1]", 5 },
        { "b[1].d", 6 }, { "b[1].dd", 5 }, { "b[1].e.f", 7 },   { "b[10]", 3 },     { "b.c", 3 },
        { "g", 8 },      { "g[0]", 8 },    { "g[1].x.y.z", 9 }, { "missing.x", 2 },
    };
    struct err e = { 0 };
    AUTO_JSON v = NULL;
    AUTO_PLACES places = NULL;
    static const char text[] = "# top\na: 1\nb:\n- 1\n- c: 1\n  d: 2\n  e: {f: 3}\ng: [1,\n  2]\n";
    assert_int_equal(yaml_parse(str_of(text), &v, &places, &e), 0);
    for (size_t i = 0; i < COUNT(rows); i++)
        if (places_line(places, str_of(rows[i].path)) != rows[i].line)
            fail_msg("%s: line %zu", rows[i].path, places_line(places, str_of(rows[i].path)));

    AUTO_PROBLEMS found = { .places = places };
    problems_enter_key(&found, STR("b"));
    problems_enter_index(&found, 1);
    problems_add_at(&found, "d", "is wrong");
    assert_string_equal(buf_text(&found.text), "line 6: b[1].d: is wrong");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_become_the_tree_that_they_mean),
        cmocka_unit_test(doubtful_texts_are_refused_with_their_place),
        cmocka_unit_test(a_refusal_never_repeats_a_value),
        cmocka_unit_test(depth_and_size_are_bounded),
        cmocka_unit_test(a_problem_is_found_on_its_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
