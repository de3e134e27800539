/* Workers that wait for an item (contract 4.3), and who of them was seen (4.8). */
#include "control/engine-int.h"
#include "control/scalar.h"
#include "io/digest.h"
#include "proto/json_write.h"

#include <stdlib.h>

#define WORKER_SEEN INT64_C(30000000)

struct poll {
    struct engine *g;
    struct work_queue *queue;
    struct poll *before, *next; /* of those that wait */
    bool waiting;
    bool cancelled; /* while an item is on its way to it */
    struct asker asker;
    int64_t reclaim, until;
    struct alarm deadline;
    engine_answer *answer;
    void *ctx;
};

/* --- workers --- */

struct worker {
    char *name; /* owned */
    int64_t seen;
};

enum { WORKERS_MAX = 4096 };

static void worker_free(struct worker *w)
{
    free(w->name);
    free(w);
}

static void workers_purge(struct work_queue *q, int64_t now)
{
    struct worker *gone[64];
    size_t count = 0;
    struct worker *w;
    for (size_t at = 0; count < 64 && (w = table_next(&q->workers, &at)) != NULL;)
        if (w->seen + WORKER_SEEN < now)
            gone[count++] = w;
    for (size_t i = 0; i < count; i++) {
        table_drop(&q->workers, str_of(gone[i]->name));
        worker_free(gone[i]);
    }
}

static void worker_see(struct work_queue *q, struct str name, int64_t now)
{
    if (name.n == 0)
        return;
    q->worker_seen = true;
    struct worker *w = table_find(&q->workers, name);
    if (!w) {
        workers_purge(q, now);
        if (q->workers.count >= WORKERS_MAX)
            return;
        w = mem_get(sizeof *w);
        w->name = str_dup(name);
        table_put(&q->workers, str_of(w->name), w);
    }
    w->seen = now;
}

void workers_free(struct work_queue *q)
{
    struct worker *w;
    for (size_t at = 0; (w = table_next(&q->workers, &at)) != NULL;)
        worker_free(w);
    table_release(&q->workers);
}

/* --- waiting --- */

static void wait_leave(struct poll *p)
{
    struct work_queue *q = p->queue;
    alarms_drop(&p->g->alarms, &p->deadline);
    if (!p->waiting)
        return;
    if (p->before)
        p->before->next = p->next;
    else
        q->poll_first = p->next;
    if (p->next)
        p->next->before = p->before;
    else
        q->poll_last = p->before;
    p->before = p->next = NULL;
    p->waiting = false;
    p->g->counters.polls_waiting--;
}

static void wait_enter(struct poll *p)
{
    struct work_queue *q = p->queue;
    p->before = q->poll_last;
    if (q->poll_last)
        q->poll_last->next = p;
    else
        q->poll_first = p;
    q->poll_last = p;
    p->waiting = true;
    p->g->counters.polls_waiting++;
}

static void poll_end(struct poll *p, const struct refusal *refusal, struct str json)
{
    engine_answer *answer = p->answer;
    void *ctx = p->ctx;
    wait_leave(p);
    free(p);
    answer(ctx, refusal, json);
}

/* --- handing out --- */

struct deliver_job {
    struct job job;
    struct poll *poll;
    struct id work;
    bool delivered;
};

/* base64url without padding (4.9). */
static void base64url(struct buf *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.n; i += 3) {
        const size_t have = bytes.n - i < 3 ? bytes.n - i : 3;
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++)
            three = three << 8 | (k < have ? (unsigned char)bytes.p[i + k] : 0);
        for (size_t k = 0; k <= have; k++)
            buf_add_byte(out, digits[three >> (18 - 6 * k) & 63]);
    }
}

/* A new sessions token, which only its hash outlives. */
static void claim(struct batch *b, struct work_record *r, struct buf *secret)
{
    enum { CHANCE = 43 };
    static const char prefix[] = "sk-pst-req-";
    char token[sizeof prefix + CHANCE];
    AUTO_BUF json = { 0 };
    memcpy(token, prefix, sizeof prefix);
    id_chance(token + sizeof prefix - 1, CHANCE, &b->g->parts.random);
    json_write_object(&json);
    json_member_text(&json, "sessions_token", token);
    json_write_object_end(&json);
    base64url(secret, buf_str(&json));
    work_record_supersede(r);
    digest_sha256(str_of(token), r->secret.bytes);
    r->claimed = true;
    mem_wipe(token, sizeof token);
    mem_wipe(json.p, json.n);
}

static void deliver(struct batch *b, struct job *j)
{
    struct deliver_job *d = (struct deliver_job *)j;
    struct work_item *item = work_item_find(b->g, &d->work);
    AUTO_BUF secret = { 0 };
    if (!item)
        return;
    item->taken = false;
    if (d->poll->cancelled || !work_can_be_delivered(&item->r.work, b->now, d->poll->reclaim))
        return;
    batch_touch(b, item);
    claim(b, &item->r, &secret);
    work_deliver(&item->r.work, b->now);
    work_record_show(&item->r, buf_str(&secret), &j->json);
    mem_wipe(secret.p, secret.n);
    d->delivered = true;
}

static void delivered(struct actor *a, struct job *j, bool durable)
{
    struct deliver_job *d = (struct deliver_job *)j;
    struct poll *p = d->poll;
    struct work_item *item = work_item_find(a->g, &d->work);
    if (item)
        item->taken = false;
    d->poll = NULL;
    if (p->cancelled) {
        free(p);
    } else if (!durable) {
        poll_end(p, &j->refusal, buf_str(&j->json));
    } else if (d->delivered) {
        poll_end(p, &j->refusal, buf_str(&j->json));
        mem_wipe(j->json.p, j->json.n);
    } else {
        wait_enter(p);
        engine_alarm(p->g, &p->deadline, p->until);
        polls_offer(p->g, p->queue);
    }
}

/* The engine is freed while an item is on its way. */
static void deliver_release(struct job *j)
{
    free(((struct deliver_job *)j)->poll);
}

static struct work_item *item_for(const struct poll *p, int64_t now, int64_t *next)
{
    for (struct work_item *i = p->queue->first; i; i = i->next) {
        if (i->busy || i->taken)
            continue; /* polls are offered anew when it settles */
        int64_t at = work_deliverable_at(&i->r.work, p->reclaim);
        if (at <= now)
            return i;
        if (at < *next)
            *next = at;
    }
    return NULL;
}

/* False: there is nothing for it yet. */
static bool poll_serve(struct poll *p)
{
    struct engine *g = p->g;
    int64_t next = p->until;
    struct work_item *item = item_for(p, engine_now(g), &next);
    if (!item) {
        engine_alarm(g, &p->deadline, next);
        return false;
    }
    struct deliver_job *d = job_new(sizeof *d, deliver);
    d->job.done = delivered;
    d->job.release = deliver_release;
    d->poll = p;
    d->work = item->r.work.id;
    item->taken = true;
    wait_leave(p);
    actor_push(actor_of(g, work_item_lane(item)), &d->job);
    return true;
}

void polls_offer(struct engine *g, struct work_queue *q)
{
    for (struct poll *p = q->poll_first, *next; p; p = next) {
        next = p->next;
        if (!poll_serve(p) && !q->first)
            return; /* nothing for anybody */
    }
}

static void poll_deadline(struct alarm *t, void *ctx)
{
    struct poll *p = ctx;
    const struct refusal none = { 0 };
    if (poll_serve(p))
        return;
    if (engine_now(p->g) >= p->until)
        poll_end(p, &none, STR("null"));
}

struct poll *engine_work_poll(struct engine *g, const struct asker *asker,
                              const struct id *environment, struct str worker, int64_t block,
                              int64_t reclaim, engine_answer *answer, void *ctx)
{
    struct poll *p = mem_get(sizeof *p);
    const int64_t now = engine_now(g);
    p->g = g;
    p->queue = work_queue_of(g, environment);
    p->asker = *asker;
    p->reclaim = reclaim;
    p->until = g->stopping ? now : now + block;
    p->deadline = (struct alarm){ .fire = poll_deadline, .ctx = p };
    p->answer = answer;
    p->ctx = ctx;
    worker_see(p->queue, worker, now);
    wait_enter(p);
    if (g->stopping)
        engine_alarm(g, &p->deadline, now);
    else
        (void)poll_serve(p); /* else its deadline is set */
    return p;
}

void engine_work_poll_cancel(struct poll *p)
{
    if (!p->waiting) {
        p->cancelled = true; /* the job on its way frees it */
        return;
    }
    wait_leave(p);
    free(p);
}

void polls_stop(struct engine *g, struct work_queue *q)
{
    const int64_t now = engine_now(g);
    for (struct poll *p = q->poll_first; p; p = p->next) {
        p->until = now;
        engine_alarm(g, &p->deadline, now);
    }
}

void polls_free(struct work_queue *q)
{
    while (q->poll_first) {
        struct poll *p = q->poll_first;
        wait_leave(p);
        free(p);
    }
}

int engine_work_stats(struct engine *g, const struct id *environment, struct buf *out,
                      struct err *e)
{
    const struct work_queue *q = work_queue_of(g, environment);
    const int64_t now = engine_now(g);
    size_t depth = 0, pending = 0, polling = 0;
    for (const struct work_item *i = q->first; i; i = i->next)
        i->r.work.delivered_at ? pending++ : depth++;
    struct worker *w;
    for (size_t at = 0; (w = table_next(&q->workers, &at)) != NULL;)
        polling += w->seen + WORKER_SEEN >= now;
    json_write_object(out);
    json_member_text(out, "type", "work_queue_stats");
    json_member_u64(out, "depth", depth);
    json_member_u64(out, "pending", pending);
    moment_member(out, "oldest_queued_at", q->first ? q->first->r.work.created_at : 0);
    json_write_key(out, STR("workers_polling"));
    if (q->worker_seen)
        json_write_u64(out, polling);
    else
        json_write_null(out);
    json_write_object_end(out);
    return 0;
}
