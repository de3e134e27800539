#include "control/deadlines.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

void deadlines_release(struct deadlines *t)
{
    free(t->heap);
    *t = (struct deadlines){ 0 };
}

static void put(struct deadlines *t, size_t place, struct deadline *deadline)
{
    t->heap[place] = deadline;
    deadline->place = place;
}

static void rise(struct deadlines *t, size_t place)
{
    struct deadline *deadline = t->heap[place];
    for (; place > 1 && t->heap[place / 2]->at > deadline->at; place /= 2)
        put(t, place, t->heap[place / 2]);
    put(t, place, deadline);
}

static void sink(struct deadlines *t, size_t place)
{
    struct deadline *deadline = t->heap[place];
    for (size_t child; (child = 2 * place) <= t->count; place = child) {
        if (child < t->count && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= deadline->at)
            break;
        put(t, place, t->heap[child]);
    }
    put(t, place, deadline);
}

void deadlines_drop(struct deadlines *t, struct deadline *deadline)
{
    const size_t place = deadline->place;
    if (place == 0)
        return;
    deadline->place = 0;
    struct deadline *last = t->heap[t->count--];
    if (last == deadline)
        return;
    put(t, place, last);
    rise(t, place);
    sink(t, last->place);
}

void deadlines_set(struct deadlines *t, struct deadline *deadline, int64_t at)
{
    if (deadline->place && deadline->at == at)
        return;
    deadlines_drop(t, deadline);
    if (at == INT64_MAX)
        return;
    deadline->at = at;
    if (t->count + 2 > t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->heap = mem_grow(t->heap, t->room * sizeof(struct deadline *));
    }
    put(t, ++t->count, deadline);
    rise(t, deadline->place);
}

int64_t deadlines_next(const struct deadlines *t)
{
    return t->count ? t->heap[1]->at : INT64_MAX;
}

void deadlines_fire(struct deadlines *t, int64_t now)
{
    /* As many as there are now: what fires may set itself anew without keeping us here. */
    for (size_t left = t->count; left > 0 && t->count > 0 && t->heap[1]->at <= now; left--) {
        struct deadline *due = t->heap[1];
        deadlines_drop(t, due);
        due->fire(due, due->ctx);
    }
}
