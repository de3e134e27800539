/* Claims of store/sqlite.h: its directory, its versions, its indexes and its bounds. */
#include "store-world.h"

#include "store/sqlite/question.h"
#include "store/sqlite/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (int)(st.st_mode & 0777);
}

static void its_files_are_the_owners_alone(struct world *w)
{
    static const char *const files[] = { "postern.db", "postern.db-wal", "postern.db-shm",
                                         "postern.lock" };
    make_session(w, "sesn_1", 1);
    assert_int_equal(mode_of(sqlite_of(w)->dir), 0700);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(mode_of(sqlite_path(w, files[i])), 0600);
}

static void a_missing_directory_is_made_for_the_owner_alone(struct world *w)
{
    struct store *s;
    struct err e;
    const char *dir = sqlite_path(w, "new");
    assert_int_equal(sqlite_store_new(&s, dir, sqlite_of(w)->loop, NULL, &e), 0);
    assert_int_equal(mode_of(dir), 0700);
    s->ops->free(s);
    assert_int_equal(unlink(sqlite_path(w, "new/postern.db")), 0);
    assert_int_equal(unlink(sqlite_path(w, "new/postern.lock")), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(sqlite_store_new(&s, "/nowhere/at/all", sqlite_of(w)->loop, NULL, &e), -1);
    assert_int_equal(e.kind, E_IO);
}

/* Opens the world's directory, which must fail. */
static struct err refused(struct world *w)
{
    struct store *s;
    struct err e = { 0 };
    struct sqlite_world *own = sqlite_of(w);
    assert_int_equal(sqlite_store_new(&s, own->dir, own->loop, &own->options, &e), -1);
    return e;
}

static void shut(struct world *w)
{
    w->store->ops->free(w->store);
    w->store = NULL;
}

static void a_directory_that_others_may_write_is_refused(struct world *w)
{
    shut(w);
    assert_int_equal(chmod(sqlite_of(w)->dir, 0770), 0);
    assert_int_equal(refused(w).kind, E_DENIED);
}

static void one_process_serves_a_directory(struct world *w)
{
    struct err e = refused(w);
    assert_int_equal(e.kind, E_CONFLICT);
    assert_non_null(strstr(e.text, sqlite_of(w)->dir));
    make_session(w, "sesn_1", 1); /* the one that serves is not disturbed */
    w->backend->reopen(w);
    assert_int_equal(last_seq(w, "sesn_1"), 1);
}

static void a_newer_database_is_refused_with_both_numbers(struct world *w)
{
    char known[32];
    shut(w);
    sqlite_run(w, "PRAGMA user_version = 4711");
    struct err e = refused(w);
    snprintf(known, sizeof known, "up to %d", (int)schema_postern.version);
    assert_int_equal(e.kind, E_INPUT);
    assert_non_null(strstr(e.text, "4711"));
    assert_non_null(strstr(e.text, known));
    assert_int_equal(sqlite_number(w, "PRAGMA user_version"), 4711);
}

static void a_database_of_somebody_else_is_refused_and_left_alone(struct world *w)
{
    shut(w);
    assert_int_equal(unlink(sqlite_path(w, "postern.db")), 0);
    sqlite_run(w, "CREATE TABLE theirs (x)");
    assert_int_equal(refused(w).kind, E_INPUT);
    assert_int_equal(sqlite_number(w, "SELECT count(*) FROM sqlite_schema"), 1);
}

/* Versions as they could come: two that build on each other, and one that cannot be. */
static const char *const steps[] = { "CREATE TABLE a (x); INSERT INTO a VALUES (1);",
                                     "ALTER TABLE a ADD COLUMN y; UPDATE a SET y = x + 1;",
                                     "UPDATE a SET y = 7; INSERT INTO missing VALUES (1);" };

static void an_older_database_is_brought_up_to_date(struct world *w)
{
    struct err e;
    const struct schema one = { steps, 1 }, two = { steps, 2 };
    AUTO_DATABASE d = { 0 };
    assert_int_equal(database_open(&d, ":memory:", SQLITE_OPEN_READWRITE, 0, &e), 0);
    assert_int_equal(schema_migrate(&d, &one, &e), 0);
    assert_int_equal(schema_is_ours(&d, &two, &e), -1); /* looking changes nothing */
    assert_int_equal(e.kind, E_INPUT);
    assert_int_equal(schema_migrate(&d, &two, &e), 0);
    assert_int_equal(schema_migrate(&d, &two, &e), 0); /* again is nothing */
    int64_t y, version;
    assert_int_equal(database_number(&d, "SELECT y FROM a", 0, &y, &e), 0);
    assert_int_equal(database_number(&d, "PRAGMA user_version", 0, &version, &e), 0);
    assert_int_equal(y, 2);
    assert_int_equal(version, 2);
}

static void a_change_of_version_that_fails_leaves_the_old_one(struct world *w)
{
    struct err e;
    const struct schema one = { steps, 1 }, three = { steps, 3 };
    AUTO_DATABASE d = { 0 };
    assert_int_equal(database_open(&d, ":memory:", SQLITE_OPEN_READWRITE, 0, &e), 0);
    assert_int_equal(schema_migrate(&d, &one, &e), 0);
    assert_int_equal(schema_migrate(&d, &three, &e), -1);
    assert_non_null(strstr(e.text, "from version 2 to 3"));
    int64_t columns, version;
    assert_int_equal(
        database_number(&d, "SELECT count(*) FROM pragma_table_info('a')", 0, &columns, &e), 0);
    assert_int_equal(database_number(&d, "PRAGMA user_version", 0, &version, &e), 0);
    assert_int_equal(columns, 1);
    assert_int_equal(version, 1);
    assert_int_equal(sqlite3_get_autocommit(d.db), 1);
}

/* Fails when the plan walks a table, or sorts though its index could have the order. */
static void assert_planned(struct database *d, const struct question *q, bool may_sort)
{
    struct err e;
    struct question plan = *q;
    buf_init(&plan.sql);
    buf_addf(&plan.sql, "EXPLAIN QUERY PLAN %s", buf_text(&q->sql));
    {
        AUTO_STATEMENT s = question_ask(&plan, d, &e);
        if (!s)
            fail_msg("%s: %s", buf_text(&q->sql), e.text);
        while (database_step(d, s, &e) == 1) {
            const char *line = column_text(s, 3).p;
            bool searched = strstr(line, "SEARCH") && strstr(line, "INDEX");
            bool sorts = strstr(line, "TEMP B-TREE") != NULL;
            bool frame = strstr(line, "MERGE") || strcmp(line, "LEFT") == 0 ||
                         strcmp(line, "RIGHT") == 0 || strstr(line, "SCALAR SUBQUERY");
            if (!searched && !frame && !(sorts && may_sort))
                fail_msg("%s: %s", buf_text(&q->sql), line);
        }
    }
    buf_release(&plan.sql);
}

static void every_query_of_records_is_answered_by_an_index(struct world *w)
{
    static const struct str states[] = { { "queued", 6 }, { "active", 6 } };
    struct id id = id_of("x");
    struct record after = { .id = id };
    struct err e;
    AUTO_DATABASE d = { 0 };
    assert_int_equal(database_open(&d, sqlite_path(w, "postern.db"), SQLITE_OPEN_READWRITE, 0, &e),
                     0);
    for (unsigned bits = 0; bits < 1u << 12; bits++) {
        const struct record_query q = {
            .kind = RECORD_WORK,
            .workspace = bits & 1 ? &id : NULL,
            .parent = bits & 2 ? &id : NULL,
            .group = bits & 4 ? &id : NULL,
            .number = bits & 8 ? 1 : 0,
            .states = states,
            .state_count = bits & 16 ? 1 + (bits & 1) : 0,
            .with_archived = bits & 32,
            .created_from = bits & 64 ? 1 : 0,
            .created_before = bits & 128 ? 1 : 0,
            .due_until = bits & 256 ? 1 : 0,
            .oldest_first = bits & 512,
            .by_number = bits & 1024,
            .after = bits & 2048 ? &after : NULL,
            .limit = 10,
        };
        AUTO_QUESTION question = { 0 };
        question_of_records(&q, &question);
        /* Few are due, versions are asked for by their agent, and one number has few records. */
        bool due = q.due_until && !q.group && !q.parent;
        assert_planned(&d, &question, due || (q.by_number && (q.group || !q.parent || q.number)));
    }
}

static void every_query_of_entries_is_answered_by_an_index(struct world *w)
{
    static const struct str types[] = { { "a", 1 }, { "b", 1 } };
    struct err e;
    AUTO_DATABASE d = { 0 };
    assert_int_equal(database_open(&d, sqlite_path(w, "postern.db"), SQLITE_OPEN_READWRITE, 0, &e),
                     0);
    for (unsigned bits = 0; bits < 1u << 4; bits++) {
        const struct entry_query q = { .session = id_of("x"),
                                       .after = bits & 1,
                                       .newest_first = bits & 2,
                                       .from = bits & 4,
                                       .types = types,
                                       .type_count = bits & 8 ? 2 : 0,
                                       .limit = 10 };
        AUTO_QUESTION question = { 0 };
        question_of_entries(&q, &question);
        assert_planned(&d, &question, false);
    }
}

static void more_kinds_of_query_than_are_kept_prepared_are_answered(struct world *w)
{
    struct str states[64];
    make_session(w, "sesn_1", 2);
    for (size_t i = 0; i < 64; i++)
        states[i] = STR("idle");
    struct id id = id_of("wrkspc_1");
    for (size_t i = 0; i < 640; i++) {
        struct record_query q = { .kind = RECORD_SESSION,
                                  .workspace = &id,
                                  .states = states,
                                  .state_count = 1 + i % 64,
                                  .oldest_first = i / 64 % 2,
                                  .with_archived = i / 128 % 2,
                                  .number = 0,
                                  .created_from = i / 256 % 2,
                                  .limit = 9 };
        struct entry_query eq = {
            .session = id_of("sesn_1"), .types = states, .type_count = i % 64, .limit = 9
        };
        assert_string_equal(list_ids(w, &q), "sesn_1");
        assert_string_equal(entry_numbers(w, &eq), i % 64 ? "" : "1 2");
    }
}

static void of_a_removed_session_nothing_is_left_in_the_database(struct world *w)
{
    make_session(w, "sesn_1", 1000);
    make_session(w, "sesn_2", 3);
    struct id id = id_of("sesn_1");
    struct tx *tx = tx_new();
    tx_remove(tx, RECORD_SESSION, &id, 1);
    assert_done(w, tx);
    while (sqlite_number(w, "SELECT count(*) FROM entry") +
               sqlite_number(w, "SELECT count(*) FROM gone") >
           3)
        usleep(1000); /* its entries go some at a time, when nothing else is to do */
    assert_int_equal(sqlite_number(w, "SELECT count(*) FROM entry"), 3);
    assert_int_equal(sqlite_number(w, "SELECT count(*) FROM record"), 1);
}

static void what_a_killed_process_left_of_a_removed_session_goes_at_the_next_start(struct world *w)
{
    make_session(w, "sesn_1", 1000);
    make_session(w, "sesn_2", 3);
    shut(w);
    sqlite_run(w, "INSERT INTO gone SELECT key FROM record WHERE id = 'sesn_1';"
                  "DELETE FROM record WHERE id = 'sesn_1'");
    w->backend->reopen(w);
    while (sqlite_number(w, "SELECT count(*) FROM entry") +
               sqlite_number(w, "SELECT count(*) FROM gone") >
           3)
        usleep(1000);
    assert_int_equal(last_seq(w, "sesn_2"), 3);
}

static struct tx *large(const char *id, size_t size)
{
    AUTO_FREE char *bytes = mem_get(size);
    struct record r = record_of(RECORD_WORK, id, 1, NULL);
    struct tx *tx = tx_new();
    r.body = (struct str){ bytes, size };
    tx_put(tx, &r, 0);
    return tx;
}

static void what_waits_is_bounded_and_answered_in_order(struct world *w)
{
    static const enum err_kind kinds[] = { E_NONE, E_NONE, E_BUSY, E_NONE, E_BUSY };
    static const size_t sizes[] = { 400000, 400000, 400000, 100000, 400000 };
    sqlite_of(w)->options.queue = 1000000;
    w->backend->reopen(w);
    for (size_t round = 0; round < 2; round++) {
        w->answered = 0;
        for (size_t i = 0; i < 5; i++) {
            char id[32];
            snprintf(id, sizeof id, "work_%zu_%zu", round, i);
            submit(w, large(id, sizes[i]));
        }
        w->backend->settle(w);
        for (size_t i = 0; i < 5; i++) {
            char id[32];
            snprintf(id, sizeof id, "work_%zu_%zu", round, i);
            assert_int_equal(w->answers[i].number, round * 5 + i);
            assert_int_equal(w->answers[i].err.kind, kinds[i]);
            assert_true((get(w, RECORD_WORK, id) != NULL) == (kinds[i] == E_NONE));
        }
    }
}

static void never(void *ctx, const struct err *e)
{
    fail_msg("answered after its store was freed");
}

static void a_freed_store_answers_nobody(struct world *w)
{
    make_session(w, "sesn_1", 0);
    struct id id = id_of("sesn_1");
    for (int i = 1; i <= 200; i++) {
        struct entry entry = entry_of(i, "agent.message", "{}");
        struct tx *tx = tx_new();
        tx_append(tx, &id, &entry, 1);
        w->store->ops->submit(w->store, tx, never, NULL);
    }
    w->backend->reopen(w);
    assert_done(w, tx_new()); /* the loop turned, and nothing came of it */
    assert_int_equal(sqlite_number(w, "SELECT count(*) FROM entry"), last_seq(w, "sesn_1"));
}

static void free_it(void *ctx, const struct err *e)
{
    struct world *w = ctx;
    struct tx *tx = tx_new();
    w->store->ops->submit(w->store, tx, never, NULL);
    shut(w);
    loop_stop(sqlite_of(w)->loop);
}

static void a_store_may_be_freed_by_an_answer(struct world *w)
{
    w->store->ops->submit(w->store, tx_new(), free_it, w);
    for (int i = 0; i < 3; i++)
        w->store->ops->submit(w->store, tx_new(), never, NULL);
    loop_run(sqlite_of(w)->loop);
    assert_null(w->store);
    loop_run(sqlite_of(w)->loop); /* ends: nothing is left */
}

int main(void)
{
    static const struct claim claims[] = {
        CLAIM(its_files_are_the_owners_alone),
        CLAIM(a_missing_directory_is_made_for_the_owner_alone),
        CLAIM(a_directory_that_others_may_write_is_refused),
        CLAIM(one_process_serves_a_directory),
        CLAIM(a_newer_database_is_refused_with_both_numbers),
        CLAIM(a_database_of_somebody_else_is_refused_and_left_alone),
        CLAIM(an_older_database_is_brought_up_to_date),
        CLAIM(a_change_of_version_that_fails_leaves_the_old_one),
        CLAIM(every_query_of_records_is_answered_by_an_index),
        CLAIM(every_query_of_entries_is_answered_by_an_index),
        CLAIM(more_kinds_of_query_than_are_kept_prepared_are_answered),
        CLAIM(of_a_removed_session_nothing_is_left_in_the_database),
        CLAIM(what_a_killed_process_left_of_a_removed_session_goes_at_the_next_start),
        CLAIM(what_waits_is_bounded_and_answered_in_order),
        CLAIM(a_freed_store_answers_nobody),
        CLAIM(a_store_may_be_freed_by_an_answer),
    };
    return sqlite_claims(claims, sizeof claims / sizeof *claims);
}
