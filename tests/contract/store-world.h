/* store-world.h - a store of each kind for the tests of its claims, and short ways to use it.
 *
 * A claim is a function of a world; store_claims runs each one on every backend. A further backend is
 * one more row in store-world.c.
 */
#pragma once

#include "postern/store.h"
#include "store/sqlite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct loop;
struct world;

struct backend {
    const char *name;
    void (*open)(struct world *w);   /* empty: sets w->store */
    void (*reopen)(struct world *w); /* the process has died and starts again: sets w->store */
    void (*settle)(struct world *w); /* returns when all that was submitted has been answered */
    void (*close)(struct world *w);  /* leaves nothing behind */
};

enum { ANSWERS = 256 };

struct world {
    const struct backend *backend;
    struct store *store;
    void *own;          /* the backend's */
    struct arena arena; /* for what is read */
    size_t submitted;
    struct answer {
        size_t number; /* of the submit, from 0 */
        struct err err;
    } answers[ANSWERS];             /* in the order in which they came */
    size_t answered, answered_ever; /* the second counts also those that commit has taken out */
    void (*wake)(struct loop *l);   /* called after each answer */
    struct loop *wake_ctx;
};

struct claim {
    const char *name;
    void (*holds)(struct world *w);
};

#define CLAIM(fn)                                                                                  \
    {                                                                                              \
#fn, fn                                                                                    \
    }

/* Runs every claim on every backend; for main. */
int store_claims(const struct claim *claims, size_t count);

/* Runs claims that are SQLite's alone. */
int sqlite_claims(const struct claim *claims, size_t count);

/* What a world of SQLite owns. A reopened store has the options that are here then. */
struct sqlite_world {
    struct loop *loop;
    char dir[64];
    struct sqlite_store_options options;
};

struct sqlite_world *sqlite_of(struct world *w);

/* The path of a file in the store's directory; lives as long as the world. */
const char *sqlite_path(struct world *w, const char *name);

/* The number that a query gives through a connection of its own. */
int64_t sqlite_number(struct world *w, const char *sql);

/* Runs statements through a connection of its own. */
void sqlite_run(struct world *w, const char *sql);

/* Submits; the answer is found by its place in w->answers after the backend has settled. */
void submit(struct world *w, struct tx *tx);

/* Submits and waits: what became of it. */
enum err_kind commit(struct world *w, struct tx *tx);
#define assert_done(w, tx) assert_int_equal(commit(w, tx), E_NONE)
#define assert_conflict(w, tx) assert_int_equal(commit(w, tx), E_CONFLICT)

struct id id_of(const char *text);

/* A record with this id, of workspace "wrkspc_1". */
struct record record_of(enum record_kind kind, const char *id, int64_t created_at,
                        const char *body);

/* An entry "type" with the event "sevt_SEQ", at `seq` * 1000. */
struct entry entry_of(int64_t seq, const char *type, const char *body);

/* Puts a record that is not there yet, and waits. */
void make(struct world *w, struct record r);

/* An idle session "sesn_1" ... with a log of `entries` entries "agent.message". */
void make_session(struct world *w, const char *id, int64_t entries);

/* Reads a record; NULL when it is not there. */
struct record *get(struct world *w, enum record_kind kind, const char *id);

int64_t last_seq(struct world *w, const char *session);

/* The ids of what a query finds, or its sequence numbers, in order, with a blank between. */
const char *list_ids(struct world *w, const struct record_query *q);
const char *entry_numbers(struct world *w, const struct entry_query *q);

#define assert_text(found, literal)                                                                \
    do {                                                                                           \
        struct str found_text = (found);                                                           \
        assert_int_equal(found_text.n, sizeof(literal) - 1);                                       \
        assert_memory_equal(found_text.p, literal, sizeof(literal) - 1);                           \
    } while (0)
