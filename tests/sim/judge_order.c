#include "judge_order.h"

#include "control/event_json.h"

static void wrong(struct world *w, const struct view *v, const struct event *e, const char *why)
{
    world_fail(w, "%s: entry %ld %s: %s", v->session.text, (long)v->seq + 1,
               event_type_name(e->type), why);
}

bool judge_was_queued(const struct view *v, const struct id *id)
{
    for (size_t i = 0; i < v->s->queue_count; i++)
        if (id_eq(&v->s->queue[i].event.id, id))
            return true;
    return false;
}

static size_t running(const struct session *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->call_count; i++)
        n += s->calls[i].state == CALL_RUNS;
    return n;
}

static const char *check_idle(const struct view *v, const struct event *e)
{
    struct id ids[16];
    size_t count = session_waiting(v->s, ids, 16);
    if (v->before != EVENT_SESSION_USAGE)
        return "session.usage does not stand before it";
    if (!id_is_none(&v->s->request))
        return "a model request is in flight";
    if (running(v->s))
        return "a tool runs on the server";
    if (e->stop != STOP_REQUIRES_ACTION)
        return count ? "calls are open" : NULL;
    if (count == 0 || count != e->waiting_count)
        return "it names another number of calls than wait";
    for (size_t i = 0; i < count && i < 16; i++)
        if (!id_eq(&ids[i], &e->waiting[i]))
            return "it names other calls than wait";
    return NULL;
}

static const char *check_start(const struct view *v, const struct event *e)
{
    (void)e;
    if (v->s->status != SESSION_RUNNING || !v->s->turn)
        return "no turn runs";
    if (!id_is_none(&v->s->request))
        return "another request is in flight";
    return session_waiting(v->s, NULL, 0) + running(v->s) ? "calls are open" : NULL;
}

static const char *check_end(const struct view *v, const struct event *e)
{
    return id_eq(&v->s->request, &e->about) ? NULL : "no such request is in flight";
}

static const char *check_answer(const struct view *v, const struct event *e)
{
    static const unsigned stages[EVENT_TYPES] = { [EVENT_AGENT_THINKING] = 1,
                                                  [EVENT_AGENT_MESSAGE] = 2,
                                                  [EVENT_AGENT_TOOL_USE] = 3,
                                                  [EVENT_AGENT_CUSTOM_TOOL_USE] = 3 };
    if (id_is_none(&v->s->request) || v->s->request_compacts)
        return "no answer is under way";
    unsigned stage = stages[e->type];
    return stage < v->stage || (stage == v->stage && stage < 3) ? "out of its order" : NULL;
}

static const char *check_result(const struct view *v, const struct event *e)
{
    const struct call *c = session_call(v->s, &e->about);
    bool custom = e->type == EVENT_USER_CUSTOM_TOOL_RESULT;
    if (!c)
        return "it answers no call";
    if (c->state == CALL_CLOSED)
        return "the call has its result";
    if (c->type == EVENT_AGENT_CUSTOM_TOOL_USE && !custom && c->permission != PERMISSION_DENY)
        return "a custom call is answered by another kind of event";
    if (custom && c->type != EVENT_AGENT_CUSTOM_TOOL_USE)
        return "it answers a call of another kind";
    /* 3.6: the SDK's worker would run it again. */
    bool rejected = c->state == CALL_ASKS && !id_is_none(&c->confirmation) && !c->allowed;
    if (e->type == EVENT_AGENT_TOOL_RESULT && c->owner == OWNER_WORKER &&
        c->permission != PERMISSION_DENY && !rejected)
        return "a worker's call is closed by an event that workers do not know";
    if (!id_is_none(&e->work) && c->state != CALL_WAITS && !c->doubtful)
        return "a worker answers what it must not run";
    return NULL;
}

/* Those that waited come in their order; an interrupt passes them. */
static const char *check_input(const struct view *v, const struct event *e)
{
    const struct session *s = v->s;
    if (!judge_was_queued(v, &e->id))
        return NULL;
    for (size_t i = 0; i < s->queue_count; i++) {
        const struct event *q = &s->queue[i].event;
        if (id_eq(&q->id, &e->id))
            return NULL;
        if (e->type != EVENT_USER_INTERRUPT || q->type == EVENT_USER_INTERRUPT)
            return "an earlier input still waits";
    }
    return NULL;
}

static const char *check_running(const struct view *v, const struct event *e)
{
    (void)e;
    return v->s->status == SESSION_RUNNING ? "it runs already" : NULL;
}

static const char *check_rescheduled(const struct view *v, const struct event *e)
{
    (void)e;
    if (v->s->status != SESSION_RUNNING)
        return "it does not run";
    return v->s->retry_at ? NULL : "no retry is planned";
}

static const char *check_mark(const struct view *v, const struct event *e)
{
    const struct call *c = session_call(v->s, &e->about);
    if (!c || c->state != CALL_WAITS || c->started)
        return "the call must not be started";
    return v->s->work_live ? NULL : "nobody holds the work item";
}

/* 4.7: behind items that ended at once the next one comes later and later. */
static const char *check_item_made(const struct view *v, const struct event *e)
{
    unsigned failures = v->s->work_failures;
    if (e->step != WORK_STEP_MADE || failures == 0)
        return NULL;
    int64_t wait = failures < 7 ? SECOND << (failures - 1) : MINUTE;
    /* Times of one decision ascend by microseconds. */
    return e->until < e->at + wait - MILLISECOND ? "it may be handed out too early" : NULL;
}

typedef const char *check(const struct view *v, const struct event *e);
static check *const checks[EVENT_TYPES] = {
    [EVENT_SESSION_STATUS_IDLE] = check_idle,
    [EVENT_SESSION_STATUS_RUNNING] = check_running,
    [EVENT_SESSION_STATUS_RESCHEDULED] = check_rescheduled,
    [EVENT_MODEL_REQUEST_START] = check_start,
    [EVENT_MODEL_REQUEST_END] = check_end,
    [EVENT_AGENT_THINKING] = check_answer,
    [EVENT_AGENT_MESSAGE] = check_answer,
    [EVENT_AGENT_TOOL_USE] = check_answer,
    [EVENT_AGENT_CUSTOM_TOOL_USE] = check_answer,
    [EVENT_AGENT_TOOL_RESULT] = check_result,
    [EVENT_USER_TOOL_RESULT] = check_result,
    [EVENT_USER_CUSTOM_TOOL_RESULT] = check_result,
    [EVENT_USER_MESSAGE] = check_input,
    [EVENT_USER_INTERRUPT] = check_input,
    [EVENT_SYSTEM_MESSAGE] = check_input,
    [EVENT_POSTERN_CALL_STARTED] = check_mark,
    [EVENT_INTERNAL_WORK] = check_item_made,
};

/* What must stand right behind what, whatever the first of them is for. */
static const struct {
    enum event_type first, second;
} pairs[] = {
    { EVENT_SESSION_STATUS_RUNNING, EVENT_THREAD_STATUS_RUNNING },
    { EVENT_THREAD_STATUS_IDLE, EVENT_SESSION_USAGE },
    { EVENT_SESSION_USAGE, EVENT_SESSION_STATUS_IDLE },
    { EVENT_THREAD_STATUS_RESCHEDULED, EVENT_SESSION_STATUS_RESCHEDULED },
};

void judge_order(struct world *w, struct view *v, const struct event *e, bool internal)
{
    const char *why;
    if (e->at <= v->s->last_at)
        wrong(w, v, e, "its time is not behind the one before");
    for (size_t i = 0; !internal && i < sizeof pairs / sizeof *pairs; i++)
        if ((v->before == pairs[i].first) != (e->type == pairs[i].second))
            wrong(w, v, e, "it does not stand behind what it belongs to");
    if (checks[e->type] && (why = checks[e->type](v, e)) != NULL)
        wrong(w, v, e, why);
    if (v->s->status == SESSION_TERMINATED && e->type != EVENT_INTERNAL_CLOSED)
        wrong(w, v, e, "the session is over");
    if (e->type == EVENT_MODEL_REQUEST_START)
        v->stage = 0;
    else if (e->type == EVENT_AGENT_THINKING)
        v->stage = 1;
    else if (e->type == EVENT_AGENT_MESSAGE)
        v->stage = 2;
    else if (e->type == EVENT_AGENT_TOOL_USE || e->type == EVENT_AGENT_CUSTOM_TOOL_USE)
        v->stage = 3;
    if (!internal)
        v->before = e->type;
}
