#include "store/sqlite.h"

#include "base/check.h"
#include "io/doorbell.h"
#include "store/copy.h"
#include "store/sqlite/place.h"
#include "store/sqlite/question.h"
#include "store/sqlite/schema.h"
#include "store/sqlite/writer.h"
#include "store/tx.h"

#include <stdlib.h>

enum { QUEUE = 64 << 20, PATIENCE_MS = 5000 };

struct sqlite_store {
    struct store store; /* first: the ops get this pointer back */
    struct loop *loop;
    struct place place;
    struct database reader; /* the loop's */
    struct writer *writer;
    struct doorbell *bell;
    struct tx_queue outbox; /* submitted in this turn of the loop */
    size_t waiting, limit;  /* bytes of what is not answered yet */
    bool handing_over;      /* hand_over will be called */
    bool answering;
    bool closed; /* freed as soon as neither of them needs it */
};

static struct sqlite_store *from(struct store *s)
{
    return (struct sqlite_store *)s;
}

/* Writing */

static void drop(struct sqlite_store *s)
{
    if (!s->handing_over && !s->answering)
        free(s);
}

/* Once for all submits of a turn. The thread woken by the first of 64 would commit that one alone and
 * let the others wait for a second commit, so that every second group were of one. */
static void hand_over(void *ctx)
{
    struct sqlite_store *s = ctx;
    s->handing_over = false;
    if (s->closed)
        drop(s);
    else
        writer_add(s->writer, &s->outbox);
}

static void sqlite_submit(struct store *store, struct tx *tx, tx_done *done, void *ctx)
{
    struct sqlite_store *s = from(store);
    tx->done = done;
    tx->ctx = ctx;
    if (tx_bytes(tx) > s->limit - s->waiting) {
        tx_empty(tx); /* it keeps its place among the answers, but not its memory */
        err_set(&tx->err, E_BUSY, 0, "too much waits to be written already");
    } else {
        tx->charged = tx_bytes(tx);
        s->waiting += tx->charged;
    }
    tx_queue_add(&s->outbox, tx);
    if (!s->handing_over) {
        s->handing_over = true;
        loop_later(s->loop, hand_over, s);
    }
}

static void on_thread_decided(void *ctx)
{
    struct sqlite_store *s = ctx; /* on the writer's thread: the bell is all that it may touch */
    doorbell_ring(s->bell);
}

static void on_decided(void *ctx)
{
    struct sqlite_store *s = ctx;
    struct tx_queue decided = { 0 };
    writer_take(s->writer, &decided);
    s->answering = true;
    for (struct tx *tx; !s->closed && (tx = tx_queue_take(&decided));) {
        s->waiting -= tx->charged;
        tx_answer(tx);
    }
    s->answering = false;
    tx_queue_release(&decided);
    if (s->closed)
        drop(s);
}

/* Reading */

static int read_record(struct sqlite_store *s, sqlite3_stmt *stmt, struct record *out,
                       struct arena *a, struct err *e)
{
    struct record row;
    int found = database_step(&s->reader, stmt, e);
    if (found != 1)
        return found;
    record_of_row(stmt, &row);
    return record_copy(out, &row, a, e) < 0 ? -1 : 1;
}

static int sqlite_get(struct store *store, enum record_kind kind, const struct id *id,
                      struct record *out, struct arena *a, struct err *e)
{
    struct sqlite_store *s = from(store);
    AUTO_STATEMENT stmt = database_prepare(&s->reader,
                                           "SELECT " RECORD_COLUMNS " FROM record INDEXED BY "
                                           "record_by_id WHERE kind=?1 AND id=?2",
                                           e);
    if (!stmt)
        return -1;
    bind_number(stmt, 1, kind);
    bind_text(stmt, 2, id_str(id));
    return read_record(s, stmt, out, a, e);
}

static int sqlite_get_by_secret(struct store *store, enum record_kind kind, struct str sha256,
                                struct record *out, struct arena *a, struct err *e)
{
    struct sqlite_store *s = from(store);
    AUTO_STATEMENT stmt = database_prepare(&s->reader,
                                           "SELECT " RECORD_COLUMNS " FROM record INDEXED BY "
                                           "record_by_secret WHERE kind=?1 AND secret=?2",
                                           e);
    if (!stmt)
        return -1;
    bind_number(stmt, 1, kind);
    bind_bytes(stmt, 2, sha256);
    return read_record(s, stmt, out, a, e);
}

static int sqlite_list(struct store *store, const struct record_query *q, struct record_list *out,
                       struct arena *a, struct err *e)
{
    struct database *d = &from(store)->reader;
    AUTO_QUESTION question = { 0 };
    AUTO_RECORD_ROWS rows = { 0 };
    question_of_records(q, &question);
    AUTO_STATEMENT stmt = question_ask(&question, d, e);
    int row = stmt ? 1 : -1;
    while (row == 1 && (row = database_step(d, stmt, e)) == 1) {
        struct record r;
        record_of_row(stmt, &r);
        if (record_rows_add(&rows, &r, a, e) < 0)
            row = -1;
    }
    return row < 0 ? -1 : record_rows_finish(&rows, out, a, e);
}

static int sqlite_entries(struct store *store, const struct entry_query *q, struct entry_list *out,
                          struct arena *a, struct err *e)
{
    struct database *d = &from(store)->reader;
    AUTO_QUESTION question = { 0 };
    AUTO_ENTRY_ROWS rows = { 0 };
    question_of_entries(q, &question);
    AUTO_STATEMENT stmt = question_ask(&question, d, e);
    int row = stmt ? 1 : -1;
    while (row == 1 && (row = database_step(d, stmt, e)) == 1) {
        struct entry entry;
        entry_of_row(stmt, &entry);
        if (entry_rows_add(&rows, &entry, a, e) < 0)
            row = -1;
    }
    return row < 0 ? -1 : entry_rows_finish(&rows, out, a, e);
}

static int64_t sqlite_last_seq(struct store *store, const struct id *session, struct err *e)
{
    struct database *d = &from(store)->reader;
    AUTO_STATEMENT stmt = database_prepare(
        d, "SELECT max(seq) FROM entry INDEXED BY entry_by_seq WHERE session=" SESSION_KEY, e);
    if (!stmt)
        return -1;
    bind_number(stmt, 1, RECORD_SESSION);
    bind_text(stmt, 2, id_str(session));
    return database_step(d, stmt, e) < 0 ? -1 : column_number(stmt, 0); /* NULL is 0 */
}

static int sqlite_entry(struct store *store, const struct id *session, const struct id *event,
                        struct entry *out, struct arena *a, struct err *e)
{
    struct database *d = &from(store)->reader;
    struct entry row;
    AUTO_STATEMENT stmt =
        database_prepare(d,
                         "SELECT " ENTRY_COLUMNS " FROM entry INDEXED BY entry_by_id "
                         "WHERE shows<2 AND id=?3 AND session=" SESSION_KEY,
                         e);
    if (!stmt)
        return -1;
    bind_number(stmt, 1, RECORD_SESSION);
    bind_text(stmt, 2, id_str(session));
    bind_text(stmt, 3, id_str(event));
    int found = database_step(d, stmt, e);
    if (found != 1)
        return found;
    entry_of_row(stmt, &row);
    return entry_copy(out, &row, a, e) < 0 ? -1 : 1;
}

static int sqlite_check(struct store *store, struct err *e)
{
    struct sqlite_store *s = from(store);
    int64_t any;
    if (database_number(&s->reader, "SELECT 1 FROM record LIMIT 1", 0, &any, e) < 0)
        return -1;
    return writer_check(s->writer, e);
}

/* Life */

static void sqlite_free(struct store *store)
{
    struct sqlite_store *s = from(store);
    s->closed = true;
    writer_free(s->writer); /* first: its thread rings the bell */
    doorbell_free(s->bell);
    tx_queue_release(&s->outbox);
    database_close(&s->reader);
    place_close(&s->place);
    drop(s);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .free = sqlite_free,
    .get = sqlite_get,
    .get_by_secret = sqlite_get_by_secret,
    .list = sqlite_list,
    .entries = sqlite_entries,
    .last_seq = sqlite_last_seq,
    .entry = sqlite_entry,
    .submit = sqlite_submit,
    .check = sqlite_check,
};

/* What the two connections have in common. A cell_size_check finds a damaged page when it is read. */
#define COMMON_SETTINGS                                                                            \
    "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"                                    \
    "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -16384;"

/* In WAL mode each commit is one write and one fdatasync of the log. FULL: the answer comes after that.
 * The log is folded into the database when it has 4000 pages, and then cut to 16 MB. */
static int settle_writer(struct database *d, struct err *e)
{
    AUTO_STATEMENT mode = database_prepare(d, "PRAGMA journal_mode = WAL", e);
    if (!mode || database_step(d, mode, e) < 0)
        return -1;
    if (!str_eq(column_text(mode, 0), STR("wal")))
        return err_set(e, E_IO, 0, "database '%s': this file system cannot hold it (no WAL)",
                       d->path);
    statement_done(&mode);
    return database_exec(d,
                         COMMON_SETTINGS
                         "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
                         "PRAGMA journal_size_limit = 16777216;",
                         e);
}

static int open_parts(struct sqlite_store *s, const char *dir, int patience_ms, struct err *e)
{
    AUTO_DATABASE writer = { 0 };
    if (place_open(&s->place, dir, e) < 0)
        return -1;
    const char *path = s->place.database;
    if (database_open(&writer, path, SQLITE_OPEN_READWRITE, patience_ms, e) < 0 ||
        settle_writer(&writer, e) < 0 || schema_migrate(&writer, &schema_postern, e) < 0 ||
        database_open(&s->reader, path, SQLITE_OPEN_READWRITE, patience_ms, e) < 0 ||
        database_exec(&s->reader, COMMON_SETTINGS "PRAGMA query_only = ON;", e) < 0)
        return -1;
    return writer_new(&s->writer, &writer, SCHEMA_MARK, on_thread_decided, s, e);
}

int sqlite_store_new(struct store **out, const char *dir, struct loop *l,
                     const struct sqlite_store_options *options, struct err *e)
{
    static const struct sqlite_store_options usual;
    if (!options)
        options = &usual;
    struct sqlite_store *s = mem_get(sizeof *s);
    s->store.ops = &sqlite_ops;
    s->loop = l;
    s->limit = options->queue ? options->queue : QUEUE;
    s->place.lock = -1;
    if (doorbell_new(&s->bell, l, on_decided, s, e) < 0 ||
        open_parts(s, dir, options->patience_ms ? options->patience_ms : PATIENCE_MS, e) < 0) {
        sqlite_free(&s->store);
        return -1;
    }
    *out = &s->store;
    return 0;
}
