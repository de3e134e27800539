/* Claims of control/event_json.h. */
#include "control/event_json.h"
#include "proto/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define S(literal)                                                                                 \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }
#define HEAD(type)                                                                                 \
    "{\"id\":\"sevt_1\",\"type\":\"" type "\",\"processed_at\":\"1970-01-01T00:00:01.000007Z\""
#define ID(text)                                                                                   \
    {                                                                                              \
        text                                                                                       \
    }
#define HEX16 "0707070707070707070707070707070707070707070707070707070707070707"
#define SEVENS                                                                                     \
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7
#define EXACT                                                                                      \
    "\"exact\":{\"input\":1,\"output\":2,\"cache_read\":3,\"cache_5m\":4,\"cache_1h\":5,"          \
    "\"searches\":0,\"fetches\":7,\"cost\":2500000,\"priced\":true,\"active\":1500000}"
#define USAGE                                                                                      \
    {                                                                                              \
        1, 2, 3, 4, 5, 0, 7, 2500000, true, 1500000                                                \
    }

static const struct id two_calls[] = { ID("sevt_2"), ID("sevt_3") };

/* Every type, with every member that it can have. */
static const struct {
    struct event event;
    const char *body, *inner;
} cases[] = {
    { { EVENT_USER_MESSAGE, .content = S("[{\"type\": \"text\",\"text\":\"h\\u00e4\"}]") },
      HEAD("user.message") ",\"content\":[{\"type\": \"text\",\"text\":\"h\\u00e4\"}]}",
      "" },
    { { EVENT_USER_INTERRUPT }, HEAD("user.interrupt") "}", "" },
    { { EVENT_USER_INTERRUPT, .about = ID("sthr_1") },
      HEAD("user.interrupt") ",\"session_thread_id\":\"sthr_1\"}",
      "" },
    { { EVENT_USER_TOOL_CONFIRMATION, .about = ID("sevt_2"), .allow = true },
      HEAD("user.tool_confirmation") ",\"tool_use_id\":\"sevt_2\",\"result\":\"allow\"}",
      "" },
    { { EVENT_USER_TOOL_CONFIRMATION, .about = ID("sevt_2"), .text = S("no \"x\"") },
      HEAD("user.tool_confirmation") ",\"tool_use_id\":\"sevt_2\",\"result\":\"deny\",\"deny_"
                                     "message\":\"no \\\"x\\\"\"}",
      "" },
    { { EVENT_USER_TOOL_RESULT, .about = ID("sevt_2"), .work = ID("work_1"), .content = S("[]") },
      HEAD("user.tool_result") ",\"tool_use_id\":\"sevt_2\",\"is_error\":false,\"content\":[]}",
      "{\"work_id\":\"work_1\"}" },
    { { EVENT_USER_CUSTOM_TOOL_RESULT, .about = ID("sevt_2"), .is_error = true },
      HEAD("user.custom_tool_result") ",\"custom_tool_use_id\":\"sevt_2\",\"is_error\":true}",
      "" },
    { { EVENT_SYSTEM_MESSAGE, .content = S("[{}]") },
      HEAD("system.message") ",\"content\":[{}]}",
      "" },
    { { EVENT_SESSION_STATUS_RUNNING }, HEAD("session.status_running") "}", "" },
    { { EVENT_SESSION_STATUS_IDLE, .stop = STOP_END_TURN },
      HEAD("session.status_idle") ",\"stop_reason\":{\"type\":\"end_turn\"},\"stop_details\":null}",
      "" },
    { { EVENT_SESSION_STATUS_IDLE, .stop = STOP_REQUIRES_ACTION, .waiting = two_calls,
        .waiting_count = 2 },
      HEAD("session.status_idle") ",\"stop_reason\":{\"type\":\"requires_action\",\"event_ids\":"
                                  "[\"sevt_2\",\"sevt_3\"]},\"stop_details\":null}",
      "" },
    { { EVENT_SESSION_STATUS_IDLE, .stop = STOP_REFUSAL, .category = S("c") },
      HEAD("session.status_idle") ",\"stop_reason\":{\"type\":\"refusal\"},\"stop_details\":"
                                  "{\"type\":\"refusal\",\"category\":\"c\",\"explanation\":null}}",
      "" },
    { { EVENT_SESSION_STATUS_IDLE, .stop = STOP_BUDGET_REACHED },
      HEAD("session.status_idle") ",\"stop_reason\":{\"type\":\"budget_reached\"},\"stop_details\":"
                                  "null}",
      "" },
    { { EVENT_SESSION_STATUS_RESCHEDULED }, HEAD("session.status_rescheduled") "}", "" },
    { { EVENT_SESSION_STATUS_TERMINATED }, HEAD("session.status_terminated") "}", "" },
    { { EVENT_SESSION_DELETED }, HEAD("session.deleted") "}", "" },
    { { EVENT_SESSION_UPDATED, .members = S("\"title\":\"t\",\"metadata\":{}"),
        .budget = BUDGET_SET, .cap = 9 },
      HEAD("session.updated") ",\"title\":\"t\",\"metadata\":{}}",
      "{\"budget_change\":\"set\",\"cap\":9}" },
    { { EVENT_SESSION_USAGE, .usage = USAGE, .members = S("\"budget\":null") },
      HEAD("session.usage") ",\"usage\":{\"input_tokens\":1,\"output_tokens\":2,\"cache_read_input_"
                            "tokens\":3,"
                            "\"cache_creation\":{\"ephemeral_5m_input_tokens\":4,\"ephemeral_1h_"
                            "input_tokens\":5},"
                            "\"active_seconds\":1.500000,\"list_cost\":{\"amount\":\"2\","
                            "\"currency\":\"USD\"},"
                            "\"server_tool_use\":{\"web_search_requests\":0,\"web_fetch_requests\":"
                            "7}},\"budget\":null}",
      "{" EXACT "}" },
    { { EVENT_SESSION_ERROR, .error = ERROR_MODEL_OVERLOADED, .retry = RETRY_EXHAUSTED,
        .text = S("busy") },
      HEAD("session.error") ",\"error\":{\"type\":\"model_overloaded_error\",\"message\":\"busy\","
                            "\"retry_status\":{\"type\":\"exhausted\"}}}",
      "" },
    { { EVENT_THREAD_CREATED, .about = ID("sthr_1"), .name = S("a") },
      HEAD("session.thread_created") ",\"session_thread_id\":\"sthr_1\",\"agent_name\":\"a\"}",
      "" },
    { { EVENT_THREAD_STATUS_RUNNING, .about = ID("sthr_1"), .name = S("a") },
      HEAD("session.thread_status_running") ",\"session_thread_id\":\"sthr_1\",\"agent_name\":"
                                            "\"a\"}",
      "" },
    { { EVENT_THREAD_STATUS_IDLE, .about = ID("sthr_1"), .name = S("a"),
        .stop = STOP_RETRIES_EXHAUSTED },
      HEAD("session.thread_status_idle") ",\"session_thread_id\":\"sthr_1\",\"agent_name\":\"a\","
                                         "\"stop_reason\":{\"type\":\"retries_exhausted\"},\"stop_"
                                         "details\":null}",
      "" },
    { { EVENT_THREAD_STATUS_RESCHEDULED, .about = ID("sthr_1"), .name = S("a") },
      HEAD("session.thread_status_rescheduled") ",\"session_thread_id\":\"sthr_1\",\"agent_name\":"
                                                "\"a\"}",
      "" },
    { { EVENT_THREAD_STATUS_TERMINATED, .about = ID("sthr_1"), .name = S("a") },
      HEAD("session.thread_status_terminated") ",\"session_thread_id\":\"sthr_1\",\"agent_name\":"
                                               "\"a\"}",
      "" },
    { { EVENT_AGENT_MESSAGE, .content = S("[1]") }, HEAD("agent.message") ",\"content\":[1]}", "" },
    { { EVENT_AGENT_THINKING, .replay = S("[{\"type\":\"thinking\"}]") },
      HEAD("agent.thinking") "}",
      "{\"replay\":[{\"type\":\"thinking\"}]}" },
    { { EVENT_AGENT_TOOL_USE, .name = S("bash"), .input = S("{\"command\" : 1}"),
        .permission = PERMISSION_ALLOW, .policy = POLICY_ALWAYS_ALLOW, .owner = OWNER_WORKER,
        .model_id = S("toolu_1"), .arguments = { { SEVENS } } },
      HEAD("agent.tool_use") ",\"name\":\"bash\",\"evaluated_permission\":\"allow\","
                             "\"evaluation\":{\"type\":\"always_allow\"},\"input\":{\"command\" : "
                             "1}}",
      "{\"owner\":\"worker\",\"model_id\":\"toolu_1\",\"arguments\":\"" HEX16 "\"}" },
    { { EVENT_AGENT_TOOL_USE, .name = S("read"), .input = S("{}"), .permission = PERMISSION_ASK,
        .policy = POLICY_AUTO, .reason = S("indeterminate"), .owner = OWNER_SERVER,
        .repeat = REPEAT_SAFE },
      HEAD("agent.tool_use") ",\"name\":\"read\",\"evaluated_permission\":\"ask\",\"evaluation\":"
                             "{\"type\":\"auto\",\"evaluated_permission\":{\"type\":\"ask\","
                             "\"reason_code\":\"indeterminate\"}},\"input\":{}}",
      "{\"owner\":\"server\",\"repeat\":\"safe\"}" },
    { { EVENT_AGENT_TOOL_RESULT, .about = ID("sevt_2"), .is_error = true, .content = S("[{}]") },
      HEAD("agent.tool_result") ",\"tool_use_id\":\"sevt_2\",\"is_error\":true,\"content\":[{}]}",
      "" },
    { { EVENT_AGENT_MCP_TOOL_USE, .name = S("n"), .server = S("s"), .input = S("{}"),
        .permission = PERMISSION_DENY, .owner = OWNER_SERVER },
      HEAD("agent.mcp_tool_use") ",\"name\":\"n\",\"mcp_server_name\":\"s\","
                                 "\"evaluated_permission\":\"deny\",\"input\":{}}",
      "{\"owner\":\"server\"}" },
    { { EVENT_AGENT_MCP_TOOL_RESULT, .about = ID("sevt_2"), .content = S("[{}]") },
      HEAD("agent.mcp_tool_result") ",\"mcp_tool_use_id\":\"sevt_2\",\"is_error\":false,"
                                    "\"content\":[{}]}",
      "" },
    { { EVENT_AGENT_CUSTOM_TOOL_USE, .name = S("mine"), .input = S("{}"),
        .owner = OWNER_APPLICATION },
      HEAD("agent.custom_tool_use") ",\"name\":\"mine\",\"input\":{}}",
      "{\"owner\":\"application\"}" },
    { { EVENT_AGENT_CONTEXT_COMPACTED, .text = S("so far") },
      HEAD("agent.thread_context_compacted") "}",
      "{\"summary\":\"so far\"}" },
    { { EVENT_MODEL_REQUEST_START, .name = S("scripted"), .compaction = true },
      HEAD("span.model_request_start") ",\"model_dialect\":\"scripted\"}",
      "{\"compaction\":true}" },
    { { EVENT_MODEL_REQUEST_END, .about = ID("sevt_2"), .is_error = true, .usage = USAGE },
      HEAD("span.model_request_end") ",\"model_request_start_id\":\"sevt_2\",\"is_error\":true,"
                                     "\"model_usage\":{\"input_tokens\":1,"
                                     "\"output_tokens\":2,\"cache_read_input_tokens\":3,\"cache_"
                                     "creation_input_tokens\":9}}",
      "{" EXACT "}" },
    { { EVENT_POSTERN_CALL_STARTED, .about = ID("sevt_2"), .arguments = { { SEVENS } },
        .attempt = 1, .work = ID("work_1") },
      HEAD("postern.call_started") ",\"tool_use_id\":\"sevt_2\",\"arguments_sha256\":\"" HEX16
                                   "\",\"attempt\":1,\"work_id\":\"work_1\"}",
      "" },
    { { EVENT_POSTERN_CALL_UNKNOWN, .about = ID("sevt_2"), .work = ID("work_1") },
      HEAD("postern.call_unknown") ",\"tool_use_id\":\"sevt_2\",\"arguments_sha256\":"
                                   "\"0000000000000000000000000000000000000000000000000000000000000"
                                   "000\",\"attempt\":0,"
                                   "\"work_id\":\"work_1\"}",
      "" },
    { { EVENT_POSTERN_WORK_FAILED, .work = ID("work_1"), .text = S("why"), .attempt = 2 },
      HEAD("postern.work_failed") ",\"work_id\":\"work_1\",\"reason\":\"why\",\"attempt\":2}",
      "" },
    { { EVENT_POSTERN_APPROVAL_REQUESTED, .members = S("\"approval\":{\"id\":\"appr_1\"}") },
      HEAD("postern.approval_requested") ",\"approval\":{\"id\":\"appr_1\"}}",
      "" },
    { { EVENT_POSTERN_APPROVAL_RESOLVED, .members = S("\"approval\":{}") },
      HEAD("postern.approval_resolved") ",\"approval\":{}}",
      "" },
    { { EVENT_INTERNAL_CREATED, .members = S("\"title\":null") },
      HEAD("internal.created") ",\"title\":null}",
      "" },
    { { EVENT_INTERNAL_RETRY, .until = 77, .attempt = 3 },
      HEAD("internal.retry") "}",
      "{\"until\":77,\"attempt\":3}" },
    { { EVENT_INTERNAL_WORK, .work = ID("work_1"), .step = WORK_STEP_LOST, .attempt = 1 },
      HEAD("internal.work") "}",
      "{\"work_id\":\"work_1\",\"step\":\"lost\",\"attempt\":1}" },
    { { EVENT_INTERNAL_CLOSED }, HEAD("internal.closed") "}", "" },
    { { EVENT_INTERNAL_QUEUED, .queued = EVENT_USER_MESSAGE, .content = S("[2]") },
      "{\"id\":\"sevt_1\",\"type\":\"user.message\",\"processed_at\":null,\"content\":[2]}",
      "" },
    { { EVENT_INTERNAL_QUEUED, .queued = EVENT_USER_INTERRUPT },
      "{\"id\":\"sevt_1\",\"type\":\"user.interrupt\",\"processed_at\":null}",
      "" },
};

static struct event complete(size_t i)
{
    struct event e = cases[i].event;
    e.id = (struct id)ID("sevt_1");
    e.at = 1000007;
    return e;
}

static struct entry entry_of(const struct event *e, const struct buf *body, const struct buf *inner)
{
    return (struct entry){
        5, e->id, str_of(event_type_name(e->type)), e->at, 0, buf_str(body), buf_str(inner)
    };
}

static void events_are_written_as_the_contract_shows_them(void **state)
{
    bool seen[EVENT_TYPES] = { true };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_BUF body = { 0 };
        AUTO_BUF inner = { 0 };
        struct event e = complete(i);
        event_json_write(&e, &body, &inner);
        assert_string_equal(buf_text(&body), cases[i].body);
        assert_string_equal(buf_text(&inner), cases[i].inner);
        seen[e.type] = true;
    }
    for (size_t i = 0; i < EVENT_TYPES; i++)
        if (!seen[i])
            fail_msg("no case for %s", event_type_name((enum event_type)i));
}

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        AUTO_BUF body = { 0 };
        AUTO_BUF inner = { 0 };
        AUTO_BUF body2 = { 0 };
        AUTO_BUF inner2 = { 0 };
        AUTO_ARENA a;
        struct event e = complete(i), back;
        struct err err = { 0 };
        arena_init(&a, 1 << 20);
        event_json_write(&e, &body, &inner);
        struct entry entry = entry_of(&e, &body, &inner);
        if (event_json_read(&entry, EVENT_WHOLE, &back, &a, &err) < 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        assert_int_equal(back.type, e.type);
        assert_true(back.at == e.at);
        event_json_write(&back, &body2, &inner2);
        assert_string_equal(buf_text(&body2), cases[i].body);
        assert_string_equal(buf_text(&inner2), cases[i].inner);
    }
}

static void the_fold_reads_only_what_it_needs(void **state)
{
    AUTO_BUF body = { 0 };
    AUTO_BUF inner = { 0 };
    AUTO_ARENA a;
    struct event back;
    struct err err = { 0 };
    (void)state;
    arena_init(&a, 1 << 20);
    struct event e = { EVENT_USER_TOOL_RESULT, .id = ID("sevt_1"), .at = 1,
                       .about = ID("sevt_2"),  .is_error = true,   .content = S("[broken") };
    event_json_write(&e, &body, &inner);
    struct entry entry = entry_of(&e, &body, &inner);
    assert_int_equal(event_json_read(&entry, EVENT_FOLD, &back, &a, &err), 0);
    assert_true(back.is_error && id_eq(&back.about, &e.about));
    assert_int_equal(event_json_read(&entry, EVENT_WHOLE, &back, &a, &err), -1);
}

static void calls_of_the_server_keep_their_input_in_the_fold(void **state)
{
    AUTO_BUF body = { 0 };
    AUTO_BUF inner = { 0 };
    AUTO_ARENA a;
    struct event back;
    struct err err = { 0 };
    (void)state;
    arena_init(&a, 1 << 20);
    struct event e = { EVENT_AGENT_TOOL_USE,   .id = ID("sevt_1"),        .at = 1,
                       .name = S("web_fetch"), .input = S("{\"url\":1}"), .owner = OWNER_SERVER };
    event_json_write(&e, &body, &inner);
    struct entry entry = entry_of(&e, &body, &inner);
    assert_int_equal(event_json_read(&entry, EVENT_FOLD, &back, &a, &err), 0);
    assert_true(str_eq(back.input, e.input));
}

static void a_result_of_the_server_becomes_one_text_block(void **state)
{
    AUTO_BUF body = { 0 };
    AUTO_BUF inner = { 0 };
    (void)state;
    struct event e = { EVENT_AGENT_TOOL_RESULT, .id = ID("sevt_1"), .at = 1000007,
                       .about = ID("sevt_2"), .text = S("re\nfused") };
    event_json_write(&e, &body, &inner);
    assert_string_equal(
        buf_text(&body),
        HEAD("agent.tool_result") ",\"tool_use_id\":\"sevt_2\",\"is_error\":false,\"content\":"
                                  "[{\"type\":\"text\",\"text\":\"re\\nfused\"}]}");
}

static void damage_in_the_log_is_told(void **state)
{
    static const struct {
        const char *type, *body, *inner;
    } damaged[] = {
        { "no.such", HEAD("no.such") "}", "" },
        { "user.message", "", "" },
        { "user.message", "[]", "" },
        { "user.message", "{}", "" },
        { "user.message", HEAD("user.message") "}", "" },
        { "user.message", HEAD("user.message") ",\"content\":1}", "" },
        { "user.message", HEAD("user.message") ",\"content\":[}", "" },
        { "user.message", HEAD("user.message") ",\"content\":[],\"more\":1}", "" },
        { "user.message", HEAD("user.message") ",\"content\":[]", "" },
        { "user.message", HEAD("user.message") ",\"content\":[]}", "[1]" },
        { "user.message", HEAD("user.message") ",\"content\":[]}", "{\"more\":1}" },
        { "user.tool_confirmation",
          HEAD("user.tool_confirmation") ",\"tool_use_id\":\"a b\",\"result\":\"allow\"}", "" },
        { "user.tool_confirmation",
          HEAD("user.tool_confirmation") ",\"tool_use_id\":\"a\",\"result\":\"maybe\"}", "" },
        { "session.status_idle",
          HEAD("session.status_idle") ",\"stop_reason\":{},\"stop_details\":null}", "" },
        { "session.status_idle",
          HEAD("session.status_idle") ",\"stop_reason\":{\"type\":\"requires_action\"},"
                                      "\"stop_details\":null}",
          "" },
        { "session.status_idle",
          HEAD(
              "session.status_idle") ",\"stop_reason\":{\"type\":\"refusal\"},\"stop_details\":{}}",
          "" },
        { "session.usage", HEAD("session.usage") ",\"usage\":{}}", "{\"exact\":{\"input\":1}}" },
        { "agent.tool_use", HEAD("agent.tool_use") ",\"name\":\"a\",\"input\":{}}",
          "{\"arguments\":\"07\"}" },
        { "internal.queued", HEAD("no.such") "}", "" },
        { "internal.retry", HEAD("internal.retry") "}", "{\"attempt\":-1}" },
    };
    (void)state;
    for (size_t i = 0; i < COUNT(damaged); i++) {
        AUTO_ARENA a;
        struct event back;
        struct err err = { 0 };
        arena_init(&a, 1 << 20);
        struct entry entry = { 5,
                               ID("sevt_1"),
                               str_of(damaged[i].type),
                               1,
                               0,
                               str_of(damaged[i].body),
                               str_of(damaged[i].inner) };
        if (event_json_read(&entry, EVENT_WHOLE, &back, &a, &err) == 0)
            fail_msg("%s %s", damaged[i].body, damaged[i].inner);
        assert_string_equal(err.text, "entry 5 of the log cannot be read");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_written_as_the_contract_shows_them),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(the_fold_reads_only_what_it_needs),
        cmocka_unit_test(calls_of_the_server_keep_their_input_in_the_fold),
        cmocka_unit_test(a_result_of_the_server_becomes_one_text_block),
        cmocka_unit_test(damage_in_the_log_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
