#include "control/engine-int.h"

#include "base/check.h"
#include "base/log.h"
#include "control/event_json.h"
#include "control/log_walk.h"
#include "control/result_text.h"

#include <stdlib.h>

/* --- lanes --- */

static void clock_tell(struct batch *b, struct job *j)
{
    const struct fact fact = { .type = FACT_CLOCK };
    if (actor_load(b, &j->refusal) < 0)
        return;
    (void)batch_fact(b, &fact, &j->refusal); /* never refused */
    approvals_expire(b);
}

static void deadline_reached(struct alarm *t, void *ctx)
{
    actor_push(ctx, job_new(sizeof(struct job), clock_tell));
}

struct actor *actor_of(struct engine *g, const struct id *name)
{
    struct actor *a = table_find(&g->actors, id_str(name));
    if (a)
        return a;
    a = mem_get(sizeof *a);
    a->g = g;
    a->name = *name;
    a->deadline = (struct alarm){ .fire = deadline_reached, .ctx = a };
    table_put(&g->actors, id_str(&a->name), a);
    return a;
}

static void resting_leave(struct actor *a)
{
    struct engine *g = a->g;
    if (!a->resting)
        return;
    if (a->resting_before)
        a->resting_before->resting_next = a->resting_next;
    else
        g->resting_first = a->resting_next;
    if (a->resting_next)
        a->resting_next->resting_before = a->resting_before;
    else
        g->resting_last = a->resting_before;
    a->resting_before = a->resting_next = NULL;
    a->resting = false;
    g->resting--;
    g->resting_bytes -= a->resting_bytes;
}

static void ready_make(struct actor *a)
{
    struct engine *g = a->g;
    resting_leave(a);
    if (a->ready || a->writing)
        return;
    a->ready = true;
    if (g->ready_last)
        g->ready_last->ready_next = a;
    else
        g->ready_first = a;
    g->ready_last = a;
    engine_round_ask(g);
}

void actor_push(struct actor *a, struct job *j)
{
    if (a->last)
        a->last->next = j;
    else
        a->first = j;
    a->last = j;
    ready_make(a);
}

void actor_run(struct actor *a)
{
    CHECK(!a->writing);
    if (!a->first) {
        actor_settle(a);
        return;
    }
    struct batch *b = batch_new(a, a->first);
    a->first = a->last = NULL;
    a->writing = b;
    a->g->writing++;
    for (struct job *j = b->jobs; j; j = j->next)
        j->decide(b, j);
    batch_submit(b);
}

void actor_unload(struct actor *a)
{
    struct engine *g = a->g;
    resting_leave(a);
    model_turn_cancel(a);
    tool_runs_cancel(a);
    approvals_free(a);
    alarms_drop(&g->alarms, &a->deadline);
    if (a->s)
        g->counters.sessions_loaded--;
    session_free(a->s);
    a->s = NULL;
    session_record_release(&a->record);
    a->record = (struct session_record){ 0 };
    catalogue_free(a->catalogue);
    a->catalogue = NULL;
    history_free(a->history);
    a->history = NULL;
    a->seq = 0;
}

static void jobs_free(struct job *j)
{
    while (j) {
        struct job *next = j->next;
        job_free(j);
        j = next;
    }
}

void actor_free(struct actor *a)
{
    approval_waits_free(a);
    actor_unload(a);
    jobs_free(a->first);
    if (a->writing) {
        jobs_free(a->writing->jobs);
        a->writing->jobs = NULL;
        batch_free(a->writing);
    }
    free(a);
}

static void actor_forget(struct actor *a)
{
    struct engine *g = a->g;
    actor_unload(a);
    table_drop(&g->actors, id_str(&a->name));
    free(a);
}

static bool may_rest(const struct actor *a)
{
    return !session_is_busy(a->s) && !a->turn && !a->runs && !a->approval_waits &&
           approvals_deadline(a) == INT64_MAX;
}

static void rest(struct actor *a)
{
    struct engine *g = a->g;
    a->resting = true;
    a->resting_bytes = (a->history ? history_size(a->history) : 0) + a->s->queue_bytes +
                       a->s->call_room * sizeof(struct call);
    a->resting_before = g->resting_last;
    if (g->resting_last)
        g->resting_last->resting_next = a;
    else
        g->resting_first = a;
    g->resting_last = a;
    g->resting++;
    g->resting_bytes += a->resting_bytes;
    while (g->resting > LANES_RESTING_MAX || g->resting_bytes > RESTING_BYTES_MAX)
        actor_forget(g->resting_first);
}

void actor_settle(struct actor *a)
{
    struct engine *g = a->g;
    if (a->first) {
        ready_make(a);
        return;
    }
    if (!a->s) {
        /* A deadline is set when something has to be tried again. */
        if (a->deadline.place == 0)
            actor_forget(a);
        return;
    }
    int64_t deadline = session_deadline(a->s), approval = approvals_deadline(a);
    engine_alarm(g, &a->deadline, deadline < approval ? deadline : approval);
    if (may_rest(a))
        rest(a);
}

void actor_try_later(struct actor *a)
{
    engine_alarm(a->g, &a->deadline, engine_now(a->g) + RETRY_AFTER_FAILURE);
}

/* --- loading --- */

static bool is_approval(enum event_type type)
{
    return type == EVENT_POSTERN_APPROVAL_REQUESTED || type == EVENT_POSTERN_APPROVAL_RESOLVED;
}

/* The next entry becomes part of the state. */
static int fold_entry(struct actor *a, struct session *s, const struct entry *entry,
                      struct arena *arena, struct err *e)
{
    struct event event;
    if (event_json_read(entry, EVENT_FOLD, &event, arena, e) < 0)
        return -1;
    if (entry->seq != a->seq + 1 || event.at <= s->last_at)
        return err_set(e, E_BUG, 0, "entry %lld of the log is out of order", (long long)entry->seq);
    if (is_approval(event.type) &&
        (event_json_read(entry, EVENT_WHOLE, &event, arena, e) < 0 || !approvals_apply(a, &event)))
        return err_set(e, E_BUG, 0, "entry %lld of the log cannot be read", (long long)entry->seq);
    session_apply(s, &event);
    a->seq = entry->seq;
    return 0;
}

static int fold(struct actor *a, struct session *s, struct err *e)
{
    struct log_walk w;
    const struct entry *entry;
    struct arena arena;
    arena_init(&arena, SIZE_MAX / 2);
    log_walk_begin(&w, a->g->parts.store, &a->name, 0, ENTRY_INTERNAL);
    while (!w.failed && (entry = log_walk_next(&w, e)) != NULL) {
        w.failed = fold_entry(a, s, entry, &arena, e) < 0;
        arena_release(&arena);
    }
    log_walk_end(&w);
    return w.failed ? -1 : 0;
}

static int catalogue_make(struct actor *a, struct err *e)
{
    const struct web_tools *web = a->g->parts.web;
    const struct server_tools server = { .web = web != NULL, .search = web && web->can_search };
    return catalogue_new(str_of(a->record.members[MEMBER_AGENT]), &server, &a->catalogue, e);
}

int actor_catalogue(struct actor *a, struct err *e)
{
    struct catalogue *was = a->catalogue;
    if (catalogue_make(a, e) < 0) {
        a->catalogue = was;
        return -1;
    }
    catalogue_free(was);
    return 0;
}

/* 1 loaded, 0 there is none, -1 with *e. */
static int load(struct actor *a, struct err *e)
{
    struct store *store = a->g->parts.store;
    struct record record;
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    int found = store->ops->get(store, RECORD_SESSION, &a->name, &record, &arena, e);
    if (found <= 0)
        return found;
    if (session_record_read(&record, &a->record, e) < 0 || catalogue_make(a, e) < 0)
        return -1;
    struct session *s = session_new();
    if (fold(a, s, e) < 0) {
        session_free(s);
        return -1;
    }
    a->s = s;
    a->g->counters.sessions_loaded++;
    return 1;
}

int actor_load(struct batch *b, struct refusal *r)
{
    struct actor *a = b->a;
    struct err e = { 0 };
    if (b->removed)
        return refusal_set(r, 404, NULL, "session %s does not exist", a->name.text);
    if (a->s)
        return 0;
    int found = load(a, &e);
    if (found == 0)
        return refusal_set(r, 404, NULL, "session %s does not exist", a->name.text);
    if (found < 0) {
        log_error("session %s: %s", a->name.text, e.text);
        actor_unload(a);
        refuse_store(r, &e);
        return -1;
    }
    const struct fact fact = { .type = FACT_RECOVERED };
    struct refusal none = { 0 };
    (void)batch_fact(b, &fact, &none); /* never refused */
    return 0;
}

int actor_load_for(struct batch *b, const struct asker *asker, struct refusal *r)
{
    if (actor_load(b, r) < 0)
        return -1;
    const struct session_record *record = &b->a->record;
    if (!id_eq(&record->workspace, &asker->workspace))
        return refusal_set(r, 404, NULL, "session %s does not exist", b->a->name.text);
    if (asker->kind != ASKER_API_KEY && !id_eq(&record->environment, &asker->environment))
        return refusal_set(r, 403, NULL, "this session runs in another environment");
    if (asker->kind == ASKER_SESSIONS_TOKEN && !id_eq(&record->id, &asker->session))
        return refusal_set(r, 403, NULL, "this token is for another session");
    return 0;
}

struct session_rules actor_rules(const struct actor *a)
{
    const struct engine *g = a->g;
    const struct model_set *models = g->parts.models;
    const struct model_info *info =
        a->catalogue ? models->ops->find(g->parts.models, a->catalogue->model) : NULL;
    return (struct session_rules){
        .max_rounds = g->settings.max_rounds,
        .max_retries = g->settings.max_retries,
        .context_window = info ? info->context_window : 0,
        .priced = info && info->priced,
        .system_messages = true, /* every dialect takes them (model.h) */
        .update_while_running = g->settings.update_while_running,
        .parked = g->stopping,
    };
}

/* --- history --- */

/* Number of the last compaction's entry minus one, or 0. */
static int64_t history_start(const struct actor *a, struct err *e)
{
    const struct str type = str_of(event_type_name(EVENT_AGENT_CONTEXT_COMPACTED));
    struct store *store = a->g->parts.store;
    struct entry_query q = { .session = a->name,
                             .newest_first = true,
                             .shows = ENTRY_PUBLIC,
                             .types = &type,
                             .type_count = 1,
                             .limit = 1 };
    struct entry_list list;
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    if (store->ops->entries(store, &q, &list, &arena, e) < 0)
        return -1;
    return list.count ? list.items[0].seq - 1 : 0;
}

struct history *actor_history_read(const struct actor *a, size_t result_characters, struct err *e)
{
    int64_t after = history_start(a, e);
    if (after < 0)
        return NULL;
    struct history *h = history_new(result_characters);
    struct log_walk w;
    const struct entry *entry;
    struct arena arena;
    arena_init(&arena, SIZE_MAX / 2);
    log_walk_begin(&w, a->g->parts.store, &a->name, after, ENTRY_PUBLIC);
    while (!w.failed && (entry = log_walk_next(&w, e)) != NULL) {
        struct event event;
        w.failed = event_json_read(entry, EVENT_WHOLE, &event, &arena, e) < 0;
        if (!w.failed)
            history_add(h, &event);
        arena_release(&arena);
    }
    log_walk_end(&w);
    if (!w.failed)
        return h;
    history_free(h);
    return NULL;
}

int actor_history(struct actor *a, struct err *e)
{
    if (!a->history)
        a->history = actor_history_read(a, RESULT_CHARACTERS_MAX, e);
    return a->history ? 0 : -1;
}
