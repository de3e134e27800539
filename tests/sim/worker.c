#include "worker.h"

#include "base/check.h"
#include "control/engine.h"
#include "judge.h"
#include "proto/json_slice.h"
#include "rpc.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIVES_MAX = 64 };

/* A call that the worker has seen. */
struct errand {
    struct id call;
    struct str name; /* borrowed from the view */
    struct sha256 arguments;
    bool held;     /* waits for a person */
    bool taken;    /* begun */
    bool answered; /* done, denied, or done by others */
};

struct worker {
    struct world *w;
    char name[24];
    bool marks;
    bool hasty; /* gives every item up at once, until all is calm */
    int64_t max_idle;
    struct life *lives[LIVES_MAX];
    size_t life_count;
    struct life *life; /* NULL: dead */

    bool holding;
    unsigned stint; /* what was begun under an earlier one does not count */
    struct id work, session;
    struct sha256 token;
    char heartbeat[40];
    int64_t ttl, beaten_at;
    bool attached, busy, over;
    size_t read;  /* of the session's log */
    bool resting; /* the last status was an idle that ends a turn */
    int64_t moved_at;
    struct errand *errands;
    size_t errand_count, errand_room;
};

/* --- timers that know their stint --- */

struct alarm {
    struct worker *k;
    unsigned stint;
    void (*ring)(struct worker *k, struct errand *e);
    struct id call;
};

static struct errand *errand_of(struct worker *k, const struct id *call)
{
    for (size_t i = 0; i < k->errand_count; i++)
        if (id_eq(&k->errands[i].call, call))
            return &k->errands[i];
    return NULL;
}

static void ring(void *arg)
{
    struct alarm was = *(struct alarm *)arg;
    free(arg);
    if (was.stint == was.k->stint)
        was.ring(was.k, id_is_none(&was.call) ? NULL : errand_of(was.k, &was.call));
}

static void later(struct worker *k, int64_t delay, void (*fn)(struct worker *k, struct errand *e),
                  const struct errand *e)
{
    struct world *w = k->w;
    struct alarm *a = mem_get(sizeof *a);
    *a = (struct alarm){ .k = k, .stint = k->stint, .ring = fn };
    if (e)
        a->call = e->call;
    agenda_put(&w->agenda, w->agenda.now + delay,
               (struct task){ .life = k->life, .run = ring, .drop = free, .arg = a });
}

/* --- lives --- */

static void poll(struct worker *k, struct errand *none);

static void drop_item(struct worker *k)
{
    k->stint++;
    k->holding = k->attached = k->busy = k->over = false;
    k->errand_count = k->read = 0;
    k->heartbeat[0] = 0;
}

static void live(void *arg)
{
    struct worker *k = arg;
    if (k->life)
        return;
    CHECK(k->life_count < LIVES_MAX);
    k->life = k->lives[k->life_count++] = mem_get(sizeof *k->life);
    drop_item(k);
    poll(k, NULL);
}

static void die(struct worker *k)
{
    struct world *w = k->w;
    w->tally->worker_deaths++;
    world_note(w, "%s dies", k->name);
    k->life->over = true;
    k->life = NULL;
    drop_item(k);
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, SECOND, 3 * MINUTE),
               (struct task){ .run = live, .arg = k });
}

enum { NOW_AND_THEN = 1, IN_THE_MIDDLE = 5 };

/* True: it is dead. */
static bool trouble(struct worker *k, unsigned often)
{
    struct world *w = k->w;
    if (w->calm || !dice_chance(&w->dice, often * w->faults.worker))
        return false;
    if (k->life_count + 2 < LIVES_MAX && dice_chance(&w->dice, 500)) {
        die(k);
        return true;
    }
    w->tally->freezes++;
    world_note(w, "%s freezes", k->name);
    k->life->frozen_until = w->agenda.now + dice_between(&w->dice, SECOND, 5 * MINUTE);
    return false;
}

/* --- the item --- */

static struct rpc *item_call(struct worker *k, enum rpc_kind kind)
{
    struct rpc *r = rpc_new(k->w, kind);
    r->as = ASKER_SESSIONS_TOKEN;
    r->token = k->token;
    r->work = k->work;
    r->session = k->session;
    r->stint = k->stint;
    return r;
}

static void gone(void *peer, struct rpc *r)
{
    (void)r;
    poll(peer, NULL);
}

/* Goes away from the item; `stop`: it is still ours to end. */
static void leave(struct worker *k, bool stop)
{
    world_note(k->w, "%s leaves %s%s", k->name, k->work.text, stop ? ", stops it" : "");
    struct rpc *r = stop ? item_call(k, RPC_STOP) : NULL;
    drop_item(k);
    if (!r) {
        later(k, SECOND, poll, NULL);
        return;
    }
    r->force = true;
    rpc_send(r, k->life, gone, k);
}

static void act(struct worker *k);
static void look(struct worker *k, struct errand *none);

static void posted(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    struct errand *e = errand_of(k, &r->events[0].about);
    if (r->stint != k->stint || !e)
        return;
    k->busy = false;
    e->answered = r->status == 200;
    if (r->status != 200) {
        /* The SDK's worker runs it again when it next looks; ours keeps what it has. */
        e->taken = k->marks;
        if (k->marks && (r->status == 0 || r->status >= 500)) {
            k->busy = true;
            struct rpc *again = item_call(k, RPC_SEND);
            rpc_event(again, EVENT_USER_TOOL_RESULT, "done")->about = e->call;
            rpc_send(again, k->life, posted, k);
            return;
        }
        later(k, 2 * SECOND, look, NULL);
        return;
    }
    act(k);
}

static void executed(struct worker *k, struct errand *e)
{
    if (trouble(k, IN_THE_MIDDLE))
        return;
    struct rpc *r = item_call(k, RPC_SEND);
    rpc_event(r, EVENT_USER_TOOL_RESULT, "done")->about = e->call;
    r->events[0].is_error = dice_chance(&k->w->dice, 100);
    rpc_send(r, k->life, posted, k);
}

static void execute(struct worker *k, struct errand *e)
{
    struct world *w = k->w;
    if (trouble(k, IN_THE_MIDDLE))
        return;
    world_note(w, "%s carries out %s %.*s", k->name, e->call.text, STR_ARGS(e->name));
    judge_executed(w->judge, &k->session, &e->call, k->marks);
    int64_t takes = dice_chance(&w->dice, 30) ? dice_between(&w->dice, 10 * SECOND, 2 * MINUTE)
                                              : dice_between(&w->dice, MILLISECOND, 5 * SECOND);
    later(k, takes, executed, e);
}

static void marked(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    struct errand *e = errand_of(k, &r->mark.call);
    if (r->stint != k->stint || !e)
        return;
    if (r->status == 200) {
        execute(k, e);
        return;
    }
    k->busy = false;
    if (r->status == 0 || r->status >= 500)
        e->taken = false; /* nobody knows of it yet: later */
    later(k, SECOND, look, NULL);
}

static void begin(struct worker *k, struct errand *e)
{
    k->busy = e->taken = true;
    if (!k->marks || policy_repeat(e->name) == REPEAT_SAFE) {
        execute(k, e);
        return;
    }
    struct rpc *r = item_call(k, RPC_CALLS);
    r->mark = (struct call_mark){ .call = e->call, .arguments = e->arguments, .attempt = 1 };
    rpc_send(r, k->life, marked, k);
}

static void idle_over(struct worker *k, struct errand *none)
{
    (void)none;
    if (k->resting && !k->busy && k->w->agenda.now - k->moved_at >= k->max_idle)
        leave(k, true);
}

static void act(struct worker *k)
{
    if (!k->attached || k->busy)
        return;
    for (size_t i = 0; i < k->errand_count; i++) {
        struct errand *e = &k->errands[i];
        if (e->held || e->taken || e->answered)
            continue;
        begin(k, e);
        return;
    }
    if (k->over)
        leave(k, true);
    else if (k->resting)
        later(k, k->max_idle, idle_over, NULL);
}

/* --- the log --- */

static void errand_add(struct worker *k, const struct logged *l)
{
    if (k->errand_count == k->errand_room) {
        k->errand_room = k->errand_room ? 2 * k->errand_room : 8;
        k->errands = mem_grow(k->errands, k->errand_room * sizeof *k->errands);
    }
    k->errands[k->errand_count++] = (struct errand){
        .call = l->id,
        .name = l->name,
        .arguments = l->arguments,
        .held = l->permission == PERMISSION_ASK,
        .answered = l->permission == PERMISSION_DENY || l->owner != OWNER_WORKER,
    };
}

static void read_event(struct worker *k, const struct logged *l)
{
    struct errand *e = id_is_none(&l->about) ? NULL : errand_of(k, &l->about);
    if (l->type == EVENT_AGENT_TOOL_USE)
        errand_add(k, l);
    else if (l->type == EVENT_USER_TOOL_RESULT && e)
        e->answered = true;
    else if (l->type == EVENT_USER_TOOL_CONFIRMATION && e && l->allow)
        e->held = false;
    else if (l->type == EVENT_USER_TOOL_CONFIRMATION && e)
        e->answered = true;
    /* With the SDK's worker these end the countdown for good (contract 5.7): it stays for as long as
     * the session does nothing, which no run here could wait for. */
    if (!l->shown || l->type == EVENT_USER_INTERRUPT || l->type == EVENT_SESSION_UPDATED ||
        l->type == EVENT_SESSION_ERROR || l->type == EVENT_USER_TOOL_CONFIRMATION)
        return;
    k->moved_at = k->w->agenda.now;
    k->resting = l->type == EVENT_SESSION_STATUS_IDLE && l->stop != STOP_REQUIRES_ACTION;
    k->over |= l->type == EVENT_SESSION_STATUS_TERMINATED;
}

static void look(struct worker *k, struct errand *none)
{
    (void)none;
    struct world *w = k->w;
    if (!k->attached)
        return;
    if (!world_is_up(w)) {
        later(k, dice_between(&w->dice, 500 * MILLISECOND, 5 * SECOND), look, NULL);
        return;
    }
    const struct view *v = judge_view(w->judge, &k->session);
    if (!v || v->deleted) {
        leave(k, true);
        return;
    }
    while (k->read < v->log_count)
        read_event(k, &v->log[k->read++]);
    act(k);
}

void crew_notice(struct world *w, const struct id *session)
{
    for (size_t i = 0; i < w->worker_count; i++) {
        struct worker *k = w->workers[i];
        if (k->life && k->attached && id_eq(&k->session, session))
            later(k, world_latency(w), look, NULL);
    }
}

/* --- the lease --- */

static void beat(struct worker *k, struct errand *none);

static bool says(const struct rpc *r, const char *key, const char *value)
{
    struct str s = json_slice_get(buf_str(&r->json), key);
    return str_eq(s, str_of(value));
}

static void beaten(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    struct world *w = k->w;
    if (r->stint != k->stint)
        return;
    if (r->status == 412) {
        leave(k, false);
    } else if (r->status == 0 || r->status >= 500) {
        if (w->agenda.now - k->beaten_at > k->ttl)
            leave(k, false);
        else
            later(k, SECOND, beat, NULL);
    } else if (r->status != 200 || !says(r, "lease_extended", "true") ||
               !says(r, "state", "\"active\"")) {
        leave(k, true);
    } else {
        struct str last = json_slice_get(buf_str(&r->json), "last_heartbeat");
        snprintf(k->heartbeat, sizeof k->heartbeat, "%.*s", (int)last.n - 2, last.p + 1);
        json_slice_i64(json_slice_get(buf_str(&r->json), "ttl_seconds"), &k->ttl);
        k->ttl *= SECOND;
        k->beaten_at = w->agenda.now;
        later(k, k->ttl / 3, beat, NULL);
        if (k->attached)
            return;
        k->attached = true;
        look(k, NULL);
    }
}

static void beat(struct worker *k, struct errand *none)
{
    (void)none;
    if (trouble(k, NOW_AND_THEN))
        return;
    struct rpc *r = item_call(k, RPC_HEARTBEAT);
    snprintf(r->text, sizeof r->text, "%s", k->heartbeat[0] ? k->heartbeat : "NO_HEARTBEAT");
    rpc_send(r, k->life, beaten, k);
}

static void nacked(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    k->w->tally->nacks += r->status == 200;
    drop_item(k);
    poll(k, NULL);
}

static void acked(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    struct world *w = k->w;
    if (r->status != 200) {
        drop_item(k);
        later(k, SECOND, poll, NULL);
        return;
    }
    w->tally->claims++;
    if (trouble(k, NOW_AND_THEN))
        return;
    if (k->hasty && !w->calm) {
        leave(k, true);
        return;
    }
    if (k->marks && !w->calm && dice_chance(&w->dice, 4 * w->faults.worker)) {
        struct rpc *back = item_call(k, RPC_NACK);
        snprintf(back->text, sizeof back->text, "no room");
        rpc_send(back, k->life, nacked, k);
        return;
    }
    k->beaten_at = w->agenda.now;
    k->ttl = 90 * SECOND;
    beat(k, NULL);
}

static void polled(void *peer, struct rpc *r)
{
    struct worker *k = peer;
    struct world *w = k->w;
    struct str json = buf_str(&r->json);
    if (r->status != 200 || str_eq(json, STR("null"))) {
        later(k, dice_between(&w->dice, MILLISECOND, 3 * SECOND), poll, NULL);
        return;
    }
    k->holding = true;
    CHECK(id_read(rpc_member(json, "id"), &k->work));
    CHECK(id_read(rpc_member(json_slice_get(json, "data"), "id"), &k->session));
    rpc_token(json, &k->token);
    world_note(w, "%s is given %s", k->name, k->work.text);
    if (trouble(k, NOW_AND_THEN))
        return;
    struct rpc *ack = rpc_new(w, RPC_ACK);
    ack->as = ASKER_ENVIRONMENT_KEY;
    ack->work = k->work;
    ack->session = k->session;
    rpc_send(ack, k->life, acked, k);
}

static void poll(struct worker *k, struct errand *none)
{
    (void)none;
    if (trouble(k, NOW_AND_THEN))
        return;
    struct rpc *r = rpc_new(k->w, RPC_POLL);
    r->as = ASKER_ENVIRONMENT_KEY;
    snprintf(r->text, sizeof r->text, "%s", k->name);
    rpc_send(r, k->life, polled, k);
}

/* --- all of them --- */

void crew_open(struct world *w)
{
    w->worker_count = 1 + dice_below(&w->dice, WORKERS_MAX);
    unsigned kind = (unsigned)dice_below(&w->dice, 3); /* all mark, none marks, some do */
    bool hasty = dice_chance(&w->dice, 60);            /* all of them: 4.7's guard has to hold */
    for (size_t i = 0; i < w->worker_count; i++) {
        struct worker *k = w->workers[i] = mem_get(sizeof *k);
        *k = (struct worker){ .w = w, .marks = kind == 0 || (kind == 2 && i % 2), .hasty = hasty };
        k->max_idle = dice_between(&w->dice, 2 * SECOND, 60 * SECOND);
        snprintf(k->name, sizeof k->name, "%s %zu", k->marks ? "marker" : "worker", i);
        live(k);
    }
}

void crew_free(struct world *w)
{
    for (size_t i = 0; i < w->worker_count; i++) {
        struct worker *k = w->workers[i];
        for (size_t n = 0; n < k->life_count; n++)
            k->lives[n]->over = true;
    }
    agenda_purge(&w->agenda);
    for (size_t i = 0; i < w->worker_count; i++) {
        struct worker *k = w->workers[i];
        for (size_t n = 0; n < k->life_count; n++)
            free(k->lives[n]);
        free(k->errands);
        free(k);
    }
}

void crew_calm(struct world *w)
{
    for (size_t i = 0; i < w->worker_count; i++) {
        struct worker *k = w->workers[i];
        if (!k->life)
            live(k);
        k->life->frozen_until = 0;
    }
}
