#include "store/sqlite/question.h"

#include <stdlib.h>

void question_release(struct question *q)
{
    buf_release(&q->sql);
    free(q->values);
}

static void say(struct question *q, const char *sql)
{
    buf_add(&q->sql, str_of(sql));
}

static void add(struct question *q, struct question_value value)
{
    if (q->count == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 16;
        q->values = mem_grow(q->values, q->cap * sizeof *q->values);
    }
    q->values[q->count++] = value;
    buf_addf(&q->sql, "?%zu", q->count);
}

/* `sql` and a parameter behind it. */
static void say_number(struct question *q, const char *sql, int64_t number)
{
    say(q, sql);
    add(q, (struct question_value){ .number = number });
}

static void say_text(struct question *q, const char *sql, struct str text)
{
    say(q, sql);
    add(q, (struct question_value){ .is_text = true, .text = text });
}

static void say_one_of(struct question *q, const char *sql, const struct str *words, size_t count)
{
    say(q, sql);
    for (size_t i = 0; i < count; i++)
        say_text(q, i ? "," : "", words[i]);
    say(q, ")");
}

/* Which index answers. Those with `each_state` have the state before the time: each state asked for is a
 * run of its own, and SQLite merges the runs. */
static const struct route {
    const char *index;
    bool group, parent, workspace, each_state, by_number, due; /* what the query must ask for */
} routes[] = {
    { .index = "record_by_group", .group = true },
    { .index = "record_by_number", .parent = true, .by_number = true },
    { .index = "record_by_parent_state", .parent = true, .each_state = true },
    { .index = "record_by_parent", .parent = true },
    { .index = "record_by_due", .due = true },
    { .index = "record_by_workspace_state", .workspace = true, .each_state = true },
    { .index = "record_by_workspace", .workspace = true },
    { .index = "record_by_kind" },
};

/* More states than this are filtered, not merged. */
enum { RUNS_MAX = 8 };

static const struct route *route_of(const struct record_query *query)
{
    const struct route *r = routes;
    bool runs = query->state_count && query->state_count <= RUNS_MAX && !query->by_number;
    while ((r->group && !query->group) || (r->parent && !query->parent) ||
           (r->workspace && !query->workspace) || (r->each_state && !runs) ||
           (r->by_number && !query->by_number) || (r->due && !query->due_until))
        r++;
    return r;
}

static void say_after(struct question *q, const struct record_query *query)
{
    const char *than = query->oldest_first ? ">(" : "<(";
    if (!query->after)
        return;
    say(q, query->by_number ? " AND (number,id)" : " AND (created_at,id)");
    say_number(q, than, query->by_number ? query->after->number : query->after->created_at);
    say_text(q, ",", id_str(&query->after->id));
    say(q, ")");
}

/* One SELECT without order; `state` is the one of this run, or NULL. */
static void say_run(struct question *q, const struct record_query *query, const struct route *route,
                    const struct str *state)
{
    say(q, "SELECT " RECORD_COLUMNS " FROM record INDEXED BY ");
    say(q, route->index);
    say_number(q, " WHERE kind=", query->kind);
    if (query->group)
        say_text(q, " AND group_id=", id_str(query->group));
    if (query->parent)
        say_text(q, " AND parent=", id_str(query->parent));
    if (query->workspace)
        say_text(q, " AND workspace=", id_str(query->workspace));
    if (state)
        say_text(q, " AND state=", *state);
    else if (query->state_count)
        say_one_of(q, " AND state IN (", query->states, query->state_count);
    if (query->number)
        say_number(q, " AND number=", query->number);
    if (!query->with_archived)
        say(q, " AND archived_at IS NULL");
    if (query->created_from)
        say_number(q, " AND created_at>=", query->created_from);
    if (query->created_before)
        say_number(q, " AND created_at<", query->created_before);
    if (query->due_until)
        say_number(q, " AND due_at<=", query->due_until);
    say_after(q, query);
}

static int64_t limit_of(size_t limit)
{
    return limit < INT64_MAX ? (int64_t)limit : INT64_MAX;
}

/* Whether an earlier run is for the same state: it would give each record again. */
static bool repeated(const struct record_query *query, size_t state)
{
    for (size_t i = 0; i < state; i++)
        if (str_eq(query->states[i], query->states[state]))
            return true;
    return false;
}

void question_of_records(const struct record_query *query, struct question *out)
{
    static const char *const orders[2][2] = {
        { " ORDER BY created_at DESC,id DESC", " ORDER BY created_at,id" },
        { " ORDER BY number DESC,id DESC", " ORDER BY number,id" },
    };
    const struct route *route = route_of(query);
    if (!route->each_state)
        say_run(out, query, route, NULL);
    for (size_t i = 0; route->each_state && i < query->state_count; i++) {
        if (repeated(query, i))
            continue;
        say(out, i ? " UNION ALL " : "");
        say_run(out, query, route, &query->states[i]);
    }
    say(out, orders[query->by_number][query->oldest_first]);
    say_number(out, " LIMIT ", limit_of(query->limit));
}

void question_of_entries(const struct entry_query *query, struct question *out)
{
    /* A fixed shape, so that there are few texts. */
    say_number(out,
               "SELECT " ENTRY_COLUMNS " FROM entry INDEXED BY entry_by_seq WHERE session="
               "(SELECT key FROM record INDEXED BY record_by_id WHERE kind=",
               RECORD_SESSION);
    say_text(out, " AND id=", id_str(&query->session));
    bool down = query->newest_first;
    say_number(out, down ? ") AND seq<" : ") AND seq>",
               down && !query->after ? INT64_MAX : query->after);
    say_number(out, " AND shows<=", query->shows);
    say_number(out, " AND at>=", query->from ? query->from : INT64_MIN);
    say_number(out, " AND at<", query->before ? query->before : INT64_MAX);
    if (query->type_count)
        say_one_of(out, " AND type IN (", query->types, query->type_count);
    say_number(out, down ? " ORDER BY seq DESC LIMIT " : " ORDER BY seq LIMIT ",
               limit_of(query->limit));
}

void record_of_row(sqlite3_stmt *s, struct record *out)
{
    *out = (struct record){
        .kind = (enum record_kind)column_number(s, 0),
        .id = column_id(s, 1),
        .workspace = column_id(s, 2),
        .parent = column_id(s, 3),
        .group = column_id(s, 4),
        .number = column_number(s, 5),
        .state = column_text(s, 6),
        .created_at = column_number(s, 7),
        .archived_at = column_number(s, 8),
        .due_at = column_number(s, 9),
        .secret = column_text(s, 10),
        .revision = column_number(s, 11),
        .body = column_text(s, 12),
    };
}

void entry_of_row(sqlite3_stmt *s, struct entry *out)
{
    *out = (struct entry){
        .seq = column_number(s, 0),
        .id = column_id(s, 1),
        .type = column_text(s, 2),
        .at = column_number(s, 3),
        .shows = (uint8_t)column_number(s, 4),
        .inner = column_text(s, 5),
        .body = column_text(s, 6),
    };
}

sqlite3_stmt *question_ask(const struct question *q, struct database *d, struct err *e)
{
    sqlite3_stmt *s = database_prepare(d, buf_text(&q->sql), e);
    for (size_t i = 0; s && i < q->count; i++) {
        const struct question_value *value = &q->values[i];
        if (value->is_text)
            bind_text(s, (int)i + 1, value->text);
        else
            bind_number(s, (int)i + 1, value->number);
    }
    return s;
}
