/* sqlite.h - the store in an SQLite database, for a control plane of one process.
 *
 * It owns a directory (mode 0700) with the file `postern.db` (0600, WAL), the two files that SQLite
 * keeps beside it, and `postern.lock`. Writes are made durable on a thread of its own, many
 * transactions together; reads go through a connection of the loop's thread and see all that was
 * answered. docs/design/store.md says why.
 */
#pragma once

#include "base/buf.h"
#include "io/loop.h"
#include "postern/store.h"

#define SQLITE_STORE_FILE "postern.db"

struct sqlite_store_options {
    size_t queue;    /* bytes of transactions that may wait to become durable; beyond, a submit is
                        answered with E_BUSY. 0: 64 MiB */
    int patience_ms; /* how long somebody else's lock is waited for. 0: five seconds */
};

/* Opens the store in `dir` (options NULL: all as usual), which is made when it is missing (its parent must be there), and brings the
 * tables up to date. Freed by its ops->free, on the loop's thread, which waits for the commit that
 * runs; what waits behind it never happens. Fails with
 *   E_CONFLICT  another process serves this directory
 *   E_BUSY      another process holds the database (a shell of SQLite, say)
 *   E_INPUT     the database is newer than this program, or not Postern's
 *   E_DENIED    others may write into the directory
 *   E_IO        anything else; a damaged database is called so, with the cure */
int sqlite_store_new(struct store **out, const char *dir, struct loop *l,
                     const struct sqlite_store_options *options, struct err *e);

/* Writes a consistent copy of the database in `dir` to the new file `to` (0600, durable when this
 * returns), while a server may be at work there. It blocks: for a command, not for the loop. A file
 * that is there already is left alone (E_CONFLICT). To go back to it, put it as postern.db into an
 * empty directory. */
int sqlite_store_backup(const char *dir, const char *to, struct err *e);

/* Looks whether a database is whole: SQLite's own check of every page and index, and ours: every log
 * belongs to a session and has no gap. `path` is a directory of a store, served or not, or the file of
 * a backup. Adds a line to `report` for each problem. How many there were, or -1 with *e when it could
 * not be looked at. It blocks. */
int sqlite_store_check(const char *path, struct buf *report, struct err *e);
