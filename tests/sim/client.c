#include "client.h"

#include "base/check.h"
#include "judge.h"
#include "rpc.h"
#include "stream.h"

#include <stdio.h>
#include <stdlib.h>

struct client {
    struct world *w;
    struct id session; /* none: not made yet */
    bool busy;         /* a call is under way */
    bool over;         /* archived, as it wanted to be in the end */
    unsigned messages; /* left to send */
    bool archives, deletes;
    bool budgeted;
    unsigned cents;
    struct stream stream;
};

static bool chance(struct client *c, unsigned permille)
{
    return dice_chance(&c->w->dice, permille);
}

static void done(void *peer, struct rpc *r)
{
    struct client *c = peer;
    c->busy = false;
    if (r->status == 200 && (r->kind == RPC_DELETE || (r->kind == RPC_ARCHIVE && !c->deletes)))
        c->over = true;
}

static struct rpc *call(struct client *c, enum rpc_kind kind)
{
    struct rpc *r = rpc_new(c->w, kind);
    r->as = ASKER_API_KEY;
    r->session = c->session;
    return r;
}

static void send(struct client *c, struct rpc *r)
{
    c->busy = true;
    rpc_send(r, NULL, done, c);
}

/* --- the session --- */

static void adopt(struct client *c)
{
    struct view *v = judge_orphan(c->w->judge);
    if (!v)
        return;
    v->owned = true;
    c->session = v->session;
    stream_open(&c->stream, c->w, &c->session);
}

static void created(void *peer, struct rpc *r)
{
    (void)r; /* an answer that was lost is found in the list of sessions */
    struct client *c = peer;
    c->busy = false;
    adopt(c);
}

/* What may run differs from seed to seed. */
static void draft_write(struct client *c, struct buf *b)
{
    static const char *const policies[] = { "always_allow", "always_ask", "auto" };
    struct world *w = c->w;
    buf_addf(b,
             "\"agent\":{\"id\":\"agent_1\",\"type\":\"agent\",\"version\":1,\"name\":\"sim\","
             "\"model\":{\"id\":\"sim-1\"},\"system\":\"Be brief.\",\"tools\":["
             "{\"type\":\"agent_toolset_20260401\",\"configs\":["
             "{\"name\":\"edit\",\"enabled\":false},"
             "{\"name\":\"write\",\"permission_policy\":{\"type\":\"%s\"}},"
             "{\"name\":\"web_fetch\",\"permission_policy\":{\"type\":\"%s\"}}]},"
             "{\"type\":\"custom\",\"name\":\"crm\",\"description\":\"x\",\"input_schema\":{}}],"
             "\"mcp_servers\":[],\"skills\":[]}",
             policies[dice_below(&w->dice, 3)], policies[dice_below(&w->dice, 3)]);
    if (c->budgeted)
        buf_addf(b,
                 ",\"budget\":{\"type\":\"limit\",\"max_list_cost\":"
                 "{\"amount\":\"%u\",\"currency\":\"USD\"}}",
                 c->cents);
}

static void create(struct client *c)
{
    struct rpc *r = call(c, RPC_CREATE);
    draft_write(c, &r->long_text);
    r->draft = (struct session_draft){ .workspace = c->w->workspace,
                                       .environment = c->w->environment,
                                       .agent = { "agent_1" },
                                       .agent_version = 1,
                                       .members = buf_str(&r->long_text),
                                       .events = r->events };
    if (chance(c, 500)) {
        rpc_event(r, EVENT_USER_MESSAGE, "begin");
        r->draft.event_count = 1;
        r->count = 0;
    }
    c->busy = true;
    rpc_send(r, NULL, created, c);
}

/* --- what it says --- */

static void say_messages(struct client *c)
{
    struct rpc *r = call(c, RPC_SEND);
    c->messages -= c->messages > 0;
    rpc_event(r, EVENT_USER_MESSAGE, "do it");
    if (chance(c, 100))
        rpc_event(r, EVENT_USER_INTERRUPT, "");
    if (chance(c, 200))
        rpc_event(r, EVENT_USER_MESSAGE, "and that");
    if (r->events[r->count - 1].type == EVENT_USER_MESSAGE && chance(c, 100))
        rpc_event(r, EVENT_SYSTEM_MESSAGE, "be kind");
    send(c, r);
}

static void say_interrupt(struct client *c)
{
    struct rpc *r = call(c, RPC_SEND);
    rpc_event(r, EVENT_USER_INTERRUPT, "");
    send(c, r);
}

/* Answers what waits for this side, as much as fits. False: nothing does. */
static bool say_answers(struct client *c, const struct session *s)
{
    struct rpc *r = call(c, RPC_SEND);
    for (size_t i = 0; i < s->call_count && r->count + 2 < RPC_EVENTS_MAX; i++) {
        const struct call *k = &s->calls[i];
        bool asks = k->state == CALL_ASKS,
             custom = k->state == CALL_WAITS && k->type == EVENT_AGENT_CUSTOM_TOOL_USE;
        /* Some applications confirm whatever is open. */
        bool other = k->state == CALL_WAITS && !custom && chance(c, 50);
        if (!asks && !custom && !other)
            continue;
        enum event_type type =
            custom ? EVENT_USER_CUSTOM_TOOL_RESULT : EVENT_USER_TOOL_CONFIRMATION;
        for (int twice = 0; twice < (chance(c, 50) ? 2 : 1); twice++) {
            struct event *e = rpc_event(r, type, "answer");
            e->about = k->id;
            e->allow = other || k->id.text[8] % 4 != 0; /* the same verdict when asked again */
        }
    }
    if (r->count == 0) {
        rpc_discard(r);
        return false;
    }
    send(c, r);
    return true;
}

static void raise_budget(struct client *c)
{
    struct rpc *r = call(c, RPC_UPDATE);
    c->cents += 2;
    buf_addf(&r->long_text,
             "{\"type\":\"limit\",\"max_list_cost\":{\"amount\":\"%u\",\"currency\":\"USD\"}}",
             c->cents);
    r->patch.budget = chance(c, 300) ? STR("null") : buf_str(&r->long_text);
    send(c, r);
}

static void say_title(struct client *c)
{
    struct rpc *r = call(c, RPC_UPDATE);
    r->patch.title = chance(c, 500) ? STR("\"one\"") : STR("\"two\"");
    send(c, r);
}

static void operate(struct client *c, const struct session *s)
{
    struct rpc *r = call(c, s->work_live ? RPC_STOP : RPC_REQUEUE);
    r->work = s->work;
    r->force = chance(c, 500);
    send(c, r);
}

/* While things go wrong it does whatever comes to its mind. */
static void act_wildly(struct client *c, const struct session *s)
{
    bool resting = s->status == SESSION_IDLE && !s->turn;
    if (chance(c, 700) && say_answers(c, s))
        return;
    if (s->stop == STOP_BUDGET_REACHED && chance(c, 500))
        raise_budget(c);
    else if (c->messages && (resting || chance(c, 150)))
        say_messages(c);
    else if (!resting && chance(c, 60))
        say_interrupt(c);
    else if (!id_is_none(&s->work) && chance(c, s->work_held ? 200 : 15))
        operate(c, s);
    else if (chance(c, 30))
        say_title(c);
    else if (resting && chance(c, 20))
        say_interrupt(c);
}

/* In the end it only does what somebody has to do. */
static void act_calmly(struct client *c, const struct session *s)
{
    bool resting = s->status == SESSION_IDLE && !s->turn && s->queue_count == 0;
    if (say_answers(c, s))
        return;
    if (s->stop == STOP_BUDGET_REACHED)
        raise_budget(c);
    else if (s->work_held && !resting)
        say_interrupt(c);
    else if (resting && c->archives && s->status != SESSION_TERMINATED)
        send(c, call(c, RPC_ARCHIVE));
    else if (s->status == SESSION_TERMINATED && c->deletes)
        send(c, call(c, RPC_DELETE));
}

static void tidied(void *peer, struct rpc *r)
{
    (void)r;
    ((struct client *)peer)->busy = false;
}

/* A session that was made twice, because the first answer was lost, has nobody who speaks for it; in
 * the end somebody tidies up. */
static bool tidy_up(struct client *c)
{
    struct view *v = judge_orphan(c->w->judge);
    if (!c->w->calm || !v || v->deleted || session_is_busy(v->s) ||
        v->s->status == SESSION_TERMINATED)
        return false;
    struct rpc *r = call(c, RPC_ARCHIVE);
    r->session = v->session;
    c->busy = true;
    rpc_send(r, NULL, tidied, c);
    return true;
}

static void tick(void *arg)
{
    struct client *c = arg;
    struct world *w = c->w;
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, 100 * MILLISECOND, 6 * SECOND),
               (struct task){ .run = tick, .arg = c });
    if (c->busy || c->over || !world_is_up(w))
        return;
    if (id_is_none(&c->session)) {
        adopt(c);
        if (id_is_none(&c->session))
            create(c);
        return;
    }
    const struct view *v = judge_view(w->judge, &c->session);
    if (tidy_up(c))
        return;
    if (v->deleted)
        c->over = true;
    else if (w->calm)
        act_calmly(c, v->s);
    else
        act_wildly(c, v->s);
}

/* --- all of them --- */

void clients_open(struct world *w)
{
    struct dice *d = &w->dice;
    w->client_count = 1 + dice_below(d, SESSIONS_MAX);
    for (size_t i = 0; i < w->client_count; i++) {
        struct client *c = w->clients[i] = mem_get(sizeof *c);
        *c = (struct client){ .w = w,
                              .messages = 1 + (unsigned)dice_below(d, 6),
                              .archives = dice_chance(d, 400),
                              .budgeted = dice_chance(d, 300),
                              .cents = 1 };
        c->deletes = c->archives && dice_chance(d, 500);
        tick(c);
    }
}

void clients_free(struct world *w)
{
    for (size_t i = 0; i < w->client_count; i++) {
        stream_release(&w->clients[i]->stream);
        free(w->clients[i]);
    }
}

void readers_forget(struct world *w)
{
    for (size_t i = 0; i < w->client_count; i++)
        stream_cut(&w->clients[i]->stream);
}

bool clients_are_content(struct world *w)
{
    for (size_t i = 0; i < w->client_count; i++) {
        const struct client *c = w->clients[i];
        if (c->busy || id_is_none(&c->session) || (c->archives && !c->over) ||
            !stream_is_complete(&c->stream))
            return false;
    }
    return true;
}

void clients_end(struct world *w)
{
    for (size_t i = 0; i < w->client_count; i++)
        if (!stream_is_complete(&w->clients[i]->stream))
            world_fail(w, "%s: the stream stays behind the log", w->clients[i]->session.text);
}
