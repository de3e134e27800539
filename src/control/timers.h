/* timers.h - all deadlines of an engine in one heap: setting and dropping one costs log n, the
 * earliest is known at once.
 *
 * A timer lives in the thing that it is for. None fires before its time; several of the same time fire
 * in no order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct timer {
    int64_t at;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct timer *t, void *ctx);
    void *ctx;
};

struct timers {
    struct timer **heap; /* owned; heap[0] is not used */
    size_t count, room;
};

void timers_release(struct timers *t);

/* Sets or moves. INT64_MAX drops it. */
void timers_set(struct timers *t, struct timer *timer, int64_t at);
void timers_drop(struct timers *t, struct timer *timer);

/* INT64_MAX: none is set. */
int64_t timers_next(const struct timers *t);

/* Fires what is due; each is dropped first, so that it may set itself anew. What sets itself to a time
 * that is due already fires with the next call. */
void timers_fire(struct timers *t, int64_t now);
