/* Claims of model/body.h and model/failure.h. */
#include "model/body.h"
#include "model/failure.h"
#include "proto/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define KEEP "\"cache_control\":{\"type\":\"ephemeral\"}"

static const struct upstream plain = { .model = { "up-1", 4 } };

static void must_be_json(struct str text)
{
    struct err e = { 0 };
    AUTO_JSON v = NULL;
    if (json_parse(text, &v, &e) < 0)
        fail_msg("%s: %.*s", e.text, STR_ARGS(text));
}

static void expect_messages(const struct model_request *r, const struct upstream *u,
                            const char *body)
{
    struct err e = { 0 };
    AUTO_BUF out = { 0 };
    assert_int_equal(messages_body(&out, r, u, &e), 0);
    assert_string_equal(buf_text(&out), body);
    must_be_json(buf_str(&out));
}

static void a_messages_body_is_the_request_with_marks(void **state)
{
    expect_messages(
        &(struct model_request){
            .system = STR("be \"wise\""),
            .tools = STR("[{\"name\":\"a\",\"input_schema\":{}},{\"name\":\"b\"}]"),
            .messages =
                STR("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
                    "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\","
                    "\"thinking\":\"\",\"signature\":\"s\"}]},"
                    "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"},"
                    "{\"type\":\"text\",\"text\":\"x\"}]},"
                    "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"y\"}]}]"),
            .effort = STR("high"),
            .speed = STR("fast"),
        },
        &(struct upstream){ STR("up-1"), 100, STR("\"temperature\":0.5") },
        "{\"model\":\"up-1\",\"max_tokens\":100,\"stream\":true,\"output_config\":{\"effort\":"
        "\"high\"},\"speed\":\"fast\",\"temperature\":0.5,"
        "\"tools\":[{\"name\":\"a\",\"input_schema\":{}},{\"name\":\"b\"," KEEP "}],"
        "\"system\":[{\"type\":\"text\",\"text\":\"be \\\"wise\\\"\"," KEEP "}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]},"
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"\","
        "\"signature\":\"s\"}]},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\"},{\"type\":\"text\",\"text\":"
        "\"x\"," KEEP
        "}]},{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"y\"}]}]}");
}

static void what_cannot_bear_a_mark_gets_none(void **state)
{
    static const char *const messages[] = {
        "[]",
        "[{\"role\":\"user\",\"content\":\"plain\"}]",
        "[{\"role\":\"user\",\"content\":[]}]",
        "[{\"role\":\"user\",\"content\":[{}]}]",
        "[{\"role\":\"user\",\"content\":[1]}]",
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]",
    };
    for (size_t i = 0; i < COUNT(messages); i++) {
        AUTO_BUF body = { 0 };
        buf_addf(&body, "{\"model\":\"up-1\",\"max_tokens\":32000,\"stream\":true,\"messages\":%s}",
                 messages[i]);
        expect_messages(
            &(struct model_request){ .tools = STR("[]"), .messages = str_of(messages[i]) }, &plain,
            buf_text(&body));
    }
}

static void tools_can_be_there_and_not_wanted(void **state)
{
    struct err e = { 0 };
    AUTO_BUF messages = { 0 }, chat = { 0 };
    uint64_t answers;
    const struct model_request r = { .tools = STR("[{\"name\":\"a\"}]"),
                                     .messages = STR("[]"),
                                     .no_tools = true };
    assert_int_equal(messages_body(&messages, &r, &plain, &e), 0);
    assert_true(str_has(buf_str(&messages), STR("\"tool_choice\":{\"type\":\"none\"}")));
    assert_int_equal(chat_body(&chat, &r, &plain, &answers, &e), 0);
    assert_true(str_has(buf_str(&chat), STR("\"tool_choice\":\"none\"")));
}

static void a_request_that_is_not_json_is_an_error(void **state)
{
    static const struct model_request rows[] = {
        { .tools = { "{}", 2 }, .messages = { "[]", 2 } },
        { .tools = { "[", 1 }, .messages = { "[]", 2 } },
        { .tools = { "[]", 2 }, .messages = { "[{]", 3 } },
        { .tools = { "[]", 2 }, .messages = { "", 0 } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_BUF out = { 0 };
        uint64_t answers;
        assert_int_equal(messages_body(&out, &rows[i], &plain, &e), -1);
        assert_int_equal(chat_body(&out, &rows[i], &plain, &answers, &e), -1);
    }
}

static void expect_chat(const struct model_request *r, const struct upstream *u, uint64_t answers,
                        const char *body)
{
    struct err e = { 0 };
    AUTO_BUF out = { 0 };
    uint64_t counted;
    if (chat_body(&out, r, u, &counted, &e) < 0)
        fail_msg("%s", e.text);
    assert_string_equal(buf_text(&out), body);
    assert_int_equal(counted, answers);
    must_be_json(buf_str(&out));
}

#define CHAT_HEAD "{\"model\":\"up-1\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"

static void a_chat_body_is_translated(void **state)
{
    expect_chat(
        &(struct model_request){
            .system = STR("wise"),
            .tools =
                STR("[{\"name\":\"a\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\","
                    "\"x\":1}},{\"name\":\"b\"}]"),
            .messages = STR(
                "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"one\"},{\"type\":"
                "\"text\",\"text\":\"two\"}]},"
                "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\"},"
                "{\"type\":\"text\",\"text\":\"ok\"},{\"type\":\"tool_use\",\"id\":\"c1\",\"name\":"
                "\"a\",\"input\":{\"q\":\"\\\"\"}},{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":"
                "\"b\","
                "\"input\":{}}]},"
                "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c1\","
                "\"content\":[{\"type\":\"text\",\"text\":\"r1\"},{\"type\":\"text\",\"text\":"
                "\"r2\"}"
                "]},{\"type\":\"tool_result\",\"tool_use_id\":\"c2\",\"is_error\":true,\"content\":"
                "\"bad\"},{\"type\":\"text\",\"text\":\"more\"}]},"
                "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\"}]},"
                "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"note\"}]}]"),
            .effort = STR("max"),
            .speed = STR("fast"),
        },
        &(struct upstream){ STR("up-1"), 99, STR("\"seed\":1") }, 2,
        CHAT_HEAD
        "\"max_tokens\":99,\"reasoning_effort\":\"high\",\"seed\":1,\"tools\":[{\"type\":"
        "\"function\","
        "\"function\":{\"name\":\"a\",\"description\":\"d\",\"parameters\":{\"type\":\"object\","
        "\"x\":"
        "1}}},{\"type\":\"function\",\"function\":{\"name\":\"b\",\"description\":\"\","
        "\"parameters\":"
        "{\"type\":\"object\"}}}],\"messages\":[{\"role\":\"system\",\"content\":\"wise\"},"
        "{\"role\":\"user\",\"content\":\"one\\ntwo\"},"
        "{\"role\":\"assistant\",\"content\":\"ok\",\"tool_calls\":[{\"id\":\"c1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"a\",\"arguments\":\"{\\\"q\\\":\\\"\\\\\\\"\\\"}\"}}"
        ","
        "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"b\",\"arguments\":\"{}\"}}]}"
        ","
        "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"r1\\nr2\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"Error: bad\"},"
        "{\"role\":\"user\",\"content\":\"more\"},{\"role\":\"system\",\"content\":\"note\"}]}");
}

static void what_chat_has_no_place_for_is_said_in_words(void **state)
{
    expect_chat(
        &(struct model_request){
            .tools = STR("[]"),
            .messages = STR(
                "[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
                "\"base64\","
                "\"media_type\":\"image/png\",\"data\":\"AAAA\"}},{\"type\":\"image\",\"source\":{"
                "\"type\":\"url\",\"url\":\"https://x/y.png\"}},{\"type\":\"image\",\"source\":{"
                "\"type\":\"file\",\"file_id\":\"f\"}},{\"type\":\"text\",\"text\":\"what?\"}]},"
                "{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"title\":\"T\","
                "\"context\":"
                "\"C\",\"source\":{\"type\":\"text\",\"data\":\"body\"}},{\"type\":\"document\","
                "\"source\":{\"type\":\"base64\",\"media_type\":\"application/"
                "pdf\",\"data\":\"A\"}},"
                "{\"type\":\"search_result\",\"source\":\"https://"
                "s\",\"title\":\"S\",\"content\":[{"
                "\"type\":\"text\",\"text\":\"found\"}]},{\"type\":\"unknown\"}]},"
                "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"c\","
                "\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
                "\"image/"
                "png\",\"data\":\"BBBB\"}}]},{\"type\":\"tool_result\",\"tool_use_id\":\"d\"}"
                "]},{\"role\":\"user\",\"content\":\"plain\"},{\"role\":\"user\",\"content\":[]}]"),
        },
        &plain, 0,
        CHAT_HEAD
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{"
        "\"url\":"
        "\"data:image/png;base64,AAAA\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"https://x/y.png\"}},{\"type\":\"text\",\"text\":\"[a picture that this model cannot be "
        "shown]\\nwhat?\"}]},"
        "{\"role\":\"user\",\"content\":\"[document T]\\nC\\nbody\\n[document]\\n[its content is "
        "not "
        "text and cannot be shown to this model]\\nS\\nhttps://s\\nfound\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"[a picture: see below]\"},"
        "{\"role\":\"tool\",\"tool_call_id\":\"d\",\"content\":\"(no output)\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
        "\"data:image/png;base64,BBBB\"}}]},{\"role\":\"user\",\"content\":\"plain\"}]}");
}

static void complaints_get_their_meaning(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum model_failure meaning;
        const char *said;
    } rows[] = {
        { 529,
          "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}",
          MODEL_OVERLOADED, "busy" },
        { 503, "{}", MODEL_OVERLOADED, "" },
        { 429, "{\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}",
          MODEL_RATE_LIMITED, "slow" },
        { 429,
          "{\"error\":{\"message\":\"You exceeded your quota\",\"code\":\"insufficient_quota\"}}",
          MODEL_BILLING, "You exceeded your quota" },
        { 429, "{\"error\":{\"message\":\"tokens exceed context limit\"}}", MODEL_RATE_LIMITED,
          "tokens exceed context limit" },
        { 500, "{\"error\":{\"type\":\"api_error\",\"message\":\"oops\"}}", MODEL_REQUEST_FAILED,
          "oops" },
        { 502, NULL, MODEL_REQUEST_FAILED, "" },
        { 504, NULL, MODEL_REQUEST_FAILED, "" },
        { 408, NULL, MODEL_REQUEST_FAILED, "" },
        { 400, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"bad\\nthing\"}}",
          MODEL_REQUEST_REFUSED, "bad thing" },
        { 400,
          "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 2 > "
          "1\"}}",
          MODEL_CONTEXT_TOO_LONG, "prompt is too long: 2 > 1" },
        { 400, "{\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"m\"}}",
          MODEL_CONTEXT_TOO_LONG, "m" },
        { 400,
          "{\"error\":{\"code\":400,\"type\":\"exceed_context_size_error\",\"message\":\"m\"}}",
          MODEL_CONTEXT_TOO_LONG, "m" },
        { 413, NULL, MODEL_CONTEXT_TOO_LONG, "" },
        { 402, NULL, MODEL_BILLING, "" },
        { 400,
          "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is "
          "too low\"}}",
          MODEL_BILLING, "Your credit balance is too low" },
        { 401, "{\"error\":{\"type\":\"authentication_error\",\"message\":\"bad key sk-secret\"}}",
          MODEL_REQUEST_REFUSED, "it does not accept our key" },
        { 403, "{\"error\":{\"message\":\"x\"}}", MODEL_REQUEST_REFUSED,
          "it does not accept our key" },
        { 404, "{\"error\":{\"type\":\"not_found_error\",\"message\":\"model: up-1\"}}",
          MODEL_REQUEST_REFUSED, "model: up-1" },
        { 404, "{\"error\":\"model \\\"x\\\" not found, with sk-secret\"}", MODEL_REQUEST_REFUSED,
          "model \"x\" not found, with [key]" },
        { 422, "[1]", MODEL_REQUEST_REFUSED, "" },
        { 0, "{\"error\":{\"code\":429,\"message\":\"m\"}}", MODEL_RATE_LIMITED, "m" },
        { 0, "{\"error\":{\"code\":7,\"message\":\"m\"}}", MODEL_REQUEST_FAILED, "m" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        AUTO_JSON body = NULL;
        AUTO_BUF said = { 0 };
        if (rows[i].body)
            assert_int_equal(json_parse(str_of(rows[i].body), &body, &e), 0);
        struct complaint c = complaint_read(rows[i].status, body);
        complaint_write(&said, &c, (struct hidden){ (const struct str[]){ STR("sk-secret") }, 1 });
        if (complaint_meaning(&c) != rows[i].meaning || strcmp(buf_text(&said), rows[i].said))
            fail_msg("row %zu: %d %s", i, complaint_meaning(&c), buf_text(&said));
    }
}

static void a_long_complaint_is_cut_between_characters(void **state)
{
    AUTO_BUF text = { 0 }, said = { 0 };
    buf_add(&text, STR("x"));
    for (int i = 0; i < 200; i++)
        buf_add(&text, STR("\xc3\xa4"));
    complaint_write(&said, &(struct complaint){ .message = buf_str(&text) }, (struct hidden){ 0 });
    assert_int_equal(said.n, 299 + 3);
    assert_true(str_is_utf8(buf_str(&said)));
}

static void retry_after_is_read(void **state)
{
    static const struct {
        const char *seconds, *ms;
        int64_t microseconds;
    } rows[] = {
        { "", "", 0 },
        { "3", "", 3000000 },
        { " 3 ", "", 3000000 },
        { "3", "250", 250000 },
        { "99999999999", "", 3600000000 },
        { "18446744073709551615", "", 3600000000 },
        { "", "18446744073709551615", 3600000000 },
        { "-1", "x", 0 },
        { "Wed, 25 Nov 2026 02:24:14 GMT", "", 0 },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(retry_after_read(str_of(rows[i].seconds), str_of(rows[i].ms)),
                         rows[i].microseconds);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_messages_body_is_the_request_with_marks),
        cmocka_unit_test(what_cannot_bear_a_mark_gets_none),
        cmocka_unit_test(tools_can_be_there_and_not_wanted),
        cmocka_unit_test(a_request_that_is_not_json_is_an_error),
        cmocka_unit_test(a_chat_body_is_translated),
        cmocka_unit_test(what_chat_has_no_place_for_is_said_in_words),
        cmocka_unit_test(complaints_get_their_meaning),
        cmocka_unit_test(a_long_complaint_is_cut_between_characters),
        cmocka_unit_test(retry_after_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
