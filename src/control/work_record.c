#include "control/work_record.h"

#include "control/engine.h"
#include "control/scalar.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#include <stdlib.h>

#define NUMBER(member)                                                                             \
    {                                                                                              \
#member, offsetof(struct work, member)                                                     \
    }
static const struct {
    const char *name;
    size_t offset;
} numbers[] = {
    NUMBER(acknowledged_at),     NUMBER(started_at),
    NUMBER(latest_heartbeat_at), NUMBER(stop_requested_at),
    NUMBER(stopped_at),          NUMBER(not_before),
    NUMBER(delivered_at),        NUMBER(previous_heartbeat),
    NUMBER(lease_until),         NUMBER(lease),
};
static const struct {
    const char *name;
    size_t offset;
} counts[] = { NUMBER(claim), NUMBER(attempt) };
static const struct {
    const char *name;
    size_t offset;
} flags[] = { NUMBER(dead_letter), NUMBER(stop_wanted) };
#define COUNT(array) (sizeof(array) / sizeof *(array))

void work_record_release(struct work_record *r)
{
    free(r->metadata);
    r->metadata = NULL;
}

void work_record_supersede(struct work_record *r)
{
    if (!r->claimed)
        return;
    memmove(&r->superseded[1], &r->superseded[0], (SUPERSEDED_MAX - 1) * sizeof r->superseded[0]);
    r->superseded[0] = r->secret;
    if (r->superseded_count < SUPERSEDED_MAX)
        r->superseded_count++;
    r->claimed = false;
}

static const char *metadata_of(const struct work_record *r)
{
    return r->metadata ? r->metadata : "{}";
}

void work_record_write(const struct work_record *r, struct buf *body, struct record *out)
{
    const char *w = (const char *)&r->work;
    buf_empty(body);
    json_write_object(body);
    for (size_t i = 0; i < COUNT(numbers); i++)
        json_member_i64(body, numbers[i].name, *(const int64_t *)(w + numbers[i].offset));
    for (size_t i = 0; i < COUNT(counts); i++)
        json_member_u64(body, counts[i].name, *(const unsigned *)(w + counts[i].offset));
    for (size_t i = 0; i < COUNT(flags); i++)
        json_member_bool(body, flags[i].name, *(const bool *)(w + flags[i].offset));
    json_write_key(body, STR("superseded"));
    json_write_array(body);
    for (size_t i = 0; i < r->superseded_count; i++)
        sha256_write_value(body, &r->superseded[i]);
    json_write_array_end(body);
    json_write_key(body, STR("metadata"));
    json_write_raw(body, str_of(metadata_of(r)));
    json_write_object_end(body);
    *out = (struct record){
        .kind = RECORD_WORK,
        .id = r->work.id,
        .workspace = r->workspace,
        .parent = r->work.environment,
        .group = r->work.session,
        .number = r->work.dead_letter,
        .state = str_of(work_state_name(r->work.state)),
        .created_at = r->work.created_at,
        .body = buf_str(body),
    };
    if (r->claimed)
        out->secret = (struct str){ (const char *)r->secret.bytes, sizeof r->secret.bytes };
}

static bool superseded_read(struct str list, struct work_record *r)
{
    struct json_slice s;
    if (!json_slice_begin(&s, list) || !s.array)
        return false;
    while (json_slice_next(&s))
        if (r->superseded_count == SUPERSEDED_MAX ||
            !sha256_read_value(s.value, &r->superseded[r->superseded_count++]))
            return false;
    return !s.bad;
}

static bool body_read(struct str body, struct work_record *r)
{
    char *w = (char *)&r->work;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!json_slice_i64(json_slice_get(body, numbers[i].name),
                            (int64_t *)(w + numbers[i].offset)))
            return false;
    for (size_t i = 0; i < COUNT(counts); i++) {
        uint64_t count;
        if (!json_slice_u64(json_slice_get(body, counts[i].name), &count) || count > UINT32_MAX)
            return false;
        *(unsigned *)(w + counts[i].offset) = (unsigned)count;
    }
    for (size_t i = 0; i < COUNT(flags); i++)
        if (!json_slice_bool(json_slice_get(body, flags[i].name), (bool *)(w + flags[i].offset)))
            return false;
    struct str metadata = json_slice_get(body, "metadata");
    if (metadata.n == 0 || !superseded_read(json_slice_get(body, "superseded"), r))
        return false;
    r->metadata = str_dup(metadata);
    return true;
}

static bool state_read(struct str name, enum work_state *out)
{
    for (enum work_state s = WORK_QUEUED; s <= WORK_STOPPED; s++)
        if (str_eq(name, str_of(work_state_name(s))))
            return *out = s, true;
    return false;
}

int work_record_read(const struct record *record, struct work_record *out, struct err *e)
{
    struct work_record r = {
        .work = { .id = record->id,
                  .environment = record->parent,
                  .session = record->group,
                  .created_at = record->created_at },
        .workspace = record->workspace,
        .revision = record->revision,
        .claimed = record->secret.n == sizeof r.secret.bytes,
    };
    if (r.claimed)
        memcpy(r.secret.bytes, record->secret.p, sizeof r.secret.bytes);
    if (!state_read(record->state, &r.work.state) || !body_read(record->body, &r)) {
        work_record_release(&r);
        return err_set(e, E_BUG, 0, "the record of work item %s cannot be read", record->id.text);
    }
    *out = r;
    return 0;
}

void work_record_show(const struct work_record *r, struct str secret, struct buf *out)
{
    const struct work *w = &r->work;
    const bool healthcheck = id_is_none(&w->session);
    json_write_object(out);
    json_member_str(out, "id", id_str(&w->id));
    json_member_text(out, "type", "work");
    json_member_str(out, "environment_id", id_str(&w->environment));
    json_write_key(out, STR("data"));
    json_write_object(out);
    json_member_text(out, "type", healthcheck ? "healthcheck" : "session");
    json_member_str(out, "id", healthcheck ? id_str(&w->id) : id_str(&w->session));
    json_write_object_end(out);
    json_member_text(out, "state", work_state_name(w->state));
    json_write_key(out, STR("secret"));
    if (secret.n)
        json_write_str(out, secret);
    else
        json_write_null(out);
    json_write_key(out, STR("metadata"));
    json_write_raw(out, str_of(metadata_of(r)));
    moment_member(out, "created_at", w->created_at);
    moment_member(out, "acknowledged_at", w->acknowledged_at);
    moment_member(out, "started_at", w->started_at);
    moment_member(out, "latest_heartbeat_at", w->latest_heartbeat_at);
    moment_member(out, "stop_requested_at", w->stop_requested_at);
    moment_member(out, "stopped_at", w->stopped_at);
    if (w->dead_letter)
        json_member_bool(out, "dead_letter", true);
    json_write_object_end(out);
}

int work_json(const struct record *work, struct buf *out, struct err *e)
{
    struct work_record r;
    if (work_record_read(work, &r, e) < 0)
        return -1;
    work_record_show(&r, (struct str){ NULL, 0 }, out);
    work_record_release(&r);
    return 0;
}
