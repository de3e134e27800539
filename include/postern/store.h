/* store.h - what the control plane remembers.
 *
 * Two things are kept: records (one row per object: agent, environment, session, work item, key ...)
 * and logs (one append-only list of entries per session, without gaps). Everything that changes goes
 * through a transaction, which happens whole or not at all and is durable before it is answered.
 *
 * Reads are answered at once, on the thread that asks, from what is durable; a read on the loop
 * thread costs some microseconds with SQLite. Writes are queued for the storage thread, which makes
 * many transactions durable together (architecture 5); the answer comes on the loop thread. A
 * transaction that conflicts does not touch the others.
 *
 * Who may write what is decided by revisions and sequence numbers, never by luck: a record is put
 * only over the revision that the caller saw, entries are appended only behind the last one that the
 * caller saw. So a second process that took a session over makes the first one's writes fail.
 *
 * Backends: memory (tests, simulator), SQLite; the same claims are tested on each.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

enum record_kind {
    RECORD_WORKSPACE,
    RECORD_API_KEY,
    RECORD_ENVIRONMENT,
    RECORD_ENVIRONMENT_KEY, /* parent: the environment */
    RECORD_AGENT,           /* number: its latest version */
    RECORD_AGENT_VERSION, /* parent: the agent; number: the version; id: agent id and "-" number */
    RECORD_SESSION, /* parent: the environment; group: the agent; number: the agent's version */
    RECORD_WORK,    /* parent: the environment; group: the session, empty for a healthcheck */
    RECORD_WALL,    /* what crossed the wall for a session, whose id it has (contract 13) */
    RECORD_KINDS
};

/* One object. Texts are borrowed: from the arena of the reader, or from the caller of a write until
 * tx_put has copied them. */
struct record {
    enum record_kind kind;
    struct id id;
    struct id workspace; /* whose it is; a workspace names itself */
    struct id parent, group;
    int64_t number;
    struct str state; /* a word to filter by, such as "idle" or "queued"; may be empty */
    int64_t created_at, archived_at, due_at; /* microseconds; 0: none. due_at: when it wants to be
                                                looked at */
    struct str secret; /* SHA-256 of the key or token that names it, 32 bytes, or empty; names one
                          record of its kind at most */
    int64_t revision;  /* set by the store: 1, 2, 3 ... */
    struct str body;   /* JSON text of everything else; the store never looks inside */
};

/* One entry of a session's log. */
struct entry {
    int64_t seq;      /* 1, 2, 3 ... without gaps */
    struct id id;     /* of the event; unique in the log unless `shows` is ENTRY_INTERNAL */
    struct str type;  /* "agent.message"; a word to filter by */
    int64_t at;       /* microseconds, ascending: the event's processed_at */
    uint8_t shows;    /* enum entry_shows */
    struct str body;  /* the event as the API shows it, JSON text */
    struct str inner; /* what only we may see, JSON text, or empty */
};

enum entry_shows {
    ENTRY_PUBLIC,    /* every reader */
    ENTRY_EXTENSION, /* readers that ask for extensions (contract 13) */
    ENTRY_INTERNAL   /* nobody but ourselves */
};

/* What is empty in a record is found by no filter for it: an empty id or state lets nothing through. */
struct record_query {
    enum record_kind kind;
    const struct id *workspace, *parent, *group; /* NULL: any */
    int64_t number;                              /* 0: any */
    const struct str *states;                    /* any of these; count 0: any */
    size_t state_count;
    bool with_archived;
    int64_t created_from, created_before; /* from <= created_at < before; 0: open */
    int64_t due_until;                    /* only those with 0 < due_at <= this; 0: any */
    bool oldest_first;                    /* by (created_at, id) */
    bool by_number;                       /* by number instead, for versions */
    /* Only what comes behind this one in the order asked for. NULL: from the start. */
    const struct record *after; /* created_at, id and number are looked at */
    size_t limit;
};

struct entry_query {
    struct id session;
    int64_t after; /* only seq > after (oldest first) or, when newest_first, seq < after unless 0 */
    bool newest_first;
    enum entry_shows shows;  /* at most this much */
    const struct str *types; /* any of these; count 0: any */
    size_t type_count;
    int64_t from, before; /* from <= at < before; 0: open */
    size_t limit;
};

/* A list that a read made; items live in the arena that was given. */
struct record_list {
    struct record *items;
    size_t count;
};
struct entry_list {
    struct entry *items;
    size_t count;
};

struct tx;

/* `e` says why it did not happen, or e->kind is E_NONE: E_CONFLICT (a revision or sequence number
 * has moved on, or a name is taken), E_BUSY (too much waits already, or somebody holds the database),
 * E_IO (disk full, database gone). Whatever it says, then nothing of the transaction happened. */
typedef void tx_done(void *ctx, const struct err *e);

struct store;

struct store_ops {
    const char *name;
    void (*free)(struct store *s);
    /* 1 found, 0 not, -1 with *e. */
    int (*get)(struct store *s, enum record_kind kind, const struct id *id, struct record *out,
               struct arena *a, struct err *e);
    int (*get_by_secret)(struct store *s, enum record_kind kind, struct str sha256,
                         struct record *out, struct arena *a, struct err *e);
    /* 0, or -1 with *e: E_BUSY when the arena is too small for `limit` items. */
    int (*list)(struct store *s, const struct record_query *q, struct record_list *out,
                struct arena *a, struct err *e);
    int (*entries)(struct store *s, const struct entry_query *q, struct entry_list *out,
                   struct arena *a, struct err *e);
    /* The last sequence number of a log, 0 when it is empty; -1 with *e. */
    int64_t (*last_seq)(struct store *s, const struct id *session, struct err *e);
    /* 1 found, 0 not, -1 with *e. Internal entries are never found. */
    int (*entry)(struct store *s, const struct id *session, const struct id *event,
                 struct entry *out, struct arena *a, struct err *e);
    /* Takes the transaction. `done` comes later, from the loop, exactly once, and in the order of
     * the submits; not after store_free. */
    void (*submit)(struct store *s, struct tx *tx, tx_done *done, void *ctx);
    /* Can it be written and read now? For /readyz. */
    int (*check)(struct store *s, struct err *e);
};

/* Backends begin with this. */
struct store {
    const struct store_ops *ops;
};

/* A transaction: a list of changes that are made together, in the order of these calls. All texts are
 * copied. */
struct tx *tx_new(void);
void tx_free(struct tx *tx); /* only when it was not submitted; NULL is fine */

/* Writes a record over the one with revision `seen`; 0: there must be none. It then has revision
 * `seen` + 1. */
void tx_put(struct tx *tx, const struct record *r, int64_t seen);

/* Removes the record with revision `seen`; of a session its log too. */
void tx_remove(struct tx *tx, enum record_kind kind, const struct id *id, int64_t seen);

/* Appends entries to the log of `session`; items[0].seq must be the next number there. The session's
 * record must be there: from before, or put earlier in this transaction. */
void tx_append(struct tx *tx, const struct id *session, const struct entry *items, size_t count);
