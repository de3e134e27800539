#include "api/turn.h"

#include "api/api-int.h"
#include "api/route.h"

#include <stdlib.h>

/* Of one object: the errands that wait, in order. */
struct turn {
    struct api *api;
    struct id object;
    struct errand *first, *last;
};

/* What an errand holds. */
struct ticket {
    struct turn *turn;
};

static void give_back(void *held);

static void hand_to(struct turn *t, struct errand *x)
{
    struct ticket *ticket = x->held = mem_get(sizeof *ticket);
    ticket->turn = t;
    x->release = give_back;
}

static void go_on(void *ctx)
{
    struct errand *x = ctx;
    x->now = clock_now(&x->api->parts.clock);
    x->route->handle(x);
}

/* The errand has ended: the next one, if any, from the loop. */
static void give_back(void *held)
{
    struct turn *t = ((struct ticket *)held)->turn;
    struct errand *next = t->first;
    if (!next) {
        table_drop(&t->api->turns, id_str(&t->object));
        free(t);
        return;
    }
    t->first = next->next;
    if (!t->first)
        t->last = NULL;
    hand_to(t, next);
    loop_later(t->api->parts.loop, go_on, next);
}

bool turn_take(struct errand *x, const struct id *object)
{
    struct turn *t = table_find(&x->api->turns, id_str(object));
    if (x->held)
        return true; /* called again because it is */
    if (!t) {
        t = mem_get(sizeof *t);
        t->api = x->api;
        t->object = *object;
        table_put(&x->api->turns, id_str(&t->object), t);
        hand_to(t, x);
        return true;
    }
    x->next = NULL;
    if (t->last)
        t->last->next = x;
    else
        t->first = x;
    t->last = x;
    return false;
}
