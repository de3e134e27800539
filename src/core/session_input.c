/* What clients send: checked as a whole, then taken in order (API contract 3.2, 3.5, 3.6). */
#include "core/budget.h"
#include "core/session-int.h"

enum { INTERRUPTS_MAX = 16 /* room for them behind a full queue */ };

/* --- checks: nothing is changed before every event of the request has passed --- */

typedef int check(const struct deciding *x, const struct fact *fact, size_t i,
                  struct refusal *refusal);

/* An earlier confirmation of the same call in this request, or NULL. */
static const struct event *confirmed_before(const struct fact *fact, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct event *e = &fact->client.events[k];
        if (e->type == EVENT_USER_TOOL_CONFIRMATION &&
            id_eq(&e->about, &fact->client.events[i].about))
            return e;
    }
    return NULL;
}

static int check_call(const struct deciding *x, const struct fact *fact, size_t i,
                      const struct call **out, struct refusal *refusal)
{
    const struct event *e = &fact->client.events[i];
    *out = call_find(x->s, &e->about);
    if (!*out)
        return refusal_set(refusal, 400, NULL, "events[%zu]: there is no call %s in this session",
                           i, e->about.text);
    bool custom = (*out)->type == EVENT_AGENT_CUSTOM_TOOL_USE;
    bool tool = (*out)->type == EVENT_AGENT_TOOL_USE;
    bool fits = e->type == EVENT_USER_CUSTOM_TOOL_RESULT ? custom
                : e->type == EVENT_USER_TOOL_RESULT      ? tool
                                                         : !custom;
    if (!fits)
        return refusal_set(refusal, 400, NULL, "events[%zu]: %s is a call of another kind", i,
                           e->about.text);
    return 0;
}

static int check_result(const struct deciding *x, const struct fact *fact, size_t i,
                        struct refusal *refusal)
{
    const struct call *c;
    if (check_call(x, fact, i, &c, refusal) < 0)
        return -1;
    if (!call_is_open(c))
        return 0;
    if (c->owner == OWNER_SERVER)
        return refusal_set(refusal, 400, NULL, "events[%zu]: the server runs %s itself", i,
                           c->id.text);
    const struct event *confirmed = confirmed_before(fact, i);
    if (c->state == CALL_ASKS && !c->doubtful && !(confirmed && confirmed->allow))
        return refusal_set(refusal, 400, NULL, "events[%zu]: %s has not been confirmed", i,
                           c->id.text);
    return 0;
}

static int check_confirmation(const struct deciding *x, const struct fact *fact, size_t i,
                              struct refusal *refusal)
{
    const struct event *e = &fact->client.events[i], *before = confirmed_before(fact, i);
    const struct call *c;
    if (check_call(x, fact, i, &c, refusal) < 0)
        return -1;
    bool decided = !id_is_none(&c->confirmation);
    if ((decided && c->allowed != e->allow) || (before && before->allow != e->allow))
        return refusal_set(refusal, 400, NULL, "events[%zu]: %s has been decided otherwise", i,
                           c->id.text);
    if (!decided && !e->allow && call_is_open(c) && c->state != CALL_ASKS)
        return refusal_set(refusal, 400, NULL, "events[%zu]: %s needs no confirmation", i,
                           c->id.text);
    return 0;
}

static int check_message(const struct deciding *x, const struct fact *fact, size_t i,
                         struct refusal *refusal)
{
    const struct session *s = x->s;
    if (!s->turn)
        return 0; /* processed at once */
    size_t count = s->queue_count, bytes = s->queue_bytes;
    for (size_t k = 0; k <= i; k++) {
        count++;
        bytes += fact->client.events[k].content.n;
    }
    bool interrupt = fact->client.events[i].type == EVENT_USER_INTERRUPT;
    if (count > SESSION_QUEUED_MAX + (interrupt ? INTERRUPTS_MAX : 0))
        return refusal_set(refusal, 429, NULL, "events[%zu]: %d inputs wait for their turn already",
                           i, SESSION_QUEUED_MAX);
    if (bytes > SESSION_QUEUED_BYTES_MAX)
        return refusal_set(refusal, 429, NULL,
                           "events[%zu]: the inputs that wait for their turn would hold more than "
                           "%d bytes",
                           i, SESSION_QUEUED_BYTES_MAX);
    return 0;
}

static int check_interrupt(const struct deciding *x, const struct fact *fact, size_t i,
                           struct refusal *refusal)
{
    return id_is_none(&x->s->request) ? 0 : check_message(x, fact, i, refusal);
}

static int check_system(const struct deciding *x, const struct fact *fact, size_t i,
                        struct refusal *refusal)
{
    enum event_type before = i ? fact->client.events[i - 1].type : EVENT_NONE;
    if (!x->rules->system_messages)
        return refusal_set(refusal, 400, "model_does_not_support_mid_conversation_system",
                           "events[%zu]: the model takes no system message here", i);
    if (i + 1 != fact->client.count || (before != EVENT_USER_MESSAGE && !is_result(before)))
        return refusal_set(
            refusal, 400, NULL,
            "events[%zu]: a system.message is the last event of a request and stands "
            "right behind a user.message or a tool result",
            i);
    if (session_is_blocked(x->s) && !is_result(before))
        return refusal_set(
            refusal, 400, NULL,
            "events[%zu]: while the session waits for results a system.message stands "
            "right behind one",
            i);
    return check_message(x, fact, i, refusal);
}

static check *const checks[EVENT_TYPES] = {
    [EVENT_USER_MESSAGE] = check_message,    [EVENT_USER_INTERRUPT] = check_interrupt,
    [EVENT_SYSTEM_MESSAGE] = check_system,   [EVENT_USER_TOOL_CONFIRMATION] = check_confirmation,
    [EVENT_USER_TOOL_RESULT] = check_result, [EVENT_USER_CUSTOM_TOOL_RESULT] = check_result,
};

int input_check(const struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    if (x->s->status == SESSION_TERMINATED)
        return refusal_set(refusal, 400, NULL, "the session is %s and takes no events",
                           x->s->archived ? "archived" : "terminated");
    bool spent = budget_is_spent(x->s);
    for (size_t i = 0; i < fact->client.count; i++) {
        enum event_type type = fact->client.events[i].type;
        if (type <= EVENT_NONE || type >= EVENT_TYPES || !checks[type])
            return refusal_set(refusal, 400, NULL, "events[%zu]: clients do not send this type", i);
        if (spent && (type == EVENT_USER_MESSAGE || type == EVENT_SYSTEM_MESSAGE))
            return refusal_set(
                refusal, 400, NULL,
                "events[%zu]: the budget is spent; accepted are user.tool_confirmation, "
                "user.tool_result, user.custom_tool_result, user.interrupt",
                i);
        if (checks[type](x, fact, i, refusal) < 0)
            return -1;
    }
    return 0;
}

/* --- taking: cannot fail any more --- */

static void queue(struct deciding *x, const struct event *e)
{
    answer(x,
           say(x, (struct event){
                      .type = EVENT_INTERNAL_QUEUED, .queued = e->type, .content = e->content }));
}

static void take_message(struct deciding *x, const struct event *e)
{
    struct session *s = x->s;
    if (!s->turn && !x->opening) {
        turn_run(x);
        x->opening = true;
    }
    if (x->opening)
        answer(x, say(x, *e));
    else
        queue(x, e);
}

static void take_interrupt(struct deciding *x, const struct event *e)
{
    struct session *s = x->s;
    if (!id_is_none(&s->request)) {
        if (!interrupt_waits(s))
            want(x, (struct effect){ .type = EFFECT_MODEL_ABORT, .id = s->request });
        queue(x, e);
        return;
    }
    struct event made = *e;
    made.id = id_make("sevt_", x->random);
    turn_interrupt(x, &made);
    answer(x, made.id);
}

/* Behind a repeated result it is a repetition itself. */
static void take_system(struct deciding *x, const struct event *e, const struct event *before)
{
    const struct session *s = x->s;
    const struct call *c = is_result(before->type) ? call_find(s, &before->about) : NULL;
    if (c && !id_is_none(&c->followed))
        answer(x, c->followed);
    else if (!id_is_none(&s->request) || (!c && !x->opening))
        queue(x, e);
    else
        answer(x, say(x, *e));
}

static void take_confirmation(struct deciding *x, const struct event *e)
{
    const struct call *c = call_of(x->s, &e->about);
    bool asked = c->state == CALL_ASKS, doubtful = c->doubtful;
    if (!id_is_none(&c->confirmation)) {
        answer(x, c->confirmation);
        return;
    }
    if (!call_is_open(c)) {
        answer(x, c->result);
        return;
    }
    answer(x, say(x, *e));
    if (!asked)
        return;
    c = call_of(x->s, &e->about);
    if (e->allow && c->state == CALL_RUNS)
        want(x, (struct effect){
                    .type = EFFECT_TOOL_RUN, .id = c->id, .name = c->name, .input = c->input });
    else if (e->allow)
        x->approved = true;
    else if (doubtful)
        call_close(x, &e->about,
                   text(x,
                        "The outcome of the call is unknown, and the user decided that it is not "
                        "repeated%s%.*s",
                        e->text.n ? ": " : ".", STR_ARGS(e->text)));
    else
        call_close(x, &e->about,
                   text(x, "The call was rejected by the user%s%.*s", e->text.n ? ": " : ".",
                        STR_ARGS(e->text)));
}

static void take_result(struct deciding *x, const struct fact *fact, const struct event *e)
{
    const struct call *c = call_of(x->s, &e->about);
    if (!call_is_open(c)) {
        answer(x, c->result);
        return;
    }
    struct event result = *e;
    result.work = (struct id){ 0 };
    if (fact->client.worker)
        result.work = id_is_none(&fact->client.work) ? x->s->work : fact->client.work;
    answer(x, say(x, result));
}

void input_take(struct deciding *x, const struct fact *fact)
{
    struct decision *d = x->d;
    d->answers = mem_grow(d->answers, fact->client.count * sizeof *d->answers + 1);
    d->answer_count = 0;
    for (size_t i = 0; i < fact->client.count; i++) {
        const struct event *e = &fact->client.events[i];
        if (e->type == EVENT_USER_MESSAGE)
            take_message(x, e);
        else if (e->type == EVENT_USER_INTERRUPT)
            take_interrupt(x, e);
        else if (e->type == EVENT_SYSTEM_MESSAGE)
            take_system(x, e, e - 1);
        else if (e->type == EVENT_USER_TOOL_CONFIRMATION)
            take_confirmation(x, e);
        else
            take_result(x, fact, e);
    }
}
