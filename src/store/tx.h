/* tx.h - what a backend sees of a transaction (include/postern/store.h).
 *
 * A transaction is a list of changes in the order in which they were asked for, with copies of all
 * texts in one piece of memory that lives until tx_free. While it waits it hangs in its backend's queue
 * by `next`.
 */
#pragma once

#include "base/arena.h"
#include "postern/store.h"

enum change_kind { CHANGE_PUT, CHANGE_REMOVE, CHANGE_APPEND };

struct change {
    enum change_kind kind;
    struct change *next;
    int64_t seen;          /* CHANGE_PUT, CHANGE_REMOVE */
    struct record record;  /* CHANGE_PUT: all of it; CHANGE_REMOVE: kind and id */
    struct id session;     /* CHANGE_APPEND */
    struct entry *entries; /* CHANGE_APPEND */
    size_t count;
};

struct tx {
    struct arena memory;
    struct change *first, *last;
    /* What follows is the backend's, from submit on. */
    struct tx *next;
    size_t charged; /* bytes that it takes of a queue's bound */
    tx_done *done;
    void *ctx;
    struct err err; /* what became of it */
};

/* Transactions that wait, the oldest first. */
struct tx_queue {
    struct tx *first, *last;
};

void tx_queue_add(struct tx_queue *q, struct tx *tx);

/* Moves all of `from` behind those of `to`. */
void tx_queue_move(struct tx_queue *to, struct tx_queue *from);

/* The oldest, taken out, or NULL. */
struct tx *tx_queue_take(struct tx_queue *q);

/* Frees all that wait; nobody is told. */
void tx_queue_release(struct tx_queue *q);

/* Bytes of memory that a transaction holds. */
size_t tx_bytes(const struct tx *tx);

/* Forgets the changes and gives their memory back. */
void tx_empty(struct tx *tx);

/* Tells whoever submitted it what became of it, and frees it. */
void tx_answer(struct tx *tx);

/* What every backend says when a change meets something else than its caller saw. Always -1. */
int tx_conflict_record(const struct record *r, int64_t seen, int64_t found, struct err *e);
int tx_conflict_log(const struct id *session, int64_t wanted, int64_t next, struct err *e);
int tx_conflict_no_session(const struct id *session, struct err *e);
int tx_conflict_event(const struct id *session, const struct id *event, struct err *e);
int tx_conflict_secret(const struct record *r, struct err *e);
