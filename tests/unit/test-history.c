/* Claims of control/history.h and control/result_text.h. */
#include "control/history.h"
#include "control/result_text.h"
#include "proto/json.h"
#include "proto/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define S(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define TEXT(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define BLOCKS(text) "[" TEXT(text) "]"
#define USE(id, name) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":{}}"
#define RESULT(id, text)                                                                           \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":" BLOCKS(text) "}"

#define START                                                                                      \
    {                                                                                              \
        .type = EVENT_MODEL_REQUEST_START                                                          \
    }
#define END                                                                                        \
    {                                                                                              \
        .type = EVENT_MODEL_REQUEST_END                                                            \
    }
#define USER(text)                                                                                 \
    {                                                                                              \
        .type = EVENT_USER_MESSAGE, .content = S(BLOCKS(text))                                     \
    }
#define AGENT(text)                                                                                \
    {                                                                                              \
        .type = EVENT_AGENT_MESSAGE, .content = S(BLOCKS(text))                                    \
    }
#define CALL(number, model)                                                                        \
    {                                                                                              \
        .type = EVENT_AGENT_TOOL_USE, .id = { number }, .name = S("bash"), .input = S("{}"),       \
        .model_id = S(model)                                                                       \
    }
#define RESULT_OF(number, text)                                                                    \
    {                                                                                              \
        .type = EVENT_USER_TOOL_RESULT, .about = { number }, .content = S(BLOCKS(text))            \
    }

static const struct {
    const char *claim, *want;
    struct event events[12];
} cases[] = {
    { "nothing", "[]", { { .type = EVENT_NONE } } },
    { "a message",
      "[{\"role\":\"user\",\"content\":" BLOCKS("a") "}]",
      { USER("a"), START, { .type = EVENT_SESSION_STATUS_RUNNING } } },
    { "turns of the same role are one",
      "[{\"role\":\"user\",\"content\":[" TEXT("a") "," TEXT("b") "]}]",
      { USER("a"), USER("b"), START } },
    { "a conversation",
      "[{\"role\":\"user\",\"content\":" BLOCKS(
          "a") "},{\"role\":\"assistant\",\"content\":" BLOCKS("b") "},{\"role\":\"user\","
                                                                    "\"content\":" BLOCKS("c") "}]",
      { USER("a"), START, AGENT("b"), END, USER("c"), START } },
    { "results stand in the order of the calls, before what comes next",
      "[{\"role\":\"user\",\"content\":" BLOCKS("a") "},{\"role\":\"assistant\",\"content\":[" TEXT(
          "b") "," USE("t1", "bash") "," USE("t2", "bash") "]},{\"role\":\"user\",\"content\":"
                                                           "[" RESULT("t1", "one") "," RESULT(
                                                               "t2", "two") "," TEXT("c") "]}]",
      { USER("a"), START, AGENT("b"), CALL("sevt_1", "t1"), CALL("sevt_2", "t2"), END,
        RESULT_OF("sevt_2", "two"), RESULT_OF("sevt_1", "one"), USER("c"), START } },
    { "a second result of the same call is not told",
      "[{\"role\":\"assistant\",\"content\":[" USE(
          "t1", "bash") "]},{\"role\":\"user\",\"content\":[" RESULT("t1", "one") "]}]",
      { START, CALL("sevt_1", "t1"), END, RESULT_OF("sevt_1", "one"), RESULT_OF("sevt_1", "two"),
        START } },
    { "a system message does not tear results apart",
      "[{\"role\":\"assistant\",\"content\":[" USE("t1", "bash") "," USE(
          "t2",
          "bash") "]},{\"role\":\"user\",\"content\":[" RESULT("t1",
                                                               "one") "," RESULT("t2",
                                                                                 "two") "]},{"
                                                                                        "\"role\":"
                                                                                        "\"system\""
                                                                                        ",\"content"
                                                                                        "\""
                                                                                        ":" BLOCKS(
                                                                                            "s") "}"
                                                                                                 "]",
      { START,
        CALL("sevt_1", "t1"),
        CALL("sevt_2", "t2"),
        END,
        RESULT_OF("sevt_1", "one"),
        { .type = EVENT_SYSTEM_MESSAGE, .content = S(BLOCKS("s")) },
        RESULT_OF("sevt_2", "two"),
        START } },
    { "thinking is replayed in front of what was thought out",
      "[{\"role\":\"assistant\",\"content\":[{\"t\":1},{\"t\":2}," TEXT("b") "]}]",
      { START,
        { .type = EVENT_AGENT_THINKING, .replay = S("[{\"t\":1},{\"t\":2}]") },
        AGENT("b"),
        END,
        START } },
    { "thinking that led to nothing is not told",
      "[{\"role\":\"user\",\"content\":[" TEXT("a") "," TEXT("b") "]}]",
      { USER("a"),
        START,
        { .type = EVENT_AGENT_THINKING, .replay = S("[{\"t\":1}]") },
        END,
        USER("b"),
        START } },
    { "tools of MCP servers have the name that the model knows",
      "[{\"role\":\"assistant\",\"content\":[" USE(
          "t1", "mcp__docs__find") "]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
                                   "\"tool_use_id\":\"t1\","
                                   "\"content\":" BLOCKS("gone") ",\"is_error\":true}]}]",
      { START,
        { .type = EVENT_AGENT_MCP_TOOL_USE,
          .id = { "sevt_1" },
          .name = S("find"),
          .server = S("docs"),
          .model_id = S("t1") },
        END,
        { .type = EVENT_AGENT_MCP_TOOL_RESULT,
          .about = { "sevt_1" },
          .text = S("gone"),
          .is_error = true },
        START } },
    { "a summary takes the place of what it sums up",
      "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"The conversation so far "
      "became too "
      "long to be kept. This is its summary; go on from here.\\n\\nthey \\\"met\\\"\"}," TEXT(
          "c") "]}]",
      { USER("a"),
        START,
        AGENT("b"),
        END,
        { .type = EVENT_AGENT_CONTEXT_COMPACTED, .text = S("they \"met\"") },
        USER("c"),
        START } },
};

static void the_log_becomes_a_conversation(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_BUF got = { 0 };
        struct history *h = history_new(RESULT_CHARACTERS_MAX);
        for (size_t k = 0; k < COUNT(cases[i].events); k++)
            if (cases[i].events[k].type != EVENT_NONE)
                history_add(h, &cases[i].events[k]);
        history_write(h, STR(""), &got);
        if (!str_eq(buf_str(&got), str_of(cases[i].want)))
            fail_msg("%s:\n%s\nis not\n%s", cases[i].claim, buf_text(&got), cases[i].want);
        history_free(h);
    }
}

static void a_question_at_the_end_is_not_kept(void **state)
{
    const struct event user = USER("a"), start = START, agent = AGENT("b");
    AUTO_BUF before = { 0 };
    AUTO_BUF asked = { 0 };
    AUTO_BUF after = { 0 };
    struct history *h = history_new(RESULT_CHARACTERS_MAX);
    (void)state;
    history_write(h, STR("sum up"), &asked);
    assert_string_equal(buf_text(&asked), "[{\"role\":\"user\",\"content\":" BLOCKS("sum up") "}]");
    history_add(h, &user);
    history_add(h, &start);
    history_write(h, STR(""), &before);
    buf_empty(&asked);
    history_write(h, STR("sum up"), &asked);
    assert_string_equal(buf_text(&asked),
                        "[{\"role\":\"user\",\"content\":[" TEXT("a") "," TEXT("sum up") "]}]");
    history_write(h, STR(""), &after);
    assert_string_equal(buf_text(&before), buf_text(&after));
    history_add(h, &agent);
    buf_empty(&asked);
    history_write(h, STR("sum up"), &asked);
    assert_true(
        str_ends(buf_str(&asked), STR("]},{\"role\":\"user\",\"content\":" BLOCKS("sum up") "}]")));
    history_free(h);
}

/* --- results --- */

static void results_are_told_as_they_are(void **state)
{
    static const struct {
        const char *content, *text, *want;
    } rows[] = {
        { "", "", BLOCKS("(no output)") },
        { "[]", "", BLOCKS("(no output)") },
        { "[ ]", "", BLOCKS("(no output)") },
        { "", "refused", BLOCKS("refused") },
        { BLOCKS("a"), "", BLOCKS("a") },
        { "[" TEXT("") "," TEXT("b") "]", "", BLOCKS("b") },
        { BLOCKS(""), "", BLOCKS("(no output)") },
        { "[{\"type\":\"image\",\"source\":{\"data\":\"\"}}]", "",
          "[{\"type\":\"image\",\"source\":{\"data\":\"\"}}]" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF got = { 0 };
        result_text_write(&got, str_of(rows[i].content), str_of(rows[i].text),
                          RESULT_CHARACTERS_MAX);
        assert_string_equal(buf_text(&got), rows[i].want);
    }
}

static void the_middle_of_a_long_result_is_cut(void **state)
{
    enum { LONG = 150000 };
    AUTO_BUF content = { 0 };
    AUTO_BUF got = { 0 };
    AUTO_JSON blocks = NULL;
    struct err e;
    struct str text;
    (void)state;
    buf_add(&content, STR("[{\"type\":\"text\",\"text\":\"BEGIN"));
    for (size_t i = 0; i < LONG; i++)
        buf_add(&content, STR("\xc3\xa4"));
    buf_add(&content, STR("END\"},{\"type\":\"image\",\"source\":{}}]"));
    result_text_write(&got, buf_str(&content), STR(""), RESULT_CHARACTERS_MAX);
    assert_int_equal(json_parse(buf_str(&got), &blocks, &e), 0);
    assert_int_equal(json_count(blocks), 2);
    assert_true(json_to_str(json_get(json_at(blocks, 0), "text"), &text));
    assert_true(str_starts(text, STR("BEGIN")));
    assert_true(str_ends(text, STR("END")));
    assert_true(str_has(text, STR("\n[... 50008 characters left out ...]\n")));
    assert_true(schema_characters(text) < RESULT_CHARACTERS_MAX + 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_becomes_a_conversation),
        cmocka_unit_test(a_question_at_the_end_is_not_kept),
        cmocka_unit_test(results_are_told_as_they_are),
        cmocka_unit_test(the_middle_of_a_long_result_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
