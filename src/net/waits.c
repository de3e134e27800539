#include "net/waits.h"

#include "base/check.h"

/* The one at the front may have been started long before the timer was: it is set for who is first
 * when it is set, and looks again when it fires. */
static void watch_first(struct waits *list)
{
    uint64_t now = loop_now(list->loop), due = list->first->since + list->ms;
    timer_start(list->timer, due > now ? due - now : 0);
}

static void on_timer(void *ctx)
{
    struct waits *list = ctx;
    uint64_t now = loop_now(list->loop);
    while (list->first && list->first->since + list->ms <= now) {
        struct wait *w = list->first;
        wait_stop(w);
        list->over(w);
    }
    if (list->first)
        watch_first(list);
}

void waits_init(struct waits *list, struct loop *l, uint64_t ms, void (*over)(struct wait *w))
{
    *list = (struct waits){ .loop = l, .ms = ms, .over = over };
    list->timer = timer_new(l, on_timer, list);
}

void waits_release(struct waits *list)
{
    CHECK(!list->first);
    timer_free(list->timer);
    list->timer = NULL;
}

void wait_start(struct waits *list, struct wait *w)
{
    wait_stop(w);
    *w = (struct wait){ .in = list, .before = list->last, .since = loop_now(list->loop) };
    if (list->last)
        list->last->after = w;
    else
        list->first = w;
    list->last = w;
    if (list->first == w)
        watch_first(list);
}

void wait_stop(struct wait *w)
{
    struct waits *list = w->in;
    if (!list)
        return;
    if (w->before)
        w->before->after = w->after;
    else
        list->first = w->after;
    if (w->after)
        w->after->before = w->before;
    else
        list->last = w->before;
    *w = (struct wait){ 0 };
    if (!list->first)
        timer_stop(list->timer); /* a timer that runs keeps the loop running */
}
