/* What clients send, and bodies that make and change sessions (contract 2.4, 3.2). */
#include "api/event_shape.h"
#include "api/session_shape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct row {
    const char *text, *problem; /* "": fine; else a part of what is found */
};

static void expect(const struct row *row, struct problems *p)
{
    problems_finish(p);
    if (row->problem[0] ? !str_has(buf_str(&p->text), str_of(row->problem)) : p->count > 0)
        fail_msg("%s\n  gives '%s', not '%s'", row->text, buf_text(&p->text), row->problem);
}

static void events_are_taken_or_refused_with_their_index(void **state)
{
    static const struct row rows[] = {
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]", "" },
        { "[{\"type\":\"user.message\",\"content\":[]}]", "[0].content: must not be empty" },
        { "[{\"type\":\"user.message\"}]", "[0].content: required" },
        { "[{\"type\":\"user.interrupt\"},{\"type\":\"user.nothing\"}]", "[1].type" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"redacted\"}]}]",
          "[0].content[0].type" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
          "\"base64\",\"media_type\":\"image/png\",\"data\":\"iVBORw==\"}}]}]",
          "" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
          "\"base64\",\"media_type\":\"image/tiff\",\"data\":\"iVBORw==\"}}]}]",
          "[0].content[0].source.media_type" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
          "\"base64\",\"media_type\":\"image/png\",\"data\":\"!\"}}]}]",
          "source.data: must be base64" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"document\",\"source\":{\"type\":"
          "\"file\",\"file_id\":\"file_1\"}}]}]",
          "[0].content[0].source.type" },
        { "[{\"type\":\"user.tool_confirmation\",\"tool_use_id\":\"sevt_1\",\"result\":\"allow\"}]",
          "" },
        { "[{\"type\":\"user.tool_confirmation\",\"tool_use_id\":\"sevt_1\",\"result\":\"maybe\"}]",
          "[0].result" },
        { "[{\"type\":\"user.tool_confirmation\",\"tool_use_id\":\"sevt_1\",\"result\":\"allow\","
          "\"deny_message\":\"no\"}]",
          "deny_message: goes with" },
        { "[{\"type\":\"user.tool_confirmation\",\"tool_use_id\":\"a/b\",\"result\":\"allow\"}]",
          "[0].tool_use_id: is no id" },
        { "[{\"type\":\"user.tool_result\",\"tool_use_id\":\"sevt_1\"}]", "" },
        { "[{\"type\":\"user.tool_result\",\"tool_use_id\":\"sevt_1\",\"content\":[{\"type\":"
          "\"search_result\",\"source\":\"s\",\"title\":\"t\",\"content\":[{\"type\":\"text\","
          "\"text\":\"x\"}],\"citations\":{\"enabled\":true}}]}]",
          "" },
        { "[{\"type\":\"user.define_outcome\",\"description\":\"d\"}]", "[0].type" },
        { "[{\"type\":\"system.message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},"
          "{\"type\":\"user.interrupt\"}]",
          "[0]: system.message must be the last" },
        { "[{\"type\":\"user.interrupt\"},{\"type\":\"system.message\",\"content\":[{\"type\":"
          "\"text\",\"text\":\"x\"}]}]",
          "[1]: system.message must follow" },
        { "[{\"type\":\"user.message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},"
          "{\"type\":\"system.message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}]}]",
          "" },
    };
    static const struct schema_row list = { NULL, SCHEMA_ARRAY, .item = &event_item };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_JSON events = NULL;
        AUTO_PROBLEMS p = { 0 };
        struct err e = { 0 };
        assert_int_equal(json_parse(str_of(rows[i].text), &events, &e), 0);
        if (schema_check_value(events, &list, &p))
            events_check(events, &p);
        expect(&rows[i], &p);
    }
}

static void events_become_structures(void **state)
{
    AUTO_ARENA arena;
    AUTO_JSON events = NULL;
    struct err e = { 0 };
    struct event out[3];
    arena_init(&arena, 1 << 20);
    assert_int_equal(
        json_parse(STR("[{\"type\":\"user.message\",\"content\":[ {\"type\":\"text\",\n"
                       "\"text\":\"hi\"}]},"
                       "{\"type\":\"user.custom_tool_result\",\"custom_tool_use_id\":\"sevt_2\","
                       "\"is_error\":true},"
                       "{\"type\":\"user.tool_confirmation\",\"tool_use_id\":\"sevt_3\","
                       "\"result\":\"deny\",\"deny_message\":\"no\"}]"),
                   &events, &e),
        0);
    assert_true(events_take(events, out, &arena));
    assert_int_equal(out[0].type, EVENT_USER_MESSAGE);
    assert_true(str_eq(out[0].content, STR("[{\"type\":\"text\",\"text\":\"hi\"}]")));
    assert_int_equal(out[1].type, EVENT_USER_CUSTOM_TOOL_RESULT);
    assert_string_equal(out[1].about.text, "sevt_2");
    assert_true(out[1].is_error);
    assert_int_equal(out[1].content.n, 0);
    assert_false(out[2].allow);
    assert_true(str_eq(out[2].text, STR("no")));
}

#define SESSION(members) "{\"agent\":\"agent_1\",\"environment_id\":\"env_1\"" members "}"

static void bodies_of_new_sessions_are_judged(void **state)
{
    static const struct row rows[] = {
        { SESSION(""), "" },
        { "{}", "agent: required; environment_id: required" },
        { "{\"agent\":{\"type\":\"agent\",\"id\":\"agent_1\",\"version\":2},"
          "\"environment_id\":\"env_1\"}",
          "" },
        { "{\"agent\":{\"type\":\"robot\",\"id\":\"agent_1\"},\"environment_id\":\"env_1\"}",
          "agent.type" },
        { "{\"agent\":{\"type\":\"agent_with_overrides\",\"id\":\"agent_1\",\"model\":null},"
          "\"environment_id\":\"env_1\"}",
          "agent.model" },
        { "{\"agent\":{\"type\":\"agent_with_overrides\",\"id\":\"agent_1\",\"system\":null},"
          "\"environment_id\":\"env_1\"}",
          "" },
        { SESSION(",\"resources\":[{\"type\":\"file\",\"file_id\":\"file_1\"}]"),
          "resources[0]: resources of this kind are not supported for the self-hosted environment "
          "env_1" },
        { SESSION(",\"resources\":[{\"type\":\"memory_store\"}]"), "resources[0]: memory stores" },
        { SESSION(",\"vault_ids\":[\"vlt_1\"]"), "vault_ids" },
        { SESSION(",\"vault_ids\":[]"), "" },
        { SESSION(",\"budget\":{\"type\":\"limit\",\"max_list_cost\":{\"amount\":\"2500\","
                  "\"currency\":\"USD\"}}"),
          "" },
        { SESSION(",\"budget\":{\"type\":\"limit\",\"max_list_cost\":{\"amount\":\"25.00\","
                  "\"currency\":\"USD\"}}"),
          "budget.max_list_cost.amount" },
        { SESSION(",\"initial_events\":[{\"type\":\"user.interrupt\"}]"),
          "initial_events[0].type" },
        { SESSION(",\"title\":\"\""), "title" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_JSON body = NULL;
        AUTO_PROBLEMS p = { 0 };
        struct err e = { 0 };
        const char *code;
        assert_int_equal(json_parse(str_of(rows[i].text), &body, &e), 0);
        session_body_check(body, &p, &code);
        expect(&rows[i], &p);
    }
}

static void what_is_fixed_in_a_session_cannot_be_updated(void **state)
{
    static const struct row rows[] = {
        { "{\"title\":null,\"metadata\":{\"a\":null},\"budget\":null,\"agent\":{\"tools\":[]}}",
          "" },
        { "{\"vault_ids\":[]}", "vault_ids: can only be chosen when a session is created" },
        { "{\"agent\":{\"model\":\"m1\"}}", "agent.model: can only be chosen" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_JSON body = NULL;
        AUTO_PROBLEMS p = { 0 };
        struct err e = { 0 };
        assert_int_equal(json_parse(str_of(rows[i].text), &body, &e), 0);
        session_update_check(body, &p);
        expect(&rows[i], &p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_taken_or_refused_with_their_index),
        cmocka_unit_test(events_become_structures),
        cmocka_unit_test(bodies_of_new_sessions_are_judged),
        cmocka_unit_test(what_is_fixed_in_a_session_cannot_be_updated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
