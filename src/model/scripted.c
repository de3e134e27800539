#include "model/scripted.h"

#include "base/check.h"
#include "model/call-int.h"
#include "model/script_text.h"
#include "proto/json_write.h"

#include <stdlib.h>

enum { PIECES = 32, PIECE_MIN = 24 }; /* of a text whose piece is not given */

struct play {
    struct model_call call; /* first */
    const struct alarms *alarms;
    void *alarm; /* owned */
    struct model_events events;
    void *ctx;
    const struct script_turn *turn; /* NULL: there is none, or a text could not be made */
    /* What is told, made when the request comes. */
    struct buf thinking, say, calls, message; /* calls: JSON array of {tool, input, id} */
    uint64_t answer;
    struct model_outcome outcome;
    /* How far it is. */
    unsigned index; /* of the next block */
    size_t said;    /* bytes of `say` */
    bool begun, in_callback, cancelled;
};

static void play_free(struct play *p)
{
    p->alarms->free(p->alarms->ctx, p->alarm);
    buf_release(&p->thinking);
    buf_release(&p->say);
    buf_release(&p->calls);
    buf_release(&p->message);
    free(p);
}

static void cancel(struct model_call *call)
{
    struct play *p = (struct play *)call;
    if (p->in_callback)
        p->cancelled = true; /* play_on frees */
    else
        play_free(p);
}

/* --- what is told --- */

static int make_thinking(struct play *p, const struct conversation *c,
                         const struct model_request *request, struct err *e)
{
    if (!p->turn->think.p)
        return 0;
    AUTO_BUF text = { 0 };
    if (script_text_fill(&text, p->turn->think, 1, c, request, e) < 0)
        return -1;
    json_write_object(&p->thinking);
    json_member_text(&p->thinking, "type", "thinking");
    json_member_str(&p->thinking, "thinking", buf_str(&text));
    json_member_text(&p->thinking, "signature", "scripted");
    json_write_object_end(&p->thinking);
    return 0;
}

static int make_call(struct play *p, const struct json *call, size_t i,
                     const struct conversation *c, const struct model_request *request,
                     struct err *e)
{
    struct str tool = { 0 };
    json_to_str(json_get(call, "tool"), &tool);
    json_write_object(&p->calls);
    json_member_str(&p->calls, "tool", tool);
    json_write_key(&p->calls, STR("input"));
    const struct json *input = json_get(call, "input"), *id = json_get(call, "id");
    if (!input)
        json_write_raw(&p->calls, STR("{}"));
    else if (script_text_fill_value(&p->calls, input, c, request, e) < 0)
        return -1;
    AUTO_BUF name = { 0 };
    buf_addf(&name, "call_%llu_%zu", (unsigned long long)c->answer, i);
    if (id)
        json_member_value(&p->calls, "id", id);
    else
        json_member_str(&p->calls, "id", buf_str(&name));
    json_write_object_end(&p->calls);
    return 0;
}

static int make_calls(struct play *p, const struct conversation *c,
                      const struct model_request *request, struct err *e)
{
    const struct json *calls = p->turn->calls;
    if (!calls)
        return 0;
    bool many = json_kind_of(calls) == JSON_IS_ARRAY;
    json_write_array(&p->calls);
    for (size_t i = 0; i < (many ? json_count(calls) : 1); i++)
        if (make_call(p, many ? json_at(calls, i) : calls, i, c, request, e) < 0)
            return -1;
    json_write_array_end(&p->calls);
    return 0;
}

static void read_usage(const struct json *usage, const char *key, uint64_t *out)
{
    const struct json *v = usage ? json_get(usage, key) : NULL;
    if (v)
        json_to_u64(v, out);
}

/* Four bytes a token: near enough for budgets and compaction, and the same every time. */
static void make_usage(struct play *p, const struct model_request *r)
{
    struct model_usage *u = &p->outcome.usage;
    const struct json *given = p->turn->usage;
    u->input_tokens = (r->system.n + r->tools.n + r->messages.n) / 4 + 1;
    u->output_tokens = (p->thinking.n + p->say.n + p->calls.n) / 4 + 1;
    read_usage(given, "input_tokens", &u->input_tokens);
    read_usage(given, "output_tokens", &u->output_tokens);
    read_usage(given, "cache_read_input_tokens", &u->cache_read_input_tokens);
    read_usage(given, "cache_creation_5m_input_tokens", &u->cache_creation_5m_input_tokens);
    read_usage(given, "cache_creation_1h_input_tokens", &u->cache_creation_1h_input_tokens);
}

static void make_outcome(struct play *p, const struct model_request *request)
{
    const struct script_turn *t = p->turn;
    struct model_outcome *o = &p->outcome;
    if (t->failure && request->attempt < t->fail_times) {
        o->failure = t->failure;
        o->retry_after = (int64_t)t->retry_after_ms * 1000;
        o->message = t->fail_message.p ? t->fail_message : STR("the script says so");
    }
    o->stop = t->calls ? MODEL_STOP_TOOLS : t->stop;
    o->category = t->category;
    o->explanation = t->explanation;
    if (!o->failure || t->fail_midway)
        make_usage(p, request);
}

static int make(struct play *p, const struct script *script, const struct model_request *request,
                struct err *e)
{
    AUTO_CONVERSATION c = { 0 };
    if (conversation_read(&c, request->messages, e) < 0)
        return -1;
    const struct script_turn *t = p->turn = script_choose(script, &c, request);
    if (!t)
        return err_set(e, E_MISSING, 0, "the script has no turn left for answer %llu (round %llu)",
                       (unsigned long long)c.answer, (unsigned long long)c.round);
    if (make_thinking(p, &c, request, e) < 0 ||
        script_text_fill(&p->say, t->say, t->say.p ? t->repeat : 0, &c, request, e) < 0 ||
        make_calls(p, &c, request, e) < 0)
        return -1;
    make_outcome(p, request);
    return 0;
}

/* --- telling it; each is false once the call was cancelled from inside a callback --- */

static bool tell_block(struct play *p, const struct model_block *block)
{
    p->events.block(p->ctx, p->index++, block);
    return !p->cancelled;
}

static bool tell_thinking(struct play *p)
{
    if (p->thinking.n == 0)
        return true;
    p->events.thinking(p->ctx);
    return !p->cancelled &&
           tell_block(p, &(struct model_block){ MODEL_THINKING, .raw = buf_str(&p->thinking) });
}

/* The bytes of the next piece; whole characters. */
static size_t piece_length(const struct play *p)
{
    struct str rest = str_skip(buf_str(&p->say), p->said);
    uint64_t characters = p->turn->piece;
    if (characters == 0)
        characters = p->say.n / PIECES > PIECE_MIN ? p->say.n / PIECES : PIECE_MIN;
    size_t n = 0;
    for (uint64_t i = 0; i < characters && n < rest.n; i++)
        for (n++; n < rest.n && ((unsigned char)rest.p[n] & 0xc0) == 0x80; n++)
            ;
    return n;
}

static bool is_said(const struct play *p)
{
    size_t end = p->outcome.failure ? p->say.n / 2 : p->say.n;
    return p->said >= end;
}

static bool tell_piece(struct play *p)
{
    size_t n = piece_length(p);
    struct str piece = { p->say.p + p->said, n };
    p->said += n;
    p->events.text(p->ctx, p->index, piece);
    return !p->cancelled;
}

static bool tell_calls(struct play *p)
{
    struct err e;
    AUTO_JSON calls = NULL;
    if (p->calls.n == 0)
        return true;
    CHECK(json_parse(buf_str(&p->calls), &calls, &e) == 0);
    for (size_t i = 0; i < json_count(calls); i++) {
        const struct json *call = json_at(calls, i);
        AUTO_BUF input = { 0 };
        json_write_value(&input, json_get(call, "input"));
        struct model_block block = { MODEL_TOOL_USE, .input = buf_str(&input) };
        json_to_str(json_get(call, "tool"), &block.tool);
        json_to_str(json_get(call, "id"), &block.tool_id);
        if (!tell_block(p, &block))
            return false;
    }
    return true;
}

static bool tell_rest(struct play *p)
{
    const struct model_block text = { MODEL_TEXT, .text = buf_str(&p->say) };
    if (p->outcome.failure)
        return true;
    return (p->say.n == 0 || tell_block(p, &text)) && tell_calls(p);
}

/* Tells what comes before the next pause. True: another alarm is set. */
static bool tell(struct play *p)
{
    const struct script_turn *t = p->turn;
    bool silent = !t || (p->outcome.failure && !t->fail_midway);
    if (silent)
        return false;
    if (!p->begun && !tell_thinking(p))
        return false;
    p->begun = true;
    while (!is_said(p)) {
        if (!tell_piece(p))
            return false;
        if (t->pause_ms && !is_said(p)) {
            p->alarms->set(p->alarms->ctx, p->alarm, (int64_t)t->pause_ms * 1000);
            return true;
        }
    }
    tell_rest(p);
    return false;
}

static void play_on(void *arg)
{
    struct play *p = arg;
    p->in_callback = true;
    bool more = tell(p);
    if (!more && !p->cancelled)
        p->events.done(p->ctx, &p->outcome);
    p->in_callback = false;
    if (!more || p->cancelled)
        play_free(p);
}

struct model_call *scripted_start(const struct script *script, const struct alarms *alarms,
                                  const struct model_request *request,
                                  const struct model_events *events, void *ctx)
{
    struct play *p = mem_get(sizeof *p);
    struct err e = { 0 };
    *p = (struct play){ .call = { cancel }, .alarms = alarms, .events = *events, .ctx = ctx };
    if (make(p, script, request, &e) < 0) {
        p->turn = NULL;
        buf_add(&p->message, str_of(e.text));
        p->outcome = (struct model_outcome){ .failure = MODEL_REQUEST_REFUSED,
                                             .message = buf_str(&p->message) };
    }
    p->alarm = alarms->make(alarms->ctx, play_on, p);
    alarms->set(alarms->ctx, p->alarm, p->turn ? (int64_t)p->turn->delay_ms * 1000 : 0);
    return &p->call;
}

/* --- a set of one --- */

struct scripted_set {
    struct model_set set; /* first */
    const struct script *script;
    const struct model_info *info;
    const struct alarms *alarms;
};

static const struct model_info *set_find(struct model_set *set, struct str id)
{
    struct scripted_set *s = (struct scripted_set *)set;
    return str_eq(s->info->id, id) ? s->info : NULL;
}

static const struct model_info *set_at(struct model_set *set, size_t i)
{
    return i == 0 ? ((struct scripted_set *)set)->info : NULL;
}

static struct model_call *set_start(struct model_set *set, const struct model_request *request,
                                    const struct model_events *events, void *ctx)
{
    struct scripted_set *s = (struct scripted_set *)set;
    return scripted_start(s->script, s->alarms, request, events, ctx);
}

static void set_cancel(struct model_call *call)
{
    call->cancel(call);
}

struct model_set *scripted_set_new(const struct script *script, const struct model_info *info,
                                   const struct alarms *alarms)
{
    static const struct model_ops ops = { set_find, set_at, set_start, set_cancel };
    struct scripted_set *s = mem_get(sizeof *s);
    *s = (struct scripted_set){ { &ops }, script, info, alarms };
    return &s->set;
}

void scripted_set_free(struct model_set *set)
{
    free(set);
}
