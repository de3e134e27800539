#include "control/alarms.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

void alarms_release(struct alarms *t)
{
    free(t->heap);
    *t = (struct alarms){ 0 };
}

static void put(struct alarms *t, size_t place, struct alarm *alarm)
{
    t->heap[place] = alarm;
    alarm->place = place;
}

static void rise(struct alarms *t, size_t place)
{
    struct alarm *alarm = t->heap[place];
    for (; place > 1 && t->heap[place / 2]->at > alarm->at; place /= 2)
        put(t, place, t->heap[place / 2]);
    put(t, place, alarm);
}

static void sink(struct alarms *t, size_t place)
{
    struct alarm *alarm = t->heap[place];
    for (size_t child; (child = 2 * place) <= t->count; place = child) {
        if (child < t->count && t->heap[child + 1]->at < t->heap[child]->at)
            child++;
        if (t->heap[child]->at >= alarm->at)
            break;
        put(t, place, t->heap[child]);
    }
    put(t, place, alarm);
}

void alarms_drop(struct alarms *t, struct alarm *alarm)
{
    const size_t place = alarm->place;
    if (place == 0)
        return;
    alarm->place = 0;
    struct alarm *last = t->heap[t->count--];
    if (last == alarm)
        return;
    put(t, place, last);
    rise(t, place);
    sink(t, last->place);
}

void alarms_set(struct alarms *t, struct alarm *alarm, int64_t at)
{
    if (alarm->place && alarm->at == at)
        return;
    alarms_drop(t, alarm);
    if (at == INT64_MAX)
        return;
    alarm->at = at;
    if (t->count + 2 > t->room) {
        t->room = t->room ? 2 * t->room : 64;
        t->heap = mem_grow(t->heap, t->room * sizeof(struct alarm *));
    }
    put(t, ++t->count, alarm);
    rise(t, alarm->place);
}

int64_t alarms_next(const struct alarms *t)
{
    return t->count ? t->heap[1]->at : INT64_MAX;
}

void alarms_fire(struct alarms *t, int64_t now)
{
    /* As many as there are now: what fires may set itself anew without keeping us here. */
    for (size_t left = t->count; left > 0 && t->count > 0 && t->heap[1]->at <= now; left--) {
        struct alarm *due = t->heap[1];
        alarms_drop(t, due);
        due->fire(due, due->ctx);
    }
}
