#include "control/timers.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

void timers_release(struct timers *t)
{
    free(t->heap);
    *t = (struct timers){ 0 };
}

static void put(struct timers *t, size_t place, struct timer *timer)
{
    t->heap[place] = timer;
    timer->place = place;
}

static void rise(struct timers *t, size_t place)
{
    struct timer *timer = t->heap[place];
    for (; place > 1 && t->heap[place / 2]->at > timer->at; place /= 2)
        put(t, place, t->heap[place / 2]);
    put(t, place, timer);
}

static void sink(struct timers *t, size_t place)
{
    struct timer *timer = t->heap[place];
    for (size_t child; (child = 2 * place) <= t->count; place = child) {
        if (child < t->count && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= timer->at)
            break;
        put(t, place, t->heap[child]);
    }
    put(t, place, timer);
}

void timers_drop(struct timers *t, struct timer *timer)
{
    const size_t place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    struct timer *last = t->heap[t->count--];
    if (last == timer)
        return;
    put(t, place, last);
    rise(t, place);
    sink(t, last->place);
}

void timers_set(struct timers *t, struct timer *timer, int64_t at)
{
    if (timer->place && timer->at == at)
        return;
    timers_drop(t, timer);
    if (at == INT64_MAX)
        return;
    timer->at = at;
    if (t->count + 2 > t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->heap = mem_grow(t->heap, t->room * sizeof(struct timer *));
    }
    put(t, ++t->count, timer);
    rise(t, timer->place);
}

int64_t timers_next(const struct timers *t)
{
    return t->count ? t->heap[1]->at : INT64_MAX;
}

void timers_fire(struct timers *t, int64_t now)
{
    /* As many as there are now: what fires may set itself anew without keeping us here. */
    for (size_t left = t->count; left > 0 && t->count > 0 && t->heap[1]->at <= now; left--) {
        struct timer *due = t->heap[1];
        timers_drop(t, due);
        due->fire(due, due->ctx);
    }
}
