#include "api/errand.h"

#include "api/api-int.h"
#include "api/route.h"
#include "base/check.h"
#include "base/log.h"
#include "base/moment.h"
#include "io/pool.h"
#include "proto/json_write.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARENA_LIMIT = 192 << 20, /* one read of the store: a few entries of the largest size */
    POOL_FROM = 64 << 10,    /* jansson reads 60 to 90 MB/s: below, less than 1 ms on the loop */
    TRIES = 8
};

struct errand *errand_new(struct api *api, struct request *request, const struct route *route,
                          const struct asker *asker)
{
    struct errand *x = mem_get(sizeof *x);
    x->api = api;
    x->request = request;
    x->route = route;
    x->asker = *asker;
    x->now = clock_now(&api->parts.clock);
    arena_init(&x->arena, ARENA_LIMIT);
    return x;
}

static void drop_held(struct errand *x)
{
    if (x->held && x->release)
        x->release(x->held);
    free(x->held);
    x->held = NULL;
    x->release = NULL;
}

static void errand_free(struct errand *x)
{
    drop_held(x);
    json_free(x->body);
    arena_release(&x->arena);
    free(x);
}

static void read_body(void *ctx)
{
    struct errand *x = ctx;
    if (json_parse(x->request->body, &x->body, &x->err) < 0)
        x->body = NULL;
}

static void after_body(void *ctx)
{
    struct errand *x = ctx;
    if (!x->body)
        errand_fail(x, 400, NULL, "the body is not JSON that can be read: %s", x->err.text);
    else if (json_kind_of(x->body) != JSON_IS_OBJECT && x->route->takes != TAKES_LIST)
        errand_fail(x, 400, NULL, "the body must be a JSON object");
    else
        x->route->handle(x);
}

/* "application/json", with whatever parameters. */
static bool says_json(const struct request *r)
{
    struct str rest = http1_field(&r->head, STR("content-type")), type = { 0 };
    str_cut(&rest, ';', &type);
    return str_eq_nocase(str_trim(type), STR("application/json"));
}

void errand_begin(struct errand *x)
{
    struct str body = x->request->body;
    if (x->route->takes == TAKES_NOTHING || (body.n == 0 && x->route->takes == MAY_TAKE_OBJECT)) {
        x->route->handle(x);
    } else if (body.n == 0) {
        errand_fail(x, 400, NULL, "a JSON object is required as the body");
    } else if (!says_json(x->request)) {
        errand_fail(x, 400, NULL, "content-type must be application/json");
    } else if (body.n > POOL_FROM) {
        pool_run(x->api->parts.loop, read_body, after_body, x);
    } else {
        read_body(x);
        after_body(x);
    }
}

/* --- ends --- */

void errand_answer(struct errand *x, struct str json)
{
    if (x->keeps)
        replays_keep(x->api->replays, x->key, json, x->now);
    request_answer(x->request, &(struct answer){ .status = 200, .body = json });
    errand_free(x);
}

void errand_answer_status(struct errand *x, int status, const char *content_type, struct str body)
{
    request_answer(x->request, &(struct answer){
                                   .status = status, .content_type = content_type, .body = body });
    errand_free(x);
}

static void fail(struct errand *x, const struct failure *f)
{
    request_fail(x->request, f);
    errand_free(x);
}

void errand_fail(struct errand *x, int status, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fail(x,
         &(struct failure){
             .status = status, .message = str_of(text), .code = code, .no_retry = status == 409 });
}

void errand_fail_problems(struct errand *x, struct problems *p, const char *code)
{
    problems_finish(p);
    fail(x, &(struct failure){ .status = 400, .message = buf_str(&p->text), .code = code });
}

void errand_refuse(struct errand *x, const struct refusal *refusal)
{
    fail(x, &(struct failure){ .status = refusal->status,
                               .type = refusal->type,
                               .message = str_of(refusal->message),
                               .code = refusal->code,
                               .details = refusal->details,
                               .no_retry = refusal->no_retry });
}

void errand_fail_store(struct errand *x, const struct err *e)
{
    log_error("store.failed request=%s: %s", x->request->id.text, e->text);
    fail(x,
         &(struct failure){ .status = 500,
                            .message = STR("the store cannot do this now; nothing has changed") });
}

struct request *errand_yield(struct errand *x)
{
    struct request *request = x->request;
    errand_free(x);
    return request;
}

void errand_engine(void *ctx, const struct refusal *refusal, struct str json)
{
    struct errand *x = ctx;
    if (refusal && refusal->status)
        errand_refuse(x, refusal);
    else
        errand_answer(x, json);
}

/* --- objects --- */

struct id errand_id(const struct errand *x, size_t i)
{
    struct id id = { 0 };
    CHECK(i < x->request->segment_count);
    id_read(x->request->segments[i], &id);
    return id;
}

bool errand_is_worker(const struct errand *x)
{
    return x->asker.kind != ASKER_API_KEY;
}

/* What clients call a kind of record. */
static const struct {
    const char *text, *code;
} kinds[RECORD_KINDS] = {
    [RECORD_WORKSPACE] = { "workspace", NULL },
    [RECORD_API_KEY] = { "API key", NULL },
    [RECORD_ENVIRONMENT] = { "environment", "environment_not_found" },
    [RECORD_ENVIRONMENT_KEY] = { "environment key", NULL },
    [RECORD_AGENT] = { "agent", NULL },
    [RECORD_AGENT_VERSION] = { "version of this agent", NULL },
    [RECORD_SESSION] = { "session", NULL },
    [RECORD_WORK] = { "work item", NULL },
    [RECORD_WALL] = { "wall counter", NULL },
};

int errand_record(struct errand *x, enum record_kind kind, const struct id *id, struct record *out)
{
    struct store *store = x->api->parts.store;
    struct err e = { 0 };
    int found = id_is_none(id) ? 0 : store->ops->get(store, kind, id, out, &x->arena, &e);
    if (found < 0) {
        errand_fail_store(x, &e);
        return -1;
    }
    if (found && id_eq(&out->workspace, &x->asker.workspace))
        return 0;
    errand_fail(x, 404, kinds[kind].code, "there is no such %s", kinds[kind].text);
    return -1;
}

int errand_session(struct errand *x, struct record *out)
{
    struct id id = errand_id(x, 2);
    if (errand_record(x, RECORD_SESSION, &id, out) < 0)
        return -1;
    if (x->asker.kind == ASKER_API_KEY ||
        (x->asker.kind == ASKER_ENVIRONMENT_KEY ? id_eq(&x->asker.environment, &out->parent)
                                                : id_eq(&x->asker.session, &out->id)))
        return 0;
    errand_fail(x, 403, NULL, "this credential is for another session or environment");
    return -1;
}

int errand_environment(struct errand *x, struct record *out)
{
    struct id id = errand_id(x, 2);
    if (errand_is_worker(x) && !id_eq(&id, &x->asker.environment)) {
        errand_fail(x, 403, NULL, "this credential is for another environment");
        return -1;
    }
    return errand_record(x, RECORD_ENVIRONMENT, &id, out);
}

void errand_again(struct errand *x)
{
    if (++x->tries > TRIES) {
        errand_fail(x, 409, NULL, "somebody else keeps changing this object");
        return;
    }
    drop_held(x);
    arena_release(&x->arena);
    x->route->handle(x);
}

static void on_durable(void *ctx, const struct err *e)
{
    struct errand *x = ctx;
    if (e->kind == E_NONE)
        x->then(x);
    else if (e->kind == E_CONFLICT)
        errand_again(x);
    else
        errand_fail_store(x, e);
}

void errand_write(struct errand *x, struct tx *tx, void (*then)(struct errand *x))
{
    struct store *store = x->api->parts.store;
    x->then = then;
    store->ops->submit(store, tx, on_durable, x);
}

/* --- parameters --- */

int errand_bool(struct errand *x, const char *name, bool *out)
{
    struct str text = request_parameter(x->request, str_of(name));
    if (!text.p)
        return 0;
    if (!str_eq(text, STR("true")) && !str_eq(text, STR("false"))) {
        errand_fail(x, 400, NULL, "%s: must be true or false", name);
        return -1;
    }
    *out = str_eq(text, STR("true"));
    return 0;
}

int errand_integer(struct errand *x, const char *name, int64_t min, int64_t max, int64_t *out)
{
    struct str text = request_parameter(x->request, str_of(name));
    uint64_t value = 0;
    if (!text.p)
        return 0;
    if (!str_to_u64(text, &value) || value > INT64_MAX || (int64_t)value < min ||
        (int64_t)value > max) {
        errand_fail(x, 400, NULL, "%s: must be an integer from %lld to %lld", name, (long long)min,
                    (long long)max);
        return -1;
    }
    *out = (int64_t)value;
    return 0;
}

int errand_range(struct errand *x, int64_t *from, int64_t *before)
{
    static const struct {
        const char *name;
        bool lower;
        int shift; /* from what is written to from <= t < before */
    } rows[] = {
        { "created_at[gte]", true, 0 },
        { "created_at[gt]", true, 1 },
        { "created_at[lt]", false, 0 },
        { "created_at[lte]", false, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str text = request_parameter(x->request, str_of(rows[i].name));
        int64_t moment = 0, *bound = rows[i].lower ? from : before;
        if (!text.p)
            continue;
        if (!moment_read(text, &moment)) {
            errand_fail(x, 400, NULL, "%s: must be a time like 2026-11-25T02:13:07Z", rows[i].name);
            return -1;
        }
        moment += rows[i].shift;
        if (*bound == 0 || (rows[i].lower ? moment > *bound : moment < *bound))
            *bound = moment;
    }
    return 0;
}

int errand_texts(struct errand *x, const char *name, struct str *out, size_t room)
{
    size_t at = 0, count = 0;
    struct str text = { 0 };
    while (request_parameter_next(x->request, str_of(name), &at, &text)) {
        if (count == room) {
            errand_fail(x, 400, NULL, "%s: at most %zu values", name, room);
            return -1;
        }
        out[count++] = text;
    }
    return (int)count;
}

int errand_order(struct errand *x, bool *oldest_first)
{
    struct str text = request_parameter(x->request, STR("order"));
    if (!text.p)
        return 0;
    if (!str_eq(text, STR("asc")) && !str_eq(text, STR("desc"))) {
        errand_fail(x, 400, NULL, "order: must be asc or desc");
        return -1;
    }
    *oldest_first = str_eq(text, STR("asc"));
    return 0;
}
