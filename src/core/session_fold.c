/* What each event of the log does to the state. Nothing is decided here. */
#include "core/session-int.h"

#include <stdlib.h>

static struct str copy(struct str s)
{
    return (struct str){ str_dup(s), s.n };
}

/* --- calls --- */

static void call_forget_input(struct call *c)
{
    free((char *)c->name.p);
    free((char *)c->input.p);
    c->name = c->input = (struct str){ 0 };
}

/* Once the list is full of closed calls its older half goes. */
static void calls_forget(struct session *s)
{
    if (s->call_count < SESSION_CALLS_REMEMBERED)
        return;
    size_t gone = 0;
    while (gone < SESSION_CALLS_REMEMBERED / 2 && !call_is_open(&s->calls[gone]))
        gone++;
    s->call_count -= gone;
    memmove(s->calls, s->calls + gone, s->call_count * sizeof *s->calls);
}

static void fold_call(struct session *s, const struct event *e)
{
    calls_forget(s);
    if (s->call_count == s->call_room) {
        s->call_room = s->call_room ? s->call_room * 2 : 8;
        s->calls = mem_grow(s->calls, s->call_room * sizeof *s->calls);
    }
    struct call *c = &s->calls[s->call_count++];
    *c = (struct call){ .id = e->id,
                        .type = e->type,
                        .owner = e->owner,
                        .repeat = e->repeat,
                        .permission = e->permission,
                        .arguments = e->arguments };
    bool server = e->owner == OWNER_SERVER;
    c->state = e->permission == PERMISSION_ASK ? CALL_ASKS : server ? CALL_RUNS : CALL_WAITS;
    if (server && e->permission != PERMISSION_DENY) {
        c->name = copy(e->name);
        c->input = copy(e->input);
    }
}

static void fold_result(struct session *s, const struct event *e)
{
    if (!id_is_none(&e->work)) {
        s->work_fruitful = true;
        s->work_failures = 0;
    } else if (e->type == EVENT_USER_CUSTOM_TOOL_RESULT) {
        s->work_held = false; /* the application has spoken */
        s->work_failures = 0;
    }
    s->last_result = e->about;
    struct call *c = call_find(s, &e->about);
    if (!c || !call_is_open(c))
        return;
    if (c->state == CALL_RUNS) {
        s->usage.web_search_requests += str_eq(c->name, STR("web_search"));
        s->usage.web_fetch_requests += str_eq(c->name, STR("web_fetch"));
    }
    c->state = CALL_CLOSED;
    c->result = e->id;
    c->doubtful = false;
    call_forget_input(c);
}

static void fold_confirmation(struct session *s, const struct event *e)
{
    s->work_held = false;
    s->work_failures = 0;
    struct call *c = call_find(s, &e->about);
    if (!c)
        return;
    c->confirmation = e->id;
    c->allowed = e->allow;
    if (c->state != CALL_ASKS || !e->allow)
        return;
    c->state = c->owner == OWNER_SERVER ? CALL_RUNS : CALL_WAITS;
    c->doubtful = false;
}

static void fold_started(struct session *s, const struct event *e)
{
    struct call *c = call_find(s, &e->about);
    if (!c)
        return;
    c->started = true;
    c->attempt = e->attempt;
}

/* A call that is still open is asked about; all others were closed before. */
static void fold_unknown(struct session *s, const struct event *e)
{
    struct call *c = call_find(s, &e->about);
    if (!c || !call_is_open(c))
        return;
    c->state = CALL_ASKS;
    c->doubtful = true;
    c->confirmation = (struct id){ 0 };
    c->allowed = false;
}

/* --- inputs --- */

static void fold_queued(struct session *s, const struct event *e)
{
    s->work_held = false;
    s->work_failures = 0;
    if (s->queue_count == s->queue_room) {
        s->queue_room = s->queue_room ? s->queue_room * 2 : 8;
        s->queue = mem_grow(s->queue, s->queue_room * sizeof *s->queue);
    }
    struct queued *q = &s->queue[s->queue_count++];
    *q = (struct queued){ .event = { .type = e->queued, .id = e->id }, .size = e->content.n };
    q->texts = str_dup(e->content);
    q->event.content = (struct str){ q->texts, e->content.n };
    s->queue_bytes += q->size;
}

/* If it waited, it waits no more. */
static void fold_input(struct session *s, const struct event *e)
{
    s->work_held = false;
    s->work_failures = 0;
    for (size_t i = 0; i < s->queue_count; i++) {
        struct queued *q = &s->queue[i];
        if (!id_eq(&q->event.id, &e->id))
            continue;
        s->queue_bytes -= q->size;
        free(q->texts);
        s->queue_count--;
        memmove(q, q + 1, (s->queue_count - i) * sizeof *q);
        break;
    }
    if (e->type == EVENT_USER_MESSAGE)
        s->turn = true;
}

static void fold_system(struct session *s, const struct event *e)
{
    struct call *c = id_is_none(&s->last_result) ? NULL : call_find(s, &s->last_result);
    if (c)
        c->followed = e->id;
    fold_input(s, e);
}

/* --- status --- */

static void leave_running(struct session *s, int64_t at)
{
    if (s->status == SESSION_RUNNING && at > s->running_since)
        s->usage.active += at - s->running_since;
}

static void fold_running(struct session *s, const struct event *e)
{
    s->status = SESSION_RUNNING;
    s->stop = STOP_NONE;
    s->running_since = e->at;
    s->retry_at = 0;
    s->named = 0;
}

static void fold_idle(struct session *s, const struct event *e)
{
    leave_running(s, e->at);
    s->status = SESSION_IDLE;
    s->stop = e->stop;
    s->named = e->waiting_count;
    s->retry_at = 0;
    if (e->stop == STOP_REQUIRES_ACTION || e->stop == STOP_BUDGET_REACHED)
        return;
    s->turn = false;
    s->rounds = s->attempts = s->compactions = 0;
}

static void fold_rescheduled(struct session *s, const struct event *e)
{
    leave_running(s, e->at);
    s->status = SESSION_RESCHEDULING;
}

static void fold_terminated(struct session *s, const struct event *e)
{
    leave_running(s, e->at);
    s->status = SESSION_TERMINATED;
    s->stop = STOP_NONE;
    s->turn = false;
    s->retry_at = 0;
}

static void fold_closed(struct session *s, const struct event *e)
{
    (void)e;
    s->archived = true;
}

static void fold_members(struct session *s, const struct event *e)
{
    if (e->type == EVENT_INTERNAL_CREATED)
        s->created = true;
    if (e->budget == BUDGET_KEPT)
        return;
    s->budgeted = e->budget == BUDGET_SET;
    s->cap = s->budgeted ? e->cap : 0;
}

static void fold_usage(struct session *s, const struct event *e)
{
    leave_running(s, e->at);
    s->running_since = e->at; /* what is before has been counted */
}

/* --- the model --- */

static void fold_request(struct session *s, const struct event *e)
{
    s->request = e->id;
    s->request_compacts = e->compaction;
    if (!e->compaction && s->answered)
        s->compactions = 0;
}

static void fold_request_end(struct session *s, const struct event *e)
{
    const struct usage *u = &e->usage;
    s->usage.input_tokens += u->input_tokens;
    s->usage.output_tokens += u->output_tokens;
    s->usage.cache_read_input_tokens += u->cache_read_input_tokens;
    s->usage.cache_creation_5m_input_tokens += u->cache_creation_5m_input_tokens;
    s->usage.cache_creation_1h_input_tokens += u->cache_creation_1h_input_tokens;
    s->usage.list_cost += u->list_cost;
    s->usage.priced |= u->priced;
    s->compaction_due = e->compaction;
    if (!e->is_error) {
        s->attempts = 0;
        s->answered = !s->request_compacts;
        s->rounds += !s->request_compacts;
    }
    s->request = (struct id){ 0 };
    s->request_compacts = false;
}

static void fold_compacted(struct session *s, const struct event *e)
{
    (void)e;
    s->compactions++;
}

static void fold_retry(struct session *s, const struct event *e)
{
    s->attempts = e->attempt;
    s->retry_at = e->until;
}

/* --- the work item --- */

static void fold_work(struct session *s, const struct event *e)
{
    if (e->step == WORK_STEP_MADE) {
        s->work = e->work;
        s->work_live = true;
        s->work_held = s->work_fruitful = false;
        return;
    }
    for (size_t i = 0; i < s->call_count; i++)
        s->calls[i].started = false; /* under a claim that is over */
    if (e->step == WORK_STEP_LOST)
        return;
    s->work_live = false;
    s->work_failures = e->attempt;
    s->work_held = e->step == WORK_STEP_HELD;
}

typedef void fold(struct session *s, const struct event *e);

static fold *const folds[EVENT_TYPES] = {
    [EVENT_USER_MESSAGE] = fold_input,
    [EVENT_USER_INTERRUPT] = fold_input,
    [EVENT_SYSTEM_MESSAGE] = fold_system,
    [EVENT_USER_TOOL_CONFIRMATION] = fold_confirmation,
    [EVENT_USER_TOOL_RESULT] = fold_result,
    [EVENT_USER_CUSTOM_TOOL_RESULT] = fold_result,
    [EVENT_AGENT_TOOL_RESULT] = fold_result,
    [EVENT_AGENT_MCP_TOOL_RESULT] = fold_result,
    [EVENT_AGENT_TOOL_USE] = fold_call,
    [EVENT_AGENT_MCP_TOOL_USE] = fold_call,
    [EVENT_AGENT_CUSTOM_TOOL_USE] = fold_call,
    [EVENT_AGENT_CONTEXT_COMPACTED] = fold_compacted,
    [EVENT_SESSION_STATUS_RUNNING] = fold_running,
    [EVENT_SESSION_STATUS_IDLE] = fold_idle,
    [EVENT_SESSION_STATUS_RESCHEDULED] = fold_rescheduled,
    [EVENT_SESSION_STATUS_TERMINATED] = fold_terminated,
    [EVENT_SESSION_DELETED] = fold_terminated,
    [EVENT_SESSION_UPDATED] = fold_members,
    [EVENT_SESSION_USAGE] = fold_usage,
    [EVENT_MODEL_REQUEST_START] = fold_request,
    [EVENT_MODEL_REQUEST_END] = fold_request_end,
    [EVENT_POSTERN_CALL_STARTED] = fold_started,
    [EVENT_POSTERN_CALL_UNKNOWN] = fold_unknown,
    [EVENT_INTERNAL_CREATED] = fold_members,
    [EVENT_INTERNAL_QUEUED] = fold_queued,
    [EVENT_INTERNAL_RETRY] = fold_retry,
    [EVENT_INTERNAL_WORK] = fold_work,
    [EVENT_INTERNAL_CLOSED] = fold_closed,
};

void session_apply(struct session *s, const struct event *event)
{
    CHECK(event->type > EVENT_NONE && event->type < EVENT_TYPES);
    if (!s->created_at)
        s->created_at = event->at;
    if (event->at > s->last_at)
        s->last_at = event->at;
    fold *f = folds[event->type];
    if (f)
        f(s, event);
    if (!is_result(event->type))
        s->last_result = (struct id){ 0 };
}
