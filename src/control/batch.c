#include "control/engine-int.h"

#include "base/check.h"
#include "base/log.h"
#include "control/event_json.h"

#include <stdlib.h>

struct batch *batch_new(struct actor *a, struct job *jobs)
{
    struct batch *b = mem_get(sizeof *b);
    b->g = a->g;
    b->a = a;
    b->jobs = jobs;
    b->now = engine_now(a->g);
    decision_init(&b->d);
    return b;
}

void batch_free(struct batch *b)
{
    while (b->jobs) {
        struct job *next = b->jobs->next;
        job_free(b->jobs);
        b->jobs = next;
    }
    decision_release(&b->d);
    free(b->notes);
    free(b->items);
    buf_release(&b->texts);
    buf_release(&b->record);
    free(b);
}

/* --- deciding --- */

static bool is_thread_event(enum event_type type)
{
    return type >= EVENT_THREAD_CREATED && type <= EVENT_THREAD_STATUS_TERMINATED;
}

/* What core leaves out because it knows nothing of it; the text lives in `extra`. */
static void event_complete(const struct actor *a, struct event *e, struct buf *extra)
{
    if (is_thread_event(e->type) && id_is_none(&e->about)) {
        e->about = session_thread_id(&a->name);
        e->name = a->catalogue->agent_name;
    } else if (e->type == EVENT_SESSION_USAGE) {
        buf_addf(extra, "\"budget\":%s", a->record.members[MEMBER_BUDGET]);
        e->members = buf_str(extra);
    } else if (e->type == EVENT_MODEL_REQUEST_START || e->type == EVENT_MODEL_REQUEST_END) {
        const struct model_set *models = a->g->parts.models;
        const struct model_info *info = models->ops->find(a->g->parts.models, a->catalogue->model);
        e->name = info ? info->dialect : (struct str){ NULL, 0 };
    }
}

static void note(struct batch *b, const struct event *from)
{
    struct event e = *from;
    AUTO_BUF extra = { 0 };
    AUTO_BUF body = { 0 };
    AUTO_BUF inner = { 0 };
    event_complete(b->a, &e, &extra);
    event_json_write(&e, &body, &inner);
    if (b->note_count == b->note_room) {
        b->note_room = b->note_room ? 2 * b->note_room : 16;
        b->notes = mem_grow(b->notes, b->note_room * sizeof *b->notes);
    }
    b->notes[b->note_count++] = (struct note){ .type = e.type,
                                               .id = e.id,
                                               .at = e.at,
                                               .body = b->texts.n,
                                               .body_size = body.n,
                                               .inner = b->texts.n + body.n,
                                               .inner_size = inner.n };
    buf_add(&b->texts, buf_str(&body));
    buf_add(&b->texts, buf_str(&inner));
    b->removed |= e.type == EVENT_SESSION_DELETED;
    b->a->record.updated_at = e.at;
    if (b->a->history)
        history_add(b->a->history, &e);
}

static struct str note_body(const struct batch *b, const struct note *n)
{
    return (struct str){ b->texts.p + n->body, n->body_size };
}

struct str batch_text(const struct batch *b, const struct id *event)
{
    for (size_t i = b->note_count; i > 0; i--)
        if (id_eq(&b->notes[i - 1].id, event))
            return note_body(b, &b->notes[i - 1]);
    return (struct str){ NULL, 0 };
}

void batch_touch(struct batch *b, struct work_item *item)
{
    if (item->busy)
        return; /* by this batch: no other one can have it meanwhile */
    item->busy = true;
    if (b->item_count == b->item_room) {
        b->item_room = b->item_room ? 2 * b->item_room : 4;
        b->items = mem_grow(b->items, b->item_room * sizeof(struct work_item *));
    }
    b->items[b->item_count++] = item;
}

static void work_make_item(struct batch *b, const struct effect *effect)
{
    struct work work;
    const struct session_record *r = &b->a->record;
    work_make(&work, &effect->id, &r->environment, &r->id, b->now, effect->not_before);
    batch_touch(b, work_item_make(b->g, &work, &r->workspace));
    b->g->counters.work_items_made++;
}

static void work_withdraw_item(struct batch *b, const struct effect *effect)
{
    struct work_report report = { 0 };
    struct work_item *item = work_item_find(b->g, &effect->id);
    if (!item)
        return;
    batch_touch(b, item);
    work_withdraw(&item->r.work, b->now, &report);
    batch_report(b, item, &report, (struct str){ NULL, 0 });
}

/* Writes down what the last fact has brought, and what that means for work items. */
static void absorb(struct batch *b)
{
    while (b->events_seen < b->d.event_count)
        note(b, &b->d.events[b->events_seen++]);
    while (b->effects_seen < b->d.effect_count) {
        const struct effect effect = b->d.effects[b->effects_seen++];
        if (effect.type == EFFECT_WORK_MAKE)
            work_make_item(b, &effect);
        else if (effect.type == EFFECT_WORK_STOP)
            work_withdraw_item(b, &effect);
    }
}

int batch_fact(struct batch *b, const struct fact *fact, struct refusal *r)
{
    const struct session_rules rules = actor_rules(b->a);
    if (session_decide(b->a->s, fact, &rules, b->now, &b->g->parts.random, &b->d) < 0) {
        *r = b->d.refusal;
        return -1;
    }
    absorb(b);
    return 0;
}

void batch_event(struct batch *b, struct event *event)
{
    struct session *s = b->a->s;
    event->id = id_make("sevt_", &b->g->parts.random);
    event->at = b->now > s->last_at ? b->now : s->last_at + 1;
    session_apply(s, event);
    note(b, event);
}

void batch_report(struct batch *b, struct work_item *item, const struct work_report *report,
                  struct str reason)
{
    struct refusal none = { 0 };
    if (report->news == WORK_NO_NEWS)
        return;
    if (report->news == WORK_LOST || report->news == WORK_NACKED)
        work_record_supersede(&item->r);
    if (id_is_none(&item->r.work.session))
        return; /* a healthcheck */
    if (actor_load(b, &none) < 0) {
        b->broken |= none.status != 404; /* without its session it needs nobody's opinion */
        return;
    }
    const struct fact fact = { .type = FACT_WORK,
                               .work = { .work = item->r.work.id,
                                         .report = *report,
                                         .attempt = item->r.work.attempt,
                                         .reason = reason } };
    (void)batch_fact(b, &fact, &none); /* never refused */
}

/* --- writing --- */

/* Brings the record up to what the session is now. */
static void record_update(struct batch *b)
{
    struct session_record *r = &b->a->record, was = *r;
    const struct session *s = b->a->s;
    int64_t deadline = session_deadline(s), approval = approvals_deadline(b->a);
    if (approval < deadline)
        deadline = approval;
    r->status = s->status;
    r->usage = s->usage;
    r->running_since = s->status == SESSION_RUNNING ? s->running_since : 0;
    r->queued = s->queue_count;
    r->due_at = deadline == INT64_MAX ? 0 : deadline;
    if (s->status == SESSION_TERMINATED && !r->ended_at)
        r->ended_at = s->last_at;
    if (s->archived && !r->archived_at)
        r->archived_at = s->last_at;
    b->changed |= r->status != was.status || r->running_since != was.running_since ||
                  r->queued != was.queued || r->due_at != was.due_at ||
                  r->archived_at != was.archived_at ||
                  memcmp(&r->usage, &was.usage, sizeof was.usage) != 0;
}

static void log_append(struct batch *b, struct tx *tx)
{
    struct entry *entries = mem_array(b->note_count, sizeof *entries);
    for (size_t i = 0; i < b->note_count; i++) {
        const struct note *n = &b->notes[i];
        entries[i] = (struct entry){ .seq = b->a->seq + 1 + (int64_t)i,
                                     .id = n->id,
                                     .type = str_of(event_type_name(n->type)),
                                     .at = n->at,
                                     .shows = (uint8_t)event_type_shows(n->type),
                                     .body = note_body(b, n),
                                     .inner = { b->texts.p + n->inner, n->inner_size } };
    }
    tx_append(tx, &b->a->name, entries, b->note_count);
    free(entries);
}

static struct tx *transaction(struct batch *b)
{
    struct tx *tx = tx_new();
    struct record record;
    if (b->removed) {
        tx_remove(tx, RECORD_SESSION, &b->a->name, b->a->record.revision);
    } else {
        if (b->changed) {
            session_record_write(&b->a->record, &b->record, &record);
            tx_put(tx, &record, b->a->record.revision);
        }
        if (b->note_count)
            log_append(b, tx);
    }
    for (size_t i = 0; i < b->item_count; i++) {
        work_record_write(&b->items[i]->r, &b->record, &record);
        tx_put(tx, &record, b->items[i]->r.revision);
    }
    return tx;
}

/* --- after it --- */

static void effect_carry_out(struct actor *a, const struct effect *effect)
{
    switch (effect->type) {
    case EFFECT_MODEL_START:
        model_turn_start(a, effect);
        break;
    case EFFECT_MODEL_ABORT:
        model_turn_abort(a, effect);
        break;
    case EFFECT_TOOL_RUN:
        tool_run_start(a, effect);
        break;
    case EFFECT_TOOL_CANCEL:
        tool_run_cancel(a, &effect->id);
        break;
    case EFFECT_WORK_MAKE:
    case EFFECT_WORK_STOP:
        break; /* were part of the transaction */
    }
}

static void jobs_answer(struct batch *b, bool durable)
{
    for (struct job *j = b->jobs; j; j = j->next) {
        if (j->done)
            j->done(b->a, j, durable);
        if (j->answer)
            j->answer(j->ctx, &j->refusal, buf_str(&j->json));
    }
}

static void items_settle(struct batch *b, bool durable)
{
    for (size_t i = 0; i < b->item_count; i++) {
        struct work_item *item = b->items[i];
        item->busy = false;
        if (durable) {
            item->r.revision++;
            work_item_settle(item);
        } else {
            work_item_refresh(item);
        }
    }
}

static void publish(struct batch *b)
{
    struct actor *a = b->a;
    struct hub *h = hub_find(b->g, &a->name);
    if (h && b->note_count)
        hub_publish(h, b, a->seq + 1);
    b->g->counters.events_appended += b->note_count;
    if (!b->removed)
        a->seq += (int64_t)b->note_count;
}

static void batch_end(struct batch *b)
{
    struct actor *a = b->a;
    struct engine *g = b->g;
    batch_free(b);
    a->writing = NULL;
    g->writing--;
    actor_settle(a);
    if (g->stopping)
        engine_round_ask(g); /* somebody may wait for the end */
}

static void succeed(struct batch *b)
{
    struct actor *a = b->a;
    if (b->changed)
        a->record.revision++;
    publish(b);
    if (b->removed) {
        approval_waits_refuse(a);
        actor_unload(a);
    }
    for (size_t i = 0; a->s && i < b->d.effect_count; i++)
        effect_carry_out(a, &b->d.effects[i]);
    items_settle(b, true);
    jobs_answer(b, true);
    approvals_tell(a);
    batch_end(b);
}

/* Nothing of it has happened: what was decided is forgotten, and what should go on by itself is tried
 * again from what the log says. */
static void fail(struct batch *b, const struct err *e)
{
    struct actor *a = b->a;
    const bool goes_on = !b->created;
    if (!b->g->failing) /* once, not for every session */
        log_event("store.write_failed", LOG_STR("lane", id_str(&a->name)),
                  LOG_STR("reason", str_of(e->text)));
    b->g->failing = true;
    b->g->counters.commits_failed++;
    for (struct job *j = b->jobs; j; j = j->next)
        if (j->refusal.status == 0)
            refuse_store(&j->refusal, e);
    approval_waits_refuse(a);
    actor_unload(a);
    if (goes_on)
        actor_try_later(a);
    items_settle(b, false);
    jobs_answer(b, false);
    batch_end(b);
}

static void written(void *ctx, const struct err *e)
{
    struct batch *b = ctx;
    if (e->kind != E_NONE) {
        fail(b, e);
        return;
    }
    b->g->failing = false;
    succeed(b);
}

void batch_submit(struct batch *b)
{
    struct actor *a = b->a;
    if (b->broken) {
        fail(b, &(struct err){ .kind = E_IO, .text = "the session of a work item cannot be read" });
        return;
    }
    if (a->s)
        record_update(b);
    for (struct job *j = b->jobs; j; j = j->next)
        if (j->wants_session && j->refusal.status == 0)
            session_record_show(&a->record, b->now, &j->json);
    if (b->note_count == 0 && b->item_count == 0 && !b->changed && !b->removed) {
        succeed(b);
        return;
    }
    struct store *store = b->g->parts.store;
    store->ops->submit(store, transaction(b), written, b);
}
