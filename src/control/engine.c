#include "control/engine-int.h"

#include "base/check.h"

#include <stdlib.h>

#define SECONDS INT64_C(1000000)

const struct engine_settings engine_settings_default = {
    .lease = 90 * SECONDS,
    .start_timeout = 300 * SECONDS,
    .stop_timeout = 60 * SECONDS,
    .max_attempts = 8,
    .max_rounds = 500,
    .max_retries = 8,
};

int64_t engine_now(const struct engine *g)
{
    return clock_now(&g->parts.clock);
}

void engine_alarm(struct engine *g, struct alarm *deadline, int64_t at)
{
    alarms_set(&g->alarms, deadline, at);
    int64_t next = alarms_next(&g->alarms);
    if (next == g->woken_at)
        return;
    g->woken_at = next;
    g->parts.wake_at(g->parts.ctx, next);
}

void engine_wake(struct engine *g)
{
    g->woken_at = INT64_MAX;
    alarms_fire(&g->alarms, engine_now(g));
    int64_t next = alarms_next(&g->alarms);
    if (next == INT64_MAX || next == g->woken_at)
        return;
    g->woken_at = next;
    g->parts.wake_at(g->parts.ctx, next);
}

void refuse_store(struct refusal *r, const struct err *e)
{
    if (e->kind == E_BUSY || e->kind == E_CONFLICT) {
        refusal_set(r, 529, NULL, "the server has too much to do; try again");
        r->type = "overloaded_error";
    } else {
        refusal_set(r, 500, NULL, "the store cannot be used at the moment");
        r->type = "api_error";
    }
    r->no_retry = false;
}

/* --- rounds --- */

static bool is_quiet(const struct engine *g)
{
    return g->writing == 0 && !g->ready_first;
}

static void stopped_tell(struct engine *g)
{
    if (!g->stopping || !g->stopped || !is_quiet(g))
        return;
    void (*stopped)(void *) = g->stopped;
    g->stopped = NULL;
    stopped(g->stopped_ctx);
}

static void round_run(void *arg)
{
    struct engine *g = arg;
    g->round_asked = false;
    for (size_t i = 0; i < LANES_A_ROUND && g->ready_first; i++) {
        struct actor *a = g->ready_first;
        g->ready_first = a->ready_next;
        if (!g->ready_first)
            g->ready_last = NULL;
        a->ready = false;
        a->ready_next = NULL;
        actor_run(a);
    }
    if (g->ready_first)
        engine_round_ask(g);
    stopped_tell(g);
}

void engine_round_ask(struct engine *g)
{
    if (g->round_asked)
        return;
    g->round_asked = true;
    g->parts.later(g->parts.ctx, round_run, g);
}

/* --- life --- */

static void recover(struct batch *b, struct job *j)
{
    (void)actor_load(b, &j->refusal); /* gone or unreadable: said in the log by actor_load */
}

/* Sessions that go on by themselves. */
static int sessions_recover(struct engine *g, const struct str *states, size_t count,
                            int64_t due_until, struct err *e)
{
    enum { PAGE = 200, PAGE_BYTES = 64 << 20 };
    struct record last;
    struct record_query q = { .kind = RECORD_SESSION,
                              .states = states,
                              .state_count = count,
                              .due_until = due_until,
                              .oldest_first = true,
                              .limit = PAGE };
    for (bool more = true; more;) {
        AUTO_ARENA arena;
        struct record_list list;
        arena_init(&arena, PAGE_BYTES);
        if (g->parts.store->ops->list(g->parts.store, &q, &list, &arena, e) < 0)
            return -1;
        for (size_t i = 0; i < list.count; i++)
            actor_push(actor_of(g, &list.items[i].id), job_new(sizeof(struct job), recover));
        more = list.count == PAGE;
        if (more) {
            last = list.items[list.count - 1];
            q.after = &last; /* only its id and times are looked at */
        }
    }
    return 0;
}

static int recover_all(struct engine *g, struct err *e)
{
    static const struct str busy[] = { { "running", 7 }, { "rescheduling", 12 } };
    if (work_queue_load(g, e) < 0)
        return err_while(e, "read the work items");
    if (sessions_recover(g, busy, 2, 0, e) < 0 || sessions_recover(g, NULL, 0, INT64_MAX, e) < 0)
        return err_while(e, "read the sessions");
    return 0;
}

int engine_new(const struct engine_parts *parts, const struct engine_settings *settings,
               struct engine **out, struct err *e)
{
    struct engine *g = mem_get(sizeof *g);
    g->parts = *parts;
    g->settings = *settings;
    g->woken_at = INT64_MAX;
    if (recover_all(g, e) < 0) {
        engine_free(g);
        return -1;
    }
    *out = g;
    return 0;
}

void engine_free(struct engine *g)
{
    if (!g)
        return;
    struct actor *a;
    for (size_t at = 0; (a = table_next(&g->actors, &at)) != NULL;)
        actor_free(a);
    table_release(&g->actors);
    hubs_free(g);
    work_queue_free(g);
    alarms_release(&g->alarms);
    free(g);
}

static void park(struct batch *b, struct job *j)
{
    const struct fact fact = { .type = FACT_PARK };
    if (b->a->s)
        (void)batch_fact(b, &fact, &j->refusal); /* never refused */
}

void engine_stop(struct engine *g, void (*stopped)(void *ctx), void *ctx)
{
    struct actor *a;
    struct work_queue *q;
    g->stopping = true;
    g->stopped = stopped;
    g->stopped_ctx = ctx;
    for (size_t at = 0; (a = table_next(&g->actors, &at)) != NULL;)
        if (a->s && session_is_busy(a->s))
            actor_push(a, job_new(sizeof(struct job), park));
    for (size_t at = 0; (q = table_next(&g->queues, &at)) != NULL;)
        polls_stop(g, q);
    hubs_stop(g);
    engine_round_ask(g); /* tells when there is nothing to wait for */
}

void engine_count(const struct engine *g, struct engine_counters *out)
{
    *out = g->counters;
}
