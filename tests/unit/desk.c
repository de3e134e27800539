#include "desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const words[EVENT_TYPES] = {
    [EVENT_USER_MESSAGE] = "message",
    [EVENT_USER_INTERRUPT] = "interrupt",
    [EVENT_USER_TOOL_CONFIRMATION] = "confirmation",
    [EVENT_USER_TOOL_RESULT] = "result",
    [EVENT_USER_CUSTOM_TOOL_RESULT] = "custom_result",
    [EVENT_SYSTEM_MESSAGE] = "system",
    [EVENT_SESSION_STATUS_RUNNING] = "running",
    [EVENT_SESSION_STATUS_IDLE] = "idle",
    [EVENT_SESSION_STATUS_RESCHEDULED] = "rescheduled",
    [EVENT_SESSION_STATUS_TERMINATED] = "terminated",
    [EVENT_SESSION_DELETED] = "deleted",
    [EVENT_SESSION_UPDATED] = "updated",
    [EVENT_SESSION_USAGE] = "usage",
    [EVENT_SESSION_ERROR] = "error",
    [EVENT_THREAD_CREATED] = "t_created",
    [EVENT_THREAD_STATUS_RUNNING] = "t_running",
    [EVENT_THREAD_STATUS_IDLE] = "t_idle",
    [EVENT_THREAD_STATUS_RESCHEDULED] = "t_rescheduled",
    [EVENT_THREAD_STATUS_TERMINATED] = "t_terminated",
    [EVENT_AGENT_MESSAGE] = "says",
    [EVENT_AGENT_THINKING] = "thinks",
    [EVENT_AGENT_TOOL_USE] = "use",
    [EVENT_AGENT_TOOL_RESULT] = "agent_result",
    [EVENT_AGENT_MCP_TOOL_USE] = "mcp_use",
    [EVENT_AGENT_MCP_TOOL_RESULT] = "mcp_result",
    [EVENT_AGENT_CUSTOM_TOOL_USE] = "custom_use",
    [EVENT_AGENT_CONTEXT_COMPACTED] = "compacted",
    [EVENT_MODEL_REQUEST_START] = "start",
    [EVENT_MODEL_REQUEST_END] = "end",
    [EVENT_POSTERN_CALL_STARTED] = "started",
    [EVENT_POSTERN_CALL_UNKNOWN] = "unknown",
    [EVENT_POSTERN_WORK_FAILED] = "work_failed",
    [EVENT_INTERNAL_CREATED] = "created",
    [EVENT_INTERNAL_QUEUED] = "queued",
    [EVENT_INTERNAL_RETRY] = "retry",
    [EVENT_INTERNAL_WORK] = "work",
    [EVENT_INTERNAL_CLOSED] = "closed",
};

static const char *const deeds[] = {
    [EFFECT_MODEL_START] = "ask",    [EFFECT_MODEL_ABORT] = "abort", [EFFECT_TOOL_RUN] = "run",
    [EFFECT_TOOL_CANCEL] = "cancel", [EFFECT_WORK_MAKE] = "make",    [EFFECT_WORK_STOP] = "stop",
};

static void chance(void *ctx, void *bytes, size_t n)
{
    uint64_t *seed = ctx;
    unsigned char *to = bytes;
    for (size_t i = 0; i < n; i++) {
        *seed = *seed * 6364136223846793005U + 1442695040888963407U;
        to[i] = (unsigned char)(*seed >> 56);
    }
}

static void word(struct buf *b, const char *text)
{
    if (b->n)
        buf_add_byte(b, ' ');
    buf_add(b, str_of(text));
}

static void note_event(struct desk *k, const struct event *e)
{
    assert_non_null(words[e->type]);
    word(&k->events, words[e->type]);
    if (e->type != EVENT_SESSION_DELETED)
        session_apply(k->shadow, e);
    if (e->type != EVENT_SESSION_STATUS_IDLE)
        return;
    static const char *const stops[] = {
        "", ":end", ":action", ":exhausted", ":budget", ":refusal"
    };
    buf_add(&k->events, str_of(stops[e->stop]));
    k->waiting_count = e->waiting_count;
    assert_in_range(e->waiting_count, 0, 8);
    for (size_t i = 0; i < e->waiting_count; i++)
        k->waiting[i] = e->waiting[i];
}

int desk_fact(struct desk *k, const struct fact *fact)
{
    struct random_source random = { chance, &k->seed };
    decision_release(&k->d);
    buf_empty(&k->events);
    buf_empty(&k->effects);
    int rc = session_decide(k->s, fact, &k->rules, k->now, &random, &k->d);
    bool deleted = false;
    for (size_t i = 0; i < k->d.event_count; i++) {
        note_event(k, &k->d.events[i]);
        deleted |= k->d.events[i].type == EVENT_SESSION_DELETED;
    }
    for (size_t i = 0; i < k->d.effect_count; i++)
        word(&k->effects, deeds[k->d.effects[i].type]);
    if (rc < 0)
        assert_int_equal(k->d.event_count, 0);
    if (!deleted && session_difference(k->s, k->shadow))
        fail_msg("replayed log: %s differs", session_difference(k->s, k->shadow));
    k->now += 1000;
    return rc;
}

void desk_open(struct desk *k)
{
    *k = (struct desk){ .s = session_new(),
                        .shadow = session_new(),
                        .now = 1000000000,
                        .seed = 7,
                        .rules = { .max_rounds = 500,
                                   .max_retries = 8,
                                   .context_window = 1000,
                                   .priced = true,
                                   .system_messages = true } };
    decision_init(&k->d);
    desk_fact(k, &(struct fact){ .type = FACT_CREATED });
}

void desk_release(struct desk *k)
{
    session_free(k->s);
    session_free(k->shadow);
    decision_release(&k->d);
    buf_release(&k->events);
    buf_release(&k->effects);
}

void desk_crash(struct desk *k)
{
    desk_fact(k, &(struct fact){ .type = FACT_RECOVERED });
}

static int send_as(struct desk *k, const struct event *events, size_t count, bool worker)
{
    return desk_fact(
        k, &(struct fact){ .type = FACT_CLIENT,
                           .client = { .worker = worker, .events = events, .count = count } });
}

int desk_send(struct desk *k, const struct event *events, size_t count)
{
    return send_as(k, events, count, false);
}

int desk_post(struct desk *k, const struct event *events, size_t count)
{
    return send_as(k, events, count, true);
}

int desk_message(struct desk *k, const char *content)
{
    return desk_send(k, &(struct event){ .type = EVENT_USER_MESSAGE, .content = str_of(content) },
                     1);
}

int desk_interrupt(struct desk *k)
{
    return desk_send(k, &(struct event){ .type = EVENT_USER_INTERRUPT }, 1);
}

int desk_confirm(struct desk *k, const struct id *call, bool allow)
{
    return desk_send(
        k, &(struct event){ .type = EVENT_USER_TOOL_CONFIRMATION, .about = *call, .allow = allow },
        1);
}

int desk_result(struct desk *k, const struct id *call)
{
    return desk_post(k, &(struct event){ .type = EVENT_USER_TOOL_RESULT, .about = *call }, 1);
}

int desk_custom_result(struct desk *k, const struct id *call)
{
    return desk_send(k, &(struct event){ .type = EVENT_USER_CUSTOM_TOOL_RESULT, .about = *call },
                     1);
}

struct answer_call desk_call(const char *tool, enum policy policy)
{
    bool web = str_starts(str_of(tool), STR("web_"));
    return (struct answer_call){ .type = EVENT_AGENT_TOOL_USE,
                                 .name = str_of(tool),
                                 .input = STR("{}"),
                                 .model_id = STR("toolu_1"),
                                 .arguments = { "hash" },
                                 .owner = web ? OWNER_SERVER : OWNER_WORKER,
                                 .repeat = policy_repeat(str_of(tool)),
                                 .grant = { .offered = true, .policy = policy } };
}

struct answer_call desk_custom_call(const char *tool)
{
    return (struct answer_call){ .type = EVENT_AGENT_CUSTOM_TOOL_USE,
                                 .name = str_of(tool),
                                 .input = STR("{}"),
                                 .owner = OWNER_APPLICATION,
                                 .repeat = REPEAT_NEVER,
                                 .grant = { .offered = true, .custom = true } };
}

static void answered(struct desk *k, struct fact fact)
{
    fact.answer.request = k->s->request;
    assert_int_equal(desk_fact(k, &fact), 0);
}

void desk_answer(struct desk *k, const char *content, const struct answer_call *calls, size_t count)
{
    answered(k, (struct fact){ .type = FACT_MODEL_ENDED,
                               .answer = { .content = str_of(content),
                                           .calls = calls,
                                           .call_count = count,
                                           .stop = count ? MODEL_STOP_TOOLS : MODEL_STOP_END,
                                           .usage = { .input_tokens = 10,
                                                      .output_tokens = 1,
                                                      .list_cost = 100,
                                                      .priced = true } } });
}

void desk_answer_stop(struct desk *k, const char *content, enum model_stop stop)
{
    answered(k, (struct fact){ .type = FACT_MODEL_ENDED,
                               .answer = { .content = str_of(content),
                                           .stop = stop,
                                           .category = STR("harm"),
                                           .explanation = STR("no") } });
}

void desk_answer_using(struct desk *k, uint64_t tokens, const struct answer_call *calls,
                       size_t count)
{
    answered(k, (struct fact){ .type = FACT_MODEL_ENDED,
                               .answer = { .content = STR("[]"),
                                           .calls = calls,
                                           .call_count = count,
                                           .stop = MODEL_STOP_TOOLS,
                                           .usage = { .input_tokens = tokens } } });
}

void desk_aborted(struct desk *k, const char *content)
{
    answered(k,
             (struct fact){ .type = FACT_MODEL_ABORTED, .answer = { .content = str_of(content) } });
}

void desk_summary(struct desk *k, const char *text)
{
    answered(k, (struct fact){ .type = FACT_MODEL_ENDED, .answer = { .summary = str_of(text) } });
}

void desk_fail(struct desk *k, enum model_failure failure)
{
    assert_int_equal(desk_fact(k, &(struct fact){ .type = FACT_MODEL_FAILED,
                                                  .failure = { .request = k->s->request,
                                                               .failure = failure,
                                                               .message = STR("no luck") } }),
                     0);
}

void desk_tool_ended(struct desk *k, const struct id *call)
{
    assert_int_equal(
        desk_fact(k, &(struct fact){ .type = FACT_TOOL_ENDED,
                                     .tool = { .call = *call, .content = STR("[]") } }),
        0);
}

void desk_clock(struct desk *k, int64_t later)
{
    k->now += later;
    assert_int_equal(desk_fact(k, &(struct fact){ .type = FACT_CLOCK }), 0);
}

void desk_work(struct desk *k, enum work_news news, enum work_ender by, int64_t held)
{
    assert_int_equal(
        desk_fact(k, &(struct fact){ .type = FACT_WORK,
                                     .work = { .work = k->s->work,
                                               .report = { .news = news, .by = by, .held = held },
                                               .attempt = 1,
                                               .reason = STR("broken") } }),
        0);
}

int desk_mark(struct desk *k, const struct id *call)
{
    struct call_mark mark = { .call = *call, .arguments = { "hash" }, .attempt = 1 };
    return desk_fact(k,
                     &(struct fact){ .type = FACT_CALLS_STARTED,
                                     .marks = { .work = k->s->work, .marks = &mark, .count = 1 } });
}

const struct call *desk_nth(const struct desk *k, size_t i)
{
    assert_in_range(i, 0, k->s->call_count - 1);
    return &k->s->calls[i];
}

struct id desk_nth_id(const struct desk *k, size_t i)
{
    return desk_nth(k, i)->id;
}

const struct event *desk_last(struct desk *k, enum event_type type)
{
    for (size_t i = k->d.event_count; i > 0; i--)
        if (k->d.events[i - 1].type == type)
            return &k->d.events[i - 1];
    fail_msg("no %s in: %s", words[type], buf_text(&k->events));
    return NULL;
}
