#include "core/session-int.h"

#include <stdlib.h>

struct session *session_new(void)
{
    return mem_get(sizeof(struct session));
}

void session_free(struct session *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->call_count; i++) {
        free((char *)s->calls[i].name.p);
        free((char *)s->calls[i].input.p);
    }
    for (size_t i = 0; i < s->queue_count; i++)
        free(s->queue[i].texts);
    free(s->calls);
    free(s->queue);
    free(s);
}

const char *session_status_name(enum session_status status)
{
    static const char *const names[] = {
        [SESSION_IDLE] = "idle",
        [SESSION_RUNNING] = "running",
        [SESSION_RESCHEDULING] = "rescheduling",
        [SESSION_TERMINATED] = "terminated",
    };
    return names[status];
}

bool is_result(enum event_type type)
{
    return type == EVENT_USER_TOOL_RESULT || type == EVENT_USER_CUSTOM_TOOL_RESULT ||
           type == EVENT_AGENT_TOOL_RESULT || type == EVENT_AGENT_MCP_TOOL_RESULT;
}

/* Those that are asked for are nearly always the last ones. */
struct call *call_find(const struct session *s, const struct id *id)
{
    for (size_t i = s->call_count; i > 0; i--)
        if (id_eq(&s->calls[i - 1].id, id))
            return &s->calls[i - 1];
    return NULL;
}

struct call *call_of(const struct session *s, const struct id *id)
{
    struct call *c = call_find(s, id);
    CHECK(c);
    return c;
}

const struct call *session_call(const struct session *s, const struct id *id)
{
    return call_find(s, id);
}

bool call_is_open(const struct call *c)
{
    return c->state != CALL_CLOSED;
}

size_t calls_in(const struct session *s, enum call_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < s->call_count; i++)
        n += s->calls[i].state == state;
    return n;
}

/* Calls that others have to move: those of stop_reason.event_ids. */
size_t session_waiting(const struct session *s, struct id *out, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < s->call_count; i++) {
        const struct call *c = &s->calls[i];
        if (c->state != CALL_ASKS && c->state != CALL_WAITS)
            continue;
        if (n < room)
            out[n] = c->id;
        n++;
    }
    return n;
}

bool session_is_blocked(const struct session *s)
{
    return s->turn && id_is_none(&s->request) && session_waiting(s, NULL, 0) > 0;
}

bool session_is_busy(const struct session *s)
{
    return s->status == SESSION_RUNNING || s->status == SESSION_RESCHEDULING;
}

bool interrupt_waits(const struct session *s)
{
    for (size_t i = 0; i < s->queue_count; i++)
        if (s->queue[i].event.type == EVENT_USER_INTERRUPT)
            return true;
    return false;
}

int64_t session_deadline(const struct session *s)
{
    return s->status == SESSION_RESCHEDULING ? s->retry_at : INT64_MAX;
}

struct usage session_usage(const struct session *s, int64_t now)
{
    struct usage u = s->usage;
    if (s->status == SESSION_RUNNING && now > s->running_since)
        u.active += now - s->running_since;
    return u;
}

/* --- comparing, for those who check that a replayed log gives the same state --- */

static const char *call_difference(const struct call *a, const struct call *b)
{
    if (!id_eq(&a->id, &b->id) || a->type != b->type || a->owner != b->owner)
        return "a call";
    if (a->state != b->state || a->repeat != b->repeat || a->permission != b->permission)
        return "the state of a call";
    if (memcmp(&a->arguments, &b->arguments, sizeof a->arguments) != 0)
        return "the intent of a call";
    if (!id_eq(&a->confirmation, &b->confirmation) || a->allowed != b->allowed)
        return "the confirmation of a call";
    if (!id_eq(&a->result, &b->result) || !id_eq(&a->followed, &b->followed))
        return "the result of a call";
    if (a->started != b->started || a->attempt != b->attempt || a->doubtful != b->doubtful)
        return "the mark of a call";
    if (!str_eq(a->name, b->name) || !str_eq(a->input, b->input))
        return "the input of a call";
    return NULL;
}

static const char *turn_difference(const struct session *a, const struct session *b)
{
    if (a->turn != b->turn || !id_eq(&a->request, &b->request) ||
        a->request_compacts != b->request_compacts)
        return "turn";
    if (a->compaction_due != b->compaction_due || a->answered != b->answered ||
        a->compactions != b->compactions)
        return "compaction";
    if (a->rounds != b->rounds || a->attempts != b->attempts || a->retry_at != b->retry_at)
        return "retry";
    if (a->named != b->named)
        return "named";
    return NULL;
}

static const char *usage_difference(const struct usage *a, const struct usage *b)
{
    bool same = a->input_tokens == b->input_tokens && a->output_tokens == b->output_tokens &&
                a->cache_read_input_tokens == b->cache_read_input_tokens &&
                a->cache_creation_5m_input_tokens == b->cache_creation_5m_input_tokens &&
                a->cache_creation_1h_input_tokens == b->cache_creation_1h_input_tokens &&
                a->web_search_requests == b->web_search_requests &&
                a->web_fetch_requests == b->web_fetch_requests && a->list_cost == b->list_cost &&
                a->priced == b->priced && a->active == b->active;
    return same ? NULL : "usage";
}

static const char *queue_difference(const struct session *a, const struct session *b)
{
    if (a->queue_count != b->queue_count || a->queue_bytes != b->queue_bytes)
        return "queue";
    for (size_t i = 0; i < a->queue_count; i++) {
        const struct event *p = &a->queue[i].event, *q = &b->queue[i].event;
        if (p->type != q->type || !id_eq(&p->id, &q->id) || !str_eq(p->content, q->content))
            return "a queued input";
    }
    return NULL;
}

const char *session_difference(const struct session *a, const struct session *b)
{
    const char *why;
    if (a->status != b->status || a->stop != b->stop || a->created != b->created ||
        a->archived != b->archived)
        return "status";
    if ((why = turn_difference(a, b)) || (why = usage_difference(&a->usage, &b->usage)) ||
        (why = queue_difference(a, b)))
        return why;
    if (a->budgeted != b->budgeted || a->cap != b->cap)
        return "budget";
    if (!id_eq(&a->work, &b->work) || a->work_live != b->work_live ||
        a->work_held != b->work_held || a->work_fruitful != b->work_fruitful ||
        a->work_failures != b->work_failures)
        return "work";
    if (a->running_since != b->running_since || a->created_at != b->created_at ||
        a->last_at != b->last_at || !id_eq(&a->last_result, &b->last_result))
        return "time";
    if (a->call_count != b->call_count)
        return "calls";
    for (size_t i = 0; i < a->call_count; i++)
        if ((why = call_difference(&a->calls[i], &b->calls[i])))
            return why;
    return NULL;
}
