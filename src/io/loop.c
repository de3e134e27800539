#include "io/loop-int.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* As much as a loopback socket gives in one read; twice as much was not faster. */
enum { SCRATCH = 256 << 10, EVENTS = 128 };

struct later {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    uv_loop_t uv;
    int poller;     /* epoll set of all watches */
    uv_poll_t poll; /* of the poller */
    int held;       /* watches in it */
    size_t lookups;
    uv_idle_t idle; /* runs while something stands in `laters`, so that the loop does not sleep */
    struct later *laters;
    size_t later_count, later_cap;
    char *scratch; /* allocated at the first use */
};

static void on_poller(uv_poll_t *poll, int status, int mask)
{
    struct loop *l = poll->data;
    struct epoll_event events[EVENTS];
    (void)status;
    (void)mask;
    int n = epoll_wait(l->poller, events, EVENTS, 0);
    for (int i = 0; i < n; i++)
        watch_happened(events[i].data.ptr, events[i].events);
}

/* Callbacks may ask for more: that is for the next turn. */
static void run_laters(uv_idle_t *idle)
{
    struct loop *l = idle->data;
    size_t count = l->later_count;
    for (size_t i = 0; i < count; i++) {
        struct later now = l->laters[i];
        now.fn(now.ctx);
    }
    l->later_count -= count;
    if (l->later_count)
        memmove(l->laters, l->laters + count, l->later_count * sizeof *l->laters);
    else
        uv_idle_stop(idle);
}

int loop_new(struct loop **out, struct err *e)
{
    struct loop *l = mem_get(sizeof *l);
    int rc = uv_loop_init(&l->uv);
    if (rc < 0) {
        free(l);
        return err_set(e, E_IO, -rc, "make the event loop");
    }
    l->poller = epoll_create1(EPOLL_CLOEXEC);
    rc = l->poller < 0 ? -errno : uv_poll_init(&l->uv, &l->poll, l->poller);
    if (rc < 0) {
        fd_drop(&l->poller);
        uv_loop_close(&l->uv);
        free(l);
        return err_set(e, E_IO, -rc, "make the event loop");
    }
    l->poll.data = l;
    uv_poll_start(&l->poll, UV_READABLE, on_poller);
    uv_unref((uv_handle_t *)&l->poll); /* see loop_hold */
    uv_idle_init(&l->uv, &l->idle);
    l->idle.data = l;
    *out = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    while (l->later_count)
        run_laters(&l->idle);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_close((uv_handle_t *)&l->poll, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* lets handles that are being closed finish */
    CHECK(uv_loop_close(&l->uv) == 0);
    close(l->poller);
    free(l->laters);
    free(l->scratch);
    free(l);
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

uint64_t loop_now(const struct loop *l)
{
    return uv_now(&l->uv);
}

void loop_later(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    if (l->later_count == l->later_cap) {
        l->later_cap = l->later_cap ? l->later_cap * 2 : 16;
        l->laters = mem_grow(l->laters, l->later_cap * sizeof *l->laters);
    }
    if (l->later_count++ == 0)
        uv_idle_start(&l->idle, run_laters);
    l->laters[l->later_count - 1] = (struct later){ fn, ctx };
}

char *loop_scratch(struct loop *l, size_t *n)
{
    if (!l->scratch)
        l->scratch = mem_get(SCRATCH);
    *n = SCRATCH;
    return l->scratch;
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

int loop_poller(const struct loop *l)
{
    return l->poller;
}

void loop_hold(struct loop *l, int change)
{
    l->held += change;
    CHECK(l->held >= 0);
    if (l->held)
        uv_ref((uv_handle_t *)&l->poll);
    else
        uv_unref((uv_handle_t *)&l->poll);
}

size_t *loop_lookups(struct loop *l)
{
    return &l->lookups;
}
