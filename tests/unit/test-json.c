/* Claims of proto/json.h and proto/json_write.h. */
#include "proto/json.h"
#include "proto/json_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void good_texts_are_read(void **state)
{
    static const struct {
        const char *text;
        enum json_kind kind;
    } rows[] = {
        { "null", JSON_IS_NULL },
        { " true\n", JSON_IS_BOOL },
        { "-3", JSON_IS_INTEGER },
        { "3.5", JSON_IS_REAL },
        { "1e3", JSON_IS_REAL },
        { "\"\"", JSON_IS_STRING },
        { "[]", JSON_IS_ARRAY },
        { "{}", JSON_IS_OBJECT },
        { "\"\\ud83d\\ude00\"", JSON_IS_STRING },
        { "{\"a\":{\"a\":1},\"b\":[{\"a\":2}]}", JSON_IS_OBJECT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_JSON root = NULL;
        if (json_parse(str_of(rows[i].text), &root, &e) < 0)
            fail_msg("%s: %s", rows[i].text, e.text);
        assert_int_equal(json_kind_of(root), rows[i].kind);
    }
}

static void doubtful_texts_are_refused_with_their_place(void **state)
{
    static const struct {
        struct str text;
        const char *place, *why;
    } rows[] = {
        { { "", 0 }, "line 1, column 1", "empty" },
        { { " \n\t\r\n", 5 }, "line 1", "empty" },
        { { "{\"a\":1,\"a\":2}", 13 }, "line 1, column", "duplicate object key near '\"a\"'" },
        { { "{\"a\":1,\n \"\\u0061\":2}", 20 }, "line 2", "duplicate" },
        { { "[1,\n2,,3]", 9 }, "line 2, column", "unexpected" },
        { { "[1,]", 4 }, "line 1", "" },
        { { "{\"a\":1,}", 8 }, "line 1", "" },
        { { "{a:1}", 5 }, "line 1, column 2", "" },
        { { "// x\n1", 6 }, "line 1", "" },
        { { "1 2", 3 }, "line 1, column 3", "end of file expected" },
        { { "{} x", 4 }, "line 1", "end of file expected" },
        { { "[1", 2 }, "line 1", "end of file" },
        { { "\"abc", 4 }, "line 1", "" },
        { { "\"a\tb\"", 5 }, "line 1", "control character" },
        { { "\"a\0b\"", 5 }, "line 1, column 3", "NUL" },
        { { "1\0", 2 }, "line 1, column 2", "NUL" },
        { { "1\0x", 3 }, "line 1, column 2", "NUL" },
        { { "\"\\u0000\"", 8 }, "line 1", "\\u0000" },
        { { "{\"\\u0000\":1}", 12 }, "line 1", "" },
        { { "\"\xff\"", 3 }, "line 1", "not UTF-8" },
        { { "\"\xc0\x80\"", 4 }, "line 1", "not UTF-8" },
        { { "\"\xed\xa0\x80\"", 5 }, "line 1", "not UTF-8" },
        { { "\xef\xbb\xbf{}", 5 }, "line 1", "" },
        { { "\"\\ud800\"", 8 }, "line 1", "" },
        { { "\"\\ude00\\ud83d\"", 14 }, "line 1", "" },
        { { "\"\\x\"", 4 }, "line 1", "escape" },
        { { "01", 2 }, "line 1", "" },
        { { "+1", 2 }, "line 1", "" },
        { { "NaN", 3 }, "line 1", "" },
        { { "9223372036854775808", 19 }, "line 1", "integer" },
        { { "1e999", 5 }, "line 1", "overflow" },
        { { "True", 4 }, "line 1", "" },
        { { "]", 1 }, "line 1", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_JSON root = NULL;
        if (json_parse(rows[i].text, &root, &e) == 0)
            fail_msg("row %zu was read: %s", i, rows[i].text.p);
        assert_null(root);
        assert_int_equal(e.kind, E_INPUT);
        if (strncmp(e.text, rows[i].place, strlen(rows[i].place)) || !strstr(e.text, rows[i].why))
            fail_msg("row %zu (%s): %s", i, rows[i].text.p, e.text);
    }
}

static void a_refusal_never_repeats_a_value(void **state)
{
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(STR("{\"k\": \"hunter2\" \"x\"}"), &root, &e), -1);
    assert_null(strstr(e.text, "hunter2"));
    assert_int_equal(json_parse(STR("[hunter2]"), &root, &e), -1);
    assert_null(strstr(e.text, "hunter2"));
}

/* `depth` arrays round a zero. */
static int parse_nested(size_t depth, struct err *e)
{
    AUTO_BUF text = { 0 };
    for (size_t i = 0; i < depth; i++)
        buf_add(&text, i % 2 ? STR("[") : STR("{\"k\":"));
    buf_add_byte(&text, '0');
    for (size_t i = depth; i-- > 0;)
        buf_add_byte(&text, i % 2 ? ']' : '}');
    AUTO_JSON root = NULL;
    return json_parse(buf_str(&text), &root, e);
}

static void depth_is_bounded(void **state)
{
    struct err e = { 0 };
    assert_int_equal(parse_nested(JSON_DEPTH_MAX, &e), 0);
    assert_int_equal(parse_nested(JSON_DEPTH_MAX + 1, &e), -1);
    assert_non_null(strstr(e.text, "nested too deeply"));
    assert_int_equal(parse_nested(100000, &e), -1);
}

static void brackets_inside_strings_do_not_count(void **state)
{
    AUTO_BUF text = { 0 };
    buf_add(&text, STR("[\"\\\""));
    for (int i = 0; i < 200; i++)
        buf_add(&text, STR("[{\\\\"));
    buf_add(&text, STR("\"]"));
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(buf_str(&text), &root, &e), 0);
}

static void the_number_of_values_is_bounded(void **state)
{
    AUTO_BUF text = { 0 };
    buf_add(&text, STR("[0"));
    for (int i = 0; i < JSON_VALUES_MAX; i++)
        buf_add(&text, STR(",0"));
    buf_add(&text, STR("]"));
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(buf_str(&text), &root, &e), -1);
    assert_non_null(strstr(e.text, "too many values"));
}

static void kinds_are_not_mixed_up(void **state)
{
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(STR("[true, 1, 1.0, \"1\", -1, null]"), &root, &e), 0);
    bool flag = false;
    int64_t i64 = 7;
    uint64_t u64 = 7;
    struct str text = STR("kept");
    assert_true(json_to_bool(json_at(root, 0), &flag));
    assert_true(flag);
    for (size_t i = 1; i < 6; i++)
        assert_false(json_to_bool(json_at(root, i), &flag));
    assert_false(json_to_i64(json_at(root, 0), &i64));
    assert_false(json_to_i64(json_at(root, 2), &i64));
    assert_false(json_to_u64(json_at(root, 4), &u64));
    assert_false(json_to_str(json_at(root, 1), &text));
    assert_int_equal(i64, 7);
    assert_int_equal(u64, 7);
    assert_true(str_eq(text, STR("kept")));
    assert_true(json_to_i64(json_at(root, 4), &i64));
    assert_int_equal(i64, -1);
    assert_true(json_to_str(json_at(root, 3), &text));
    assert_true(str_eq(text, STR("1")));
    assert_null(json_at(root, 6));
    assert_null(json_at(json_at(root, 0), 0));
    assert_null(json_get(root, "key"));
    assert_int_equal(json_count(root), 6);
    assert_int_equal(json_count(json_at(root, 1)), 0);
    assert_null(json_first(root).value);
}

static void what_is_not_there_is_null(void **state)
{
    AUTO_JSON root = NULL;
    struct err e = { 0 };
    assert_int_equal(json_parse(STR("{\"a\": 1}"), &root, &e), 0);
    assert_int_equal(json_kind_of(json_get(root, "b")), JSON_IS_NULL);
    assert_int_equal(json_kind_of(json_at(json_get(root, "b"), 0)), JSON_IS_NULL);
}

static void members_come_in_the_order_of_the_text(void **state)
{
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    assert_int_equal(json_parse(STR("{\"z\":1,\"a\":2,\"m\":3}"), &root, &e), 0);
    AUTO_BUF keys = { 0 };
    for (struct json_member m = json_first(root); m.value; m = json_next(root, m))
        buf_add(&keys, m.key);
    assert_string_equal(buf_text(&keys), "zam");
    int64_t value;
    assert_true(json_to_i64(json_get(root, "a"), &value));
    assert_int_equal(value, 2);
    assert_null(json_get(root, "b"));
}

static void free_of_nothing_is_fine(void **state)
{
    json_free(NULL);
}

static void commas_stand_where_they_belong(void **state)
{
    AUTO_BUF b = { 0 };
    json_write_object(&b);
    json_member_text(&b, "t", "net");
    json_member_u64(&b, "n", UINT64_MAX);
    json_member_i64(&b, "i", INT64_MIN);
    json_write_key(&b, STR("list"));
    json_write_array(&b);
    json_write_bool(&b, true);
    json_write_array(&b);
    json_write_array_end(&b);
    json_write_object(&b);
    json_write_object_end(&b);
    json_write_null(&b);
    json_write_array_end(&b);
    json_write_raw(&b, STR(""));
    json_write_raw(&b, STR("\"raw\":1"));
    json_member_bool(&b, "colon:", false);
    json_member_text(&b, "none", NULL);
    json_write_object_end(&b);
    assert_string_equal(buf_text(&b),
                        "{\"t\":\"net\",\"n\":18446744073709551615,\"i\":-9223372036854775808,"
                        "\"list\":[true,[],{},null],\"raw\":1,\"colon:\":false,\"none\":null}");
}

static void lines_follow_each_other(void **state)
{
    AUTO_BUF b = { 0 };
    for (int i = 0; i < 2; i++) {
        json_write_object(&b);
        json_write_object_end(&b);
        buf_add_byte(&b, '\n');
    }
    assert_string_equal(buf_text(&b), "{}\n{}\n");
}

static void whatever_bytes_come_the_string_is_safe(void **state)
{
    static const struct {
        struct str bytes;
        const char *written;
    } rows[] = {
        { { "", 0 }, "\"\"" },
        { { "a\"b\\c/", 6 }, "\"a\\\"b\\\\c/\"" },
        { { "\b\f\n\r\t", 5 }, "\"\\b\\f\\n\\r\\t\"" },
        { { "\0\x01\x1f\x7f", 4 }, "\"\\u0000\\u0001\\u001f\\u007f\"" },
        { { "\xc2\x9b"
            "31m",
            5 },
          "\"\\u009b31m\"" },
        { { "\xc2\xa0", 2 }, "\"\xc2\xa0\"" },
        { { "\xe2\x80\xa8\xe2\x80\xa9", 6 }, "\"\\u2028\\u2029\"" },
        { { "\xf0\x9f\x98\x80", 4 }, "\"\xf0\x9f\x98\x80\"" },
        { { "x\xffy", 3 }, "\"x\xef\xbf\xbdy\"" },
        { { "\xc3", 1 }, "\"\xef\xbf\xbd\"" },
        { { "\xed\xa0\x80", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF b = { 0 };
        json_write_str(&b, rows[i].bytes);
        if (strcmp(buf_text(&b), rows[i].written))
            fail_msg("row %zu: %s", i, buf_text(&b));
    }
}

static void every_byte_comes_back_as_written_or_replaced(void **state)
{
    for (unsigned first = 1; first < 256; first++)
        for (unsigned second = 1; second < 256; second++) {
            char bytes[2] = { (char)first, (char)second };
            struct str given = { bytes, 2 }, back;
            AUTO_BUF b = { 0 };
            struct err e = { 0 };
            AUTO_JSON root = NULL;
            json_write_str(&b, given);
            assert_int_equal(json_parse(buf_str(&b), &root, &e), 0);
            assert_true(json_to_str(root, &back));
            if (str_is_utf8(given))
                assert_true(str_eq(given, back));
            else
                assert_true(str_has(back, STR("\xef\xbf\xbd")));
        }
}

static void a_parsed_value_is_printed_again(void **state)
{
    static const char *const texts[] = {
        "null",
        "[true,false,-9223372036854775808,9223372036854775807]",
        "{\"b\":{\"a\":[]},\"a\":{},\"text\":\"\\u0085\\n\\\"\xc3\xa4\"}",
        "[0.1,1.0,-2.5e-300,1e+300,0.30000000000000004,123456789.125]",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct err e = { 0 };
        AUTO_JSON v = NULL;
        AUTO_BUF out = { 0 };
        assert_int_equal(json_parse(str_of(texts[i]), &v, &e), 0);
        json_write_value(&out, v);
        assert_string_equal(buf_text(&out), texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_texts_are_read),
        cmocka_unit_test(doubtful_texts_are_refused_with_their_place),
        cmocka_unit_test(a_refusal_never_repeats_a_value),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(brackets_inside_strings_do_not_count),
        cmocka_unit_test(the_number_of_values_is_bounded),
        cmocka_unit_test(kinds_are_not_mixed_up),
        cmocka_unit_test(what_is_not_there_is_null),
        cmocka_unit_test(members_come_in_the_order_of_the_text),
        cmocka_unit_test(free_of_nothing_is_fine),
        cmocka_unit_test(commas_stand_where_they_belong),
        cmocka_unit_test(lines_follow_each_other),
        cmocka_unit_test(whatever_bytes_come_the_string_is_safe),
        cmocka_unit_test(every_byte_comes_back_as_written_or_replaced),
        cmocka_unit_test(a_parsed_value_is_printed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
