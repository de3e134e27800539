/* Claims of proto/schema.h and proto/problems.h. */
#include "proto/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *refuse_blank(struct str text)
{
    return str_has(text, STR(" ")) ? "must not hold blanks" : NULL;
}

static const char *const speeds[] = { "standard", "fast", NULL };
static const struct schema_row text_rows[] = { { "text", SCHEMA_STRING, SCHEMA_REQUIRED } };
static const struct schema_table text_table = { ROWS(text_rows) };
static const struct schema_row url_rows[] = { { "url", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1 } };
static const struct schema_table url_table = { ROWS(url_rows), .closed = true };
static const struct schema_variant blocks[] = {
    { "text", &text_table }, { "link", &url_table }, { "break", NULL }, { NULL, NULL }
};
static const struct schema_row block = { NULL, SCHEMA_VARIANT, .variants = blocks };
static const struct schema_row value = { NULL, SCHEMA_STRING, .max = 4 };
static const struct schema_row model_rows[] = {
    { "id", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 8, .refuses = refuse_blank },
    { "speed", SCHEMA_WORD, SCHEMA_NULLABLE, .words = speeds },
};
static const struct schema_table model_table = { ROWS(model_rows), .closed = true };
static const struct schema_row model_object = { NULL, SCHEMA_OBJECT, .table = &model_table };
static const struct schema_row rows[] = {
    { "model", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 8, .either = &model_object },
    { "title", SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 3 },
    { "limit", SCHEMA_INTEGER, .min = 1, .max = 100 },
    { "count", SCHEMA_INTEGER },
    { "ratio", SCHEMA_NUMBER },
    { "on", SCHEMA_BOOL },
    { "content", SCHEMA_ARRAY, .min = 1, .max = 3, .item = &block },
    { "metadata", SCHEMA_MAP, SCHEMA_NULLABLE, .max = 2, .key_max = 3, .item = &value },
    { "anything", SCHEMA_ANY },
    { "schema", SCHEMA_OBJECT },
};
static const struct schema_table table = { ROWS(rows) };

static void values_are_checked_against_their_rows(void **state)
{
    static const struct {
        const char *text, *problems;
    } cases[] = {
        { "{\"model\":\"m\"}", "" },
        { "{\"model\":\"m\",\"unknown\":1}", "" },
        { "{\"model\":{\"id\":\"m\",\"speed\":null},\"title\":null}", "" },
        { "{\"model\":\"m\",\"title\":\"\xc3\xa4\xc3\xb6\xc3\xbc\",\"limit\":100,\"count\":0,"
          "\"ratio\":1,\"on\":false,\"anything\":[null],\"schema\":{\"a\":1}}",
          "" },
        { "{\"model\":\"m\",\"content\":[{\"type\":\"text\",\"text\":\"\",\"more\":1},"
          "{\"type\":\"break\"}],\"metadata\":{\"a\":\"b\"}}",
          "" },
        { "[]", "must be an object, not an array" },
        { "{}", "model: required" },
        { "{\"model\":null}", "model: must be a string or an object, not null" },
        { "{\"model\":\"\"}", "model: must not be empty" },
        { "{\"model\":{\"id\":\"a b\",\"sped\":1}}",
          "model.id: must not hold blanks; model.sped: unknown key" },
        { "{\"model\":{\"id\":\"123456789\",\"speed\":\"warp\"}}",
          "model.id: must have at most 8 characters, not 9; "
          "model.speed: must be one of \"standard\", \"fast\"" },
        { "{\"model\":{\"speed\":1}}",
          "model.id: required; model.speed: must be a string or null, not a number" },
        { "{\"model\":\"m\",\"title\":\"\xc3\xa4\xc3\xb6\xc3\xbcs\"}",
          "title: must have at most 3 characters, not 4" },
        { "{\"model\":\"m\",\"limit\":0}", "limit: must be 1 to 100" },
        { "{\"model\":\"m\",\"limit\":101,\"count\":-1}",
          "limit: must be 1 to 100; count: must be at least 0" },
        { "{\"model\":\"m\",\"limit\":1.5,\"ratio\":\"1\",\"on\":1}",
          "limit: must be an integer, not a number with a fraction; "
          "ratio: must be a number, not a string; on: must be a boolean, not a number" },
        { "{\"model\":\"m\",\"content\":[]}", "content: must not be empty" },
        { "{\"model\":\"m\",\"content\":[1,{},{\"type\":\"tex\"}]}",
          "content[0]: must be an object, not a number; content[1].type: required; "
          "content[2].type: must be one of \"text\", \"link\", \"break\"" },
        { "{\"model\":\"m\",\"content\":[{\"type\":\"link\",\"url\":\"\",\"x\":1}]}",
          "content[0].url: must not be empty; content[0].x: unknown key" },
        { "{\"model\":\"m\",\"content\":[1,2,3,4]}", "content: must have at most 3 items, not 4" },
        { "{\"model\":\"m\",\"metadata\":{\"abcd\":\"x\",\"b\":\"12345\"}}",
          "metadata.abcd: the key must have 1 to 3 characters; "
          "metadata.b: must have at most 4 characters, not 5" },
        { "{\"model\":\"m\",\"metadata\":{\"a\":\"\",\"b\":\"\",\"c\":\"\"}}",
          "metadata: must have at most 2 members, not 3" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct err e = { 0 };
        AUTO_JSON v = NULL;
        AUTO_PROBLEMS found = { 0 };
        assert_int_equal(json_parse(str_of(cases[i].text), &v, &e), 0);
        bool good = schema_check(v, &table, &found);
        assert_string_equal(buf_text(&found.text), cases[i].problems);
        assert_int_equal(good, cases[i].problems[0] == 0);
        assert_int_equal(problems_fail(&found, &e), good ? 0 : -1);
    }
}

static void many_problems_are_counted_and_not_all_written(void **state)
{
    AUTO_PROBLEMS found = { 0 };
    for (size_t i = 0; i < PROBLEMS_SHOWN + 7; i++)
        problems_add_at(&found, "key", "wrong");
    struct err e = { 0 };
    assert_int_equal(problems_fail(&found, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
    assert_true(str_ends(buf_str(&found.text), STR("; and 7 more")));
}

static void a_path_holds_no_long_key_and_no_control_character(void **state)
{
    AUTO_PROBLEMS found = { 0 };
    char key[200];
    memset(key, 'k', sizeof key);
    key[0] = '\x1b';
    size_t was = problems_enter_key(&found, (struct str){ key, sizeof key });
    assert_int_equal(found.path.p[0], '?');
    assert_int_equal(found.path.n, 64 + 3);
    size_t below = problems_enter_index(&found, 3);
    assert_true(str_ends(buf_str(&found.path), STR("...[3]")));
    problems_leave(&found, below);
    problems_leave(&found, was);
    assert_int_equal(found.path.n, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_checked_against_their_rows),
        cmocka_unit_test(many_problems_are_counted_and_not_all_written),
        cmocka_unit_test(a_path_holds_no_long_key_and_no_control_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
