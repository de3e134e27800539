#include "store/sqlite/writer.h"

#include "base/check.h"
#include "store/sqlite/change.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

enum { GROUPS_PER_SWEEP = 16 };

struct writer {
    struct database database; /* this and the next two are the thread's alone */
    bool sweeping;            /* there may be entries of removed sessions; true at first */
    int unswept;              /* groups since the last sweep */
    const char *mark;
    void (*answered)(void *ctx);
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* Under the lock: */
    struct tx_queue waiting, decided;
    bool stop, probe;
    struct err failure; /* of the last commit; E_NONE when it went well */
};

/* After any failure: some of SQLite's leave no transaction open. */
static void rollback(struct database *d)
{
    struct err ignored; /* what made us roll back is what is told */
    if (!sqlite3_get_autocommit(d->db) && database_exec(d, "ROLLBACK", &ignored) < 0)
        CHECK(sqlite3_get_autocommit(d->db));
}

/* One statement of a few fixed texts, kept prepared. */
static int run(struct database *d, const char *sql, struct err *e)
{
    AUTO_STATEMENT s = database_prepare(d, sql, e);
    return s ? database_step(d, s, e) : -1;
}

/* One transaction in the open group. False when the whole group is lost: *e says why. */
static bool make_one(struct database *d, struct tx *tx, struct err *e)
{
    if (tx->err.kind != E_NONE)
        return true;
    if (run(d, "SAVEPOINT one", e) < 0)
        return false;
    if (changes_make(d, tx, &tx->err) == 0)
        return run(d, "RELEASE one", e) == 0;
    *e = tx->err;
    /* A full disk or a failed read may have ended the whole transaction already. */
    return !sqlite3_get_autocommit(d->db) && run(d, "ROLLBACK TO one", e) == 0 &&
           run(d, "RELEASE one", e) == 0;
}

static int make_group(struct writer *w, const struct tx_queue *group, bool probe, struct err *e)
{
    struct database *d = &w->database;
    if (run(d, "BEGIN IMMEDIATE", e) < 0)
        return -1;
    bool whole = !probe || run(d, w->mark, e) == 0;
    for (struct tx *tx = group->first; tx && whole; tx = tx->next)
        whole = make_one(d, tx, e);
    if (whole && run(d, "COMMIT", e) == 0)
        return 0;
    rollback(d);
    return -1;
}

/* Writes what a group came to into its transactions. */
static void commit_group(struct writer *w, struct tx_queue *group, bool probe, struct err *failure)
{
    struct err e = { 0 };
    bool lost = make_group(w, group, probe, &e) < 0;
    *failure = lost ? e : (struct err){ 0 };
    for (struct tx *tx = group->first; tx; tx = tx->next) {
        if (lost && tx->err.kind == E_NONE)
            tx->err = e;
        if (tx->err.kind == E_IO)
            *failure = tx->err;
        if (tx->err.kind == E_NONE && changes_leave_a_log(tx))
            w->sweeping = true;
    }
}

/* Removes some of what removed sessions left. A failure is no transaction's: the next removal, or the
 * next start, tries again. */
static void sweep(struct writer *w)
{
    struct database *d = &w->database;
    struct err e;
    int more = run(d, "BEGIN IMMEDIATE", &e) < 0 ? -1 : changes_sweep(d, &e);
    w->sweeping = more > 0 && run(d, "COMMIT", &e) == 0;
    if (!w->sweeping)
        rollback(d);
    w->unswept = 0;
}

/* When nothing else is to do, and now and then when there always is. */
static bool time_to_sweep(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    bool idle = !w->waiting.first && !w->probe && !w->stop;
    pthread_mutex_unlock(&w->lock);
    return w->sweeping && (idle || ++w->unswept > GROUPS_PER_SWEEP);
}

/* Waits for something to do. False at the end. */
static bool next_group(struct writer *w, struct tx_queue *group, bool *probe)
{
    while (time_to_sweep(w))
        sweep(w);
    pthread_mutex_lock(&w->lock);
    while (!w->stop && !w->waiting.first && !w->probe)
        pthread_cond_wait(&w->wake, &w->lock);
    for (int i = 0; i < WRITER_GROUP && w->waiting.first; i++)
        tx_queue_add(group, tx_queue_take(&w->waiting));
    *probe = w->probe;
    w->probe = false;
    bool stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return !stop;
}

static void *work(void *arg)
{
    struct writer *w = arg;
    struct tx_queue group = { 0 };
    bool probe;
    while (next_group(w, &group, &probe)) {
        struct err failure;
        commit_group(w, &group, probe, &failure);
        pthread_mutex_lock(&w->lock);
        w->failure = failure;
        tx_queue_move(&w->decided, &group);
        pthread_mutex_unlock(&w->lock);
        w->answered(w->ctx);
    }
    tx_queue_release(&group);
    return NULL;
}

int writer_new(struct writer **out, struct database *d, const char *mark,
               void (*answered)(void *ctx), void *ctx, struct err *e)
{
    struct writer *w = mem_get(sizeof *w);
    sigset_t all, before;
    w->database = *d;
    *d = (struct database){ 0 };
    w->sweeping = true;
    w->mark = mark;
    w->answered = answered;
    w->ctx = ctx;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    sigfillset(&all); /* signals are the loop's business */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, work, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        database_close(&w->database);
        free(w);
        return err_set(e, E_IO, rc, "start the storage thread");
    }
    *out = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    tx_queue_release(&w->waiting);
    tx_queue_release(&w->decided);
    database_close(&w->database);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w);
}

void writer_add(struct writer *w, struct tx_queue *q)
{
    pthread_mutex_lock(&w->lock);
    tx_queue_move(&w->waiting, q);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void writer_take(struct writer *w, struct tx_queue *q)
{
    pthread_mutex_lock(&w->lock);
    tx_queue_move(q, &w->decided);
    pthread_mutex_unlock(&w->lock);
}

int writer_check(struct writer *w, struct err *e)
{
    pthread_mutex_lock(&w->lock);
    bool failing = w->failure.kind != E_NONE;
    if (failing) {
        *e = w->failure;
        w->probe = true;
        pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    return failing ? -1 : 0;
}
