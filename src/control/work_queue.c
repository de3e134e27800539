/* Live work items of all environments, as they are in the store, ready to be handed out. */
#include "control/engine-int.h"

#include "base/log.h"
#include "io/digest.h"
#include "proto/json_write.h"

#include <stdlib.h>

struct work_rules work_rules_of(const struct engine *g)
{
    return (struct work_rules){ .lease = g->settings.lease,
                                .start_timeout = g->settings.start_timeout,
                                .stop_timeout = g->settings.stop_timeout,
                                .max_attempts = g->settings.max_attempts };
}

struct work_queue *work_queue_of(struct engine *g, const struct id *environment)
{
    struct work_queue *q = table_find(&g->queues, id_str(environment));
    if (q)
        return q;
    q = mem_get(sizeof *q);
    q->environment = *environment;
    table_put(&g->queues, id_str(&q->environment), q);
    return q;
}

/* --- the queued ones, the oldest first --- */

static void list_leave(struct work_item *item)
{
    struct work_queue *q = item->queue;
    if (!item->listed)
        return;
    if (item->before)
        item->before->next = item->next;
    else
        q->first = item->next;
    if (item->next)
        item->next->before = item->before;
    else
        q->last = item->before;
    item->before = item->next = NULL;
    item->listed = false;
}

/* Most are the youngest when they come, and the oldest when they come back. */
static void list_enter(struct work_item *item)
{
    struct work_queue *q = item->queue;
    struct work_item *before = q->last;
    if (item->listed)
        return;
    if (q->first && item->r.work.created_at < q->first->r.work.created_at)
        before = NULL;
    while (before && before->r.work.created_at > item->r.work.created_at)
        before = before->before;
    item->before = before;
    item->next = before ? before->next : q->first;
    if (item->next)
        item->next->before = item;
    else
        q->last = item;
    if (before)
        before->next = item;
    else
        q->first = item;
    item->listed = true;
}

/* --- tokens of earlier claims --- */

static struct str token_name(const struct sha256 *token)
{
    return (struct str){ (const char *)token->bytes, sizeof token->bytes };
}

static void tokens_drop(struct work_item *item)
{
    for (size_t i = 0; i < item->token_count; i++)
        table_drop(&item->g->tokens, token_name(&item->tokens[i]));
    item->token_count = 0;
}

static void tokens_put(struct work_item *item)
{
    tokens_drop(item);
    for (size_t i = 0; i < item->r.superseded_count; i++) {
        item->tokens[i] = item->r.superseded[i];
        table_put(&item->g->tokens, token_name(&item->tokens[i]), item);
        item->token_count++;
    }
}

/* --- items --- */

const struct id *work_item_lane(const struct work_item *item)
{
    const struct work *w = &item->r.work;
    return id_is_none(&w->session) ? &w->id : &w->session;
}

struct clock_job {
    struct job job;
    struct id work;
};

static void clock_tell(struct batch *b, struct job *j)
{
    const struct work_rules rules = work_rules_of(b->g);
    struct work_report report = { 0 };
    struct work_item *item = work_item_find(b->g, &((struct clock_job *)j)->work);
    if (!item)
        return;
    const int64_t deadline = work_deadline(&item->r.work, &rules);
    if (deadline > b->now) {
        engine_alarm(b->g, &item->deadline, deadline); /* it moved, or the clock was set back */
        return;
    }
    batch_touch(b, item);
    work_clock(&item->r.work, b->now, &rules, &report);
    batch_report(b, item, &report, (struct str){ NULL, 0 });
}

static void deadline_reached(struct alarm *t, void *ctx)
{
    struct work_item *item = ctx;
    struct clock_job *c = job_new(sizeof *c, clock_tell);
    c->work = item->r.work.id;
    actor_push(actor_of(item->g, work_item_lane(item)), &c->job);
}

static struct work_item *item_new(struct engine *g, const struct work_record *r)
{
    struct work_item *item = mem_get(sizeof *item);
    item->g = g;
    item->r = *r;
    item->deadline = (struct alarm){ .fire = deadline_reached, .ctx = item };
    item->queue = work_queue_of(g, &r->work.environment);
    return item;
}

static void item_free(struct work_item *item)
{
    struct engine *g = item->g;
    alarms_drop(&g->alarms, &item->deadline);
    list_leave(item);
    tokens_drop(item);
    if (item->live)
        table_drop(&g->items, id_str(&item->r.work.id));
    work_record_release(&item->r);
    free(item);
}

static void live_put(struct work_item *item)
{
    if (item->live)
        return;
    item->live = true;
    table_put(&item->g->items, id_str(&item->r.work.id), item);
}

struct work_item *work_item_find(struct engine *g, const struct id *work)
{
    return table_find(&g->items, id_str(work));
}

struct work_item *work_item_make(struct engine *g, const struct work *work,
                                 const struct id *workspace)
{
    const struct work_record r = { .work = *work, .workspace = *workspace };
    struct work_item *item = item_new(g, &r);
    live_put(item);
    return item;
}

static struct work_item *item_of_batch(const struct batch *b, const struct id *work)
{
    for (size_t i = 0; i < b->item_count; i++)
        if (id_eq(&b->items[i]->r.work.id, work))
            return b->items[i];
    return NULL;
}

int work_item_get(struct batch *b, const struct id *work, struct work_item **out, struct refusal *r)
{
    struct engine *g = b->g;
    struct store *store = g->parts.store;
    struct record record;
    struct work_record read;
    struct err e = { 0 };
    *out = work_item_find(g, work);
    if (!*out)
        *out = item_of_batch(b, work);
    if (*out)
        return 0;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    int found = store->ops->get(store, RECORD_WORK, work, &record, &arena, &e);
    if (found == 0)
        return refusal_set(r, 404, NULL, "work item %s does not exist", work->text);
    if (found < 0 || work_record_read(&record, &read, &e) < 0) {
        log_error("work item %s: %s", work->text, e.text);
        refuse_store(r, &e);
        return -1;
    }
    *out = item_new(g, &read);
    return 0;
}

void work_item_leave(struct work_item *item)
{
    if (!item->live && !item->busy)
        item_free(item);
}

void work_item_settle(struct work_item *item)
{
    struct engine *g = item->g;
    const struct work_rules rules = work_rules_of(g);
    const struct work *w = &item->r.work;
    if (item->busy)
        return;
    if (!work_is_live(w)) {
        item_free(item);
        return;
    }
    live_put(item);
    tokens_put(item);
    engine_alarm(g, &item->deadline, work_deadline(w, &rules));
    if (w->state != WORK_QUEUED) {
        list_leave(item);
        return;
    }
    list_enter(item);
    polls_offer(g, item->queue);
}

void work_item_refresh(struct work_item *item)
{
    struct engine *g = item->g;
    struct store *store = g->parts.store;
    struct record record;
    struct work_record read;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    int found = store->ops->get(store, RECORD_WORK, &item->r.work.id, &record, &arena, &e);
    if (found > 0 && work_record_read(&record, &read, &e) == 0) {
        const int64_t soon = engine_now(g) + RETRY_AFTER_FAILURE;
        work_record_release(&item->r);
        item->r = read;
        work_item_settle(item);
        if (work_is_live(&read.work) && item->deadline.place && item->deadline.at < soon)
            engine_alarm(g, &item->deadline, soon); /* the store may still refuse */
        return;
    }
    if (found < 0)
        log_error("work item %s: %s", item->r.work.id.text, e.text);
    item_free(item);
}

/* --- start and end --- */

static int page_load(struct engine *g, const struct record_list *list, struct err *e)
{
    for (size_t i = 0; i < list->count; i++) {
        struct work_record r;
        if (work_record_read(&list->items[i], &r, e) < 0)
            return -1;
        work_item_settle(item_new(g, &r));
    }
    return 0;
}

int work_queue_load(struct engine *g, struct err *e)
{
    enum { PAGE = 500, PAGE_BYTES = 64 << 20 };
    struct str states[WORK_STOPPED];
    struct record last;
    struct record_query q = { .kind = RECORD_WORK,
                              .states = states,
                              .state_count = WORK_STOPPED,
                              .oldest_first = true,
                              .limit = PAGE };
    for (enum work_state s = WORK_QUEUED; s < WORK_STOPPED; s++)
        states[s] = str_of(work_state_name(s));
    for (bool more = true; more;) {
        AUTO_ARENA arena;
        struct record_list list;
        arena_init(&arena, PAGE_BYTES);
        if (g->parts.store->ops->list(g->parts.store, &q, &list, &arena, e) < 0 ||
            page_load(g, &list, e) < 0)
            return -1;
        more = list.count == PAGE;
        if (more) {
            last = list.items[list.count - 1];
            q.after = &last;
        }
    }
    return 0;
}

void work_queue_free(struct engine *g)
{
    struct work_item *item;
    struct work_queue *q;
    while (g->items.count) {
        size_t at = 0;
        item = table_next(&g->items, &at);
        item_free(item);
    }
    for (size_t at = 0; (q = table_next(&g->queues, &at)) != NULL;) {
        polls_free(q);
        workers_free(q);
        free(q);
    }
    table_release(&g->queues);
    table_release(&g->items);
    table_release(&g->tokens);
}

/* --- what others ask --- */

enum { TOKEN_GRACE = 10 * 1000000 }; /* after the stop, for results that come late (11, row 2) */

static void asker_fill(const struct work_record *r, bool superseded, struct asker *out)
{
    *out = (struct asker){ .kind = ASKER_SESSIONS_TOKEN,
                           .key = r->work.id,
                           .workspace = r->workspace,
                           .environment = r->work.environment,
                           .session = r->work.session,
                           .work = r->work.id,
                           .superseded = superseded };
}

int engine_token(struct engine *g, struct str sha256, struct asker *out, struct err *e)
{
    struct store *store = g->parts.store;
    struct record record;
    struct work_record r;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    int found = store->ops->get_by_secret(store, RECORD_WORK, sha256, &record, &arena, e);
    if (found < 0 || (found > 0 && work_record_read(&record, &r, e) < 0))
        return -1;
    if (found > 0) {
        const bool over =
            r.work.state == WORK_STOPPED && engine_now(g) > r.work.stopped_at + TOKEN_GRACE;
        asker_fill(&r, over, out);
        work_record_release(&r);
        return 1;
    }
    const struct work_item *item = table_find(&g->tokens, sha256);
    if (!item)
        return 0;
    asker_fill(&item->r, true, out);
    return 1;
}
