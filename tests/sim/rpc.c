#include "rpc.h"

#include "base/check.h"
#include "io/digest.h"
#include "judge.h"
#include "proto/json_slice.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRIES = 3 };

struct rpc *rpc_new(struct world *w, enum rpc_kind kind)
{
    struct rpc *r = mem_get(sizeof *r);
    r->w = w;
    r->kind = kind;
    return r;
}

struct event *rpc_event(struct rpc *r, enum event_type type, const char *content)
{
    CHECK(r->count < RPC_EVENTS_MAX);
    char *text = r->content[r->count];
    struct event *e = &r->events[r->count++];
    snprintf(text, sizeof r->content[0], "[{\"type\":\"text\",\"text\":\"%s\"}]", content);
    *e = (struct event){ .type = type };
    if (type != EVENT_USER_INTERRUPT && type != EVENT_USER_TOOL_CONFIRMATION)
        e->content = str_of(text);
    return e;
}

static void leave_server(struct rpc *r)
{
    if (!r->at_server)
        return;
    r->at_server = false;
    if (r->before)
        r->before->next = r->next;
    else
        r->w->rpcs = r->next;
    if (r->next)
        r->next->before = r->before;
    r->before = r->next = NULL;
}

static void enter_server(struct rpc *r)
{
    r->at_server = true;
    r->before = NULL;
    r->next = r->w->rpcs;
    if (r->next)
        r->next->before = r;
    r->w->rpcs = r;
}

static void rpc_free(void *arg)
{
    struct rpc *r = arg;
    leave_server(r);
    buf_release(&r->json);
    buf_release(&r->long_text);
    free(r);
}

void rpc_discard(struct rpc *r)
{
    rpc_free(r);
}

/* --- the way back --- */

static void arrive(void *arg);

static bool worth_another_try(const struct rpc *r)
{
    return r->status == 0 || r->status == 408 || r->status == 429 || r->status >= 500;
}

static void over(void *arg)
{
    struct rpc *r = arg;
    struct world *w = r->w;
    if (worth_another_try(r) && r->attempt + 1 < TRIES) {
        r->attempt++;
        w->tally->repeats++;
        int64_t wait = dice_between(&w->dice, 300 * MILLISECOND, (SECOND / 2) << r->attempt);
        agenda_put(&w->agenda, w->agenda.now + wait,
                   (struct task){ .life = r->life, .run = arrive, .drop = rpc_free, .arg = r });
        return;
    }
    r->done(r->peer, r);
    rpc_free(r);
}

static void give_back(struct rpc *r, int64_t after)
{
    struct world *w = r->w;
    agenda_put(&w->agenda, w->agenda.now + after,
               (struct task){ .life = r->life, .run = over, .drop = rpc_free, .arg = r });
}

static void no_answer(struct rpc *r, int64_t after)
{
    r->status = 0;
    buf_empty(&r->json);
    give_back(r, after);
}

static void answered(void *ctx, const struct refusal *refusal, struct str json)
{
    struct rpc *r = ctx;
    struct world *w = r->w;
    leave_server(r);
    buf_empty(&r->json);
    buf_add(&r->json, json);
    r->status = refusal && refusal->status ? refusal->status : 200;
    r->code[0] = 0;
    if (r->status != 200)
        snprintf(r->code, sizeof r->code, "%s", refusal->code ? refusal->code : "");
    world_note(w, "  answer %d to %d %s%s", r->status, r->kind, r->session.text,
               r->status == 200 ? "" : refusal->message);
    if (r->status == 200)
        judge_acknowledged(w->judge, r);
    else if (r->status >= 500 && !w->disk_broken && w->healthy_since < w->agenda.now - SECOND)
        world_fail(w, "answer %d in good times: %s", r->status, refusal->message);
    if (!w->calm && dice_chance(&w->dice, w->faults.reply)) {
        w->tally->answers_lost++;
        no_answer(r, dice_between(&w->dice, SECOND, 10 * SECOND));
        return;
    }
    give_back(r, world_latency(w));
}

void rpcs_cut(struct world *w)
{
    while (w->rpcs) {
        struct rpc *r = w->rpcs;
        leave_server(r);
        no_answer(r, 5 * MILLISECOND);
    }
}

/* --- the way there --- */

/* What the API would make of the credential. False: it says no. */
static bool admit(struct rpc *r, struct asker *asker)
{
    struct world *w = r->w;
    struct err e = { 0 };
    *asker = (struct asker){ .kind = r->as,
                             .workspace = w->workspace,
                             .environment = w->environment,
                             .retry_count = r->attempt };
    if (r->as == ASKER_API_KEY)
        asker->environment = (struct id){ 0 };
    if (r->as != ASKER_SESSIONS_TOKEN)
        return true;
    const struct str token = { (const char *)r->token.bytes, sizeof r->token.bytes };
    int known = engine_token(w->engine, token, asker, &e);
    asker->retry_count = r->attempt;
    return known == 1 && (!asker->superseded || r->kind == RPC_HEARTBEAT);
}

static void ask(struct rpc *r, const struct asker *asker)
{
    struct world *w = r->w;
    struct engine *g = w->engine;
    const struct id *env = &w->environment;
    switch (r->kind) {
    case RPC_CREATE:
        engine_session_create(g, &r->draft, answered, r);
        break;
    case RPC_SEND:
        engine_session_send(g, asker, &r->session, r->events, r->count, answered, r);
        break;
    case RPC_UPDATE:
        engine_session_update(g, asker, &r->session, &r->patch, answered, r);
        break;
    case RPC_ARCHIVE:
        engine_session_archive(g, asker, &r->session, answered, r);
        break;
    case RPC_DELETE:
        engine_session_delete(g, asker, &r->session, answered, r);
        break;
    case RPC_POLL:
        engine_work_poll(g, asker, env, str_of(r->text), 999 * MILLISECOND, 5 * SECOND, answered,
                         r);
        break;
    case RPC_ACK:
        engine_work_ack(g, asker, env, &r->work, answered, r);
        break;
    case RPC_HEARTBEAT:
        engine_work_heartbeat(g, asker, env, &r->work, str_of(r->text), 0, answered, r);
        break;
    case RPC_STOP:
        engine_work_stop(g, asker, env, &r->work, r->force, answered, r);
        break;
    case RPC_NACK:
        engine_work_nack(g, asker, env, &r->work, str_of(r->text), SECOND, answered, r);
        break;
    case RPC_REQUEUE:
        engine_work_requeue(g, asker, env, &r->work, answered, r);
        break;
    case RPC_CALLS:
        engine_work_calls(g, asker, env, &r->work, &r->mark, 1, answered, r);
        break;
    }
}

static void arrive(void *arg)
{
    struct rpc *r = arg;
    struct world *w = r->w;
    struct asker asker;
    w->tally->requests++;
    if (!world_is_up(w) || w->parking) {
        no_answer(r, 10 * MILLISECOND);
    } else if (!w->calm && dice_chance(&w->dice, w->faults.request)) {
        w->tally->requests_lost++;
        no_answer(r, dice_between(&w->dice, SECOND, 10 * SECOND));
    } else if (!admit(r, &asker)) {
        r->status = 401;
        give_back(r, world_latency(w));
    } else {
        enter_server(r);
        world_note(w, "ask %d %s %s try %u", r->kind, r->session.text, r->work.text, r->attempt);
        ask(r, &asker);
    }
}

void rpc_send(struct rpc *r, struct life *life, void (*done)(void *peer, struct rpc *r), void *peer)
{
    struct world *w = r->w;
    r->done = done;
    r->peer = peer;
    r->life = life;
    agenda_put(&w->agenda, w->agenda.now + world_latency(w),
               (struct task){ .life = life, .run = arrive, .drop = rpc_free, .arg = r });
}

/* --- what an answer says --- */

struct str rpc_member(struct str json, const char *key)
{
    struct str s = json_slice_get(json, key);
    CHECK(s.n >= 2);
    return (struct str){ s.p + 1, s.n - 2 };
}

void rpc_token(struct str item, struct sha256 *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct str secret = rpc_member(item, "secret");
    AUTO_BUF json = { 0 };
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < secret.n; i++) {
        const char *at = memchr(digits, secret.p[i], 64);
        CHECK(at);
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8)
            buf_add_byte(&json, (char)(bits >> (have -= 8)));
    }
    digest_sha256(rpc_member(buf_str(&json), "sessions_token"), out->bytes);
}
