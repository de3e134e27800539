/* bench-engine.c - what the engine adds to its store, on one disk.
 *
 *   bench-engine DIRECTORY [milliseconds]
 *
 * Sessions take turns as fast as they can with a model that answers at once: every turn is a message, a
 * request, an answer and an idle session, written by transactions that wait for each other. Rows: name, value,
 * unit.
 *   one, many      durable events per second, 1 and 64 sessions
 *   readers        microseconds of CPU per event and reader, 1,000 readers of one session
 *   load           milliseconds until a session of 100,000 events has taken a message after a start
 */
#include "control/engine.h"
#include "control/event_json.h"
#include "io/loop.h"
#include "io/timer.h"
#include "proto/json_slice.h"
#include "store/sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SESSIONS = 64, READERS = 1000, LONG_LOG = 100000 };

struct bench {
    struct loop *loop;
    struct store *store;
    struct engine *engine;
    struct model_set models;
    struct timer *timer;
    struct id sessions[SESSIONS];
    int at_work;
    double end;
    uint64_t bytes; /* that readers took */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-engine: %s: %s\n", what, why);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- a model that answers at once --- */

struct model_call {
    struct bench *bench;
    const struct model_events *events;
    void *ctx;
};

static const struct model_info model = { .id = { "m", 1 }, .dialect = { "bench", 5 } };

static const struct model_info *model_find(struct model_set *set, struct str id)
{
    return &model;
}

static const struct model_info *model_at(struct model_set *set, size_t i)
{
    return i ? NULL : &model;
}

static void model_answer(void *arg)
{
    struct model_call *c = arg;
    if (c->events) {
        c->events->block(c->ctx, 0,
                         &(struct model_block){ .kind = MODEL_TEXT, .text = STR("Good day.") });
        c->events->done(c->ctx, &(struct model_outcome){ .stop = MODEL_STOP_END });
    }
    free(c);
}

static struct model_call *model_start(struct model_set *set, const struct model_request *request,
                                      const struct model_events *events, void *ctx)
{
    struct bench *b = (struct bench *)((char *)set - offsetof(struct bench, models));
    struct model_call *c = mem_get(sizeof *c);
    *c = (struct model_call){ b, events, ctx };
    loop_later(b->loop, model_answer, c);
    return c;
}

static void model_cancel(struct model_call *call)
{
    call->events = NULL;
}

static const struct model_ops model_ops = { model_find, model_at, model_start, model_cancel };

/* --- the engine on a loop --- */

static void later(void *ctx, void (*fn)(void *arg), void *arg)
{
    loop_later(((struct bench *)ctx)->loop, fn, arg);
}

static void wake(void *ctx)
{
    engine_wake(((struct bench *)ctx)->engine);
}

static void wake_at(void *ctx, int64_t when)
{
    struct bench *b = ctx;
    struct clock clock = clock_of_machine();
    int64_t wait = when - clock_now(&clock);
    if (when == INT64_MAX)
        timer_stop(b->timer);
    else
        timer_start(b->timer, wait > 0 ? (uint64_t)(wait / 1000 + 1) : 0);
}

static void start(struct bench *b, const char *dir)
{
    struct err e;
    if (sqlite_store_new(&b->store, dir, b->loop, NULL, &e) < 0)
        die("open the store", e.text);
    const struct engine_parts parts = {
        .store = b->store,
        .models = &b->models,
        .clock = clock_of_machine(),
        .random = random_of_kernel(),
        .later = later,
        .wake_at = wake_at,
        .ctx = b,
    };
    if (engine_new(&parts, &engine_settings_default, &b->engine, &e) < 0)
        die("start the engine", e.text);
}

static void finish(struct bench *b)
{
    engine_free(b->engine);
    b->store->ops->free(b->store);
}

static void need(const struct refusal *refusal)
{
    if (refusal->status)
        die("call", refusal->message);
}

static void on_created(void *ctx, const struct refusal *refusal, struct str json)
{
    struct bench *b = ctx;
    struct str id = json_slice_get(json, "id");
    need(refusal);
    if (!id_read((struct str){ id.p + 1, id.n - 2 }, &b->sessions[--b->at_work]))
        die("create", "no id");
    if (b->at_work == 0)
        loop_stop(b->loop);
}

static void sessions_make(struct bench *b)
{
    const struct session_draft draft = {
        .workspace = { "wrkspc_1" },
        .environment = { "env_1" },
        .agent = { "agent_1" },
        .agent_version = 1,
        .members = STR("\"agent\":{\"name\":\"a\",\"model\":{\"id\":\"m\"},\"tools\":[]}"),
    };
    b->at_work = SESSIONS;
    for (int i = 0; i < SESSIONS; i++)
        engine_session_create(b->engine, &draft, on_created, b);
    loop_run(b->loop);
}

/* --- turns --- */

struct talker {
    struct bench *bench;
    const struct id *session;
    struct reader *reader;
};

static void talk(struct talker *t);

static void on_sent(void *ctx, const struct refusal *refusal, struct str json)
{
    need(refusal);
}

/* Each talker reads its session and speaks again when it is idle. */
static void on_ready(void *ctx)
{
    struct talker *t = ctx;
    AUTO_BUF got = { 0 };
    while (reader_next(t->reader, &got, 1 << 16) == READER_MORE)
        ;
    if (!str_has(buf_str(&got), STR("event: session.status_idle\n")))
        return;
    if (seconds_of(CLOCK_MONOTONIC) < t->bench->end)
        talk(t);
    else if (--t->bench->at_work == 0)
        loop_stop(t->bench->loop);
}

static const struct reader_events talker_events = { on_ready };

static void talk(struct talker *t)
{
    const struct asker asker = { .workspace = { "wrkspc_1" } };
    const struct event event = { .type = EVENT_USER_MESSAGE,
                                 .content = STR("[{\"type\":\"text\",\"text\":\"Hello\"}]") };
    engine_session_send(t->bench->engine, &asker, t->session, &event, 1, on_sent, t);
}

static void turns(struct bench *b, const char *name, int sessions, double seconds)
{
    static const struct reader_options options;
    struct talker talkers[SESSIONS];
    struct engine_counters before, after;
    struct err e;
    const double begin = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    engine_count(b->engine, &before);
    b->end = begin + seconds;
    b->at_work = sessions;
    for (int i = 0; i < sessions; i++) {
        talkers[i] = (struct talker){ b, &b->sessions[i], NULL };
        talkers[i].reader =
            reader_open(b->engine, &b->sessions[i], &options, &talker_events, &talkers[i], &e);
        if (!talkers[i].reader)
            die("open a stream", e.text);
        on_ready(&talkers[i]);
        talk(&talkers[i]);
    }
    loop_run(b->loop);
    engine_count(b->engine, &after);
    for (int i = 0; i < sessions; i++)
        reader_close(talkers[i].reader);
    const double events = (double)(after.events_appended - before.events_appended);
    printf("%s %.0f /s\n", name, events / (seconds_of(CLOCK_MONOTONIC) - begin));
    printf("%s-cpu %.1f us/event\n", name,
           (seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / events);
}

/* --- many readers --- */

struct listener {
    struct bench *bench;
    struct reader *reader;
};

static void on_news(void *ctx)
{
    struct listener *l = ctx;
    static struct buf got;
    buf_empty(&got);
    while (reader_next(l->reader, &got, 1 << 16) == READER_MORE)
        buf_empty(&got);
    l->bench->bytes += got.n;
}

static const struct reader_events listener_events = { on_news };

static void fan_out(struct bench *b, double seconds)
{
    static const struct reader_options options;
    struct listener *listeners = mem_array(READERS, sizeof *listeners);
    struct engine_counters before, after;
    struct err e;
    for (int i = 0; i < READERS; i++) {
        listeners[i] = (struct listener){ b, NULL };
        listeners[i].reader =
            reader_open(b->engine, &b->sessions[0], &options, &listener_events, &listeners[i], &e);
        if (!listeners[i].reader)
            die("open a stream", e.text);
        on_news(&listeners[i]);
    }
    const double cpu = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    engine_count(b->engine, &before);
    turns(b, "read", 1, seconds);
    engine_count(b->engine, &after);
    printf("readers %.3f us\n", (seconds_of(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / READERS /
                                    (double)(after.events_appended - before.events_appended));
    for (int i = 0; i < READERS; i++)
        reader_close(listeners[i].reader);
    free(listeners);
}

/* --- a long log --- */

static void on_written(void *ctx, const struct err *e)
{
    struct bench *b = ctx;
    if (e->kind != E_NONE)
        die("write a long log", e->text);
    if (--b->at_work == 0)
        loop_stop(b->loop);
}

static void log_lengthen(struct bench *b, const struct id *session)
{
    struct err e;
    struct random_source random = random_of_kernel();
    int64_t seq = b->store->ops->last_seq(b->store, session, &e);
    const struct clock clock = clock_of_machine();
    int64_t at = clock_now(&clock) + 1000000;
    char text[700];
    memset(text, 'x', sizeof text);
    for (int done = 0; done < LONG_LOG; done += 1000) {
        struct tx *tx = tx_new();
        for (int i = 0; i < 1000; i++) {
            AUTO_BUF body = { 0 };
            AUTO_BUF inner = { 0 };
            AUTO_BUF content = { 0 };
            buf_addf(&content, "[{\"type\":\"text\",\"text\":\"%.*s\"}]", 600, text);
            struct event event = { .type = EVENT_AGENT_MESSAGE,
                                   .id = id_make("sevt_", &random),
                                   .at = ++at,
                                   .content = buf_str(&content) };
            event_json_write(&event, &body, &inner);
            struct entry entry = { .seq = ++seq,
                                   .id = event.id,
                                   .type = STR("agent.message"),
                                   .at = at,
                                   .body = buf_str(&body) };
            tx_append(tx, session, &entry, 1);
        }
        b->at_work = 1;
        b->store->ops->submit(b->store, tx, on_written, b);
        loop_run(b->loop);
    }
}

static void on_first(void *ctx, const struct refusal *refusal, struct str json)
{
    need(refusal);
    loop_stop(((struct bench *)ctx)->loop);
}

static void long_log(struct bench *b, const char *dir)
{
    log_lengthen(b, &b->sessions[1]);
    finish(b);
    start(b, dir);
    const struct asker asker = { .workspace = { "wrkspc_1" } };
    const struct session_patch patch = { .title = STR("\"t\"") };
    const double begin = seconds_of(CLOCK_MONOTONIC);
    engine_session_update(b->engine, &asker, &b->sessions[1], &patch, on_first, b);
    loop_run(b->loop);
    printf("load %.1f ms\n", (seconds_of(CLOCK_MONOTONIC) - begin) * 1e3);
}

int main(int argc, char **argv)
{
    struct bench b = { .models = { &model_ops } };
    struct err e;
    if (argc < 2)
        die("usage", "bench-engine DIRECTORY [milliseconds]");
    const double seconds = argc > 2 ? strtod(argv[2], NULL) / 1e3 : 3;
    if (loop_new(&b.loop, &e) < 0)
        die("loop", e.text);
    b.timer = timer_new(b.loop, wake, &b);
    start(&b, argv[1]);
    sessions_make(&b);
    turns(&b, "one", 1, seconds);
    turns(&b, "many", SESSIONS, seconds);
    fan_out(&b, seconds);
    long_log(&b, argv[1]);
    finish(&b);
    timer_free(b.timer);
    loop_free(b.loop);
    return 0;
}
