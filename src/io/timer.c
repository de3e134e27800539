#include "io/timer.h"

#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>

struct timer {
    uv_timer_t uv; /* first: the closed callback gets this pointer back */
    void (*fired)(void *ctx);
    void *ctx;
};

static void on_fired(uv_timer_t *uv)
{
    struct timer *t = (struct timer *)uv;
    t->fired(t->ctx);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

struct timer *timer_new(struct loop *l, void (*fired)(void *ctx), void *ctx)
{
    struct timer *t = mem_get(sizeof *t);
    uv_timer_init(loop_uv(l), &t->uv);
    t->fired = fired;
    t->ctx = ctx;
    return t;
}

void timer_start(struct timer *t, uint64_t ms)
{
    uv_timer_start(&t->uv, on_fired, ms, 0);
}

void timer_stop(struct timer *t)
{
    uv_timer_stop(&t->uv);
}

void timer_free(struct timer *t)
{
    if (t)
        uv_close((uv_handle_t *)&t->uv, on_closed);
}
