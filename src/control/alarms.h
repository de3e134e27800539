/* alarms.h - all deadlines of an engine in one heap: setting and dropping one costs log n, the
 * earliest is known at once.
 *
 * An alarm lives in the thing that it is for. None fires before its time; several of the same time fire
 * in no order.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct alarm {
    int64_t at;
    size_t place; /* in the heap, from 1; 0: not set */
    void (*fire)(struct alarm *t, void *ctx);
    void *ctx;
};

struct alarms {
    struct alarm **heap; /* owned; heap[0] is not used */
    size_t count, room;
};

void alarms_release(struct alarms *t);

/* Sets or moves. INT64_MAX drops it. */
void alarms_set(struct alarms *t, struct alarm *alarm, int64_t at);
void alarms_drop(struct alarms *t, struct alarm *alarm);

/* INT64_MAX: none is set. */
int64_t alarms_next(const struct alarms *t);

/* Fires what is due; each is dropped first, so that it may set itself anew. What sets itself to a time
 * that is due already fires with the next call. */
void alarms_fire(struct alarms *t, int64_t now);
