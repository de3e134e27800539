/* agenda.h - what happens next, on a clock that only the agenda moves.
 *
 * A task belongs to a life: of the server's process, of a worker. When that life ends, its tasks are
 * dropped. Tasks of one moment run in the order in which they were put.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct life {
    bool over;
    int64_t frozen_until; /* its tasks wait until then */
};

struct task {
    int64_t at;
    uint64_t order;
    struct life *life; /* NULL: nobody's */
    void (*run)(void *arg);
    void (*drop)(void *arg); /* instead of run, when the life is over; may be NULL */
    void *arg;
};

struct agenda {
    int64_t now;
    uint64_t order;
    struct task *heap;
    size_t count, room;
};

void agenda_release(struct agenda *a);

/* At `at`, or now if that is past. */
void agenda_put(struct agenda *a, int64_t at, struct task task);

/* Drops what belongs to lives that are over. */
void agenda_purge(struct agenda *a);

/* When the next task is due; INT64_MAX: there is none. */
int64_t agenda_next(const struct agenda *a);

/* Moves the clock to the next task and runs it. False: there is none. */
bool agenda_step(struct agenda *a);
