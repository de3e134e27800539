/* Claims of control/engine.h: the life of a session. */
#include "engine_world.h"

#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define RUNNING "session.status_running session.thread_status_running"
#define IDLE "session.thread_status_idle session.usage session.status_idle"
#define ASKED "span.model_request_start"
#define ANSWERED "span.model_request_end"
#define TURN RUNNING " user.message " ASKED " agent.message " ANSWERED " " IDLE
#define TOOLSET(policy)                                                                            \
    "{\"type\":\"agent_toolset_20260401\",\"configs\":[],\"default_config\":{\"enabled\":true,"    \
    "\"permission_policy\":{\"type\":\"" policy "\"}}}"
#define CUSTOM                                                                                     \
    "{\"type\":\"custom\",\"name\":\"weather\",\"description\":\"d\",\"input_schema\":"            \
    "{\"type\":\"object\"}}"
#define TEXT(text) "[{\"type\":\"text\",\"text\":\"" text "\"}]"

static int begin(void **state)
{
    struct world *w = mem_get(sizeof *w);
    world_begin(w);
    *state = w;
    return 0;
}

static int end(void **state)
{
    world_end(*state);
    mem_drop(state);
    return 0;
}

static void say_and_answer(struct world *w, const struct id *session, const char *question,
                           const char *text)
{
    world_say(w, session, question);
    struct model_call *call = world_call(w);
    call_text(call, 0, text);
    call_block_text(call, 0, text);
    call_done(call, MODEL_STOP_END);
}

static void assert_has(const struct buf *text, const char *part)
{
    if (!str_has(buf_str(text), str_of(part)))
        fail_msg("'%s' is not in %s", part, buf_text(text));
}

/* What the record says, as the API shows it. */
static void show(struct world *w, const struct id *session, struct buf *out)
{
    struct record record;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    buf_empty(out);
    assert_int_equal(w->store->ops->get(w->store, RECORD_SESSION, session, &record, &arena, &e), 1);
    assert_int_equal(session_json(&record, w->now, out, &e), 0);
    assert_true(json_slice_check(buf_str(out)));
}

static void a_message_is_answered(void **state)
{
    struct world *w = *state;
    struct id session = world_session(w, "[]");
    world_say(w, &session, "Hello");
    struct model_call *call = world_call(w);
    assert_string_equal(
        buf_text(&call->messages),
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]}]");
    assert_string_equal(buf_text(&call->system), "Be kind.");
    assert_string_equal(buf_text(&call->tools), "[]");
    call_text(call, 0, "Good ");
    call_text(call, 0, "day");
    call_block_text(call, 0, "Good day");
    call_done(call, MODEL_STOP_END);
    assert_log(w, &session, TURN);
}

static void the_record_shows_the_session_without_its_log(void **state)
{
    struct world *w = *state;
    AUTO_BUF json = { 0 };
    struct id session = world_session(w, "[]");
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"idle\"");
    assert_has(&json, "\"list_cost\":null");
    world_say(w, &session, "Hello");
    world_pass(w, 2500000);
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"running\"");
    assert_has(&json, "\"active_seconds\":2.49");
    call_block_text(world_call(w), 0, "Yes");
    call_done(world_call(w), MODEL_STOP_END);
    world_pass(w, 1000000);
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"idle\"");
    assert_has(&json, "\"input_tokens\":10,\"output_tokens\":5");
    assert_has(&json, "\"list_cost\":{\"amount\":\"0\",\"currency\":\"USD\"}");
    assert_has(&json, "\"active_seconds\":2.5");
    assert_has(&json, "\"agent\":{\"id\":\"agent_1\"");
    assert_has(&json,
               "\"resources\":[],\"vault_ids\":[],\"budget\":null,\"outcome_evaluations\":[]");
}

static void initial_events_begin_a_turn(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct event first = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("Go")) };
    const struct session_draft draft = {
        .workspace = w->workspace,
        .environment = w->environment,
        .agent = w->agent,
        .agent_version = 1,
        .members = STR("\"agent\":{\"name\":\"a\",\"model\":{\"id\":\"m\"},\"tools\":[]}"),
        .events = &first,
        .event_count = 1,
    };
    engine_session_create(w->engine, &draft, answer_take, &answer);
    world_settle(w);
    assert_true(answer.came);
    assert_has(&answer.json, "\"status\":\"running\"");
    (void)world_call(w);
    answer_clear(&answer);
}

static void a_second_message_waits_for_its_turn(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF queued = { 0 };
    const struct asker key = world_api_key(w);
    const struct event second = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("b")) };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "a");
    world_send(w, &session, &key, &second, &answer);
    assert_has(&answer.json,
               "\"type\":\"user.message\",\"processed_at\":null,\"content\":" TEXT("b"));
    assert_int_equal(engine_session_queued(w->engine, &session, NULL, 0, &queued), 1);
    assert_true(json_slice_check(buf_str(&queued)));
    const struct str other = STR("user.interrupt");
    assert_int_equal(engine_session_queued(w->engine, &session, &other, 1, &queued), 0);
    call_block_text(world_call(w), 0, "A");
    call_done(world_call(w), MODEL_STOP_END);
    assert_string_equal(
        buf_text(&world_call(w)->messages),
        "[{\"role\":\"user\",\"content\":" TEXT(
            "a") "},{\"role\":\"assistant\","
                 "\"content\":" TEXT("A") "},{\"role\":\"user\",\"content\":" TEXT("b") "}]");
    assert_int_equal(engine_session_queued(w->engine, &session, NULL, 0, &queued), 0);
    answer_clear(&answer);
}

/* Of the messages that were said in the session, how many a list shows: in the log, or waiting. */
static struct id looked_at;
static size_t looks, waits;

static size_t shown(struct world *w)
{
    AUTO_BUF log = { 0 };
    AUTO_BUF queued = { 0 };
    size_t count = engine_session_queued(w->engine, &looked_at, NULL, 0, &queued);
    world_log(w, &looked_at, ENTRY_PUBLIC, &log);
    struct str rest = buf_str(&log), type;
    while (str_cut(&rest, ' ', &type))
        count += str_eq(type, STR("user.message"));
    return count;
}

static void on_over(void *ctx, const struct refusal *refusal, struct str json)
{
    (void)refusal, (void)json;
    waits++;
    assert_int_equal(shown(ctx), 2);
}

static void look_for_both(struct world *w)
{
    looks++;
    if (!engine_session_settle(w->engine, &looked_at, on_over, w))
        assert_int_equal(shown(w), 2);
}

static void a_message_is_listed_at_every_moment_of_its_way_into_the_log(void **state)
{
    struct world *w = *state;
    looked_at = world_session(w, "[]");
    looks = waits = 0;
    world_say(w, &looked_at, "a");
    world_say(w, &looked_at, "b");
    call_block_text(world_call(w), 0, "A");
    w->before_step = look_for_both;
    call_done(world_call(w), MODEL_STOP_END);
    w->before_step = NULL;
    assert_true(waits > 0 && waits < looks);
    assert_int_equal(shown(w), 2);
}

static void what_waits_is_shown_without_loading_the_session(void **state)
{
    struct world *w = *state;
    AUTO_BUF queued = { 0 };
    struct engine_counters counters;
    struct id session = world_session(w, "[" CUSTOM "]");
    world_say(w, &session, "a");
    call_block_tool(world_call(w), 0, "t1", "weather", "{}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    world_say(w, &session, "b");
    world_restart(w);
    assert_int_equal(engine_session_queued(w->engine, &session, NULL, 0, &queued), 1);
    assert_has(&queued, "\"processed_at\":null,\"content\":" TEXT("b"));
    engine_count(w->engine, &counters);
    assert_int_equal(counters.sessions_loaded, 0);
}

static void the_history_grows_at_its_end_only(void **state)
{
    struct world *w = *state;
    AUTO_BUF before = { 0 };
    struct id session = world_session(w, "[" TOOLSET("always_allow") "]");
    say_and_answer(w, &session, "one", "1");
    world_say(w, &session, "two");
    buf_add(&before, buf_str(&world_call(w)->messages));
    call_block_text(world_call(w), 0, "2");
    call_done(world_call(w), MODEL_STOP_END);
    world_restart(w);
    world_say(w, &session, "three");
    before.n -= 3; /* ]}] */
    assert_true(str_starts(buf_str(&world_call(w)->messages), buf_str(&before)));
}

static void a_call_of_a_worker_blocks_until_its_result(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF idle = { 0 };
    const struct asker worker = world_environment_key(w);
    struct id session = world_session(w, "[" TOOLSET("always_allow") "]");
    world_say(w, &session, "list");
    struct model_call *call = world_call(w);
    assert_true(str_has(buf_str(&call->tools), STR("\"name\":\"bash\"")));
    assert_false(str_has(buf_str(&call->tools), STR("web_fetch")));
    call_text(call, 0, "Let me see");
    call_block_text(call, 0, "Let me see");
    call_block_tool(call, 1, "toolu_7", "bash", "{\"command\":\"ls\"}");
    call_done(call, MODEL_STOP_TOOLS);
    assert_log(w, &session,
               RUNNING " user.message " ASKED " agent.message agent.tool_use " ANSWERED " " IDLE);
    world_last(w, &session, "session.status_idle", &idle);
    assert_has(&idle, "\"requires_action\"");
    struct event result = { .type = EVENT_USER_TOOL_RESULT,
                            .about = world_last_id(w, &session, "agent.tool_use"),
                            .content = STR(TEXT("a.c")) };
    world_send(w, &session, &worker, &result, &answer);
    assert_int_equal(answer.status, 0);
    assert_true(str_has(
        buf_str(&world_call(w)->messages),
        STR("{\"type\":\"tool_use\",\"id\":\"toolu_7\",\"name\":\"bash\",\"input\":"
            "{\"command\":\"ls\"}}]},{\"role\":\"user\",\"content\":[{\"type\":"
            "\"tool_result\",\"tool_use_id\":\"toolu_7\",\"content\":" TEXT("a.c") "}]}]")));
    /* The same again is answered with what is stored, and changes nothing. */
    AUTO_BUF first = { 0 };
    buf_add(&first, buf_str(&answer.json));
    result.content = STR(TEXT("other"));
    world_send(w, &session, &worker, &result, &answer);
    assert_string_equal(buf_text(&answer.json), buf_text(&first));
    answer_clear(&answer);
}

static void a_call_is_asked_about_and_refused(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF text = { 0 };
    const struct asker key = world_api_key(w);
    struct id session = world_session(w, "[" TOOLSET("always_ask") "]");
    world_say(w, &session, "delete it");
    call_block_tool(world_call(w), 0, "t1", "bash", "{\"command\":\"rm x\"}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    world_last(w, &session, "agent.tool_use", &text);
    assert_has(&text, "\"evaluated_permission\":\"ask\",\"evaluation\":{\"type\":\"always_ask\"}");
    const struct event no = { .type = EVENT_USER_TOOL_CONFIRMATION,
                              .about = world_last_id(w, &session, "agent.tool_use"),
                              .text = STR("never") };
    world_send(w, &session, &key, &no, &answer);
    assert_int_equal(answer.status, 0);
    assert_has(&answer.json, "\"result\":\"deny\",\"deny_message\":\"never\"");
    world_last(w, &session, "agent.tool_result", &text);
    assert_has(&text, "never");
    assert_true(str_has(buf_str(&world_call(w)->messages), STR("\"is_error\":true")));
    answer_clear(&answer);
}

static void an_unknown_tool_is_refused_and_the_model_goes_on(void **state)
{
    struct world *w = *state;
    AUTO_BUF text = { 0 };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "x");
    call_block_tool(world_call(w), 0, "t1", "nonsense", "{}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    world_last(w, &session, "agent.tool_use", &text);
    assert_has(&text, "\"evaluated_permission\":\"deny\",\"input\":{}}");
    (void)world_call(w);
}

static void the_application_answers_its_own_tools(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    struct id session = world_session(w, "[" CUSTOM "]");
    world_say(w, &session, "x");
    call_block_tool(world_call(w), 0, "t1", "weather", "{ \"city\":\n\"Ulm\" }");
    call_block_tool(world_call(w), 1, "t2", "weather", "{}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    AUTO_BUF call = { 0 };
    world_last(w, &session, "agent.custom_tool_use", &call);
    struct event result = { .type = EVENT_USER_CUSTOM_TOOL_RESULT,
                            .about = world_last_id(w, &session, "agent.custom_tool_use"),
                            .content = STR("[]") };
    world_send(w, &session, &key, &result, &answer);
    assert_int_equal(answer.status, 0);
    assert_int_equal(w->call_count, 1); /* the other one is open still */
    AUTO_BUF idle = { 0 };
    world_last(w, &session, "session.status_idle", &idle);
    struct str ids = json_slice_get(json_slice_get(buf_str(&idle), "stop_reason"), "event_ids");
    assert_true(ids.n > 4);
    assert_true(id_read((struct str){ ids.p + 2, ids.n - 4 }, &result.about));
    result.content = STR(TEXT("sun"));
    world_send(w, &session, &key, &result, &answer);
    /* In the order of the calls, whatever the order of the results. */
    assert_true(str_has(
        buf_str(&world_call(w)->messages),
        STR("\"tool_use_id\":\"t1\",\"content\":" TEXT(
            "sun") "},{\"type\":"
                   "\"tool_result\",\"tool_use_id\":\"t2\",\"content\":" TEXT("(no output)") "}")));
    answer_clear(&answer);
}

static void an_interrupt_keeps_what_is_complete(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF text = { 0 };
    const struct asker key = world_api_key(w);
    const struct event stop = { .type = EVENT_USER_INTERRUPT };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "x");
    call_text(world_call(w), 0, "First.");
    call_block_text(world_call(w), 0, "First.");
    call_text(world_call(w), 1, "Sec");
    world_send(w, &session, &key, &stop, &answer);
    assert_has(&answer.json, "\"processed_at\":null");
    assert_int_equal(w->cancelled, 1);
    world_last(w, &session, "agent.message", &text);
    assert_has(&text, "\"content\":" TEXT("First."));
    world_last(w, &session, "session.status_idle", &text);
    assert_has(&text, "\"end_turn\"");
    answer_clear(&answer);
}

static void a_failing_model_is_asked_again_later(void **state)
{
    struct world *w = *state;
    AUTO_BUF json = { 0 };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "x");
    call_failed(world_call(w), MODEL_OVERLOADED, 0);
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"rescheduling\"");
    world_last(w, &session, "session.error", &json);
    assert_has(&json, "\"model_overloaded_error\"");
    assert_int_equal(w->call_count, 1);
    world_pass(w, 60000000);
    call_block_text(world_call(w), 0, "Now");
    call_done(world_call(w), MODEL_STOP_END);
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"idle\"");
}

static void a_conversation_that_is_too_long_is_summarised(void **state)
{
    struct world *w = *state;
    struct id session = world_session(w, "[]");
    say_and_answer(w, &session, "one", "1");
    world_say(w, &session, "two");
    call_failed(world_call(w), MODEL_CONTEXT_TOO_LONG, 0);
    world_pass(w, 60000000);
    assert_true(world_call(w)->no_tools);
    assert_true(str_has(buf_str(&world_call(w)->messages), STR("Write a summary")));
    call_block_text(world_call(w), 0, "They \"counted\".");
    call_done(world_call(w), MODEL_STOP_END);
    assert_false(world_call(w)->no_tools);
    assert_true(str_starts(buf_str(&world_call(w)->messages), STR("[{\"role\":\"user\"")));
    assert_true(str_has(buf_str(&world_call(w)->messages), STR("They \\\"counted\\\".\"}]}]")));
    AUTO_BUF before = { 0 };
    buf_add(&before, buf_str(&world_call(w)->messages));
    world_restart(w);
    world_pass(w, 60000000);
    assert_string_equal(buf_text(&world_call(w)->messages), buf_text(&before));
}

static void long_results_are_told_shortly_when_a_summary_would_not_fit(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF content = { 0 };
    const struct asker key = world_api_key(w);
    w->model.context_window = 10000;
    struct id session = world_session(w, "[" CUSTOM "]");
    world_say(w, &session, "one");
    call_block_tool(world_call(w), 0, "t1", "weather", "{}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    buf_add(&content, STR("[{\"type\":\"text\",\"text\":\""));
    for (size_t i = 0; i < 90000; i++)
        buf_add_byte(&content, 'x');
    buf_add(&content, STR("\"}]"));
    const struct event result = { .type = EVENT_USER_CUSTOM_TOOL_RESULT,
                                  .about = world_last_id(w, &session, "agent.custom_tool_use"),
                                  .content = buf_str(&content) };
    world_send(w, &session, &key, &result, &answer);
    assert_true(world_call(w)->messages.n > 90000);
    call_failed(world_call(w), MODEL_CONTEXT_TOO_LONG, 0);
    world_pass(w, 60000000);
    assert_true(world_call(w)->no_tools);
    assert_true(world_call(w)->messages.n < 4000);
    assert_true(str_has(buf_str(&world_call(w)->messages), STR("88000 characters left out")));
    answer_clear(&answer);
}

/* --- tools of the server --- */

struct web {
    size_t started, cancelled;
    void (*done)(void *arg, struct str content, bool is_error);
    void *arg;
    struct buf tool, input, options;
};

static struct web_call *web_start(void *ctx, struct str tool, struct str input, struct str options,
                                  void (*done)(void *, struct str, bool), void *arg)
{
    struct web *web = ctx;
    web->started++;
    web->done = done;
    web->arg = arg;
    buf_empty(&web->tool);
    buf_empty(&web->input);
    buf_empty(&web->options);
    buf_add(&web->tool, tool);
    buf_add(&web->input, input);
    buf_add(&web->options, options);
    return (struct web_call *)web;
}

static void web_cancel(struct web_call *call)
{
    ((struct web *)call)->cancelled++;
}

static void the_server_runs_its_own_tools(void **state)
{
    struct world *w = *state;
    struct web web = { 0 };
    const struct web_tools tools = { .start = web_start, .cancel = web_cancel, .ctx = &web };
    w->web = &tools;
    world_restart(w);
    struct id session = world_session(
        w, "[{\"type\":\"agent_toolset_20260401\",\"configs\":[{\"name\":\"web_fetch\","
           "\"allowed_domains\":[\"a.example\"]}]}]");
    world_say(w, &session, "x");
    assert_true(str_has(buf_str(&world_call(w)->tools), STR("web_fetch")));
    assert_false(str_has(buf_str(&world_call(w)->tools), STR("web_search")));
    call_block_tool(world_call(w), 0, "t1", "web_fetch", "{\"url\":\"https://a.example\"}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    assert_int_equal(web.started, 1);
    assert_string_equal(buf_text(&web.input), "{\"url\":\"https://a.example\"}");
    assert_has(&web.options, "a.example");
    /* A crash in between: reading is repeated. */
    world_restart(w);
    assert_int_equal(web.started, 2);
    assert_int_equal(web.cancelled, 1);
    web.done(web.arg, STR(TEXT("page")), false);
    world_settle(w);
    assert_true(str_has(buf_str(&world_call(w)->messages), STR(TEXT("page"))));
    buf_release(&web.tool);
    buf_release(&web.input);
    buf_release(&web.options);
    world_restart(w);
    w->web = NULL;
}

/* --- who may what --- */

static void sessions_of_others_do_not_exist(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    struct asker other = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]"), none = { "sesn_none" };
    other.workspace = (struct id){ "wrkspc_2" };
    world_send(w, &session, &other, &event, &answer);
    assert_int_equal(answer.status, 404);
    other = world_api_key(w);
    world_send(w, &none, &other, &event, &answer);
    assert_int_equal(answer.status, 404);
    other = world_environment_key(w);
    other.environment = (struct id){ "env_2" };
    world_send(w, &session, &other, &event, &answer);
    assert_int_equal(answer.status, 403);
    answer_clear(&answer);
}

static void one_bad_event_refuses_all(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    struct id session = world_session(w, "[]");
    const struct event events[] = {
        { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) },
        { .type = EVENT_USER_TOOL_CONFIRMATION, .about = { "sevt_none" }, .allow = true },
    };
    engine_session_send(w->engine, &key, &session, events, 2, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 400);
    assert_int_equal(w->call_count, 0);
    assert_log(w, &session, "");
    answer_clear(&answer);
}

/* --- changes --- */

static void an_update_shows_what_has_changed(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF text = { 0 };
    const struct asker key = world_api_key(w);
    struct id session = world_session(w, "[]");
    const struct session_patch patch = {
        .title = STR("\"New\""),
        .metadata = STR("{}"),
        .agent = STR("{\"name\":\"Ann\",\"model\":{\"id\":\"m\"},\"tools\":[" CUSTOM "]}"),
    };
    engine_session_update(w->engine, &key, &session, &patch, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 0);
    assert_has(&answer.json, "\"title\":\"New\"");
    world_last(w, &session, "session.updated", &text);
    assert_has(&text, ",\"agent\":{\"name\":\"Ann\"");
    assert_has(&text, ",\"title\":\"New\"}");
    assert_false(str_has(buf_str(&text), STR("metadata")));
    answer_clear(&answer);
    /* The same again changes nothing. */
    engine_session_update(w->engine, &key, &session, &patch, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 0);
    assert_log(w, &session, "session.updated");
    world_say(w, &session, "x");
    assert_true(str_has(buf_str(&world_call(w)->tools), STR("weather")));
    answer_clear(&answer);
    engine_session_update(w->engine, &key, &session,
                          &(struct session_patch){ .agent = STR("{\"model\":{\"id\":\"m\"}}") },
                          answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 400); /* it runs */
    answer_clear(&answer);
}

static void a_budget_stops_the_turn_and_more_lets_it_go_on(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    AUTO_BUF text = { 0 };
    const struct asker key = world_api_key(w);
    const struct session_draft draft = {
        .workspace = w->workspace,
        .environment = w->environment,
        .agent = w->agent,
        .agent_version = 1,
        .members = STR("\"agent\":{\"name\":\"a\",\"model\":{\"id\":\"m\"},\"tools\":[" CUSTOM "]},"
                       "\"budget\":{\"type\":\"limit\",\"max_list_cost\":{\"amount\":\"1\","
                       "\"currency\":\"USD\"}}"),
    };
    w->model.price_output = 1000000; /* a cent per token */
    engine_session_create(w->engine, &draft, answer_take, &answer);
    world_settle(w);
    struct id session = { 0 };
    struct str id = json_slice_get(buf_str(&answer.json), "id");
    assert_true(id_read((struct str){ id.p + 1, id.n - 2 }, &session));
    answer_clear(&answer);
    world_say(w, &session, "x");
    call_block_tool(world_call(w), 0, "t1", "nonsense", "{}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    world_last(w, &session, "session.status_idle", &text);
    assert_has(&text, "\"budget_reached\"");
    world_last(w, &session, "session.usage", &text);
    assert_has(&text, "\"budget\":{\"type\":\"limit\"");
    engine_session_update(w->engine, &key, &session,
                          &(struct session_patch){ .budget = STR("null") }, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 0);
    (void)world_call(w);
    answer_clear(&answer);
}

static void archived_is_terminated_and_deleted_is_gone(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]");
    engine_session_archive(w->engine, &key, &session, answer_take, &answer);
    world_settle(w);
    assert_has(&answer.json, "\"status\":\"terminated\"");
    assert_false(str_has(buf_str(&answer.json), STR("\"archived_at\":null")));
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 400);
    answer_clear(&answer);
    engine_session_delete(w->engine, &key, &session, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 0);
    assert_has(&answer.json, "\"type\":\"session_deleted\"");
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 404);
    answer_clear(&answer);
    engine_session_delete(w->engine, &key, &session, answer_take, &answer);
    world_settle(w);
    assert_int_equal(answer.status, 404);
    answer_clear(&answer);
}

/* --- faults --- */

static void what_could_not_be_written_has_not_happened(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]");
    memory_disk_break(w->disk, true);
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 500);
    assert_int_equal(w->call_count, 0);
    memory_disk_break(w->disk, false);
    assert_log(w, &session, "");
    say_and_answer(w, &session, "again", "ok");
    assert_log(w, &session, TURN);
    answer_clear(&answer);
}

static void ignore_commit(void *ctx, const struct err *e)
{
    assert_int_equal(e->kind, E_NONE);
}

/* Somebody else writes to the log: another process, or damage. */
static void write_behind(struct world *w, const struct id *session, struct str body)
{
    struct err e;
    struct entry entry = { .seq = w->store->ops->last_seq(w->store, session, &e) + 1,
                           .id = { "sevt_foreign" },
                           .type = STR("agent.thinking"),
                           .at = w->now + 1000,
                           .body = body };
    struct tx *tx = tx_new();
    tx_append(tx, session, &entry, 1);
    w->store->ops->submit(w->store, tx, ignore_commit, NULL);
    world_settle(w);
}

static void who_decided_on_old_knowledge_decides_again(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]");
    write_behind(w, &session,
                 STR("{\"id\":\"sevt_foreign\",\"type\":\"agent.thinking\","
                     "\"processed_at\":\"2023-11-14T22:13:20.000000Z\"}"));
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 529);
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 0);
    (void)world_call(w);
    answer_clear(&answer);
}

static void a_damaged_log_hurts_its_session_only(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    const struct asker key = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]"), other = world_session(w, "[]");
    write_behind(w, &session, STR("{\"id\":"));
    world_restart(w);
    world_send(w, &session, &key, &event, &answer);
    assert_int_equal(answer.status, 500);
    say_and_answer(w, &other, "a", "b");
    assert_log(w, &other, TURN);
    answer_clear(&answer);
}

static void a_turn_goes_on_when_the_disk_is_mended(void **state)
{
    struct world *w = *state;
    struct id session = world_session(w, "[]");
    world_say(w, &session, "x");
    call_block_text(world_call(w), 0, "lost");
    memory_disk_break(w->disk, true);
    call_done(world_call(w), MODEL_STOP_END);
    world_pass(w, 5000000);
    memory_disk_break(w->disk, false);
    world_pass(w, 120000000);
    call_block_text(world_call(w), 0, "kept");
    call_done(world_call(w), MODEL_STOP_END);
    AUTO_BUF text = { 0 };
    world_last(w, &session, "agent.message", &text);
    assert_has(&text, "kept");
}

static void facts_that_come_together_are_one_transaction(void **state)
{
    struct world *w = *state;
    struct answer answers[20] = { 0 };
    const struct asker key = world_api_key(w);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
    struct id session = world_session(w, "[]");
    for (size_t i = 0; i < 20; i++)
        engine_session_send(w->engine, &key, &session, &event, 1, answer_take, &answers[i]);
    world_settle(w);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(answers[i].status, 0);
        answer_clear(&answers[i]);
    }
    (void)world_call(w);
}

static void a_stop_parks_what_runs(void **state)
{
    struct world *w = *state;
    struct answer answer = { 0 };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "x");
    engine_stop(w->engine, (void (*)(void *))answer_clear, &answer);
    answer.came = true;
    world_settle(w);
    assert_false(answer.came); /* told */
    assert_int_equal(w->cancelled, 1);
    world_restart(w);
    world_pass(w, 60000000);
    call_block_text(world_call(w), 0, "ok");
    call_done(world_call(w), MODEL_STOP_END);
    AUTO_BUF json = { 0 };
    show(w, &session, &json);
    assert_has(&json, "\"status\":\"idle\"");
}

static void idle_sessions_are_forgotten_and_come_back(void **state)
{
    struct world *w = *state;
    struct engine_counters counters;
    struct id first = world_session(w, "[]");
    say_and_answer(w, &first, "a", "b");
    for (size_t i = 0; i < 1100; i++)
        (void)world_session(w, "[]");
    engine_count(w->engine, &counters);
    assert_true(counters.sessions_loaded <= 1024);
    world_say(w, &first, "c");
    assert_true(str_has(buf_str(&world_call(w)->messages), STR(TEXT("b"))));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_message_is_answered),
        ROW(the_record_shows_the_session_without_its_log),
        ROW(initial_events_begin_a_turn),
        ROW(a_second_message_waits_for_its_turn),
        ROW(a_message_is_listed_at_every_moment_of_its_way_into_the_log),
        ROW(what_waits_is_shown_without_loading_the_session),
        ROW(the_history_grows_at_its_end_only),
        ROW(a_call_of_a_worker_blocks_until_its_result),
        ROW(a_call_is_asked_about_and_refused),
        ROW(an_unknown_tool_is_refused_and_the_model_goes_on),
        ROW(the_application_answers_its_own_tools),
        ROW(an_interrupt_keeps_what_is_complete),
        ROW(a_failing_model_is_asked_again_later),
        ROW(a_conversation_that_is_too_long_is_summarised),
        ROW(long_results_are_told_shortly_when_a_summary_would_not_fit),
        ROW(the_server_runs_its_own_tools),
        ROW(sessions_of_others_do_not_exist),
        ROW(one_bad_event_refuses_all),
        ROW(an_update_shows_what_has_changed),
        ROW(a_budget_stops_the_turn_and_more_lets_it_go_on),
        ROW(archived_is_terminated_and_deleted_is_gone),
        ROW(what_could_not_be_written_has_not_happened),
        ROW(who_decided_on_old_knowledge_decides_again),
        ROW(a_damaged_log_hurts_its_session_only),
        ROW(a_turn_goes_on_when_the_disk_is_mended),
        ROW(facts_that_come_together_are_one_transaction),
        ROW(a_stop_parks_what_runs),
        ROW(idle_sessions_are_forgotten_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
