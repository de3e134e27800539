/* writer.h - the storage thread: makes transactions durable, many with one commit.
 *
 * It takes whatever waits, up to WRITER_GROUP transactions, and commits them together, each in a
 * savepoint so that one that conflicts leaves the others alone. It never waits for more to come: while
 * one group is written the next one gathers.
 */
#pragma once

#include "store/sqlite/database.h"
#include "store/tx.h"

enum { WRITER_GROUP = 64 };

struct writer;

/* Takes the database over, also on failure. `answered` is called on the writer's thread whenever
 * transactions wait for writer_take; it must not wait. `mark` is what a probe runs: a statement that
 * writes and changes nothing. */
int writer_new(struct writer **out, struct database *d, const char *mark,
               void (*answered)(void *ctx), void *ctx, struct err *e);

/* Ends after the commit that runs. What waits, or was not taken, is freed and nobody is told. */
void writer_free(struct writer *w);

/* Hands transactions over, in order, with one wake-up for all. A transaction whose err is set already
 * is not made, it only keeps its place. *q is empty afterwards. */
void writer_add(struct writer *w, struct tx_queue *q);

/* Adds those that are decided to *q, in the order in which they were handed over; err says what became
 * of each. */
void writer_take(struct writer *w, struct tx_queue *q);

/* Why the last commit failed, -1 with *e, or 0. After a failure each call makes the thread try again
 * whether something can be written, so a later call tells when that is so. */
int writer_check(struct writer *w, struct err *e);
