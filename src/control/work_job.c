/* What the API asks of work items. */
#include "control/engine-int.h"

#include "base/log.h"
#include "proto/json_write.h"

/* All of these name an item and look at it under the asker's rights. */
struct work_job {
    struct job job;
    struct id environment, work;
    struct str text; /* expected heartbeat, reason, metadata */
    int64_t number;  /* ttl in seconds, delay in microseconds */
    bool force;
    const struct call_mark *marks; /* copied */
    size_t mark_count;
};

/* An item that is known decides on its session's lane; one that has stopped says in the store whose
 * it was. One that does not exist may be asked about anywhere. */
static struct id lane_of(struct engine *g, const struct id *work)
{
    struct store *store = g->parts.store;
    const struct work_item *item = work_item_find(g, work);
    struct record record;
    struct err e = { 0 };
    if (item)
        return *work_item_lane(item);
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    int found = store->ops->get(store, RECORD_WORK, work, &record, &arena, &e);
    if (found < 0)
        log_error("work item %s: %s", work->text, e.text);
    return found > 0 && !id_is_none(&record.group) ? record.group : *work;
}

static struct work_job *work_job_new(struct engine *g, job_decide *decide,
                                     const struct asker *asker, const struct id *environment,
                                     const struct id *work, engine_answer *answer, void *ctx)
{
    struct work_job *w = job_new(sizeof *w, decide);
    job_answer_to(&w->job, asker, answer, ctx);
    w->environment = *environment;
    w->work = *work;
    return w;
}

static void work_job_push(struct engine *g, struct work_job *w)
{
    const struct id lane = lane_of(g, &w->work);
    actor_push(actor_of(g, &lane), &w->job);
}

/* The item if the asker may know of it, else NULL with *r. */
static struct work_item *item_of(struct batch *b, const struct work_job *w, struct refusal *r)
{
    struct work_item *item;
    if (work_item_get(b, &w->work, &item, r) < 0)
        return NULL;
    if (!id_eq(&item->r.workspace, &w->job.asker.workspace) ||
        !id_eq(&item->r.work.environment, &w->environment)) {
        refusal_set(r, 404, NULL, "work item %s does not exist", w->work.text);
    } else if (w->job.asker.kind == ASKER_SESSIONS_TOKEN &&
               !id_eq(&w->job.asker.work, &item->r.work.id)) {
        refusal_set(r, 403, NULL, "this token is for another work item");
    } else {
        return item;
    }
    work_item_leave(item);
    return NULL;
}

static struct work_asker work_asker_of(const struct asker *a)
{
    return (struct work_asker){
        .kind = a->kind == ASKER_API_KEY ? WORK_BY_OPERATOR : WORK_BY_WORKER,
        .superseded = a->superseded,
        .retry_count = a->retry_count,
    };
}

/* A change that was made is written; what was only looked at is left. */
static void item_done(struct batch *b, struct work_item *item, const struct work *was)
{
    if (memcmp(&item->r.work, was, sizeof *was) != 0)
        batch_touch(b, item);
    else
        work_item_leave(item);
}

static void ack(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct work_asker asker = work_asker_of(&j->asker);
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    const struct work was = item->r.work;
    if (work_ack(&item->r.work, &asker, b->now, &j->refusal) == 0)
        work_record_show(&item->r, STR(""), &j->json);
    item_done(b, item, &was);
}

void engine_work_ack(struct engine *g, const struct asker *asker, const struct id *environment,
                     const struct id *work, engine_answer *answer, void *ctx)
{
    work_job_push(g, work_job_new(g, ack, asker, environment, work, answer, ctx));
}

static void heartbeat_write(struct buf *out, const struct heartbeat *h, bool refused)
{
    json_write_object(out);
    if (!refused)
        json_member_text(out, "type", "work_heartbeat");
    json_member_text(out, "last_heartbeat",
                     refused && !h->last_heartbeat[0] ? NULL : h->last_heartbeat);
    json_member_bool(out, "lease_extended", h->lease_extended);
    json_member_text(out, "state", work_state_name(h->state));
    json_member_i64(out, "ttl_seconds", h->ttl);
    json_write_object_end(out);
}

static void heartbeat(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct work_asker asker = work_asker_of(&j->asker);
    const struct work_rules rules = work_rules_of(b->g);
    struct heartbeat h = { 0 };
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    const struct work was = item->r.work;
    if (work_heartbeat(&item->r.work, &asker, w->text, w->number, b->now, &rules, &h,
                       &j->refusal) == 0) {
        heartbeat_write(&j->json, &h, false);
    } else {
        AUTO_BUF details = { 0 };
        json_write_key(&details, STR("current_state"));
        heartbeat_write(&details, &h, true);
        j->refusal.details = job_text(j, buf_str(&details));
    }
    item_done(b, item, &was);
}

void engine_work_heartbeat(struct engine *g, const struct asker *asker,
                           const struct id *environment, const struct id *work, struct str expected,
                           int64_t ttl, engine_answer *answer, void *ctx)
{
    struct work_job *w = work_job_new(g, heartbeat, asker, environment, work, answer, ctx);
    w->text = job_text(&w->job, expected);
    w->number = ttl;
    work_job_push(g, w);
}

static void stop(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct work_asker asker = work_asker_of(&j->asker);
    struct work_report report = { 0 };
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    const struct work was = item->r.work;
    if (work_stop(&item->r.work, &asker, w->force, b->now, &report, &j->refusal) == 0) {
        work_record_show(&item->r, STR(""), &j->json);
        batch_touch(b, item);
        batch_report(b, item, &report, STR(""));
        return;
    }
    item_done(b, item, &was);
}

void engine_work_stop(struct engine *g, const struct asker *asker, const struct id *environment,
                      const struct id *work, bool force, engine_answer *answer, void *ctx)
{
    struct work_job *w = work_job_new(g, stop, asker, environment, work, answer, ctx);
    w->force = force;
    work_job_push(g, w);
}

static void nack(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct work_asker asker = work_asker_of(&j->asker);
    const struct work_rules rules = work_rules_of(b->g);
    struct work_report report = { 0 };
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    const struct work was = item->r.work;
    if (work_nack(&item->r.work, &asker, w->number, b->now, &rules, &report, &j->refusal) == 0) {
        work_record_show(&item->r, STR(""), &j->json);
        batch_touch(b, item);
        batch_report(b, item, &report, w->text);
        return;
    }
    item_done(b, item, &was);
}

void engine_work_nack(struct engine *g, const struct asker *asker, const struct id *environment,
                      const struct id *work, struct str reason, int64_t delay,
                      engine_answer *answer, void *ctx)
{
    struct work_job *w = work_job_new(g, nack, asker, environment, work, answer, ctx);
    w->text = job_text(&w->job, reason);
    w->number = delay;
    work_job_push(g, w);
}

static void requeue(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct fact fact = { .type = FACT_WORK_WANTED };
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    const struct work was = item->r.work;
    if (work_requeue(&item->r.work, &j->refusal) < 0 || actor_load(b, &j->refusal) < 0 ||
        batch_fact(b, &fact, &j->refusal) < 0) {
        item->r.work = was;
        work_item_leave(item);
        return;
    }
    batch_touch(b, item);
    const struct work_item *fresh = work_item_find(b->g, &b->a->s->work);
    if (fresh)
        work_record_show(&fresh->r, STR(""), &j->json);
}

void engine_work_requeue(struct engine *g, const struct asker *asker, const struct id *environment,
                         const struct id *work, engine_answer *answer, void *ctx)
{
    work_job_push(g, work_job_new(g, requeue, asker, environment, work, answer, ctx));
}

/* --- marks --- */

static void marks_write(struct buf *out, const struct call_mark *marks, size_t count)
{
    json_write_object(out);
    json_write_key(out, STR("data"));
    json_write_array(out);
    for (size_t i = 0; i < count; i++) {
        json_write_object(out);
        json_member_str(out, "id", id_str(&marks[i].call));
        json_member_text(out, "state", "started");
        json_member_u64(out, "attempt", marks[i].attempt);
        json_write_object_end(out);
    }
    json_write_array_end(out);
    json_write_object_end(out);
}

static void mark(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct work_asker asker = work_asker_of(&j->asker);
    struct work_item *item = item_of(b, w, &j->refusal);
    const struct fact fact = {
        .type = FACT_CALLS_STARTED,
        .marks = { .work = w->work, .marks = w->marks, .count = w->mark_count },
    };
    if (!item)
        return;
    if (work_may_mark(&item->r.work, &asker, &j->refusal) == 0 && actor_load(b, &j->refusal) == 0 &&
        batch_fact(b, &fact, &j->refusal) == 0)
        marks_write(&j->json, w->marks, w->mark_count);
    work_item_leave(item);
}

void engine_work_calls(struct engine *g, const struct asker *asker, const struct id *environment,
                       const struct id *work, const struct call_mark *marks, size_t count,
                       engine_answer *answer, void *ctx)
{
    struct work_job *w = work_job_new(g, mark, asker, environment, work, answer, ctx);
    w->marks = (const struct call_mark *)job_text(
                   &w->job, (struct str){ (const char *)marks, count * sizeof *marks })
                   .p;
    w->mark_count = count;
    work_job_push(g, w);
}

/* --- metadata, healthchecks --- */

static void update(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    struct work_item *item = item_of(b, w, &j->refusal);
    if (!item)
        return;
    mem_drop(&item->r.metadata);
    item->r.metadata = str_dup(w->text);
    batch_touch(b, item);
    work_record_show(&item->r, STR(""), &j->json);
}

void engine_work_update(struct engine *g, const struct asker *asker, const struct id *environment,
                        const struct id *work, struct str metadata, engine_answer *answer,
                        void *ctx)
{
    struct work_job *w = work_job_new(g, update, asker, environment, work, answer, ctx);
    w->text = job_json(&w->job, metadata);
    work_job_push(g, w);
}

static void healthcheck(struct batch *b, struct job *j)
{
    struct work_job *w = (struct work_job *)j;
    const struct id none = { 0 };
    struct work work;
    work_make(&work, &w->work, &w->environment, &none, b->now, 0);
    struct work_item *item = work_item_make(b->g, &work, &j->asker.workspace);
    batch_touch(b, item);
    b->g->counters.work_items_made++;
    work_record_show(&item->r, STR(""), &j->json);
}

void engine_work_healthcheck(struct engine *g, const struct asker *asker,
                             const struct id *environment, engine_answer *answer, void *ctx)
{
    const struct id work = id_make("work_", &g->parts.random);
    struct work_job *w = work_job_new(g, healthcheck, asker, environment, &work, answer, ctx);
    actor_push(actor_of(g, &work), &w->job);
}
