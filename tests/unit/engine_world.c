#include "engine_world.h"

#include "base/check.h"
#include "control/log_walk.h"
#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static int64_t now_of(void *ctx)
{
    return ((struct world *)ctx)->now;
}

static void fill(void *ctx, void *bytes, size_t n)
{
    struct world *w = ctx;
    for (size_t i = 0; i < n; i++) {
        w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)bytes)[i] = (unsigned char)(w->seed >> 33);
    }
}

static void later(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct world *w = ctx;
    struct later *l = mem_get(sizeof *l);
    *l = (struct later){ .fn = fn, .arg = arg };
    *w->last = l;
    w->last = &l->next;
}

static void wake_at(void *ctx, int64_t when)
{
    ((struct world *)ctx)->wake = when;
}

/* --- models --- */

static struct world *world_of(struct model_set *set)
{
    return (struct world *)((char *)set - offsetof(struct world, models));
}

static const struct model_info *model_find(struct model_set *set, struct str id)
{
    struct world *w = world_of(set);
    return str_eq(id, w->model.id) ? &w->model : NULL;
}

static const struct model_info *model_at(struct model_set *set, size_t i)
{
    return i ? NULL : &world_of(set)->model;
}

static struct model_call *model_start(struct model_set *set, const struct model_request *request,
                                      const struct model_events *events, void *ctx)
{
    struct world *w = world_of(set);
    CHECK(w->call_count < WORLD_CALLS_MAX);
    struct model_call *c = &w->calls[w->call_count++];
    c->world = w;
    c->open = true;
    c->events = events;
    c->ctx = ctx;
    c->no_tools = request->no_tools;
    buf_add(&c->messages, request->messages);
    buf_add(&c->tools, request->tools);
    buf_add(&c->system, request->system);
    return c;
}

static void model_cancel(struct model_call *call)
{
    CHECK(call->open);
    call->open = false;
    call->world->cancelled++;
}

static const struct model_ops ops = { model_find, model_at, model_start, model_cancel };

struct model_call *world_call(struct world *w)
{
    struct model_call *open = NULL;
    for (size_t i = 0; i < w->call_count; i++)
        if (w->calls[i].open) {
            assert_null(open);
            open = &w->calls[i];
        }
    assert_non_null(open);
    return open;
}

void call_text(struct model_call *c, unsigned index, const char *text)
{
    c->events->text(c->ctx, index, str_of(text));
}

void call_block_text(struct model_call *c, unsigned index, const char *text)
{
    c->events->block(c->ctx, index,
                     &(struct model_block){ .kind = MODEL_TEXT, .text = str_of(text) });
}

void call_block_tool(struct model_call *c, unsigned index, const char *id, const char *tool,
                     const char *input)
{
    c->events->block(c->ctx, index,
                     &(struct model_block){ .kind = MODEL_TOOL_USE,
                                            .tool_id = str_of(id),
                                            .tool = str_of(tool),
                                            .input = str_of(input) });
}

static void call_end(struct model_call *c, const struct model_outcome *outcome)
{
    CHECK(c->open);
    c->open = false;
    c->events->done(c->ctx, outcome);
    world_settle(c->world);
}

void call_done(struct model_call *c, enum model_stop stop)
{
    call_end(c, &(struct model_outcome){ .stop = stop,
                                         .usage = { .input_tokens = 10, .output_tokens = 5 } });
}

void call_failed(struct model_call *c, enum model_failure failure, int64_t retry_after)
{
    call_end(c, &(struct model_outcome){ .failure = failure,
                                         .message = STR("the model said no"),
                                         .retry_after = retry_after });
}

/* --- life --- */

static void process_begin(struct world *w)
{
    struct err e = { 0 };
    w->wake = INT64_MAX;
    w->store = memory_store_new(w->disk, later, w);
    const struct engine_parts parts = {
        .store = w->store,
        .models = &w->models,
        .clock = { now_of, w },
        .random = { fill, w },
        .later = later,
        .wake_at = wake_at,
        .web = w->web,
        .ctx = w,
    };
    if (engine_new(&parts, &w->settings, &w->engine, &e) < 0)
        fail_msg("%s", e.text);
}

static void process_end(struct world *w)
{
    engine_free(w->engine);
    w->store->ops->free(w->store);
    while (w->first) {
        struct later *l = w->first;
        w->first = l->next;
        free(l);
    }
    w->last = &w->first;
}

void world_begin(struct world *w)
{
    *w = (struct world){ .now = 1700000000000000, .seed = 1, .settings = engine_settings_default };
    w->last = &w->first;
    w->models.ops = &ops;
    w->model = (struct model_info){ .id = STR("m"),
                                    .dialect = STR("scripted"),
                                    .context_window = 200000,
                                    .max_output = 8000,
                                    .priced = true,
                                    .price_input = 300,
                                    .price_output = 1500 };
    w->workspace = (struct id){ "wrkspc_1" };
    w->environment = (struct id){ "env_1" };
    w->agent = (struct id){ "agent_1" };
    w->disk = memory_disk_new();
    process_begin(w);
}

void world_end(struct world *w)
{
    process_end(w);
    memory_disk_free(w->disk);
    for (size_t i = 0; i < w->call_count; i++) {
        buf_release(&w->calls[i].messages);
        buf_release(&w->calls[i].tools);
        buf_release(&w->calls[i].system);
    }
}

void world_restart(struct world *w)
{
    process_end(w);
    process_begin(w);
    world_settle(w);
}

static bool dies_now(struct world *w)
{
    if (w->dies_in == 0 || --w->dies_in > 0)
        return false;
    w->deaths++;
    process_end(w);
    process_begin(w);
    return true;
}

void world_settle(struct world *w)
{
    for (;;) {
        while (w->first) {
            if (dies_now(w))
                continue;
            if (w->before_step)
                w->before_step(w);
            struct later *l = w->first;
            w->first = l->next;
            if (!w->first)
                w->last = &w->first;
            void (*fn)(void *) = l->fn;
            void *arg = l->arg;
            free(l);
            fn(arg);
        }
        if (w->wake > w->now)
            return;
        w->wake = INT64_MAX;
        engine_wake(w->engine);
    }
}

void world_pass(struct world *w, int64_t microseconds)
{
    const int64_t until = w->now + microseconds;
    world_settle(w);
    while (w->wake <= until) {
        w->now = w->wake;
        world_settle(w);
    }
    w->now = until;
    world_settle(w);
}

/* --- the API --- */

void answer_clear(struct answer *a)
{
    buf_release(&a->json);
    *a = (struct answer){ 0 };
}

void answer_take(void *ctx, const struct refusal *refusal, struct str json)
{
    struct answer *a = ctx;
    CHECK(!a->came);
    a->came = true;
    a->status = refusal->status;
    snprintf(a->code, sizeof a->code, "%s", refusal->code ? refusal->code : "");
    snprintf(a->message, sizeof a->message, "%s", refusal->message);
    snprintf(a->details, sizeof a->details, "%.*s", STR_ARGS(refusal->details));
    buf_add(&a->json, json);
}

struct asker world_api_key(const struct world *w)
{
    return (
        struct asker){ .kind = ASKER_API_KEY, .key = { "apikey_1" }, .workspace = w->workspace };
}

struct asker world_environment_key(const struct world *w)
{
    return (struct asker){ .kind = ASKER_ENVIRONMENT_KEY,
                           .key = { "envkey_1" },
                           .workspace = w->workspace,
                           .environment = w->environment };
}

static struct id id_in(struct str json, const char *key)
{
    struct id id = { 0 };
    struct str value = json_slice_get(json, key);
    assert_true(value.n > 2);
    assert_true(id_read((struct str){ value.p + 1, value.n - 2 }, &id));
    return id;
}

struct id world_session(struct world *w, const char *tools)
{
    struct answer answer = { 0 };
    AUTO_BUF members = { 0 };
    buf_addf(&members,
             "\"agent\":{\"id\":\"agent_1\",\"type\":\"agent\",\"version\":1,\"name\":\"Ann\","
             "\"model\":{\"id\":\"m\"},\"system\":\"Be kind.\",\"tools\":%s},\"title\":null",
             tools);
    const struct session_draft draft = { .workspace = w->workspace,
                                         .environment = w->environment,
                                         .agent = w->agent,
                                         .agent_version = 1,
                                         .members = buf_str(&members) };
    engine_session_create(w->engine, &draft, answer_take, &answer);
    assert_false(answer.came);
    world_settle(w);
    assert_true(answer.came);
    if (answer.status)
        fail_msg("%s", answer.message);
    struct id id = id_in(buf_str(&answer.json), "id");
    answer_clear(&answer);
    return id;
}

void world_send(struct world *w, const struct id *session, const struct asker *asker,
                const struct event *event, struct answer *answer)
{
    answer_clear(answer);
    engine_session_send(w->engine, asker, session, event, 1, answer_take, answer);
    assert_false(answer->came);
    world_settle(w);
    assert_true(answer->came);
}

void world_say(struct world *w, const struct id *session, const char *text)
{
    struct answer answer = { 0 };
    AUTO_BUF content = { 0 };
    buf_addf(&content, "[{\"type\":\"text\",\"text\":\"%s\"}]", text);
    const struct event event = { .type = EVENT_USER_MESSAGE, .content = buf_str(&content) };
    const struct asker asker = world_api_key(w);
    world_send(w, session, &asker, &event, &answer);
    if (answer.status)
        fail_msg("%s", answer.message);
    answer_clear(&answer);
}

/* --- the log --- */

void world_log(struct world *w, const struct id *session, enum entry_shows shows, struct buf *out)
{
    struct log_walk walk;
    struct err e;
    const struct entry *entry;
    log_walk_begin(&walk, w->store, session, 0, shows);
    while ((entry = log_walk_next(&walk, &e)) != NULL) {
        if (out->n)
            buf_add_byte(out, ' ');
        buf_add(out, entry->type);
    }
    assert_false(walk.failed);
    log_walk_end(&walk);
}

void assert_log(struct world *w, const struct id *session, const char *want)
{
    AUTO_BUF log = { 0 };
    world_log(w, session, ENTRY_PUBLIC, &log);
    assert_string_equal(buf_text(&log), want);
}

void world_last(struct world *w, const struct id *session, const char *type, struct buf *out)
{
    const struct str types = str_of(type);
    const struct entry_query q = { .session = *session,
                                   .newest_first = true,
                                   .shows = ENTRY_INTERNAL,
                                   .types = &types,
                                   .type_count = 1,
                                   .limit = 1 };
    struct entry_list list;
    struct err e;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    assert_int_equal(w->store->ops->entries(w->store, &q, &list, &arena, &e), 0);
    if (list.count == 0)
        fail_msg("no %s in the log", type);
    buf_empty(out);
    buf_add(out, list.items[0].body);
}

struct id world_last_id(struct world *w, const struct id *session, const char *type)
{
    AUTO_BUF body = { 0 };
    world_last(w, session, type, &body);
    return id_in(buf_str(&body), "id");
}
