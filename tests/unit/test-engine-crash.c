/* Claim of control/engine.h: wherever the process dies, a new one ends the turn, nothing that was
 * acknowledged is missing, and what may run once ran once.
 */
#include "engine_world.h"

#include "control/log_walk.h"
#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TEXT(text) "[{\"type\":\"text\",\"text\":\"" text "\"}]"
#define CUSTOM                                                                                     \
    "[{\"type\":\"custom\",\"name\":\"weather\",\"description\":\"d\",\"input_schema\":"           \
    "{\"type\":\"object\"}},{\"type\":\"agent_toolset_20260401\",\"configs\":[]}]"
#define SECOND INT64_C(1000000)

/* The model: two calls first, an answer once their results are there. */
static void answer_model(struct world *w)
{
    for (size_t i = 0; i < w->call_count; i++) {
        struct model_call *c = &w->calls[i];
        if (!c->open)
            continue;
        if (str_has(buf_str(&c->messages), STR("tool_result"))) {
            call_text(c, 0, "It rains");
            call_block_text(c, 0, "It rains");
            call_done(c, MODEL_STOP_END);
        } else {
            call_block_tool(c, 0, "t1", "weather", "{}");
            call_block_tool(c, 1, "t2", "bash", "{}");
            call_done(c, MODEL_STOP_TOOLS);
        }
        return;
    }
}

static bool status_is(struct world *w, const struct id *session, const char *word)
{
    struct record record;
    struct err e;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(w->store->ops->get(w->store, RECORD_SESSION, session, &record, &arena, &e), 1);
    return str_eq(record.state, str_of(word));
}

/* Sends an event until it is acknowledged, as clients do. */
static bool send(struct world *w, const struct id *session, const struct asker *asker,
                 const struct event *event)
{
    struct answer answer = { 0 };
    engine_session_send(w->engine, asker, session, event, 1, answer_take, &answer);
    world_settle(w);
    bool acknowledged = answer.came && answer.status == 0;
    answer_clear(&answer);
    return acknowledged;
}

static bool is_in_log(struct world *w, const struct id *session, const char *type)
{
    AUTO_BUF log = { 0 };
    world_log(w, session, ENTRY_PUBLIC, &log);
    return str_has(buf_str(&log), str_of(type));
}

/* Answers the calls that are open. */
static void answer_calls(struct world *w, const struct id *session)
{
    static const struct {
        const char *call, *result;
        enum event_type type;
    } kinds[] = {
        { "agent.custom_tool_use", "user.custom_tool_result", EVENT_USER_CUSTOM_TOOL_RESULT },
        { "agent.tool_use", "user.tool_result", EVENT_USER_TOOL_RESULT },
    };
    const struct asker worker = world_environment_key(w);
    for (size_t i = 0; i < 2; i++) {
        if (!is_in_log(w, session, kinds[i].call) || is_in_log(w, session, kinds[i].result))
            continue;
        const struct event result = { .type = kinds[i].type,
                                      .about = world_last_id(w, session, kinds[i].call),
                                      .content = STR(TEXT("rain")) };
        (void)send(w, session, &worker, &result);
    }
}

static size_t count(struct str log, struct str type)
{
    size_t n = 0;
    struct str word;
    while (str_cut(&log, ' ', &word))
        n += str_eq(word, type);
    return n;
}

static void check_log(struct world *w, const struct id *session)
{
    AUTO_BUF log = { 0 };
    world_log(w, session, ENTRY_PUBLIC, &log);
    struct str text = buf_str(&log);
    assert_int_equal(count(text, STR("user.message")), 1);
    assert_int_equal(count(text, STR("agent.custom_tool_use")), 1);
    assert_int_equal(count(text, STR("agent.tool_use")), 1);
    assert_int_equal(count(text, STR("user.custom_tool_result")), 1);
    assert_int_equal(count(text, STR("user.tool_result")), 1);
    assert_int_equal(count(text, STR("agent.message")), 1);
    assert_int_equal(count(text, STR("span.model_request_start")),
                     count(text, STR("span.model_request_end")));
}

static void a_death_anywhere_is_survived(void **state)
{
    (void)state;
    for (size_t step = 1, deaths = 1; deaths > 0; step++) {
        struct world w;
        world_begin(&w);
        const struct asker key = world_api_key(&w);
        const struct event question = { .type = EVENT_USER_MESSAGE, .content = STR(TEXT("x")) };
        struct id session = world_session(&w, CUSTOM);
        w.dies_in = step;
        if (!send(&w, &session, &key, &question) && !is_in_log(&w, &session, "user.message"))
            assert_true(send(&w, &session, &key, &question));
        for (size_t i = 0; !is_in_log(&w, &session, "agent.message"); i++) {
            assert_true(i < 100);
            answer_model(&w);
            answer_calls(&w, &session);
            world_pass(&w, 10 * SECOND);
        }
        assert_true(status_is(&w, &session, "idle"));
        check_log(&w, &session);
        deaths = w.deaths;
        world_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_anywhere_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
