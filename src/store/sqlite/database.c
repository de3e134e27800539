#include "store/sqlite/database.h"

#include "base/check.h"

#include <stdlib.h>

/* More texts than this are not kept: a client can make many different queries by its filters. */
enum { STATEMENTS_MAX = 256 };

struct statement {
    sqlite3_stmt *stmt;
    char *sql;
};

static void forget_statements(struct database *d)
{
    size_t at = 0;
    for (struct statement *s; (s = table_next(&d->statements, &at));) {
        sqlite3_finalize(s->stmt);
        free(s->sql);
        free(s);
    }
    table_release(&d->statements);
}

int database_open(struct database *d, const char *path, int flags, int patience_ms, struct err *e)
{
    *d = (struct database){ .path = str_dup(str_of(path)) };
    /* One thread at a time uses a connection, so it needs no lock of its own. */
    int rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    CHECK(d->db);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(d->db, 1);
        sqlite3_busy_timeout(d->db, patience_ms);
        return 0;
    }
    database_error(d, "open it", e);
    database_close(d);
    return -1;
}

void database_close(struct database *d)
{
    forget_statements(d);
    CHECK(sqlite3_close(d->db) == SQLITE_OK); /* no statement is open any more */
    free(d->path);
    *d = (struct database){ 0 };
}

int database_exec(struct database *d, const char *sql, struct err *e)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0
                                                                   : database_error(d, "use it", e);
}

int database_number(struct database *d, const char *sql, int64_t none, int64_t *out, struct err *e)
{
    AUTO_STATEMENT s = database_prepare(d, sql, e);
    int row = s ? database_step(d, s, e) : -1;
    *out = row == 1 ? sqlite3_column_int64(s, 0) : none;
    return row < 0 ? -1 : 0;
}

sqlite3_stmt *database_prepare(struct database *d, const char *sql, struct err *e)
{
    struct statement *s = table_find(&d->statements, str_of(sql));
    if (s)
        return s->stmt;
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) != SQLITE_OK) {
        database_error(d, "ask it", e);
        return NULL;
    }
    CHECK(stmt);
    if (d->statements.count == STATEMENTS_MAX)
        forget_statements(d);
    s = mem_get(sizeof *s);
    s->stmt = stmt;
    s->sql = str_dup(str_of(sql));
    table_put(&d->statements, str_of(s->sql), s);
    return stmt;
}

void statement_done(sqlite3_stmt **s)
{
    if (!*s)
        return;
    sqlite3_reset(*s); /* gives the error of the last step once more */
    sqlite3_clear_bindings(*s);
    *s = NULL;
}

int database_step(struct database *d, sqlite3_stmt *s, struct err *e)
{
    int rc = sqlite3_step(s);
    return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : database_error(d, "use it", e);
}

/* What a primary result code means to the one who runs the server. */
static const struct {
    int code;
    enum err_kind kind;
    const char *text;
    bool system; /* errno says more */
} meanings[] = {
    { SQLITE_BUSY, E_BUSY, "another process holds it" },
    { SQLITE_LOCKED, E_BUSY, "another process holds it" },
    { SQLITE_FULL, E_IO, "the disk is full" },
    { SQLITE_IOERR, E_IO, "reading or writing failed", true },
    { SQLITE_CANTOPEN, E_IO, "it cannot be opened", true },
    { SQLITE_READONLY, E_IO, "it cannot be written" },
    { SQLITE_PERM, E_IO, "it may not be used" },
    { SQLITE_AUTH, E_IO, "it may not be used" },
    { SQLITE_CORRUPT, E_IO,
      "it is damaged; stop the server and put a backup in its place ('postern serve check' says "
      "what "
      "is damaged)" },
    { SQLITE_NOTADB, E_IO,
      "it is damaged or no database; stop the server and put a backup in its place" },
    { SQLITE_TOOBIG, E_INPUT, "a text is larger than it can hold" },
};

int database_error(const struct database *d, const char *doing, struct err *e)
{
    int code = sqlite3_extended_errcode(d->db);
    int os = sqlite3_system_errno(d->db);
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
        if (meanings[i].code == (code & 0xff)) {
            return err_set(e, meanings[i].kind, meanings[i].system ? os : 0,
                           "database '%s': %s (SQLite %d)", d->path, meanings[i].text, code);
        }
    return err_set(e, E_IO, 0, "database '%s': %s: %s (SQLite %d)", d->path, doing,
                   sqlite3_errmsg(d->db), code);
}

void bind_number(sqlite3_stmt *s, int at, int64_t value)
{
    sqlite3_bind_int64(s, at, value);
}

void bind_number_or_null(sqlite3_stmt *s, int at, int64_t value)
{
    if (value)
        bind_number(s, at, value);
}

void bind_text(sqlite3_stmt *s, int at, struct str text)
{
    sqlite3_bind_text64(s, at, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8);
}

void bind_text_or_null(sqlite3_stmt *s, int at, struct str text)
{
    if (text.n)
        bind_text(s, at, text);
}

void bind_bytes(sqlite3_stmt *s, int at, struct str bytes)
{
    sqlite3_bind_blob64(s, at, bytes.n ? bytes.p : "", bytes.n, SQLITE_STATIC);
}

void bind_bytes_or_null(sqlite3_stmt *s, int at, struct str bytes)
{
    if (bytes.n)
        bind_bytes(s, at, bytes);
}

int64_t column_number(sqlite3_stmt *s, int at)
{
    return sqlite3_column_int64(s, at);
}

struct str column_text(sqlite3_stmt *s, int at)
{
    const char *p = sqlite3_column_blob(s, at); /* the bytes as they are, of a text too */
    return (struct str){ p ? p : "", (size_t)sqlite3_column_bytes(s, at) };
}

struct id column_id(sqlite3_stmt *s, int at)
{
    struct id id = { 0 };
    struct str text = column_text(s, at);
    if (text.n < ID_SIZE)
        memcpy(id.text, text.p, text.n);
    return id;
}
