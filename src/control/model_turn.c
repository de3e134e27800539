/* A model request and its answer: the blocks are collected, readers see them grow, and at the end the
 * session is told. */
#include "control/engine-int.h"

#include "base/check.h"
#include "base/log.h"
#include "io/digest.h"
#include "proto/json_write.h"

#include <stdlib.h>

struct model_turn {
    struct actor *a;
    struct model_call *call; /* NULL: it has ended */
    struct id request;
    bool compacts;
    struct id message, thinking; /* announced; none: not yet */
    struct buf thinking_blocks;  /* JSON array without its end */
    struct buf content;          /* the same, of text blocks */
    struct buf summary;
    size_t texts;   /* text blocks so far */
    bool text_open; /* the last of them still grows */
    struct answer_call *calls;
    size_t call_count, call_room;
    struct arena arena; /* texts of the calls */
};

enum { TURN_BYTES_MAX = 1 << 30 };

static const char compaction_question[] =
    "This conversation has to be shortened. Write a summary from which you can go on without the "
    "rest: "
    "what is asked for, what was decided, what was done and with which result, names of files and "
    "other facts that matter, and what is still to do. Write only the summary; call no tool.";

static void turn_free(struct model_turn *t)
{
    buf_release(&t->thinking_blocks);
    buf_release(&t->content);
    buf_release(&t->summary);
    arena_release(&t->arena);
    free(t->calls);
    free(t);
}

/* --- the answer as it comes --- */

static struct id announce(struct model_turn *t, struct id *id)
{
    if (id_is_none(id))
        *id = id_make("sevt_", &t->a->g->parts.random);
    return *id;
}

static void on_thinking(void *ctx)
{
    struct model_turn *t = ctx;
    struct hub *h = hub_find(t->a->g, &t->a->name);
    if (t->compacts || !id_is_none(&t->thinking))
        return;
    announce(t, &t->thinking);
    if (h)
        hub_preview_thinking(h, &t->thinking);
}

static void on_text(void *ctx, unsigned index, struct str part)
{
    struct model_turn *t = ctx;
    struct hub *h = hub_find(t->a->g, &t->a->name);
    if (t->compacts || part.n == 0)
        return;
    announce(t, &t->message);
    if (!t->text_open)
        t->texts++;
    t->text_open = true;
    if (h)
        hub_preview_text(h, &t->message, t->texts - 1, part);
}

static void text_add(struct model_turn *t, struct str text)
{
    if (t->compacts) {
        buf_add(&t->summary, text);
        return;
    }
    t->text_open = false;
    if (text.n == 0)
        return;
    if (t->content.n == 0)
        json_write_array(&t->content);
    json_write_object(&t->content);
    json_member_text(&t->content, "type", "text");
    json_member_str(&t->content, "text", text);
    json_write_object_end(&t->content);
}

static struct str keep(struct model_turn *t, struct str text)
{
    char *copy = arena_dup(&t->arena, text);
    CHECK(copy); /* dialects bound an answer */
    return (struct str){ copy, text.n };
}

static void call_add(struct model_turn *t, const struct model_block *block)
{
    const struct tool *tool = catalogue_find(t->a->catalogue, block->tool);
    if (t->compacts)
        return;
    if (t->call_count == t->call_room) {
        t->call_room = t->call_room ? 2 * t->call_room : 4;
        t->calls = mem_grow(t->calls, t->call_room * sizeof *t->calls);
    }
    struct answer_call *c = &t->calls[t->call_count++];
    *c = (struct answer_call){
        .type = tool && tool->grant.custom ? EVENT_AGENT_CUSTOM_TOOL_USE : EVENT_AGENT_TOOL_USE,
        .name = keep(t, block->tool),
        .input = keep(t, block->input),
        .model_id = keep(t, block->tool_id),
        .owner = tool ? tool->owner : OWNER_WORKER,
        .repeat = tool ? tool->repeat : REPEAT_NEVER,
        .grant = tool ? tool->grant : (struct tool_grant){ 0 },
    };
    for (char *p = (char *)c->input.p; p < c->input.p + c->input.n; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' '; /* only between values: logs and streams want one line */
    digest_sha256(c->input, c->arguments.bytes);
}

static void on_block(void *ctx, unsigned index, const struct model_block *block)
{
    struct model_turn *t = ctx;
    switch (block->kind) {
    case MODEL_TEXT:
        text_add(t, block->text);
        break;
    case MODEL_THINKING:
        if (t->thinking_blocks.n == 0)
            json_write_array(&t->thinking_blocks);
        json_write_raw(&t->thinking_blocks, block->raw);
        break;
    case MODEL_TOOL_USE:
        call_add(t, block);
        break;
    }
}

/* --- the end --- */

struct turn_job {
    struct job job;
    struct model_turn *turn; /* owned */
    bool aborted;
    struct model_outcome outcome; /* texts copied */
    struct usage usage;
};

static struct usage usage_of(const struct model_info *info, const struct model_usage *u)
{
    struct usage usage = {
        .input_tokens = u->input_tokens,
        .output_tokens = u->output_tokens,
        .cache_read_input_tokens = u->cache_read_input_tokens,
        .cache_creation_5m_input_tokens = u->cache_creation_5m_input_tokens,
        .cache_creation_1h_input_tokens = u->cache_creation_1h_input_tokens,
        .priced = info && info->priced,
    };
    if (usage.priced)
        usage.list_cost = u->input_tokens * info->price_input +
                          u->output_tokens * info->price_output +
                          u->cache_read_input_tokens * info->price_cache_read +
                          (u->cache_creation_5m_input_tokens + u->cache_creation_1h_input_tokens) *
                              info->price_cache_write;
    return usage;
}

static void turn_failed(struct batch *b, struct turn_job *e)
{
    const struct fact fact = { .type = FACT_MODEL_FAILED,
                               .failure = { .request = e->turn->request,
                                            .failure = e->outcome.failure,
                                            .message = e->outcome.message,
                                            .retry_after = e->outcome.retry_after,
                                            .usage = e->usage } };
    (void)batch_fact(b, &fact, &e->job.refusal); /* never refused */
}

static void turn_told(struct batch *b, struct job *j)
{
    struct turn_job *e = (struct turn_job *)j;
    struct model_turn *t = e->turn;
    if (actor_load(b, &j->refusal) < 0)
        return; /* the session is gone */
    if (!e->aborted && e->outcome.failure != MODEL_OK) {
        turn_failed(b, e);
        return;
    }
    if (t->content.n)
        json_write_array_end(&t->content);
    if (t->thinking_blocks.n == 0 && !id_is_none(&t->thinking))
        json_write_array(&t->thinking_blocks); /* announced, with nothing to replay */
    if (t->thinking_blocks.n)
        json_write_array_end(&t->thinking_blocks);
    const struct fact fact = {
        .type = e->aborted ? FACT_MODEL_ABORTED : FACT_MODEL_ENDED,
        .answer = { .request = t->request,
                    .message = t->message,
                    .thinking = t->thinking,
                    .thinking_blocks = buf_str(&t->thinking_blocks),
                    .content = buf_str(&t->content),
                    .summary = buf_str(&t->summary),
                    .calls = t->calls,
                    .call_count = t->call_count,
                    .stop = e->outcome.stop,
                    .category = e->outcome.category,
                    .explanation = e->outcome.explanation,
                    .usage = e->usage },
    };
    (void)batch_fact(b, &fact, &j->refusal); /* never refused */
}

static void turn_release(struct job *j)
{
    turn_free(((struct turn_job *)j)->turn);
}

/* Hands the turn over to the session's queue. */
static void turn_end(struct model_turn *t, const struct model_outcome *outcome, bool aborted)
{
    struct actor *a = t->a;
    struct model_set *models = a->g->parts.models;
    const struct model_info *info = models->ops->find(models, a->catalogue->model);
    struct turn_job *e = job_new(sizeof *e, turn_told);
    e->job.release = turn_release;
    e->turn = t;
    e->aborted = aborted;
    e->outcome = *outcome;
    e->outcome.message = job_text(&e->job, outcome->message);
    e->outcome.category = job_text(&e->job, outcome->category);
    e->outcome.explanation = job_text(&e->job, outcome->explanation);
    e->usage = usage_of(info, &outcome->usage);
    t->call = NULL;
    a->turn = NULL;
    actor_push(a, &e->job);
}

static void on_done(void *ctx, const struct model_outcome *outcome)
{
    struct model_turn *t = ctx;
    t->a->g->counters.model_failures += outcome->failure != MODEL_OK;
    turn_end(t, outcome, false);
}

static const struct model_events turn_events = { on_thinking, on_text, on_block, on_done };

/* A conversation that is far too long for its model cannot be summed up as it is either: then the
 * results in it are told shortly. That costs the provider's cache, so it is done only if it must. */
static void messages_write(const struct model_turn *t, struct buf *out)
{
    enum { BYTES_A_TOKEN = 3, SHORT_RESULT = 2000 };
    struct actor *a = t->a;
    struct err e = { 0 };
    const uint64_t window = actor_rules(a).context_window;
    history_write(a->history, t->compacts ? str_of(compaction_question) : STR(""), out);
    if (!t->compacts || window == 0 || out->n / BYTES_A_TOKEN < window)
        return;
    struct history *shorter = actor_history_read(a, SHORT_RESULT, &e);
    if (!shorter) {
        log_error("session %s: read the history: %s", a->name.text, e.text);
        return; /* asked as it is; the model may refuse, which is seen to */
    }
    buf_empty(out);
    history_write(shorter, str_of(compaction_question), out);
    history_free(shorter);
}

void model_turn_start(struct actor *a, const struct effect *effect)
{
    struct engine *g = a->g;
    struct model_turn *t = mem_get(sizeof *t);
    struct hub *h = hub_find(g, &a->name);
    struct err e = { 0 };
    AUTO_BUF messages = { 0 };
    CHECK(!a->turn);
    t->a = a;
    t->request = effect->id;
    t->compacts = effect->compacts;
    arena_init(&t->arena, TURN_BYTES_MAX);
    a->turn = t;
    if (actor_history(a, &e) < 0) {
        log_error("session %s: read the history: %s", a->name.text, e.text);
        turn_end(t,
                 &(struct model_outcome){ .failure = MODEL_REQUEST_FAILED,
                                          .message = STR("the history cannot be read") },
                 false);
        return;
    }
    messages_write(t, &messages);
    const struct model_request request = {
        .model = a->catalogue->model,
        .system = buf_str(&a->catalogue->system),
        .tools = buf_str(&a->catalogue->definitions),
        .messages = buf_str(&messages),
        .effort = a->catalogue->effort,
        .speed = a->catalogue->speed,
        .session = a->name,
        .attempt = a->s->attempts,
        .no_tools = effect->compacts,
    };
    if (h)
        hub_preview_begin(h);
    g->counters.model_requests++;
    t->call = g->parts.models->ops->start(g->parts.models, &request, &turn_events, t);
}

void model_turn_abort(struct actor *a, const struct effect *effect)
{
    struct model_turn *t = a->turn;
    if (!t || !id_eq(&t->request, &effect->id))
        return; /* it has ended and says so itself */
    a->g->parts.models->ops->cancel(t->call);
    turn_end(t, &(struct model_outcome){ 0 }, true);
}

void model_turn_cancel(struct actor *a)
{
    struct model_turn *t = a->turn;
    if (!t)
        return;
    if (t->call)
        a->g->parts.models->ops->cancel(t->call);
    a->turn = NULL;
    turn_free(t);
}
