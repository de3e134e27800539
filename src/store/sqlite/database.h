/* database.h - one connection to an SQLite database, its prepared statements, and its errors.
 *
 * A connection belongs to one thread at a time. Statements are prepared once for each text and kept.
 */
#pragma once

#include "base/err.h"
#include "base/id.h"
#include "base/table.h"

#include <sqlite3.h>

struct database {
    sqlite3 *db;
    char *path;              /* owned; for messages */
    struct table statements; /* text: struct statement */
};

/* Opens a file that is there already; `flags` are SQLITE_OPEN_ flags. What locks it is waited for, up
 * to `patience_ms`. On failure nothing is left open. */
int database_open(struct database *d, const char *path, int flags, int patience_ms, struct err *e);

/* {0} is fine. */
void database_close(struct database *d);

#define AUTO_DATABASE CLEANUP(database_close) struct database

/* Runs statements that give no rows. */
int database_exec(struct database *d, const char *sql, struct err *e);

/* The first column of the first row, for PRAGMA and the like; `none` when there is no row. */
int database_number(struct database *d, const char *sql, int64_t none, int64_t *out, struct err *e);

/* The statement of this text, ready for its parameters; NULL with *e. Give it back with
 * statement_done, after which it may be asked for again. */
sqlite3_stmt *database_prepare(struct database *d, const char *sql, struct err *e);

/* For CLEANUP: ends what the statement does (a read no longer holds its snapshot) and forgets the
 * parameters. NULL is fine. */
void statement_done(sqlite3_stmt **s);

#define AUTO_STATEMENT CLEANUP(statement_done) sqlite3_stmt *

/* 1: there is a row, 0: it is done, -1 with *e. */
int database_step(struct database *d, sqlite3_stmt *s, struct err *e);

/* Says in our words what went wrong last: E_BUSY when another holds the database, E_INPUT for a value
 * that is too large, E_IO for all else, with the cure where we know one. Always -1. */
int database_error(const struct database *d, const char *doing, struct err *e);

/* Parameters, numbered from 1. The texts must stay until statement_done. That they fail would be our
 * own mistake, but for a text of more than a gigabyte, which the step then says. */
void bind_number(sqlite3_stmt *s, int at, int64_t value);
void bind_number_or_null(sqlite3_stmt *s, int at, int64_t value); /* NULL for 0 */
void bind_text(sqlite3_stmt *s, int at, struct str text);
void bind_text_or_null(sqlite3_stmt *s, int at, struct str text); /* NULL for an empty one */
void bind_bytes(sqlite3_stmt *s, int at, struct str bytes);
void bind_bytes_or_null(sqlite3_stmt *s, int at, struct str bytes);

/* Columns, numbered from 0, borrowed until the next step. NULL gives 0 or an empty text. */
int64_t column_number(sqlite3_stmt *s, int at);
struct str column_text(sqlite3_stmt *s, int at);
struct id column_id(sqlite3_stmt *s, int at);
