#include "store/sqlite/change.h"

#include "base/buf.h"
#include "base/check.h"
#include "store/sqlite/question.h"

/* Columns that a put can change, in the order of `values_of`. */
static const char *const columns[] = { "workspace",  "parent",      "group_id", "number", "state",
                                       "created_at", "archived_at", "due_at",   "secret" };
enum { COLUMNS = sizeof columns / sizeof *columns };

struct value {
    enum {
        VALUE_NUMBER,
        VALUE_TIME,
        VALUE_TEXT,
        VALUE_BYTES
    } kind; /* all but numbers may be NULL */
    int64_t number;
    struct str text;
};

static void values_of(const struct record *r, struct value out[COLUMNS])
{
    const struct value values[COLUMNS] = {
        { VALUE_TEXT, 0, id_str(&r->workspace) },
        { VALUE_TEXT, 0, id_str(&r->parent) },
        { VALUE_TEXT, 0, id_str(&r->group) },
        { VALUE_NUMBER, r->number, { 0 } },
        { VALUE_TEXT, 0, r->state },
        { VALUE_NUMBER, r->created_at, { 0 } },
        { VALUE_TIME, r->archived_at, { 0 } },
        { VALUE_TIME, r->due_at, { 0 } },
        { VALUE_BYTES, 0, r->secret },
    };
    memcpy(out, values, sizeof values);
}

static void bind(sqlite3_stmt *s, int at, const struct value *v)
{
    switch (v->kind) {
    case VALUE_NUMBER:
        bind_number(s, at, v->number);
        break;
    case VALUE_TIME:
        bind_number_or_null(s, at, v->number);
        break;
    case VALUE_TEXT:
        bind_text_or_null(s, at, v->text);
        break;
    case VALUE_BYTES:
        bind_bytes_or_null(s, at, v->text);
        break;
    }
}

/* What is there under the name of a record. */
struct found {
    int64_t key, revision; /* 0: nothing */
    unsigned differs;      /* bit i: columns[i] is not as in the record */
};

static int look(struct database *d, const struct record *r, struct found *out, struct err *e)
{
    struct value values[COLUMNS];
    *out = (struct found){ 0 };
    AUTO_STATEMENT s = database_prepare(
        d,
        "SELECT key,revision,workspace,parent,group_id,number,state,created_at,archived_at,due_at,"
        "secret FROM record INDEXED BY record_by_id WHERE kind=?1 AND id=?2",
        e);
    if (!s)
        return -1;
    bind_number(s, 1, r->kind);
    bind_text(s, 2, id_str(&r->id));
    int row = database_step(d, s, e);
    if (row <= 0)
        return row;
    out->key = column_number(s, 0);
    out->revision = column_number(s, 1);
    values_of(r, values);
    for (int i = 0; i < COLUMNS; i++)
        if (values[i].kind == VALUE_NUMBER || values[i].kind == VALUE_TIME
                ? column_number(s, i + 2) != values[i].number
                : !str_eq(column_text(s, i + 2), values[i].text))
            out->differs |= 1u << i;
    return 0;
}

/* A step whose only foreseen failure is that a name is taken: 1 then, 0 done, -1 with *e. */
static int step_unique(struct database *d, sqlite3_stmt *s, struct err *e)
{
    if (database_step(d, s, e) == 0)
        return 0;
    return sqlite3_extended_errcode(d->db) == SQLITE_CONSTRAINT_UNIQUE ? 1 : -1;
}

static int insert(struct database *d, const struct record *r, struct err *e)
{
    struct value values[COLUMNS];
    AUTO_STATEMENT s = database_prepare(
        d,
        "INSERT INTO record (workspace,parent,group_id,number,state,created_at,archived_at,due_at,"
        "secret,kind,id,revision,body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
        e);
    if (!s)
        return -1;
    values_of(r, values);
    for (int i = 0; i < COLUMNS; i++)
        bind(s, i + 1, &values[i]);
    bind_number(s, COLUMNS + 1, r->kind);
    bind_text(s, COLUMNS + 2, id_str(&r->id));
    bind_number(s, COLUMNS + 3, r->revision);
    bind_bytes(s, COLUMNS + 4, r->body);
    return step_unique(d, s, e);
}

/* Only columns that differ are set: SQLite writes every index anew on a column that is set, and an
 * update of a session changes one or two of its ten indexes. */
static int update(struct database *d, const struct record *r, const struct found *found,
                  struct err *e)
{
    struct value values[COLUMNS];
    AUTO_BUF sql = { 0 };
    buf_add(&sql, STR("UPDATE record SET revision=?1,body=?2"));
    for (int i = 0; i < COLUMNS; i++)
        if (found->differs & 1u << i)
            buf_addf(&sql, ",%s=?%d", columns[i], i + 4);
    buf_add(&sql, STR(" WHERE key=?3"));
    AUTO_STATEMENT s = database_prepare(d, buf_text(&sql), e);
    if (!s)
        return -1;
    bind_number(s, 1, r->revision);
    bind_bytes(s, 2, r->body);
    bind_number(s, 3, found->key);
    values_of(r, values);
    for (int i = 0; i < COLUMNS; i++)
        if (found->differs & 1u << i)
            bind(s, i + 4, &values[i]);
    return step_unique(d, s, e);
}

static int put(struct database *d, const struct change *c, struct err *e)
{
    struct found found;
    if (look(d, &c->record, &found, e) < 0)
        return -1;
    if (found.revision != c->seen)
        return tx_conflict_record(&c->record, c->seen, found.revision, e);
    int rc = found.revision ? update(d, &c->record, &found, e) : insert(d, &c->record, e);
    return rc > 0 ? tx_conflict_secret(&c->record, e) : rc;
}

/* Runs a statement with the one parameter `key`. */
static int run_on(struct database *d, const char *sql, int64_t key, struct err *e)
{
    AUTO_STATEMENT s = database_prepare(d, sql, e);
    if (!s)
        return -1;
    bind_number(s, 1, key);
    return database_step(d, s, e);
}

static int take(struct database *d, const struct change *c, struct err *e)
{
    struct found found;
    if (look(d, &c->record, &found, e) < 0)
        return -1;
    if (found.revision != c->seen)
        return tx_conflict_record(&c->record, c->seen, found.revision, e);
    if (c->record.kind == RECORD_SESSION &&
        run_on(d, "INSERT INTO gone (session) VALUES (?1)", found.key, e) < 0)
        return -1;
    return run_on(d, "DELETE FROM record WHERE key=?1", found.key, e);
}

/* The log's key and the number of its last entry; *key is 0 when there is no such session. */
static int find_log(struct database *d, const struct id *session, int64_t *key, int64_t *last,
                    struct err *e)
{
    *key = *last = 0;
    AUTO_STATEMENT s = database_prepare(
        d,
        "SELECT key,(SELECT max(seq) FROM entry INDEXED BY entry_by_seq WHERE session=record.key) "
        "FROM record INDEXED BY record_by_id WHERE kind=?1 AND id=?2",
        e);
    if (!s)
        return -1;
    bind_number(s, 1, RECORD_SESSION);
    bind_text(s, 2, id_str(session));
    int row = database_step(d, s, e);
    if (row == 1) {
        *key = column_number(s, 0);
        *last = column_number(s, 1);
    }
    return row < 0 ? -1 : 0;
}

static int append_one(struct database *d, int64_t key, const struct entry *entry, struct err *e)
{
    AUTO_STATEMENT s = database_prepare(d,
                                        "INSERT INTO entry (session,seq,shows,at,type,id,inner,"
                                        "body) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
                                        e);
    if (!s)
        return -1;
    bind_number(s, 1, key);
    bind_number(s, 2, entry->seq);
    bind_number(s, 3, entry->shows);
    bind_number(s, 4, entry->at);
    bind_text(s, 5, entry->type);
    bind_text_or_null(s, 6, id_str(&entry->id));
    bind_bytes_or_null(s, 7, entry->inner);
    bind_bytes(s, 8, entry->body);
    return step_unique(d, s, e);
}

static int append(struct database *d, const struct change *c, struct err *e)
{
    int64_t key, last;
    if (find_log(d, &c->session, &key, &last, e) < 0)
        return -1;
    if (!key)
        return tx_conflict_no_session(&c->session, e);
    if (c->entries[0].seq != last + 1)
        return tx_conflict_log(&c->session, c->entries[0].seq, last + 1, e);
    for (size_t i = 0; i < c->count; i++) {
        int rc = append_one(d, key, &c->entries[i], e);
        if (rc != 0)
            return rc < 0 ? -1 : tx_conflict_event(&c->session, &c->entries[i].id, e);
    }
    return 0;
}

int changes_make(struct database *d, const struct tx *tx, struct err *e)
{
    static int (*const makers[])(struct database *, const struct change *, struct err *) = {
        [CHANGE_PUT] = put,
        [CHANGE_REMOVE] = take,
        [CHANGE_APPEND] = append,
    };
    for (const struct change *c = tx->first; c; c = c->next)
        if (makers[c->kind](d, c, e) < 0)
            return -1;
    return 0;
}

bool changes_leave_a_log(const struct tx *tx)
{
    for (const struct change *c = tx->first; c; c = c->next)
        if (c->kind == CHANGE_REMOVE && c->record.kind == RECORD_SESSION)
            return true;
    return false;
}

int changes_sweep(struct database *d, struct err *e)
{
    int64_t session;
    if (database_number(d, "SELECT min(session) FROM gone", 0, &session, e) < 0)
        return -1;
    if (!session)
        return 0;
    if (run_on(d,
               "DELETE FROM entry WHERE key IN (SELECT key FROM entry INDEXED BY entry_by_seq "
               "WHERE session=?1 LIMIT 256)",
               session, e) < 0)
        return -1;
    if (sqlite3_changes(d->db) == 0 &&
        run_on(d, "DELETE FROM gone WHERE session=?1", session, e) < 0)
        return -1;
    return 1;
}
