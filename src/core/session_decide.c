/* One fact after the other: what may be refused, what follows, and then what the state asks for. */
#include "core/budget.h"
#include "core/session-int.h"

static int decide_created(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)refusal;
    say(x, (struct event){ .type = EVENT_INTERNAL_CREATED,
                           .members = fact->created.members,
                           .budget = fact->created.budgeted ? BUDGET_SET : BUDGET_KEPT,
                           .cap = fact->created.cap });
    if (fact->created.count)
        turn_run(x);
    for (size_t i = 0; i < fact->created.count; i++)
        say(x, fact->created.events[i]);
    return 0;
}

static int decide_client(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    if (input_check(x, fact, refusal) < 0)
        return -1;
    input_take(x, fact);
    return 0;
}

static int decide_model(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)refusal;
    if (fact->type == FACT_MODEL_ENDED)
        model_answered(x, fact);
    else if (fact->type == FACT_MODEL_ABORTED)
        model_aborted(x, fact);
    else
        model_failed(x, fact);
    return 0;
}

static int decide_tool(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)refusal;
    const struct call *c = call_find(x->s, &fact->tool.call);
    if (!c || c->state != CALL_RUNS)
        return 0; /* it was cancelled meanwhile */
    say(x, (struct event){ .type = c->type == EVENT_AGENT_MCP_TOOL_USE ? EVENT_AGENT_MCP_TOOL_RESULT
                                                                       : EVENT_AGENT_TOOL_RESULT,
                           .about = fact->tool.call,
                           .content = fact->tool.content,
                           .is_error = fact->tool.is_error });
    return 0;
}

static int decide_nothing(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)x, (void)fact, (void)refusal; /* settling does it */
    return 0;
}

static int decide_work(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)refusal;
    work_reported(x, fact);
    return 0;
}

static int decide_work_wanted(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)fact;
    if (x->s->status == SESSION_TERMINATED)
        return refusal_set(refusal, 400, NULL, "the session is terminated");
    if (x->s->work_live)
        return refusal_set(refusal, 409, NULL, "the session has a live work item: %s",
                           x->s->work.text);
    x->called = true;
    return 0;
}

static int decide_marks(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    return work_marks(x, fact, refusal);
}

static int decide_update(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    const struct session *s = x->s;
    if (s->status == SESSION_TERMINATED)
        return refusal_set(refusal, 400, NULL, "the session is terminated");
    if (fact->update.agent && session_is_busy(s) && !x->rules->update_while_running)
        return refusal_set(refusal, 400, NULL,
                           "agent: a session that is %s cannot be changed by this call; PATCH "
                           "/v1/sessions/{id}/tools can",
                           session_status_name(s->status));
    if (budget_check(s, fact->update.budget, fact->update.cap, refusal) < 0)
        return -1;
    if (fact->update.members.n)
        say(x, (struct event){ .type = EVENT_SESSION_UPDATED,
                               .members = fact->update.members,
                               .budget = fact->update.budget,
                               .cap = fact->update.cap });
    return 0;
}

static void stop_work(struct deciding *x)
{
    if (x->s->work_live)
        want(x, (struct effect){ .type = EFFECT_WORK_STOP, .id = x->s->work });
}

static int check_at_rest(const struct session *s, const char *verb, struct refusal *refusal)
{
    if (!session_is_busy(s))
        return 0;
    return refusal_set(refusal, 400, NULL,
                       "a session that is %s cannot be %s: send user.interrupt and wait for idle",
                       session_status_name(s->status), verb);
}

static int decide_archive(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)fact;
    if (x->s->archived)
        return 0;
    if (check_at_rest(x->s, "archived", refusal) < 0)
        return -1;
    turn_flush(x);
    stop_work(x);
    say(x, (struct event){ .type = EVENT_THREAD_STATUS_TERMINATED });
    say(x, (struct event){ .type = EVENT_SESSION_STATUS_TERMINATED });
    say(x, (struct event){ .type = EVENT_INTERNAL_CLOSED });
    return 0;
}

static int decide_delete(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)fact;
    if (check_at_rest(x->s, "deleted", refusal) < 0)
        return -1;
    stop_work(x);
    say(x, (struct event){ .type = EVENT_SESSION_DELETED });
    return 0;
}

/* The last process died: what it did alone has to be done again, or is unknown (architecture 5). */
static int decide_recovered(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)fact, (void)refusal;
    struct session *s = x->s;
    if (!id_is_none(&s->request)) {
        model_cut(x, &(struct usage){ 0 }, s->compaction_due || s->request_compacts);
        model_interrupt(x);
    }
    for (size_t i = 0; i < s->call_count; i++) {
        const struct call *c = &s->calls[i];
        if (c->state != CALL_RUNS)
            continue;
        struct event unknown = { .type = EVENT_POSTERN_CALL_UNKNOWN,
                                 .about = c->id,
                                 .arguments = c->arguments };
        if (c->repeat == REPEAT_SAFE) {
            want(x, (struct effect){
                        .type = EFFECT_TOOL_RUN, .id = c->id, .name = c->name, .input = c->input });
            continue;
        }
        call_close(
            x, &unknown.about,
            STR("The server was restarted while this call ran. Its outcome is unknown; it was "
                "not repeated."));
        say(x, unknown);
    }
    return 0;
}

/* What runs is cut off, so that its end stands in the log; the next process goes on. */
static int decide_park(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    (void)fact, (void)refusal;
    struct session *s = x->s;
    if (!id_is_none(&s->request)) {
        want(x, (struct effect){ .type = EFFECT_MODEL_ABORT, .id = s->request });
        model_cut(x, &(struct usage){ 0 }, s->compaction_due || s->request_compacts);
        model_interrupt(x);
    }
    for (size_t i = 0; i < s->call_count; i++)
        if (s->calls[i].state == CALL_RUNS)
            want(x, (struct effect){ .type = EFFECT_TOOL_CANCEL, .id = s->calls[i].id });
    return 0;
}

typedef int decide(struct deciding *x, const struct fact *fact, struct refusal *refusal);

static decide *const decides[] = {
    [FACT_CREATED] = decide_created,
    [FACT_CLIENT] = decide_client,
    [FACT_MODEL_ENDED] = decide_model,
    [FACT_MODEL_ABORTED] = decide_model,
    [FACT_MODEL_FAILED] = decide_model,
    [FACT_TOOL_ENDED] = decide_tool,
    [FACT_CLOCK] = decide_nothing,
    [FACT_WORK] = decide_work,
    [FACT_WORK_WANTED] = decide_work_wanted,
    [FACT_CALLS_STARTED] = decide_marks,
    [FACT_UPDATE] = decide_update,
    [FACT_ARCHIVE] = decide_archive,
    [FACT_DELETE] = decide_delete,
    [FACT_RECOVERED] = decide_recovered,
    [FACT_PARK] = decide_park,
};

int session_decide(struct session *s, const struct fact *fact, const struct session_rules *rules,
                   int64_t now, const struct random_source *random, struct decision *d)
{
    struct deciding x = { .s = s, .rules = rules, .now = now, .random = random, .d = d };
    if (decides[fact->type](&x, fact, &d->refusal) < 0)
        return -1;
    turn_settle(&x);
    return 0;
}
