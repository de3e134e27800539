#include "io/timer.h"

#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>

struct timer {
    struct loop *loop;
    void (*fired)(void *ctx);
    void *ctx;
    uint64_t at_ms;
    size_t place; /* in the heap, from 1; 0 while it does not run */
};

static void put(struct deadlines *d, size_t place, struct timer *t)
{
    d->items[place - 1] = t;
    t->place = place;
}

/* Finds the place for `t`, beginning at a free one: up while it is earlier than what is above, then down
 * while something below is earlier. */
static void settle(struct deadlines *d, size_t place, struct timer *t)
{
    while (place > 1 && t->at_ms < d->items[place / 2 - 1]->at_ms) {
        put(d, place, d->items[place / 2 - 1]);
        place /= 2;
    }
    for (;;) {
        size_t below = 2 * place;
        if (below < d->count && d->items[below]->at_ms < d->items[below - 1]->at_ms)
            below++;
        if (below > d->count || d->items[below - 1]->at_ms >= t->at_ms)
            break;
        put(d, place, d->items[below - 1]);
        place = below;
    }
    put(d, place, t);
}

static void take_out(struct deadlines *d, struct timer *t)
{
    size_t place = t->place;
    struct timer *last = d->items[--d->count];
    t->place = 0;
    if (last != t)
        settle(d, place, last);
}

bool deadlines_next(const struct deadlines *d, uint64_t *at_ms)
{
    if (d->count)
        *at_ms = d->items[0]->at_ms;
    return d->count > 0;
}

void deadlines_fire(struct deadlines *d, uint64_t now_ms)
{
    /* One that sets itself anew for at once must not keep the loop from everything else. */
    for (size_t most = d->count; most && d->count && d->items[0]->at_ms <= now_ms; most--) {
        struct timer *t = d->items[0];
        take_out(d, t);
        t->fired(t->ctx); /* may free it */
    }
}

struct timer *timer_new(struct loop *l, void (*fired)(void *ctx), void *ctx)
{
    struct timer *t = mem_get(sizeof *t);
    t->loop = l;
    t->fired = fired;
    t->ctx = ctx;
    return t;
}

void timer_start(struct timer *t, uint64_t ms)
{
    struct deadlines *d = loop_deadlines(t->loop);
    t->at_ms = loop_now(t->loop) + ms;
    if (!t->place) {
        if (d->count == d->cap) {
            d->cap = d->cap ? d->cap * 2 : 16;
            d->items = mem_grow(d->items, d->cap * sizeof *d->items);
        }
        t->place = ++d->count;
    }
    settle(d, t->place, t);
}

void timer_stop(struct timer *t)
{
    if (t->place)
        take_out(loop_deadlines(t->loop), t);
}

void timer_free(struct timer *t)
{
    if (!t)
        return;
    timer_stop(t);
    free(t);
}
