/* queue.c - the queue of an environment (contract 2.3, 4, 13). What happens is the engine's; here are
 * the shapes of what comes in. */
#include "api/api-int.h"
#include "api/handlers.h"
#include "api/metadata.h"
#include "api/page.h"
#include "api/turn.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"
#include "proto/schema.h"

#include <stdio.h>

enum { BLOCK_MS_MAX = 999, RECLAIM_MS = 5000, DAY = 86400, CALLS_MAX = 256 };

/* --- poll: waits, and ends early when nobody is there to take what it would hand out --- */

struct waiting {
    struct errand *errand;
    struct poll *poll;
};

static void on_polled(void *ctx, const struct refusal *refusal, struct str json)
{
    struct waiting *w = ctx;
    request_on_gone(w->errand->request, GONE_ENDED, NULL, NULL);
    errand_engine(w->errand, refusal, json); /* w goes with the errand */
}

static void on_poller_gone(void *ctx)
{
    struct waiting *w = ctx;
    engine_work_poll_cancel(w->poll);
    errand_answer(w->errand, STR("null"));
}

void queue_poll(struct errand *x)
{
    int64_t block_ms = 0, reclaim_ms = RECLAIM_MS;
    struct record environment;
    struct str worker = http1_field(&x->request->head, STR("anthropic-worker-id"));
    if (errand_integer(x, "block_ms", 1, BLOCK_MS_MAX, &block_ms) < 0 ||
        errand_integer(x, "reclaim_older_than_ms", 0, DAY * 1000LL, &reclaim_ms) < 0 ||
        errand_environment(x, &environment) < 0)
        return;
    struct id id = environment.id;
    struct waiting *w = x->held = mem_get(sizeof *w);
    w->errand = x;
    w->poll = engine_work_poll(x->api->parts.engine, &x->asker, &id, worker, block_ms * 1000,
                               reclaim_ms * 1000, on_polled, w);
    request_on_gone(x->request, GONE_ENDED, on_poller_gone, w);
}

/* --- reading --- */

static int write_work(struct errand *x, const struct record *r, struct buf *out, struct err *e)
{
    struct str wanted = request_parameter(x->request, STR("dead_letter"));
    bool dead = str_eq(json_slice_get(r->body, "dead_letter"), STR("true"));
    if (wanted.p && str_eq(wanted, STR("true")) != dead)
        return 0;
    return work_json(r, out, e);
}

/* The number of states asked for, or -1 and answered. */
static int read_states(struct errand *x, struct str *out, size_t room)
{
    static const char *const words[] = {
        "queued", "starting", "active", "stopping", "stopped", NULL
    };
    int count = errand_texts(x, "state", out, room);
    for (int i = 0; i < count; i++)
        if (schema_word(words, out[i]) < 0) {
            errand_fail(x, 400, NULL, "state: takes queued, starting, active, stopping, stopped");
            return -1;
        }
    return count;
}

void queue_list(struct errand *x)
{
    enum { STATES = 8 };
    struct record environment;
    struct page page;
    struct str states[STATES];
    char list[ID_SIZE + 8];
    bool dead = false;
    if (errand_environment(x, &environment) < 0)
        return;
    snprintf(list, sizeof list, "work %s", environment.id.text);
    if (page_begin(x, &page, list, 20, 100) < 0 || errand_bool(x, "dead_letter", &dead) < 0 ||
        page_fits(x, &page, false, 0, 0) < 0)
        return;
    int count = read_states(x, states, STATES);
    if (count < 0)
        return;
    struct record_query query = { .kind = RECORD_WORK,
                                  .parent = &environment.id,
                                  .number = dead, /* work records of dead letters have 1 */
                                  .states = states,
                                  .state_count = (size_t)count };
    page_answer(x, &page, &query, write_work);
}

void queue_get(struct errand *x)
{
    struct record environment, work;
    struct err e = { 0 };
    struct id id = errand_id(x, 4);
    AUTO_BUF out = { 0 };
    if (errand_environment(x, &environment) < 0 || errand_record(x, RECORD_WORK, &id, &work) < 0)
        return;
    if (!id_eq(&work.parent, &environment.id))
        errand_fail(x, 404, NULL, "there is no such work item");
    else if (work_json(&work, &out, &e) < 0)
        errand_fail_store(x, &e);
    else
        errand_answer(x, buf_str(&out));
}

void queue_stats(struct errand *x)
{
    struct record environment;
    struct err e = { 0 };
    AUTO_BUF out = { 0 };
    if (errand_environment(x, &environment) < 0)
        return;
    if (engine_work_stats(x->api->parts.engine, &environment.id, &out, &e) < 0)
        errand_fail_store(x, &e);
    else
        errand_answer(x, buf_str(&out));
}

/* --- changing --- */

/* The item that the path names, of an environment that the asker may touch. */
struct target {
    struct id environment, work;
};

/* 0, or -1 and answered. */
static int find_target(struct errand *x, struct target *t)
{
    struct record environment;
    if (errand_environment(x, &environment) < 0)
        return -1;
    t->environment = environment.id;
    t->work = errand_id(x, 4);
    if (x->asker.kind != ASKER_SESSIONS_TOKEN || id_eq(&t->work, &x->asker.work))
        return 0;
    errand_fail(x, 403, NULL, "this token is for another work item");
    return -1;
}

void queue_ack(struct errand *x)
{
    struct target t;
    if (find_target(x, &t) == 0)
        engine_work_ack(x->api->parts.engine, &x->asker, &t.environment, &t.work, errand_engine, x);
}

void queue_heartbeat(struct errand *x)
{
    struct target t;
    int64_t ttl = 0;
    struct str expected = request_parameter(x->request, STR("expected_last_heartbeat"));
    if (errand_integer(x, "desired_ttl_seconds", 1, INT32_MAX, &ttl) == 0 &&
        find_target(x, &t) == 0)
        engine_work_heartbeat(x->api->parts.engine, &x->asker, &t.environment, &t.work, expected,
                              ttl, errand_engine, x);
}

static const struct schema_row stop_rows[] = { { "force", SCHEMA_BOOL, SCHEMA_NULLABLE } };
static const struct schema_table stop_table = { ROWS(stop_rows) };

/* False: answered with 400. */
static bool body_fits(struct errand *x, const struct schema_table *table)
{
    AUTO_PROBLEMS problems = { 0 };
    if (!x->body || schema_check(x->body, table, &problems))
        return true;
    bool metadata = str_starts(buf_str(&problems.text), STR("metadata"));
    errand_fail_problems(x, &problems, metadata ? "invalid_metadata" : NULL);
    return false;
}

void queue_stop(struct errand *x)
{
    struct target t;
    bool force = false;
    if (!body_fits(x, &stop_table) || find_target(x, &t) < 0)
        return;
    json_to_bool(json_get(x->body, "force"), &force);
    engine_work_stop(x->api->parts.engine, &x->asker, &t.environment, &t.work, force, errand_engine,
                     x);
}

static const struct schema_row nack_rows[] = {
    { "reason", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 2000 },
    { "delay_seconds", SCHEMA_INTEGER, SCHEMA_NULLABLE, .max = DAY },
};
static const struct schema_table nack_table = { ROWS(nack_rows) };

void queue_nack(struct errand *x)
{
    struct target t;
    struct str reason = { 0 };
    int64_t delay = 0;
    if (!body_fits(x, &nack_table) || find_target(x, &t) < 0)
        return;
    json_to_str(json_get(x->body, "reason"), &reason);
    json_to_i64(json_get(x->body, "delay_seconds"), &delay);
    engine_work_nack(x->api->parts.engine, &x->asker, &t.environment, &t.work, reason,
                     delay * 1000000, errand_engine, x);
}

void queue_requeue(struct errand *x)
{
    struct target t;
    if (find_target(x, &t) == 0)
        engine_work_requeue(x->api->parts.engine, &x->asker, &t.environment, &t.work, errand_engine,
                            x);
}

void queue_healthcheck(struct errand *x)
{
    struct record environment;
    if (errand_environment(x, &environment) < 0)
        return;
    struct id id = environment.id;
    engine_work_healthcheck(x->api->parts.engine, &x->asker, &id, errand_engine, x);
}

static const struct schema_row update_rows[] = { METADATA_PATCH_ROW };
static const struct schema_table update_table = { ROWS(update_rows) };

void queue_update(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_BUF shown = { 0 };
    AUTO_BUF metadata = { 0 };
    AUTO_JSON stored = NULL;
    struct target t;
    struct record work;
    struct err e = { 0 };
    if (!body_fits(x, &update_table) || find_target(x, &t) < 0 || !turn_take(x, &t.work) ||
        errand_record(x, RECORD_WORK, &t.work, &work) < 0)
        return;
    if (work_json(&work, &shown, &e) < 0 || json_parse(buf_str(&shown), &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    metadata_write(&metadata, json_get(stored, "metadata"), json_get(x->body, "metadata"),
                   &problems);
    if (problems.count)
        errand_fail_problems(x, &problems, "invalid_metadata");
    else
        engine_work_update(x->api->parts.engine, &x->asker, &t.environment, &t.work,
                           buf_str(&metadata), errand_engine, x);
}

/* --- marks of calls that are about to run (contract 13) --- */

static bool read_hex(struct str text, unsigned char out[32])
{
    if (text.n != 64)
        return false;
    for (size_t i = 0; i < 64; i++) {
        char c = text.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                                                : 16;
        if (digit > 15)
            return false;
        out[i / 2] = (unsigned char)(out[i / 2] << 4 | digit);
    }
    return true;
}

static const char *hex_refuses(struct str text)
{
    unsigned char sha256[32] = { 0 };
    return read_hex(text, sha256) ? NULL : "must be 64 lower-case hexadecimal digits";
}

static const char *call_id_refuses(struct str text)
{
    struct id id;
    return id_read(text, &id) ? NULL : "is no id";
}

static const char *const mark_states[] = { "started", NULL };
static const struct schema_row mark_rows[] = {
    { "id", SCHEMA_STRING, SCHEMA_REQUIRED, .refuses = call_id_refuses },
    { "state", SCHEMA_WORD, SCHEMA_REQUIRED, .words = mark_states },
    { "arguments_sha256", SCHEMA_STRING, SCHEMA_REQUIRED, .refuses = hex_refuses },
    { "attempt", SCHEMA_INTEGER, SCHEMA_NULLABLE, .min = 1, .max = 1000000 },
};
static const struct schema_table mark_table = { ROWS(mark_rows) };
static const struct schema_row mark_item = { NULL, SCHEMA_OBJECT, .table = &mark_table };
static const struct schema_row calls_rows[] = {
    { "calls", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = CALLS_MAX, .item = &mark_item },
};
static const struct schema_table calls_table = { ROWS(calls_rows) };

void queue_calls(struct errand *x)
{
    struct target t;
    const struct json *calls = json_get(x->body, "calls");
    if (!body_fits(x, &calls_table) || find_target(x, &t) < 0)
        return;
    size_t count = json_count(calls);
    struct call_mark *marks = x->held = mem_array(count, sizeof *marks);
    for (size_t i = 0; i < count; i++) {
        struct str text = { 0 };
        int64_t attempt = 1;
        json_to_str(json_get(json_at(calls, i), "id"), &text);
        id_read(text, &marks[i].call);
        json_to_str(json_get(json_at(calls, i), "arguments_sha256"), &text);
        read_hex(text, marks[i].arguments.bytes);
        json_to_i64(json_get(json_at(calls, i), "attempt"), &attempt);
        marks[i].attempt = (unsigned)attempt;
    }
    engine_work_calls(x->api->parts.engine, &x->asker, &t.environment, &t.work, marks, count,
                      errand_engine, x);
}
