#include "role/later.h"

#include "base/mem.h"

#include <stdbool.h>
#include <stdlib.h>

struct wanted {
    void (*fn)(void *arg);
    void *arg;
};

struct later {
    struct loop *loop;
    struct wanted *items;
    size_t count, room;
    bool booked; /* the loop calls us: it must find us */
    bool freed;
};

struct later *later_new(struct loop *l)
{
    struct later *later = mem_get(sizeof *later);
    later->loop = l;
    return later;
}

static void drop(struct later *l)
{
    free(l->items);
    free(l);
}

/* What is asked for meanwhile is for the next time. */
static void on_turn(void *ctx)
{
    struct later *l = ctx;
    size_t count = l->count;
    for (size_t i = 0; i < count && !l->freed; i++) {
        struct wanted now = l->items[i];
        now.fn(now.arg);
    }
    if (l->freed) {
        drop(l);
        return;
    }
    l->count -= count;
    memmove(l->items, l->items + count, l->count * sizeof *l->items);
    l->booked = l->count > 0;
    if (l->booked)
        loop_later(l->loop, on_turn, l);
}

void later_add(struct later *l, void (*fn)(void *arg), void *arg)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->items = mem_grow(l->items, l->room * sizeof *l->items);
    }
    l->items[l->count++] = (struct wanted){ fn, arg };
    if (!l->booked)
        loop_later(l->loop, on_turn, l);
    l->booked = true;
}

void later_free(struct later *l)
{
    if (!l)
        return;
    l->freed = true;
    if (!l->booked)
        drop(l);
}
