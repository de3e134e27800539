#include "control/event_json.h"

#include "base/moment.h"
#include "control/event_field.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#define AT(member) offsetof(struct event, member)
#define CONTENT                                                                                    \
    {                                                                                              \
        "content", &field_raw, AT(content), FIELD_HEAVY | FIELD_ALWAYS, NULL                       \
    }
#define RESULT(about_name)                                                                         \
    { about_name, &field_id, AT(about), FIELD_ALWAYS, NULL },                                      \
        { "is_error", &field_bool, AT(is_error), FIELD_ALWAYS, NULL },                             \
        { "content", &field_content, AT(content), FIELD_HEAVY, NULL },                             \
    {                                                                                              \
        "work_id", &field_id, AT(work), FIELD_INNER, NULL                                          \
    }
#define INTENT                                                                                     \
    { "input", &field_raw, AT(input), FIELD_HEAVY | FIELD_ALWAYS, NULL },                          \
        { "owner", &field_word, AT(owner), FIELD_INNER, owner_words },                             \
        { "repeat", &field_word, AT(repeat), FIELD_INNER, repeat_words },                          \
        { "model_id", &field_text, AT(model_id), FIELD_INNER, NULL },                              \
    {                                                                                              \
        "arguments", &field_sha256, AT(arguments), FIELD_INNER, NULL                               \
    }
#define JUDGEMENT                                                                                  \
    { "evaluated_permission", &field_word, AT(permission), 0, permission_words },                  \
    {                                                                                              \
        "evaluation", &field_evaluation, AT(policy), 0, NULL                                       \
    }
#define BUDGET                                                                                     \
    { "budget_change", &field_word, AT(budget), FIELD_INNER, budget_words },                       \
    {                                                                                              \
        "cap", &field_u64, AT(cap), FIELD_INNER, NULL                                              \
    }
#define STOP                                                                                       \
    { "stop_reason", &field_stop_reason, AT(stop), FIELD_ALWAYS, NULL },                           \
    {                                                                                              \
        "stop_details", &field_stop_details, AT(category), FIELD_ALWAYS, NULL                      \
    }
#define THREAD                                                                                     \
    { "session_thread_id", &field_id, AT(about), FIELD_ALWAYS, NULL },                             \
    {                                                                                              \
        "agent_name", &field_text, AT(name), FIELD_ALWAYS, NULL                                    \
    }
#define DIALECT                                                                                    \
    {                                                                                              \
        "model_dialect", &field_text, AT(name), 0, NULL                                            \
    }
#define USAGE                                                                                      \
    {                                                                                              \
        "exact", &field_usage, AT(usage), FIELD_INNER, NULL                                        \
    }
#define CALL_MARK                                                                                  \
    { "tool_use_id", &field_id, AT(about), FIELD_ALWAYS, NULL },                                   \
        { "arguments_sha256", &field_sha256, AT(arguments), FIELD_ALWAYS, NULL },                  \
        { "attempt", &field_unsigned, AT(attempt), FIELD_ALWAYS, NULL },                           \
    {                                                                                              \
        "work_id", &field_id, AT(work), FIELD_ALWAYS, NULL                                         \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, 0, 0, NULL                                                                     \
    }

static const struct field no_fields[] = { END };
static const struct field content[] = { CONTENT, END };
static const struct field interrupt[] = { { "session_thread_id", &field_id, AT(about), 0, NULL },
                                          END };
static const struct field confirmation[] = {
    { "tool_use_id", &field_id, AT(about), FIELD_ALWAYS, NULL },
    { "result", &field_verdict, AT(allow), FIELD_ALWAYS, NULL },
    { "deny_message", &field_text, AT(text), 0, NULL },
    END
};
static const struct field tool_result[] = { RESULT("tool_use_id"), END };
static const struct field custom_tool_result[] = { RESULT("custom_tool_use_id"), END };
static const struct field mcp_tool_result[] = { RESULT("mcp_tool_use_id"), END };
static const struct field idle[] = { STOP, END };
static const struct field thread[] = { THREAD, END };
static const struct field thread_idle[] = { THREAD, STOP, END };
static const struct field updated[] = { BUDGET, END };
static const struct field usage[] = {
    { "usage", &field_usage_shown, AT(usage), FIELD_ALWAYS, NULL }, USAGE, END
};
static const struct field error[] = { { "error", &field_error, AT(error), FIELD_ALWAYS, NULL },
                                      END };
static const struct field thinking[] = {
    { "replay", &field_raw, AT(replay), FIELD_INNER | FIELD_HEAVY, NULL }, END
};
static const struct field tool_use[] = {
    { "name", &field_text, AT(name), FIELD_ALWAYS, NULL }, JUDGEMENT, INTENT, END
};
static const struct field mcp_tool_use[] = { { "name", &field_text, AT(name), FIELD_ALWAYS, NULL },
                                             { "mcp_server_name", &field_text, AT(server),
                                               FIELD_ALWAYS, NULL },
                                             JUDGEMENT,
                                             INTENT,
                                             END };
static const struct field custom_tool_use[] = {
    { "name", &field_text, AT(name), FIELD_ALWAYS, NULL }, INTENT, END
};
static const struct field compacted[] = {
    { "summary", &field_text, AT(text), FIELD_INNER | FIELD_HEAVY, NULL }, END
};
static const struct field request_start[] = {
    DIALECT, { "compaction", &field_bool, AT(compaction), FIELD_INNER, NULL }, END
};
static const struct field request_end[] = {
    { "model_request_start_id", &field_id, AT(about), FIELD_ALWAYS, NULL },
    { "is_error", &field_bool, AT(is_error), FIELD_ALWAYS, NULL },
    { "model_usage", &field_model_usage, AT(usage), FIELD_ALWAYS, NULL },
    DIALECT,
    USAGE,
    { "compaction", &field_bool, AT(compaction), FIELD_INNER, NULL },
    END
};
static const struct field call_mark[] = { CALL_MARK, END };
static const struct field work_failed[] = { { "work_id", &field_id, AT(work), FIELD_ALWAYS, NULL },
                                            { "reason", &field_text, AT(text), FIELD_ALWAYS, NULL },
                                            { "attempt", &field_unsigned, AT(attempt), FIELD_ALWAYS,
                                              NULL },
                                            END };
static const struct field retry[] = { { "until", &field_i64, AT(until), FIELD_INNER, NULL },
                                      { "attempt", &field_unsigned, AT(attempt), FIELD_INNER,
                                        NULL },
                                      END };
static const struct field work[] = { { "work_id", &field_id, AT(work), FIELD_INNER, NULL },
                                     { "step", &field_word, AT(step), FIELD_INNER, step_words },
                                     { "until", &field_i64, AT(until), FIELD_INNER, NULL },
                                     { "attempt", &field_unsigned, AT(attempt), FIELD_INNER, NULL },
                                     END };

/* `members`: those of the event stand behind its fields, as they are. */
static const struct {
    const char *name;
    const struct field *fields;
    bool members;
} types[EVENT_TYPES] = {
    [EVENT_USER_MESSAGE] = { "user.message", content, false },
    [EVENT_USER_INTERRUPT] = { "user.interrupt", interrupt, false },
    [EVENT_USER_TOOL_CONFIRMATION] = { "user.tool_confirmation", confirmation, false },
    [EVENT_USER_TOOL_RESULT] = { "user.tool_result", tool_result, false },
    [EVENT_USER_CUSTOM_TOOL_RESULT] = { "user.custom_tool_result", custom_tool_result, false },
    [EVENT_SYSTEM_MESSAGE] = { "system.message", content, false },
    [EVENT_SESSION_STATUS_RUNNING] = { "session.status_running", no_fields, false },
    [EVENT_SESSION_STATUS_IDLE] = { "session.status_idle", idle, false },
    [EVENT_SESSION_STATUS_RESCHEDULED] = { "session.status_rescheduled", no_fields, false },
    [EVENT_SESSION_STATUS_TERMINATED] = { "session.status_terminated", no_fields, false },
    [EVENT_SESSION_DELETED] = { "session.deleted", no_fields, false },
    [EVENT_SESSION_UPDATED] = { "session.updated", updated, true },
    [EVENT_SESSION_USAGE] = { "session.usage", usage, true },
    [EVENT_SESSION_ERROR] = { "session.error", error, false },
    [EVENT_THREAD_CREATED] = { "session.thread_created", thread, false },
    [EVENT_THREAD_STATUS_RUNNING] = { "session.thread_status_running", thread, false },
    [EVENT_THREAD_STATUS_IDLE] = { "session.thread_status_idle", thread_idle, false },
    [EVENT_THREAD_STATUS_RESCHEDULED] = { "session.thread_status_rescheduled", thread, false },
    [EVENT_THREAD_STATUS_TERMINATED] = { "session.thread_status_terminated", thread, false },
    [EVENT_AGENT_MESSAGE] = { "agent.message", content, false },
    [EVENT_AGENT_THINKING] = { "agent.thinking", thinking, false },
    [EVENT_AGENT_TOOL_USE] = { "agent.tool_use", tool_use, false },
    [EVENT_AGENT_TOOL_RESULT] = { "agent.tool_result", tool_result, false },
    [EVENT_AGENT_MCP_TOOL_USE] = { "agent.mcp_tool_use", mcp_tool_use, false },
    [EVENT_AGENT_MCP_TOOL_RESULT] = { "agent.mcp_tool_result", mcp_tool_result, false },
    [EVENT_AGENT_CUSTOM_TOOL_USE] = { "agent.custom_tool_use", custom_tool_use, false },
    [EVENT_AGENT_CONTEXT_COMPACTED] = { "agent.thread_context_compacted", compacted, false },
    [EVENT_MODEL_REQUEST_START] = { "span.model_request_start", request_start, false },
    [EVENT_MODEL_REQUEST_END] = { "span.model_request_end", request_end, false },
    [EVENT_POSTERN_CALL_STARTED] = { "postern.call_started", call_mark, false },
    [EVENT_POSTERN_CALL_UNKNOWN] = { "postern.call_unknown", call_mark, false },
    [EVENT_POSTERN_WORK_FAILED] = { "postern.work_failed", work_failed, false },
    [EVENT_POSTERN_APPROVAL_REQUESTED] = { "postern.approval_requested", no_fields, true },
    [EVENT_POSTERN_APPROVAL_RESOLVED] = { "postern.approval_resolved", no_fields, true },
    [EVENT_INTERNAL_CREATED] = { "internal.created", updated, true },
    [EVENT_INTERNAL_QUEUED] = { "internal.queued", NULL, false },
    [EVENT_INTERNAL_RETRY] = { "internal.retry", retry, false },
    [EVENT_INTERNAL_WORK] = { "internal.work", work, false },
    [EVENT_INTERNAL_CLOSED] = { "internal.closed", no_fields, false },
};

const char *event_type_name(enum event_type type)
{
    return types[type].name;
}

enum event_type event_type_of(struct str name)
{
    for (enum event_type t = EVENT_NONE + 1; t < EVENT_TYPES; t++)
        if (str_eq(name, str_of(types[t].name)))
            return t;
    return EVENT_NONE;
}

enum entry_shows event_type_shows(enum event_type type)
{
    if (event_is_internal(type))
        return ENTRY_INTERNAL;
    return event_is_extension(type) ? ENTRY_EXTENSION : ENTRY_PUBLIC;
}

/* An input that waits has the fields of what it will be. */
static enum event_type shape_of(const struct event *e)
{
    return e->type == EVENT_INTERNAL_QUEUED ? e->queued : e->type;
}

static void fields_write(struct buf *b, const struct event *e, unsigned inner)
{
    for (const struct field *f = types[shape_of(e)].fields; f->name; f++) {
        const void *at = (const char *)e + f->offset;
        if ((f->flags & FIELD_INNER) != inner ||
            !((f->flags & FIELD_ALWAYS) || f->codec->says(e, at)))
            continue;
        json_write_key(b, str_of(f->name));
        f->codec->write(b, f, e, at);
    }
}

void event_json_write(const struct event *e, struct buf *body, struct buf *inner)
{
    char at[MOMENT_SIZE];
    moment_write(at, e->at);
    json_write_object(body);
    json_member_str(body, "id", id_str(&e->id));
    json_member_text(body, "type", types[shape_of(e)].name);
    json_member_text(body, "processed_at", e->type == EVENT_INTERNAL_QUEUED ? NULL : at);
    fields_write(body, e, 0);
    if (types[e->type].members && e->members.n)
        json_write_raw(body, e->members);
    json_write_object_end(body);

    const size_t from = inner->n;
    json_write_object(inner);
    const size_t open = inner->n;
    fields_write(inner, e, FIELD_INNER);
    if (inner->n > open)
        json_write_object_end(inner);
    else
        inner->p[inner->n = from] = '\0';
}

static const struct field *field_find(const struct field *fields, struct str name, unsigned inner)
{
    for (const struct field *f = fields; f->name; f++)
        if ((f->flags & FIELD_INNER) == inner && str_eq(name, str_of(f->name)))
            return f;
    return NULL;
}

struct reading {
    const struct field *fields;
    struct event *event;
    struct arena *arena;
    bool members;
    enum event_detail detail;
    uint32_t seen; /* one bit per field */
};

static bool field_read(struct reading *r, const struct field *f, struct str value)
{
    r->seen |= UINT32_C(1) << (f - r->fields);
    return f->codec->read(f, value, r->event, (char *)r->event + f->offset, r->arena);
}

/* Every event begins with these three, in this order. */
static bool head_skip(struct json_slice *s)
{
    static const char *const head[] = { "id", "type", "processed_at" };
    for (size_t i = 0; i < sizeof head / sizeof *head; i++)
        if (!json_slice_next(s) || !str_eq(s->key, str_of(head[i])))
            return false;
    return true;
}

static bool public_read(struct reading *r, struct str body)
{
    struct json_slice s;
    if (!json_slice_begin(&s, body) || s.array || !head_skip(&s))
        return false;
    while (json_slice_key(&s)) {
        const struct field *f = field_find(r->fields, s.key, 0);
        if (!f && !r->members)
            return false;
        if (r->detail == EVENT_FOLD && (!f || (f->flags & FIELD_HEAVY)))
            return true; /* nothing that the fold needs stands behind it */
        if (!f && r->event->members.p == NULL)
            r->event->members = (struct str){ s.key.p - 1, 0 };
        if (!json_slice_value(&s) || (f && !field_read(r, f, s.value)))
            return false;
    }
    if (s.bad)
        return false;
    if (r->event->members.p) /* they reach up to the brace at the end */
        r->event->members.n = (size_t)(body.p + body.n - 1 - r->event->members.p);
    return true;
}

static bool inner_read(struct reading *r, struct str inner)
{
    struct json_slice s;
    if (inner.n == 0)
        return true;
    if (!json_slice_begin(&s, inner) || s.array)
        return false;
    while (json_slice_next(&s)) {
        const struct field *f = field_find(r->fields, s.key, FIELD_INNER);
        if (!f)
            return false;
        if (r->detail == EVENT_FOLD && (f->flags & FIELD_HEAVY))
            continue;
        if (!field_read(r, f, s.value))
            return false;
    }
    return !s.bad;
}

static bool is_complete(const struct reading *r)
{
    for (const struct field *f = r->fields; f->name; f++) {
        const bool wanted =
            (f->flags & FIELD_ALWAYS) && !(r->detail == EVENT_FOLD && (f->flags & FIELD_HEAVY));
        if (wanted && !(r->seen & UINT32_C(1) << (f - r->fields)))
            return false;
    }
    return true;
}

/* The server's own calls are carried out again after a restart, so their input is state. */
static bool is_needed_whole(const struct event *e)
{
    return e->type == EVENT_INTERNAL_QUEUED || e->owner == OWNER_SERVER;
}

int event_json_read(const struct entry *entry, enum event_detail detail, struct event *out,
                    struct arena *a, struct err *e)
{
    *out = (struct event){ .type = event_type_of(entry->type), .id = entry->id, .at = entry->at };
    if (out->type == EVENT_INTERNAL_QUEUED) {
        struct str name;
        if (json_slice_str(json_slice_get(entry->body, "type"), &name, a))
            out->queued = event_type_of(name);
    }
    struct reading r = { types[shape_of(out)].fields, out, a, types[out->type].members, detail, 0 };
    bool good = r.fields != NULL && inner_read(&r, entry->inner);
    if (good && is_needed_whole(out))
        r.detail = EVENT_WHOLE;
    if (!good || !public_read(&r, entry->body) || !is_complete(&r))
        return err_set(e, E_BUG, 0, "entry %lld of the log cannot be read", (long long)entry->seq);
    return 0;
}
