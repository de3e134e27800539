/* wall.c - counters of what crossed the wall (contract 13): one record for each session, named as the
 * session, that holds sums. At most WALL_ROWS different ones; what is beyond is summed under host "*". */
#include "api/wall.h"

#include "api/api-int.h"
#include "api/errand.h"
#include "api/handlers.h"
#include "base/log.h"
#include "proto/json_write.h"
#include "proto/schema.h"

enum { WALL_ROWS = 1000, REPORT_MAX = 500 };

static const char *const directions[] = { "in", "out", NULL };
static const struct schema_row rows[] = {
    { "direction", SCHEMA_WORD, SCHEMA_REQUIRED, .words = directions },
    { "host", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 255 },
    { "rule", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 255 },
    { "allowed_by", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 255 },
    { "bytes", SCHEMA_INTEGER, SCHEMA_REQUIRED, .max = INT64_MAX >> 10 },
    { "count", SCHEMA_INTEGER, SCHEMA_REQUIRED, .max = INT64_MAX >> 10 },
};
static const struct schema_table table = { ROWS(rows) };
static const struct schema_row item = { NULL, SCHEMA_OBJECT, .table = &table };
static const struct schema_row report = { NULL, SCHEMA_ARRAY, .max = REPORT_MAX, .item = &item };

struct counter {
    struct str direction, host, rule, allowed_by;
    int64_t bytes, count;
};

struct counters {
    struct counter items[WALL_ROWS + 1]; /* the last one may be that of "*" */
    size_t count;
};

static int64_t sum(int64_t a, int64_t b)
{
    int64_t total;
    return __builtin_add_overflow(a, b, &total) ? INT64_MAX : total;
}

static void count_in(struct counters *all, struct counter c)
{
    for (size_t i = 0; i < all->count; i++) {
        struct counter *old = &all->items[i];
        if (!str_eq(old->host, c.host) || !str_eq(old->direction, c.direction) ||
            !str_eq(old->rule, c.rule) || !str_eq(old->allowed_by, c.allowed_by))
            continue;
        old->bytes = sum(old->bytes, c.bytes);
        old->count = sum(old->count, c.count);
        return;
    }
    if (all->count < WALL_ROWS || str_eq(c.host, STR("*"))) {
        if (all->count <= WALL_ROWS)
            all->items[all->count++] = c;
        return;
    }
    count_in(all,
             (struct counter){
                 .direction = STR("out"), .host = STR("*"), .bytes = c.bytes, .count = c.count });
}

static void count_list(struct counters *all, const struct json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *v = json_at(list, i);
        struct counter c = { 0 };
        json_to_str(json_get(v, "direction"), &c.direction);
        json_to_str(json_get(v, "host"), &c.host);
        json_to_str(json_get(v, "rule"), &c.rule);
        json_to_str(json_get(v, "allowed_by"), &c.allowed_by);
        json_to_i64(json_get(v, "bytes"), &c.bytes);
        json_to_i64(json_get(v, "count"), &c.count);
        count_in(all, c);
    }
}

static void write_counters(struct buf *out, const struct counters *all)
{
    json_write_object(out);
    json_write_key(out, STR("data"));
    json_write_array(out);
    for (size_t i = 0; i < all->count; i++) {
        const struct counter *c = &all->items[i];
        json_write_object(out);
        json_member_str(out, "direction", c->direction);
        json_member_str(out, "host", c->host);
        json_member_str(out, "rule", c->rule);
        json_member_str(out, "allowed_by", c->allowed_by);
        json_member_i64(out, "bytes", c->bytes);
        json_member_i64(out, "count", c->count);
        json_write_object_end(out);
    }
    json_write_array_end(out);
    json_write_object_end(out);
}

/* What is counted so far. 1, 0: nothing yet, -1 and answered. */
static int find(struct errand *x, const struct id *session, struct record *out)
{
    struct store *store = x->api->parts.store;
    struct err e = { 0 };
    int found = store->ops->get(store, RECORD_WALL, session, out, &x->arena, &e);
    if (found < 0)
        errand_fail_store(x, &e);
    return found;
}

static void answer_done(struct errand *x)
{
    errand_answer(x, STR("{}"));
}

void wall_report(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_JSON stored = NULL;
    AUTO_BUF body = { 0 };
    struct record session, wall = { .kind = RECORD_WALL, .created_at = x->now };
    struct err e = { 0 };
    const struct json *list = json_get(x->body, "counters");
    if (!list)
        list = x->body; /* the list alone */
    if (!schema_check_value(list, &report, &problems)) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    if (errand_session(x, &session) < 0)
        return;
    wall.id = session.id;
    wall.workspace = session.workspace;
    wall.group = session.id;
    int found = find(x, &session.id, &wall);
    if (found < 0)
        return;
    if (found && json_parse(wall.body, &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    struct counters *all = x->held = mem_get(sizeof *all);
    count_list(all, json_get(stored, "data"));
    count_list(all, list);
    write_counters(&body, all);
    wall.body = buf_str(&body);
    struct tx *tx = tx_new();
    tx_put(tx, &wall, wall.revision);
    errand_write(x, tx, answer_done);
}

void wall_get(struct errand *x)
{
    struct record session, wall;
    if (errand_session(x, &session) < 0)
        return;
    int found = find(x, &session.id, &wall);
    if (found >= 0)
        errand_answer(x, found ? wall.body : STR("{\"data\":[]}"));
}

static void on_forgotten(void *ctx, const struct err *e)
{
    (void)ctx;
    if (e->kind != E_NONE) /* they are of no session any more: nobody sees them */
        log_warn("store.failed: forget counters of a deleted session: %s", e->text);
}

void wall_forget(struct api *api, const struct id *session)
{
    struct store *store = api->parts.store;
    AUTO_ARENA arena;
    struct record wall;
    struct err e = { 0 };
    arena_init(&arena, 4 << 20);
    if (store->ops->get(store, RECORD_WALL, session, &wall, &arena, &e) <= 0)
        return; /* a store that cannot read says so in /readyz */
    struct tx *tx = tx_new();
    tx_remove(tx, RECORD_WALL, session, wall.revision);
    store->ops->submit(store, tx, on_forgotten, NULL);
}
