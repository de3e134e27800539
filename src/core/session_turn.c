/* The turn: how it begins, what it waits for, how it ends (API contract 3.1, 3.4-3.6, 3.9). */
#include "core/budget.h"
#include "core/session-int.h"

enum { COMPACTIONS_MAX = 3 /* in a row, contract 8 */ };

void turn_run(struct deciding *x)
{
    say(x, (struct event){ .type = EVENT_SESSION_STATUS_RUNNING });
    say(x, (struct event){ .type = EVENT_THREAD_STATUS_RUNNING });
}

void turn_idle(struct deciding *x, enum stop_reason stop, struct str category,
               struct str explanation)
{
    struct event idle = { .type = EVENT_THREAD_STATUS_IDLE,
                          .stop = stop,
                          .category = category,
                          .explanation = explanation };
    if (stop == STOP_REQUIRES_ACTION) {
        idle.waiting_count = session_waiting(x->s, NULL, 0);
        struct id *ids = arena_get(&x->d->arena, idle.waiting_count * sizeof *ids);
        CHECK(ids);
        session_waiting(x->s, ids, idle.waiting_count);
        idle.waiting = ids;
    }
    say(x, idle);
    int64_t at = x->now > x->s->last_at ? x->now : x->s->last_at + 1;
    say(x, (struct event){ .type = EVENT_SESSION_USAGE, .usage = session_usage(x->s, at) });
    idle.type = EVENT_SESSION_STATUS_IDLE;
    say(x, idle);
}

static void idle_plain(struct deciding *x, enum stop_reason stop)
{
    turn_idle(x, stop, (struct str){ 0 }, (struct str){ 0 });
}

void turn_flush(struct deciding *x)
{
    struct event input;
    while (queue_take(x, EVENT_NONE, &input))
        say(x, input);
}

void turn_fail(struct deciding *x, enum session_error error, struct str message)
{
    say(x, (struct event){ .type = EVENT_SESSION_ERROR,
                           .error = error,
                           .retry = RETRY_EXHAUSTED,
                           .text = message });
    turn_flush(x);
    idle_plain(x, STOP_RETRIES_EXHAUSTED);
}

/* The type of a result follows from who owns the call: the SDK's worker knows an answered call only
 * by the types that it would post itself (3.6). `told` by the server after a refusal or of its own
 * tools it is the agent's. */
static enum event_type closing_type(const struct call *c)
{
    if (c->type == EVENT_AGENT_CUSTOM_TOOL_USE)
        return EVENT_USER_CUSTOM_TOOL_RESULT;
    if (c->type == EVENT_AGENT_MCP_TOOL_USE)
        return EVENT_AGENT_MCP_TOOL_RESULT;
    return c->owner == OWNER_WORKER ? EVENT_USER_TOOL_RESULT : EVENT_AGENT_TOOL_RESULT;
}

void call_close(struct deciding *x, const struct id *call, struct str told)
{
    const struct call *c = call_of(x->s, call);
    CHECK(c->state != CALL_CLOSED);
    /* 3.5: who is refused gets his answer from the agent's side, whoever would have run it. */
    bool refused = c->permission == PERMISSION_DENY ||
                   (c->state == CALL_ASKS && !c->doubtful && !id_is_none(&c->confirmation));
    enum event_type type = closing_type(c);
    if (refused && type != EVENT_AGENT_MCP_TOOL_RESULT)
        type = EVENT_AGENT_TOOL_RESULT;
    say(x, (struct event){ .type = type, .about = *call, .is_error = true, .text = told });
}

void turn_interrupt(struct deciding *x, const struct event *event)
{
    struct session *s = x->s;
    if (s->work_held)
        x->called = true; /* 4.7: work of a session whose worker failed */
    say(x, *event);
    x->opening = false;
    if (!s->turn)
        return;
    for (size_t i = 0; i < s->call_count; i++) {
        if (!call_is_open(&s->calls[i]))
            continue;
        struct id id = s->calls[i].id;
        if (s->calls[i].state == CALL_RUNS)
            want(x, (struct effect){ .type = EFFECT_TOOL_CANCEL, .id = id });
        call_close(x, &id,
                   STR("The call was interrupted by the user before it had a result. It may be "
                       "tried again."));
    }
    idle_plain(x, STOP_END_TURN);
}

/* System messages that came behind a result while a request was in flight belong to the turn. */
static void take_system_messages(struct deciding *x)
{
    struct event input;
    while (x->s->queue_count && x->s->queue[0].event.type == EVENT_SYSTEM_MESSAGE &&
           queue_take(x, EVENT_SYSTEM_MESSAGE, &input))
        say(x, input);
}

/* What waited behind the last turn starts the next. */
static void begin(struct deciding *x)
{
    struct event input;
    turn_run(x);
    while (queue_take(x, EVENT_NONE, &input))
        say(x, input);
}

/* Nothing is open: the model is asked, unless something forbids it. */
static void go_on(struct deciding *x)
{
    struct session *s = x->s;
    if (s->status == SESSION_RESCHEDULING && (x->rules->parked || x->now < s->retry_at))
        return;
    bool affordable = budget_allows(s, x->rules->priced);
    if (s->status == SESSION_IDLE && s->stop == STOP_BUDGET_REACHED && !affordable)
        return;
    if (s->status != SESSION_RUNNING)
        turn_run(x);
    if (x->rules->parked)
        return; /* it runs, so the next process goes on with it */
    take_system_messages(x);
    if (!affordable) {
        idle_plain(x, STOP_BUDGET_REACHED);
        return;
    }
    if (s->rounds >= x->rules->max_rounds) {
        turn_fail(x, ERROR_TOOL_USE_LIMIT,
                  text(x, "the turn has used its %u rounds of tools", x->rules->max_rounds));
        return;
    }
    if (s->compaction_due && s->compactions >= COMPACTIONS_MAX) {
        turn_fail(x, ERROR_COMPACTION_LIMIT,
                  STR("the context stays too long for the model, however often it is summarised"));
        return;
    }
    bool compacts = s->compaction_due;
    struct id id =
        say(x, (struct event){ .type = EVENT_MODEL_REQUEST_START, .compaction = compacts });
    want(x, (struct effect){ .type = EFFECT_MODEL_START, .id = id, .compacts = compacts });
}

/* The turn waits for others. Idle is said when there is something new to say of it. */
static void block(struct deciding *x)
{
    struct session *s = x->s;
    size_t waiting = session_waiting(s, NULL, 0);
    bool let_go = x->approved && calls_in(s, CALL_ASKS) == 0;
    if (s->status == SESSION_IDLE && let_go)
        turn_run(x); /* 3.5: whoever waits for "running" goes on */
    if (s->status == SESSION_RUNNING || waiting != s->named || x->again)
        idle_plain(x, STOP_REQUIRES_ACTION);
}

static void settle_turn(struct deciding *x)
{
    struct session *s = x->s;
    if (calls_in(s, CALL_RUNS) > 0) {
        if (s->status != SESSION_RUNNING)
            turn_run(x);
    } else if (session_waiting(s, NULL, 0) > 0) {
        block(x);
    } else {
        go_on(x);
    }
}

void turn_settle(struct deciding *x)
{
    struct session *s = x->s;
    x->opening = false;
    if (s->status == SESSION_TERMINATED)
        return;
    if (id_is_none(&s->request)) {
        if (!s->turn)
            take_system_messages(x);
        if (!s->turn && s->queue_count)
            begin(x);
        if (s->turn)
            settle_turn(x);
    }
    work_ensure(x);
}
