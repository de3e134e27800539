/* waits.h - many who wait equally long.
 *
 * All waits of one list last the same time, so the list is in order by itself: beginning and ending
 * one costs a few pointers, and one timer serves all.
 */
#pragma once

#include "io/timer.h"

struct waits;

/* Lives in the object that waits; {0} waits for nothing. */
struct wait {
    struct waits *in; /* NULL: does not wait */
    struct wait *before, *after;
    uint64_t since; /* loop_now at its beginning */
};

struct waits {
    struct loop *loop;
    struct timer *timer;
    uint64_t ms;
    void (*over)(struct wait *w);
    struct wait *first, *last;
};

/* `over` is called from the loop, once the wait has ended. */
void waits_init(struct waits *list, struct loop *l, uint64_t ms, void (*over)(struct wait *w));

/* Nobody waits any more. */
void waits_release(struct waits *list);

/* Begins anew at the end of the list, wherever the wait was before. */
void wait_start(struct waits *list, struct wait *w);

/* Does nothing when it does not wait. */
void wait_stop(struct wait *w);
