#include "store/sqlite/schema.h"

#include <inttypes.h>
#include <stdio.h>

/* Texts that have no bytes are NULL, so that the indexes on them hold only what can be asked for. Bodies
 * are bytes: SQLite would end a text at a NUL here and there.
 *
 * `entry` has row numbers of its own and an index for (session, seq): new bodies then stand together at
 * the end of the table whichever session they are of, and a commit of 64 entries writes a third of the
 * pages that it writes when the table itself is sorted by session (docs/design/store.md). */
static const char version_1[] =
    "CREATE TABLE record ("
    "  key INTEGER PRIMARY KEY AUTOINCREMENT," /* never used again: see gone */
    "  kind INTEGER NOT NULL,"
    "  id TEXT NOT NULL,"
    "  workspace TEXT,"
    "  parent TEXT,"
    "  group_id TEXT,"
    "  number INTEGER NOT NULL,"
    "  state TEXT,"
    "  created_at INTEGER NOT NULL,"
    "  archived_at INTEGER,"
    "  due_at INTEGER,"
    "  secret BLOB,"
    "  revision INTEGER NOT NULL,"
    "  body BLOB NOT NULL"
    ") STRICT;"
    "CREATE UNIQUE INDEX record_by_id ON record (kind, id);"
    "CREATE UNIQUE INDEX record_by_secret ON record (kind, secret) WHERE secret IS NOT NULL;"
    "CREATE INDEX record_by_kind ON record (kind, created_at, id, archived_at);"
    "CREATE INDEX record_by_workspace ON record (kind, workspace, created_at, id, archived_at)"
    "  WHERE workspace IS NOT NULL;"
    "CREATE INDEX record_by_parent ON record (kind, parent, created_at, id, archived_at)"
    "  WHERE parent IS NOT NULL;"
    "CREATE INDEX record_by_group ON record (kind, group_id, created_at, id, archived_at)"
    "  WHERE group_id IS NOT NULL;"
    "CREATE INDEX record_by_workspace_state"
    "  ON record (kind, workspace, state, created_at, id, archived_at)"
    "  WHERE workspace IS NOT NULL AND state IS NOT NULL;"
    "CREATE INDEX record_by_parent_state"
    "  ON record (kind, parent, state, created_at, id, archived_at)"
    "  WHERE parent IS NOT NULL AND state IS NOT NULL;"
    "CREATE INDEX record_by_number ON record (kind, parent, number, id)"
    "  WHERE parent IS NOT NULL;"
    "CREATE INDEX record_by_due ON record (kind, due_at) WHERE due_at IS NOT NULL;"
    "CREATE TABLE entry ("
    "  key INTEGER PRIMARY KEY,"
    "  session INTEGER NOT NULL,"
    "  seq INTEGER NOT NULL,"
    "  shows INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  type TEXT NOT NULL,"
    "  id TEXT,"
    "  inner BLOB,"
    "  body BLOB NOT NULL"
    ") STRICT;"
    /* All that a query filters by stands in the index: what it passes over costs no page of bodies. */
    "CREATE INDEX entry_by_seq ON entry (session, seq, shows, at, type);"
    /* 2: ENTRY_INTERNAL */
    "CREATE UNIQUE INDEX entry_by_id ON entry (session, id) WHERE shows < 2;"
    /* Keys of removed sessions whose entries are still to be removed, some at a time. */
    "CREATE TABLE gone (session INTEGER PRIMARY KEY) STRICT;";

static const char *const changes[] = { version_1 };

const struct schema schema_postern = { changes, sizeof changes / sizeof *changes };

/* What the database is: *version is 0 for an empty one. */
static int look(struct database *d, const struct schema *schema, int64_t *version, struct err *e)
{
    int64_t application, tables;
    if (database_number(d, "PRAGMA application_id", 0, &application, e) < 0 ||
        database_number(d, "PRAGMA user_version", 0, version, e) < 0 ||
        database_number(d, "SELECT count(*) FROM sqlite_schema", 0, &tables, e) < 0)
        return -1;
    if (application != SCHEMA_APPLICATION && (application != 0 || *version != 0 || tables != 0))
        return err_set(e, E_INPUT, 0, "database '%s': it is not one of Postern's", d->path);
    if (*version > schema->version)
        return err_set(e, E_INPUT, 0,
                       "database '%s': it has version %" PRId64
                       " and this program knows versions up to %" PRId64
                       "; use the newer program, or a backup from before",
                       d->path, *version, schema->version);
    return 0;
}

static int change(struct database *d, const struct schema *schema, struct err *e)
{
    char mark[96];
    int64_t version;
    if (look(d, schema, &version, e) < 0) /* again: now nobody else can change it */
        return -1;
    for (; version < schema->version; version++)
        if (database_exec(d, schema->changes[version], e) < 0)
            return err_while(e, "bring the database from version %" PRId64 " to %" PRId64, version,
                             version + 1);
    snprintf(mark, sizeof mark, SCHEMA_MARK "; PRAGMA user_version = %" PRId64, version);
    return database_exec(d, mark, e);
}

int schema_migrate(struct database *d, const struct schema *schema, struct err *e)
{
    int64_t version;
    struct err ignored;
    if (look(d, schema, &version, e) < 0)
        return -1;
    if (version == schema->version)
        return 0;
    if (database_exec(d, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    if (change(d, schema, e) == 0 && database_exec(d, "COMMIT", e) == 0)
        return 0;
    if (!sqlite3_get_autocommit(d->db))
        database_exec(d, "ROLLBACK", &ignored); /* the first error is the one to be told */
    return -1;
}

int schema_is_ours(struct database *d, const struct schema *schema, struct err *e)
{
    int64_t version;
    if (look(d, schema, &version, e) < 0)
        return -1;
    if (version < schema->version)
        return err_set(e, E_INPUT, 0,
                       "database '%s': it has version %" PRId64 " and this program needs %" PRId64
                       "; the server brings it up to date when it starts",
                       d->path, version, schema->version);
    return 0;
}
