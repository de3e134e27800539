/* events.c - a session's events: listing and sending (contract 2.5). */
#include "api/events.h"

#include "api/api-int.h"
#include "api/event_shape.h"
#include "api/handlers.h"
#include "api/page.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#include <stdio.h>

enum { STEP = 50, TYPES_MAX = 64, LIMIT = 1000, USUAL = 100, QUEUED_MAX = 256 };

struct event_list {
    struct entry_query query;
    struct str types[TYPES_MAX];
    struct page page;
    struct buf *data; /* what stands between the brackets */
    size_t count;
    int64_t last_seq, last_at;
    bool more;
    char name[ID_SIZE + 16];
};

/* 0, or -1 and answered. */
static int read_parameters(struct errand *x, struct event_list *l, const struct record *session)
{
    bool oldest_first = true, extensions = false;
    snprintf(l->name, sizeof l->name, "events %s", session->id.text);
    if (page_begin(x, &l->page, l->name, USUAL, LIMIT) < 0 || errand_order(x, &oldest_first) < 0 ||
        errand_bool(x, "extensions", &extensions) < 0 ||
        errand_range(x, &l->query.from, &l->query.before) < 0 ||
        page_fits(x, &l->page, oldest_first, l->query.from, l->query.before) < 0)
        return -1;
    int types = errand_texts(x, "types", l->types, TYPES_MAX);
    if (types < 0)
        return -1;
    l->query.session = session->id;
    l->query.newest_first = !oldest_first;
    l->query.shows = extensions ? ENTRY_EXTENSION : ENTRY_PUBLIC;
    l->query.types = l->types;
    l->query.type_count = (size_t)types;
    l->query.after = l->page.has_cursor ? l->page.cursor.number : 0;
    return 0;
}

/* One more read. 1: go on, 0: that was all or enough, -1: answered. */
static int read_step(struct errand *x, struct event_list *l)
{
    struct store *store = x->api->parts.store;
    struct entry_list list = { 0 };
    struct err e = { 0 };
    size_t left = l->page.limit - l->count;
    l->query.limit = left < STEP ? left + 1 : STEP;
    if (store->ops->entries(store, &l->query, &list, &x->arena, &e) < 0) {
        errand_fail_store(x, &e);
        return -1;
    }
    for (size_t i = 0; i < list.count; i++) {
        if (l->count == l->page.limit || l->data->n > PAGE_BYTES) {
            l->more = true;
            return 0;
        }
        if (l->count++)
            buf_add_byte(l->data, ',');
        buf_add(l->data, list.items[i].body);
        l->query.after = l->last_seq = list.items[i].seq;
        l->last_at = list.items[i].at;
    }
    arena_release(&x->arena);
    return list.count == l->query.limit;
}

/* The items of a list, the last one first. */
static void add_reversed(struct buf *data, struct str list)
{
    AUTO_BUF array = { 0 };
    struct json_slice walk;
    struct str items[QUEUED_MAX];
    size_t count = 0;
    buf_add_byte(&array, '[');
    buf_add(&array, list);
    buf_add_byte(&array, ']');
    json_slice_begin(&walk, buf_str(&array));
    while (count < QUEUED_MAX && json_slice_next(&walk))
        items[count++] = walk.value;
    while (count-- > 0) {
        if (data->n)
            buf_add_byte(data, ',');
        buf_add(data, items[count]);
    }
}

/* Inputs that wait have no place in the log yet: they stand behind its end, so before its newest
 * entry when that comes first; a range of times leaves them out. */
static void add_queued(struct errand *x, struct event_list *l, struct buf *data)
{
    AUTO_BUF queued = { 0 };
    bool newest_first = l->query.newest_first;
    if (l->query.from || l->query.before || (newest_first ? l->page.has_cursor : l->more) ||
        !engine_session_queued(x->api->parts.engine, &l->query.session, l->types,
                               l->query.type_count, &queued))
        return;
    if (newest_first) {
        add_reversed(data, buf_str(&queued));
        return;
    }
    if (data->n)
        buf_add_byte(data, ',');
    buf_add(data, buf_str(&queued));
}

static void answer_list(struct errand *x)
{
    struct event_list *l = x->held;
    AUTO_BUF log = { 0 };
    AUTO_BUF data = { 0 };
    AUTO_BUF out = { 0 };
    int more;
    l->data = &log;
    while ((more = read_step(x, l)) > 0)
        continue;
    if (more < 0)
        return;
    if (l->query.newest_first)
        add_queued(x, l, &data);
    if (data.n && log.n)
        buf_add_byte(&data, ',');
    buf_add(&data, buf_str(&log));
    if (!l->query.newest_first)
        add_queued(x, l, &data);
    buf_add(&out, STR("{\"data\":["));
    buf_add(&out, buf_str(&data));
    buf_add(&out, STR("],\"next_page\":"));
    struct cursor next = { .oldest_first = !l->query.newest_first,
                           .at = l->last_at,
                           .number = l->last_seq };
    if (l->more)
        page_write_cursor(x, &l->page, &next, &out);
    else
        json_write_null(&out);
    buf_add_byte(&out, '}');
    errand_answer(x, buf_str(&out));
}

/* Well or not: what was under way is over. */
static void on_settled(void *ctx, const struct refusal *refusal, struct str json)
{
    (void)refusal, (void)json;
    answer_list(ctx);
}

void events_answer_list(struct errand *x, const struct record *session)
{
    struct event_list *l = x->held = mem_get(sizeof *l);
    if (read_parameters(x, l, session) == 0 &&
        !engine_session_settle(x->api->parts.engine, &l->query.session, on_settled, x))
        answer_list(x);
}

void events_list(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) == 0)
        events_answer_list(x, &session);
}

static const struct schema_row send_rows[] = {
    { "events", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = EVENTS_MAX, .item = &event_item },
};
static const struct schema_table send_table = { ROWS(send_rows) };

/* A sandbox that was taken over must not be able to approve its own calls (contract 1.2). */
static bool may_send(const struct errand *x, enum event_type type)
{
    if (!errand_is_worker(x))
        return type != EVENT_USER_TOOL_RESULT;
    return type == EVENT_USER_TOOL_RESULT || type == EVENT_USER_CUSTOM_TOOL_RESULT;
}

static void fail_type(struct errand *x, const struct json *events, size_t i)
{
    struct str type = { 0 };
    json_to_str(json_get(json_at(events, i), "type"), &type);
    errand_fail(x, 403, NULL, "events[%zu]: this kind of credential may not send %.*s", i,
                STR_ARGS(type));
}

void events_send(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    struct record session;
    const struct json *events = json_get(x->body, "events");
    if (errand_session(x, &session) < 0)
        return;
    if (schema_check(x->body, &send_table, &problems)) {
        size_t was = problems_enter_key(&problems, STR("events"));
        events_check(events, &problems);
        problems_leave(&problems, was);
    }
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    size_t count = json_count(events);
    for (size_t i = 0; i < count; i++)
        if (!may_send(x, event_type_sent(json_at(events, i)))) {
            fail_type(x, events, i);
            return;
        }
    struct event *list = x->held = mem_array(count, sizeof *list);
    if (!events_take(events, list, &x->arena)) {
        errand_fail(x, 413, NULL, "these events are too large");
        return;
    }
    struct id id = session.id;
    engine_session_send(x->api->parts.engine, &x->asker, &id, list, count, errand_engine, x);
}
