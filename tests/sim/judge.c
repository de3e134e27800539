#include "judge.h"

#include "base/check.h"
#include "client.h"
#include "control/engine-int.h"
#include "control/event_json.h"
#include "control/log_walk.h"
#include "judge_order.h"
#include "proto/json_slice.h"
#include "worker.h"

#include <stdlib.h>

#define GRACE (5 * SECOND) /* for timers, writes and their answers */

enum { VIEWS_MAX = 64, LOOK_EVERY = 16 };

/* Who was given an item last. */
struct holder {
    struct id work;
    struct sha256 token;
};

struct judge {
    struct world *w;
    struct store *store; /* its own way to the disk */
    struct view *views[VIEWS_MAX];
    size_t view_count;
    struct holder *holders;
    size_t holder_count, holder_room;
    unsigned steps;
};

static void never(void *ctx, void (*fn)(void *arg), void *arg)
{
    (void)ctx, (void)fn, (void)arg; /* the judge writes nothing */
}

struct judge *judge_new(struct world *w)
{
    struct judge *j = mem_get(sizeof *j);
    j->w = w;
    j->store = memory_store_new(w->disk, never, NULL);
    return j;
}

static void view_free(struct view *v)
{
    size_t at = 0;
    for (void *id; (id = table_next(&v->ids, &at)) != NULL;)
        free(id);
    table_release(&v->ids);
    for (size_t i = 0; i < v->log_count; i++)
        free((char *)v->log[i].name.p);
    session_free(v->s);
    free(v->log);
    free(v->deeds);
    free(v);
}

void judge_free(struct judge *j)
{
    for (size_t i = 0; i < j->view_count; i++)
        view_free(j->views[i]);
    free(j->holders);
    j->store->ops->free(j->store);
    free(j);
}

struct view *judge_view(struct judge *j, const struct id *session)
{
    for (size_t i = 0; i < j->view_count; i++)
        if (id_eq(&j->views[i]->session, session))
            return j->views[i];
    return NULL;
}

struct view *judge_orphan(struct judge *j)
{
    for (size_t i = 0; i < j->view_count; i++)
        if (!j->views[i]->owned && j->views[i]->s->status != SESSION_TERMINATED)
            return j->views[i];
    return NULL;
}

/* --- reading --- */

static void look_for_sessions(struct judge *j)
{
    struct record_query q = { .kind = RECORD_SESSION, .with_archived = true, .limit = VIEWS_MAX };
    struct record_list list;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    CHECK(j->store->ops->list(j->store, &q, &list, &arena, &e) == 0);
    for (size_t i = 0; i < list.count; i++) {
        if (judge_view(j, &list.items[i].id))
            continue;
        CHECK(j->view_count < VIEWS_MAX);
        struct view *v = mem_get(sizeof *v);
        v->session = list.items[i].id;
        v->s = session_new();
        j->views[j->view_count++] = v;
    }
}

static struct deed *deed_of(struct view *v, const struct id *call)
{
    for (size_t i = v->deed_count; i > 0; i--)
        if (id_eq(&v->deeds[i - 1].call, call))
            return &v->deeds[i - 1];
    return NULL;
}

static bool is_call(enum event_type type)
{
    return type == EVENT_AGENT_TOOL_USE || type == EVENT_AGENT_CUSTOM_TOOL_USE;
}

/* What peers and the last line want to know of it. */
static void remember(struct judge *j, struct view *v, const struct event *e, bool shown)
{
    struct tally *t = j->w->tally;
    if (v->log_count == v->log_room) {
        v->log_room = v->log_room ? 2 * v->log_room : 64;
        v->log = mem_grow(v->log, v->log_room * sizeof *v->log);
    }
    v->log[v->log_count++] = (struct logged){ .type = e->type,
                                              .id = e->id,
                                              .about = e->about,
                                              .name = { str_dup(e->name), e->name.n },
                                              .permission = e->permission,
                                              .owner = e->owner,
                                              .stop = e->stop,
                                              .allow = e->allow,
                                              .shown = shown,
                                              .arguments = e->arguments };
    if (is_call(e->type)) {
        if (v->deed_count == v->deed_room) {
            v->deed_room = v->deed_room ? 2 * v->deed_room : 16;
            v->deeds = mem_grow(v->deeds, v->deed_room * sizeof *v->deeds);
        }
        v->deeds[v->deed_count++] =
            (struct deed){ .call = e->id,
                           .safe = e->repeat == REPEAT_SAFE,
                           .custom = e->type == EVENT_AGENT_CUSTOM_TOOL_USE };
        t->calls++;
    }
    if (e->type == EVENT_INTERNAL_WORK && e->step == WORK_STEP_MADE) {
        v->work = e->work;
        v->not_before = e->until;
    }
    if (e->type == EVENT_POSTERN_CALL_STARTED) {
        struct deed *d = deed_of(v, &e->about);
        if (d)
            d->marked = true;
        t->marks++;
    }
    t->events++;
    t->turns += e->type == EVENT_SESSION_STATUS_IDLE && e->stop == STOP_END_TURN;
    t->unknown += e->type == EVENT_POSTERN_CALL_UNKNOWN;
    t->interrupts += e->type == EVENT_USER_INTERRUPT;
    t->confirmations += e->type == EVENT_USER_TOOL_CONFIRMATION;
    t->queued += e->type == EVENT_INTERNAL_QUEUED;
    t->budget_stops += e->type == EVENT_SESSION_STATUS_IDLE && e->stop == STOP_BUDGET_REACHED;
    t->held += e->type == EVENT_INTERNAL_WORK && e->step == WORK_STEP_HELD;
    t->quick_ends += e->type == EVENT_INTERNAL_WORK && e->step == WORK_STEP_ENDED && e->attempt > 0;
    t->leases_lost += e->type == EVENT_INTERNAL_WORK && e->step == WORK_STEP_LOST;
}

static void read_entry(struct judge *j, struct view *v, const struct entry *entry)
{
    struct world *w = j->w;
    struct event e;
    struct err err = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    if (entry->seq != v->seq + 1)
        world_fail(w, "%s: entry %ld follows %ld", v->session.text, (long)entry->seq, (long)v->seq);
    if (event_json_read(entry, EVENT_WHOLE, &e, &arena, &err) < 0) {
        world_fail(w, "%s: entry %ld: %s", v->session.text, (long)entry->seq, err.text);
        return;
    }
    bool internal = entry->shows == ENTRY_INTERNAL;
    world_note(w, "  %s %ld %s %s %s", v->session.text + 5, (long)entry->seq,
               event_type_name(e.type), e.id.text, e.about.text);
    if (!internal && table_find(&v->ids, id_str(&e.id)) && !judge_was_queued(v, &e.id))
        world_fail(w, "%s: two events are called %s", v->session.text, e.id.text);
    judge_order(w, v, &e, internal);
    if (!table_find(&v->ids, id_str(&e.id))) {
        struct id *id = mem_get(sizeof *id);
        *id = e.id;
        table_put(&v->ids, id_str(id), id);
    }
    session_apply(v->s, &e);
    v->seq = entry->seq;
    remember(j, v, &e, entry->shows == ENTRY_PUBLIC);
}

/* At most one live item, and the one that the log names. Record and log are one transaction. */
static void check_items(struct judge *j, struct view *v)
{
    static const struct str live[] = { STR("queued"), STR("starting"), STR("active"),
                                       STR("stopping") };
    struct record_query q = {
        .kind = RECORD_WORK, .group = &v->session, .states = live, .state_count = 4, .limit = 8
    };
    struct record_list list;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    CHECK(j->store->ops->list(j->store, &q, &list, &arena, &e) == 0);
    bool over = v->s->status == SESSION_TERMINATED;
    size_t stopping = 0; /* withdrawn, and their workers have not heard of it yet */
    for (size_t i = 0; i < list.count; i++)
        stopping += str_eq(list.items[i].state, STR("stopping")) &&
                    (over || !v->s->work_live || !id_eq(&list.items[i].id, &v->s->work));
    if (list.count - stopping != (v->s->work_live && !over))
        world_fail(j->w, "%s: %zu live work items, the log says %d", v->session.text, list.count,
                   v->s->work_live);
    else if (!over && v->s->work_live && list.count == 1 && !id_eq(&list.items[0].id, &v->s->work))
        world_fail(j->w, "%s: the live work item is another one", v->session.text);
}

static void check_record(struct judge *j, struct view *v)
{
    struct record r;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    int found = j->store->ops->get(j->store, RECORD_SESSION, &v->session, &r, &arena, &e);
    v->deleted = found == 0;
    if (found == 1 && !str_eq(r.state, str_of(session_status_name(v->s->status))))
        world_fail(j->w, "%s: the record says %.*s, the log %s", v->session.text, STR_ARGS(r.state),
                   session_status_name(v->s->status));
}

/* 4.7: whenever there is something for a worker there is an item, unless somebody has to speak
 * first. */
static void check_wanted(struct judge *j, const struct view *v)
{
    const struct session *s = v->s;
    bool wanted = s->status == SESSION_RUNNING, doubtful = false;
    for (size_t i = 0; i < s->call_count; i++) {
        wanted |= s->calls[i].state == CALL_WAITS && s->status != SESSION_TERMINATED;
        doubtful |= s->calls[i].doubtful;
    }
    if (wanted && !doubtful && !s->work_live && !s->work_held)
        world_fail(j->w, "%s: there is work and no work item", v->session.text);
}

/* What the last idle named is what waits now. */
static void check_named(struct judge *j, const struct view *v)
{
    const struct session *s = v->s;
    size_t waiting = session_waiting(s, NULL, 0);
    if (s->status == SESSION_IDLE && s->stop == STOP_REQUIRES_ACTION && s->named != waiting)
        world_fail(j->w, "%s: %zu calls wait, the last idle named %zu", v->session.text, waiting,
                   s->named);
}

static bool read_view(struct judge *j, struct view *v)
{
    struct err e = { 0 };
    int64_t last = j->store->ops->last_seq(j->store, &v->session, &e);
    if (last == v->seq)
        return false;
    if (last == 0) {
        v->deleted = true;
        return false;
    }
    if (last < v->seq) {
        world_fail(j->w, "%s: the log has become shorter", v->session.text);
        return false;
    }
    struct log_walk walk;
    const struct entry *entry;
    log_walk_begin(&walk, j->store, &v->session, v->seq, ENTRY_INTERNAL);
    while ((entry = log_walk_next(&walk, &e)) != NULL && !j->w->failure[0])
        read_entry(j, v, entry);
    log_walk_end(&walk);
    v->moved_at = j->w->agenda.now;
    check_record(j, v);
    check_items(j, v);
    check_wanted(j, v);
    check_named(j, v);
    return true;
}

void judge_read(struct judge *j)
{
    for (size_t i = 0; i < j->view_count; i++) {
        if (j->views[i]->deleted || !read_view(j, j->views[i]))
            continue;
        crew_notice(j->w, &j->views[i]->session);
    }
}

/* --- states have to be left --- */

/* The server was well for longer than `patience` since `due`. */
static bool overdue(const struct world *w, int64_t due, int64_t patience)
{
    if (w->healthy_since == INT64_MAX || w->parking || due == INT64_MAX)
        return false;
    int64_t from = due > w->healthy_since ? due : w->healthy_since;
    return w->agenda.now > from + patience;
}

static void check_session_times(struct judge *j, const struct view *v)
{
    struct world *w = j->w;
    if (overdue(w, session_deadline(v->s), GRACE))
        world_fail(w, "%s: the retry is overdue", v->session.text);
    if (v->s->status == SESSION_RUNNING && overdue(w, v->moved_at, MINUTE))
        world_fail(w, "%s: runs and nothing happens", v->session.text);
}

static void check_item_times(struct judge *j)
{
    struct engine *g = j->w->engine;
    static const struct str states[] = { STR("starting"), STR("active"), STR("stopping") };
    struct record_query q = {
        .kind = RECORD_WORK, .states = states, .state_count = 3, .limit = 32
    };
    struct record_list list;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    CHECK(j->store->ops->list(j->store, &q, &list, &arena, &e) == 0);
    const struct work_rules rules = work_rules_of(g);
    for (size_t i = 0; i < list.count; i++) {
        struct work_record r;
        CHECK(work_record_read(&list.items[i], &r, &e) == 0);
        if (overdue(j->w, work_deadline(&r.work, &rules), GRACE))
            world_fail(j->w, "%s: %s for too long", r.work.id.text, work_state_name(r.work.state));
        work_record_release(&r);
    }
}

/* What the engine has in memory is what the log says, when nothing is under way. */
static void check_engine(struct judge *j, const struct view *v)
{
    const struct actor *a = table_find(&j->w->engine->actors, id_str(&v->session));
    if (!a || a->writing || !a->s || v->deleted)
        return;
    const char *why = session_difference(a->s, v->s);
    if (why)
        world_fail(j->w, "%s: the engine's state is not that of the log: %s", v->session.text, why);
}

void judge_step(struct judge *j)
{
    struct world *w = j->w;
    bool look = j->steps++ % LOOK_EVERY == 0;
    if (look)
        look_for_sessions(j);
    judge_read(j);
    if (!world_is_up(w))
        return;
    for (size_t i = 0; i < j->view_count; i++) {
        check_engine(j, j->views[i]);
        if (look && !j->views[i]->deleted)
            check_session_times(j, j->views[i]);
    }
    if (look)
        check_item_times(j);
}

/* --- what was promised --- */

static void check_sent(struct judge *j, const struct rpc *r)
{
    struct view *v = judge_view(j, &r->session);
    struct json_slice s;
    size_t n = 0;
    if (!v || !json_slice_begin(&s, json_slice_get(buf_str(&r->json), "data"))) {
        world_fail(j->w, "%s: the answer to events is none", r->session.text);
        return;
    }
    while (json_slice_next(&s)) {
        struct id id;
        struct str text = json_slice_get(s.value, "id");
        if (text.n < 2 || !id_read((struct str){ text.p + 1, text.n - 2 }, &id) ||
            !table_find(&v->ids, id_str(&id)))
            world_fail(j->w, "%s: an event was acknowledged and is not in the log",
                       r->session.text);
        n++;
    }
    if (n != r->count)
        world_fail(j->w, "%s: %zu events sent, %zu acknowledged", r->session.text, r->count, n);
    for (size_t i = 0; i < r->count; i++) {
        const struct call *c = session_call(v->s, &r->events[i].about);
        bool result = r->events[i].type == EVENT_USER_TOOL_RESULT ||
                      r->events[i].type == EVENT_USER_CUSTOM_TOOL_RESULT;
        if (result && c && c->state != CALL_CLOSED)
            world_fail(j->w, "%s: a result was acknowledged and its call is open", r->session.text);
    }
}

static void check_item(struct judge *j, const struct rpc *r)
{
    struct record record;
    struct err e = { 0 };
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    if (j->store->ops->get(j->store, RECORD_WORK, &r->work, &record, &arena, &e) != 1) {
        world_fail(j->w, "%s: acknowledged and not in the store", r->work.text);
        return;
    }
    struct str said = rpc_member(buf_str(&r->json), "state");
    /* What was decided in the same transaction right behind it has its answer still to come. */
    for (const struct rpc *other = j->w->rpcs; other; other = other->next)
        if (id_eq(&other->work, &r->work))
            return;
    if (!str_eq(said, record.state))
        world_fail(j->w, "%s: said to be %.*s, stored as %.*s", r->work.text, STR_ARGS(said),
                   STR_ARGS(record.state));
}

static struct holder *holder_of(struct judge *j, const struct id *work)
{
    for (size_t i = j->holder_count; i > 0; i--)
        if (id_eq(&j->holders[i - 1].work, work))
            return &j->holders[i - 1];
    return NULL;
}

/* Nothing is handed out before its time (4.7). */
static void check_poll(struct judge *j, const struct rpc *r)
{
    struct str json = buf_str(&r->json);
    struct id work, session;
    if (str_eq(json, STR("null")))
        return;
    CHECK(id_read(rpc_member(json, "id"), &work));
    CHECK(id_read(rpc_member(json_slice_get(json, "data"), "id"), &session));
    const struct view *v = judge_view(j, &session);
    if (v && id_eq(&v->work, &work) && j->w->agenda.now < v->not_before)
        world_fail(j->w, "%s: handed out before its time", work.text);
    struct holder *h = holder_of(j, &work);
    if (!h) {
        if (j->holder_count == j->holder_room) {
            j->holder_room = j->holder_room ? 2 * j->holder_room : 16;
            j->holders = mem_grow(j->holders, j->holder_room * sizeof *j->holders);
        }
        h = &j->holders[j->holder_count++];
        h->work = work;
    }
    rpc_token(json, &h->token);
}

/* 4.5, row 9: who spoke holds the latest claim that anybody was told of. */
static void check_holder(struct judge *j, const struct rpc *r)
{
    const struct holder *h = holder_of(j, &r->work);
    if (h && memcmp(&h->token, &r->token, sizeof h->token) != 0)
        world_fail(j->w, "%s: somebody with an earlier claim was listened to", r->work.text);
}

static void check_heartbeat(struct judge *j, const struct rpc *r)
{
    bool extended = false;
    json_slice_bool(json_slice_get(buf_str(&r->json), "lease_extended"), &extended);
    if (extended)
        check_holder(j, r);
}

static void check_mark(struct judge *j, const struct rpc *r)
{
    const struct view *v = judge_view(j, &r->session);
    const struct deed *d = v ? deed_of((struct view *)v, &r->mark.call) : NULL;
    if (!d || !d->marked)
        world_fail(j->w, "%s: a mark was acknowledged and is not in the log", r->mark.call.text);
}

void judge_acknowledged(struct judge *j, const struct rpc *r)
{
    look_for_sessions(j);
    judge_read(j);
    switch (r->kind) {
    case RPC_SEND:
        check_sent(j, r);
        break;
    case RPC_HEARTBEAT:
        check_heartbeat(j, r);
        check_item(j, r);
        break;
    case RPC_ACK:
    case RPC_STOP:
    case RPC_NACK:
        check_item(j, r);
        break;
    case RPC_CALLS:
        check_holder(j, r);
        check_mark(j, r);
        break;
    case RPC_ARCHIVE:
        if (judge_view(j, &r->session)->s->status != SESSION_TERMINATED)
            world_fail(j->w, "%s: archived and still there", r->session.text);
        break;
    case RPC_DELETE:
        if (j->store->ops->last_seq(j->store, &r->session, &(struct err){ 0 }) != 0)
            world_fail(j->w, "%s: deleted and its log still there", r->session.text);
        break;
    case RPC_POLL:
        check_poll(j, r);
        break;
    case RPC_CREATE:
    case RPC_UPDATE:
    case RPC_REQUEUE:
        break;
    }
}

void judge_executed(struct judge *j, const struct id *session, const struct id *call, bool marking)
{
    struct world *w = j->w;
    struct view *v = judge_view(j, session);
    struct deed *d = v ? deed_of(v, call) : NULL;
    CHECK(d); /* workers know calls from the log */
    const struct call *c = session_call(v->s, call);
    w->tally->executions++;
    w->tally->executed_again += d->by_marking + d->by_others > 0;
    if (c && c->state == CALL_ASKS && !c->doubtful)
        world_fail(w, "%s: carried out without a person's word", call->text);
    if (marking && !d->safe && d->by_marking > 0)
        world_fail(w, "%s: carried out twice by workers that mark", call->text);
    if (marking && !d->safe && !d->marked)
        world_fail(w, "%s: carried out without a mark", call->text);
    if (marking)
        d->by_marking++;
    else
        d->by_others++;
}

/* --- the end --- */

static bool view_is_at_rest(const struct view *v)
{
    const struct session *s = v->s;
    if (v->deleted || s->status == SESSION_TERMINATED)
        return true;
    return s->status == SESSION_IDLE && !s->work_live && !s->turn && s->queue_count == 0;
}

bool judge_is_at_rest(struct judge *j)
{
    for (size_t i = 0; i < j->view_count; i++)
        if (!view_is_at_rest(j->views[i]))
            return false;
    return true;
}

void judge_end(struct judge *j)
{
    for (size_t i = 0; i < j->view_count; i++) {
        const struct view *v = j->views[i];
        if (!view_is_at_rest(v))
            world_fail(j->w, "%s: no rest: %s, turn %d, %zu waiting, %zu queued, work %d%s",
                       v->session.text, session_status_name(v->s->status), v->s->turn,
                       session_waiting(v->s, NULL, 0), v->s->queue_count, v->s->work_live,
                       v->s->work_held ? " held" : "");
    }
    clients_end(j->w);
}
