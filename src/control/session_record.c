#include "control/session_record.h"

#include "control/engine.h"
#include "control/scalar.h"
#include "control/usage_json.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#include <stdlib.h>

static const struct {
    const char *name, *missing;
} members[SESSION_MEMBERS] = {
    [MEMBER_AGENT] = { "agent", "{}" },
    [MEMBER_TITLE] = { "title", "null" },
    [MEMBER_METADATA] = { "metadata", "{}" },
    [MEMBER_RESOURCES] = { "resources", "[]" },
    [MEMBER_VAULT_IDS] = { "vault_ids", "[]" },
    [MEMBER_BUDGET] = { "budget", "null" },
    [MEMBER_DEPLOYMENT_ID] = { "deployment_id", "null" },
};

static const struct {
    const char *name;
    size_t offset;
} moments[] = {
    { "updated_at", offsetof(struct session_record, updated_at) },
    { "ended_at", offsetof(struct session_record, ended_at) },
    { "running_since", offsetof(struct session_record, running_since) },
};
enum { MOMENTS = sizeof moments / sizeof *moments };

struct str session_member_name(enum session_member member)
{
    return str_of(members[member].name);
}

void session_record_release(struct session_record *r)
{
    for (size_t i = 0; i < SESSION_MEMBERS; i++) {
        free(r->members[i]);
        r->members[i] = NULL;
    }
}

void session_record_set(struct session_record *r, enum session_member member, struct str json)
{
    char *was = r->members[member];
    r->members[member] = str_dup(json);
    free(was);
}

static bool members_read(struct session_record *r, struct str object)
{
    struct json_slice s;
    if (!json_slice_begin(&s, object) || s.array)
        return false;
    while (json_slice_next(&s))
        for (enum session_member m = 0; m < SESSION_MEMBERS; m++)
            if (str_eq(s.key, str_of(members[m].name)))
                session_record_set(r, m, s.value);
    for (enum session_member m = 0; m < SESSION_MEMBERS; m++)
        if (!r->members[m])
            session_record_set(r, m, str_of(members[m].missing));
    return !s.bad;
}

bool session_record_members(struct session_record *r, struct str text)
{
    AUTO_BUF object = { 0 };
    json_write_object(&object);
    if (text.n)
        json_write_raw(&object, text);
    json_write_object_end(&object);
    return members_read(r, buf_str(&object));
}

void session_record_write(const struct session_record *r, struct buf *body, struct record *out)
{
    buf_empty(body);
    json_write_object(body);
    for (size_t i = 0; i < MOMENTS; i++)
        json_member_i64(body, moments[i].name,
                        *(const int64_t *)((const char *)r + moments[i].offset));
    json_member_u64(body, "queued", r->queued);
    json_write_key(body, STR("usage"));
    usage_json_write(body, &r->usage);
    for (enum session_member m = 0; m < SESSION_MEMBERS; m++) {
        json_write_key(body, str_of(members[m].name));
        json_write_raw(body, str_of(r->members[m]));
    }
    json_write_object_end(body);
    *out = (struct record){
        .kind = RECORD_SESSION,
        .id = r->id,
        .workspace = r->workspace,
        .parent = r->environment,
        .group = r->agent,
        .number = r->agent_version,
        .state = str_of(session_status_name(r->status)),
        .created_at = r->created_at,
        .archived_at = r->archived_at,
        .due_at = r->due_at,
        .body = buf_str(body),
    };
}

static bool status_read(struct str name, enum session_status *out)
{
    for (enum session_status s = SESSION_IDLE; s <= SESSION_TERMINATED; s++)
        if (str_eq(name, str_of(session_status_name(s))))
            return *out = s, true;
    return false;
}

static bool body_read(struct session_record *r, const struct record *record)
{
    uint64_t queued;
    for (size_t i = 0; i < MOMENTS; i++)
        if (!json_slice_i64(json_slice_get(record->body, moments[i].name),
                            (int64_t *)((char *)r + moments[i].offset)))
            return false;
    if (!json_slice_u64(json_slice_get(record->body, "queued"), &queued))
        return false;
    r->queued = (size_t)queued;
    return usage_json_read(json_slice_get(record->body, "usage"), &r->usage) &&
           status_read(record->state, &r->status) && members_read(r, record->body);
}

int session_record_read(const struct record *record, struct session_record *out, struct err *e)
{
    struct session_record r = {
        .id = record->id,
        .workspace = record->workspace,
        .environment = record->parent,
        .agent = record->group,
        .agent_version = record->number,
        .created_at = record->created_at,
        .archived_at = record->archived_at,
        .due_at = record->due_at,
        .revision = record->revision,
    };
    if (!body_read(&r, record)) {
        session_record_release(&r);
        return err_set(e, E_BUG, 0, "the record of session %s cannot be read", record->id.text);
    }
    *out = r;
    return 0;
}

struct id session_thread_id(const struct id *session)
{
    struct id thread = { "sthr_" };
    struct str chance = id_str(session);
    ptrdiff_t at = str_last_index(chance, '_');
    chance = str_skip(chance, (size_t)(at + 1));
    size_t room = sizeof thread.text - 1 - strlen(thread.text);
    memcpy(thread.text + strlen("sthr_"), chance.p, chance.n < room ? chance.n : room);
    return thread;
}

static int64_t active_until(const struct session_record *r, int64_t now)
{
    int64_t more = r->status == SESSION_RUNNING ? now - r->running_since : 0;
    return r->usage.active + (more > 0 ? more : 0);
}

static void stats_show(const struct session_record *r, int64_t now, bool startup, struct buf *out)
{
    json_write_key(out, STR("stats"));
    json_write_object(out);
    seconds_member(out, "active_seconds", active_until(r, now));
    seconds_member(out, "duration_seconds", (r->ended_at ? r->ended_at : now) - r->created_at);
    if (startup)
        seconds_member(out, "startup_seconds", 0);
    json_write_object_end(out);
}

static void usage_show(const struct session_record *r, int64_t now, struct buf *out)
{
    struct usage usage = r->usage;
    usage.active = active_until(r, now);
    json_write_key(out, STR("usage"));
    usage_json_show(out, &usage);
}

static void member_show(const struct session_record *r, enum session_member m, struct buf *out)
{
    json_write_key(out, str_of(members[m].name));
    json_write_raw(out, str_of(r->members[m]));
}

void session_record_show(const struct session_record *r, int64_t now, struct buf *out)
{
    json_write_object(out);
    json_member_str(out, "id", id_str(&r->id));
    json_member_text(out, "type", "session");
    json_member_text(out, "status", session_status_name(r->status));
    member_show(r, MEMBER_AGENT, out);
    json_member_str(out, "environment_id", id_str(&r->environment));
    for (enum session_member m = MEMBER_TITLE; m <= MEMBER_BUDGET; m++)
        member_show(r, m, out);
    json_write_key(out, STR("outcome_evaluations"));
    json_write_array(out);
    json_write_array_end(out);
    stats_show(r, now, false, out);
    usage_show(r, now, out);
    member_show(r, MEMBER_DEPLOYMENT_ID, out);
    moment_member(out, "created_at", r->created_at);
    moment_member(out, "updated_at", r->updated_at);
    moment_member(out, "archived_at", r->archived_at);
    json_write_object_end(out);
}

/* The snapshot without the agents that a thread cannot see. */
static void thread_agent_show(const struct session_record *r, struct buf *out)
{
    struct json_slice s;
    json_write_key(out, STR("agent"));
    json_write_object(out);
    if (json_slice_begin(&s, str_of(r->members[MEMBER_AGENT])))
        while (json_slice_next(&s))
            if (!str_eq(s.key, STR("multiagent"))) {
                json_write_key(out, s.key);
                json_write_raw(out, s.value);
            }
    json_write_object_end(out);
}

void session_record_show_thread(const struct session_record *r, int64_t now, struct buf *out)
{
    struct id thread = session_thread_id(&r->id);
    json_write_object(out);
    json_member_str(out, "id", id_str(&thread));
    json_member_text(out, "type", "session_thread");
    json_member_str(out, "session_id", id_str(&r->id));
    json_member_text(out, "parent_thread_id", NULL);
    thread_agent_show(r, out);
    json_member_text(out, "status", session_status_name(r->status));
    stats_show(r, now, true, out);
    usage_show(r, now, out);
    json_member_text(out, "workflow_run_id", NULL);
    moment_member(out, "archived_at", r->archived_at);
    moment_member(out, "created_at", r->created_at);
    moment_member(out, "updated_at", r->updated_at);
    json_write_object_end(out);
}

int session_json(const struct record *session, int64_t now, struct buf *out, struct err *e)
{
    struct session_record r;
    if (session_record_read(session, &r, e) < 0)
        return -1;
    session_record_show(&r, now, out);
    session_record_release(&r);
    return 0;
}

int thread_json(const struct record *session, int64_t now, struct buf *out, struct err *e)
{
    struct session_record r;
    if (session_record_read(session, &r, e) < 0)
        return -1;
    session_record_show_thread(&r, now, out);
    session_record_release(&r);
    return 0;
}
