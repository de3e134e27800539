/* deadlines.h - all deadlines of an engine in one heap: setting and dropping one costs log n, the
 * earliest is known at once.
 *
 * A deadline lives in the thing that it is for. None fires before its time; several of the same time fire
 * in no order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct deadline {
    int64_t at;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct deadline *t, void *ctx);
    void *ctx;
};

struct deadlines {
    struct deadline **heap; /* owned; heap[0] is not used */
    size_t count, room;
};

void deadlines_release(struct deadlines *t);

/* Sets or moves. INT64_MAX drops it. */
void deadlines_set(struct deadlines *t, struct deadline *deadline, int64_t at);
void deadlines_drop(struct deadlines *t, struct deadline *deadline);

/* INT64_MAX: none is set. */
int64_t deadlines_next(const struct deadlines *t);

/* Fires what is due; each is dropped first, so that it may set itself anew. What sets itself to a time
 * that is due already fires with the next call. */
void deadlines_fire(struct deadlines *t, int64_t now);
