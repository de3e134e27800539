#include "io/loop-int.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

/* As much as a loopback socket gives in one read; twice as much was not faster. */
enum { SCRATCH = 256 << 10, EVENTS = 128 };

/* What is asked for later often asks for more; so often without looking at the descriptors. */
enum { LATER_ROUNDS = 4 };

struct later {
    void (*fn)(void *ctx);
    void *ctx;
};

struct loop {
    uv_loop_t uv; /* for look-ups; its own epoll set stands in ours */
    size_t lookups;
    int poller; /* epoll set of all watches */
    int held;   /* watches in it */
    uint64_t now_ms;
    bool stopped;
    struct deadlines deadlines;
    struct later *laters;
    size_t later_count, later_cap;
    char *scratch; /* allocated at the first use */
};

static void look_at_clock(struct loop *l)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    l->now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Callbacks may ask for more: that is for the next round. */
static void run_laters(struct loop *l)
{
    size_t count = l->later_count;
    for (size_t i = 0; i < count; i++) {
        struct later now = l->laters[i];
        now.fn(now.ctx);
    }
    l->later_count -= count;
    if (l->later_count)
        memmove(l->laters, l->laters + count, l->later_count * sizeof *l->laters);
}

int loop_new(struct loop **out, struct err *e)
{
    struct loop *l = mem_get(sizeof *l);
    int rc = uv_loop_init(&l->uv);
    if (rc < 0) {
        free(l);
        return err_set(e, E_IO, -rc, "make the event loop");
    }
    struct epoll_event answered = { .events = EPOLLIN, .data.ptr = l };
    l->poller = epoll_create1(EPOLL_CLOEXEC);
    if (l->poller < 0 ||
        epoll_ctl(l->poller, EPOLL_CTL_ADD, uv_backend_fd(&l->uv), &answered) < 0) {
        int os = errno;
        fd_drop(&l->poller);
        uv_loop_close(&l->uv);
        free(l);
        return err_set(e, E_IO, os, "make the event loop");
    }
    look_at_clock(l);
    *out = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    while (l->later_count)
        run_laters(l);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* look-ups that nobody waits for any more end here */
    CHECK(l->deadlines.count == 0 && uv_loop_close(&l->uv) == 0);
    close(l->poller);
    free(l->deadlines.items);
    free(l->laters);
    free(l->scratch);
    free(l);
}

/* Whether anything is left that could happen. */
static bool alive(const struct loop *l)
{
    return l->held || l->later_count || l->deadlines.count || l->lookups;
}

/* For epoll_wait: until the next deadline; -1 is without end. */
static int patience(const struct loop *l)
{
    uint64_t at_ms;
    if (l->stopped || l->later_count || !alive(l))
        return 0;
    if (!deadlines_next(&l->deadlines, &at_ms))
        return -1;
    uint64_t left = at_ms > l->now_ms ? at_ms - l->now_ms : 0;
    return left < INT_MAX ? (int)left : INT_MAX;
}

static void run_turn(struct loop *l)
{
    struct epoll_event events[EVENTS];
    deadlines_fire(&l->deadlines, l->now_ms);
    for (int round = 0; round < LATER_ROUNDS && l->later_count; round++)
        run_laters(l);
    if (l->lookups)
        uv_run(&l->uv, UV_RUN_NOWAIT); /* takes answers, and begins to watch for those to come */
    int n = epoll_wait(l->poller, events, EVENTS, patience(l));
    look_at_clock(l);
    for (int i = 0; i < n; i++)
        if (events[i].data.ptr != l) /* an answer is taken in the next turn */
            watch_happened(events[i].data.ptr, events[i].events);
}

void loop_run(struct loop *l)
{
    look_at_clock(l);
    while (!l->stopped && alive(l))
        run_turn(l);
    l->stopped = false;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
}

uint64_t loop_now(const struct loop *l)
{
    return l->now_ms;
}

void loop_later(struct loop *l, void (*fn)(void *ctx), void *ctx)
{
    if (l->later_count == l->later_cap) {
        l->later_cap = l->later_cap ? l->later_cap * 2 : 16;
        l->laters = mem_grow(l->laters, l->later_cap * sizeof *l->laters);
    }
    l->laters[l->later_count++] = (struct later){ fn, ctx };
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
}

size_t *loop_lookups(struct loop *l)
{
    return &l->lookups;
}

struct deadlines *loop_deadlines(struct loop *l)
{
    return &l->deadlines;
}
