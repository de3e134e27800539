/* The model that the server asks, and the web tools that it runs: played by the dice.
 *
 * The model also checks what it is given: a conversation in which every tool use has its result.
 */
#include "base/check.h"
#include "proto/json.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

enum { CALLS_MAX = 3 };

struct model_call {
    struct world *w;
    struct id session;
    struct model_events events;
    void *ctx;
    bool cancelled;
    bool summary;
    unsigned step;
    enum model_failure failure;
    bool thinks, talks;
    unsigned calls;
    enum model_stop stop;
    uint64_t input_tokens;
};

struct played_set {
    struct model_set set;
    struct world *w;
};

static const struct model_info info = {
    .id = { "sim-1", 5 },
    .dialect = { "scripted", 8 },
    .context_window = 1000,
    .max_output = 100,
    .priced = true,
    .price_input = 1500,
    .price_output = 500,
};

/* --- is the conversation one? --- */

static struct str member(const struct json *object, const char *key)
{
    struct str s = { "", 0 };
    json_to_str(json_get(object, key), &s);
    return s;
}

/* How many blocks of this type the message has; with `id`: whose `key` is that. */
static size_t blocks(const struct json *message, const char *type, const char *key, struct str id)
{
    const struct json *content = json_get(message, "content");
    size_t n = 0;
    for (size_t i = 0; i < json_count(content); i++) {
        const struct json *b = json_at(content, i);
        n += str_eq(member(b, "type"), str_of(type)) && (!key || str_eq(member(b, key), id));
    }
    return n;
}

static void check_uses(struct world *w, const struct json *message, const struct json *next)
{
    const struct json *content = json_get(message, "content");
    size_t uses = blocks(message, "tool_use", NULL, (struct str){ 0 });
    size_t results = next ? blocks(next, "tool_result", NULL, (struct str){ 0 }) : 0;
    if (uses != results)
        world_fail(w, "the model is given %zu tool uses and then %zu results", uses, results);
    for (size_t i = 0; uses && i < json_count(content); i++) {
        const struct json *b = json_at(content, i);
        if (str_eq(member(b, "type"), STR("tool_use")) &&
            blocks(next, "tool_result", "tool_use_id", member(b, "id")) != 1)
            world_fail(w, "the model is given no result for its call");
    }
}

static void check_messages(struct world *w, struct str text)
{
    struct err e = { 0 };
    AUTO_JSON root = NULL;
    if (json_parse(text, &root, &e) < 0) {
        world_fail(w, "the model is given no JSON: %s", e.text);
        return;
    }
    size_t count = json_count(root);
    if (count == 0 || !str_eq(member(json_at(root, 0), "role"), STR("user")))
        world_fail(w, "the conversation does not begin with the user");
    for (size_t i = 0; i < count; i++) {
        const struct json *m = json_at(root, i);
        if (json_count(json_get(m, "content")) == 0)
            world_fail(w, "message %zu of the conversation is empty", i);
        if (str_eq(member(m, "role"), STR("assistant")))
            check_uses(w, m, json_at(root, i + 1));
        else if (blocks(m, "tool_result", NULL, (struct str){ 0 }) &&
                 (i == 0 || !blocks(json_at(root, i - 1), "tool_use", NULL, (struct str){ 0 })))
            world_fail(w, "results in message %zu of the conversation answer nothing", i);
    }
}

/* --- answering --- */

static void call_free(void *arg)
{
    struct model_call *c = arg;
    if (!c->cancelled)
        table_drop(&c->w->model_calls, id_str(&c->session));
    free(c);
}

static void go_on(void *arg);

static void next_step(struct model_call *c, int64_t least, int64_t most)
{
    struct world *w = c->w;
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, least, most),
               (struct task){ .life = w->process, .run = go_on, .drop = call_free, .arg = c });
}

static void say_block(struct model_call *c, unsigned index, struct model_block block)
{
    c->events.block(c->ctx, index, &block);
}

/* Names from the toolset, one of the application, and one that nobody has. */
static void say_use(struct model_call *c, unsigned index)
{
    static const char *const tools[] = { "bash", "bash",      "write", "edit", "read",
                                         "glob", "web_fetch", "crm",   "crm",  "unheard_of" };
    char id[40];
    const char *tool = tools[dice_below(&c->w->dice, sizeof tools / sizeof *tools)];
    snprintf(id, sizeof id, "toolu_%u", ++c->w->tool_number);
    say_block(c, index,
              (struct model_block){ .kind = MODEL_TOOL_USE,
                                    .tool_id = str_of(id),
                                    .tool = str_of(tool),
                                    .input = STR("{\"command\":\"make\"}") });
}

static void finish(struct model_call *c)
{
    struct world *w = c->w;
    struct model_outcome outcome = {
        .failure = c->failure,
        .message = STR("played"),
        .stop = c->stop,
        .category = STR("harm"),
        .usage = { .input_tokens = c->failure ? 0 : c->input_tokens, .output_tokens = 20 },
    };
    if (c->failure == MODEL_RATE_LIMITED && dice_chance(&w->dice, 300))
        outcome.retry_after = dice_between(&w->dice, SECOND, 90 * SECOND);
    w->tally->model_failures += c->failure != MODEL_OK;
    struct model_events events = c->events;
    void *ctx = c->ctx;
    call_free(c);
    events.done(ctx, &outcome);
}

/* A thinking block, a text in two parts, then the calls. */
static void go_on(void *arg)
{
    struct model_call *c = arg;
    struct world *w = c->w;
    unsigned step = c->step++, index = 0;
    if (c->cancelled) {
        free(c);
        return;
    }
    if (c->failure && dice_chance(&w->dice, 500)) {
        finish(c);
        return;
    }
    if (c->thinks && step == 0) {
        c->events.thinking(c->ctx);
        say_block(c, 0,
                  (struct model_block){ .kind = MODEL_THINKING,
                                        .raw = STR("{\"type\":\"thinking\",\"thinking\":\"hm\","
                                                   "\"signature\":\"s\"}") });
    }
    index = c->thinks;
    if (c->talks && step == 1)
        c->events.text(c->ctx, index, STR("one "));
    if (c->talks && step == 2) {
        c->events.text(c->ctx, index, STR("two"));
        say_block(c, index, (struct model_block){ .kind = MODEL_TEXT, .text = STR("one two") });
    }
    index += c->talks;
    if (step >= 3 && step - 3 < c->calls && !c->failure)
        say_use(c, index + step - 3);
    if (step >= 3 + c->calls)
        finish(c);
    else
        next_step(c, MILLISECOND, 2 * SECOND);
}

static void choose(struct model_call *c)
{
    static const enum model_failure failures[] = { MODEL_OVERLOADED,      MODEL_OVERLOADED,
                                                   MODEL_RATE_LIMITED,    MODEL_REQUEST_FAILED,
                                                   MODEL_REQUEST_REFUSED, MODEL_CONTEXT_TOO_LONG };
    struct dice *d = &c->w->dice;
    c->thinks = dice_chance(d, 400);
    c->talks = dice_chance(d, 800) || c->summary;
    c->stop = MODEL_STOP_END;
    c->input_tokens = (uint64_t)dice_between(d, 10, c->summary ? 200 : 900);
    if (!c->w->calm && dice_chance(d, c->w->faults.model))
        c->failure = failures[dice_below(d, sizeof failures / sizeof *failures)];
    if (c->summary)
        return;
    if (dice_chance(d, c->w->calm ? 300 : 650)) {
        c->calls = 1 + (unsigned)dice_below(d, CALLS_MAX);
        c->stop = MODEL_STOP_TOOLS;
    } else if (dice_chance(d, 60)) {
        c->stop = MODEL_STOP_REFUSAL;
    } else if (dice_chance(d, 60)) {
        c->stop = MODEL_STOP_PAUSE;
    } else if (dice_chance(d, 60)) {
        c->stop = MODEL_STOP_LENGTH;
    }
}

static struct model_call *start(struct model_set *set, const struct model_request *request,
                                const struct model_events *events, void *ctx)
{
    struct world *w = ((struct played_set *)set)->w;
    struct model_call *c = mem_get(sizeof *c);
    *c = (struct model_call){ .w = w,
                              .session = request->session,
                              .events = *events,
                              .ctx = ctx,
                              .summary = request->no_tools };
    w->tally->model_requests++;
    w->tally->summaries += c->summary;
    check_messages(w, request->messages);
    if (table_find(&w->model_calls, id_str(&c->session)))
        world_fail(w, "two model requests at once for %s", c->session.text);
    else
        table_put(&w->model_calls, id_str(&c->session), c);
    choose(c);
    next_step(c, MILLISECOND, 3 * SECOND);
    return c;
}

static void cancel(struct model_call *c)
{
    table_drop(&c->w->model_calls, id_str(&c->session));
    c->cancelled = true; /* its task gives it back */
}

static const struct model_info *find(struct model_set *set, struct str id)
{
    (void)set;
    return str_eq(id, info.id) ? &info : NULL;
}

static const struct model_info *at(struct model_set *set, size_t i)
{
    (void)set;
    return i == 0 ? &info : NULL;
}

static const struct model_ops ops = { find, at, start, cancel };

struct model_set *model_play(struct world *w)
{
    struct played_set *set = mem_get(sizeof *set);
    *set = (struct played_set){ { &ops }, w };
    return &set->set;
}

void model_play_free(struct model_set *set)
{
    free(set);
}
