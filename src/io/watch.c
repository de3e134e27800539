#include "io/watch.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

struct watch {
    struct loop *loop;
    watch_ready *ready;
    void *ctx;
    unsigned events; /* that the owner wants */
    unsigned armed;  /* that the kernel tells: these, and perhaps some that were wanted before */
    int fd;          /* -1 once given up */
    bool known;      /* the kernel has the descriptor */
    bool shared;     /* and does not forget it when it is closed */
};

static void give_back(void *ctx)
{
    free(ctx);
}

struct watch *watch_new(struct loop *l, int fd, watch_ready *ready, void *ctx)
{
    CHECK(fd >= 0);
    struct watch *w = mem_get(sizeof *w);
    w->loop = l;
    w->ready = ready;
    w->ctx = ctx;
    w->fd = fd;
    return w;
}

struct watch *watch_new_shared(struct loop *l, int fd, watch_ready *ready, void *ctx)
{
    struct watch *w = watch_new(l, fd, ready, ctx);
    w->shared = true;
    return w;
}

void watch_hand(struct watch *w, watch_ready *ready, void *ctx)
{
    w->ready = ready;
    w->ctx = ctx;
}

static void arm(struct watch *w)
{
    struct epoll_event wanted = {
        .events =
            ((w->events & WATCH_READ) ? EPOLLIN : 0u) | ((w->events & WATCH_WRITE) ? EPOLLOUT : 0u),
        .data.ptr = w,
    };
    /* Fails when the kernel has no memory, or for what is no socket or pipe: our own mistake. */
    int what = w->known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    CHECK(epoll_ctl(loop_poller(w->loop), what, w->fd, &wanted) == 0);
    if (!w->known)
        loop_hold(w->loop, +1);
    w->known = true;
    w->armed = w->events;
}

/* The kernel hears of what is not wanted any more only when it happens all the same: mostly it is
 * wanted again before that. */
void watch_set(struct watch *w, unsigned events)
{
    if (w->fd < 0)
        return;
    w->events = events;
    if (events & ~w->armed)
        arm(w);
}

static void forget(struct watch *w)
{
    if (w->known)
        loop_hold(w->loop, -1);
    w->known = false;
    w->events = w->armed = 0;
}

/* The kernel stops telling. */
static void watch_quiet(struct watch *w)
{
    if (w->known)
        epoll_ctl(loop_poller(w->loop), EPOLL_CTL_DEL, w->fd, NULL);
    forget(w);
}

void watch_happened(struct watch *w, uint32_t events)
{
    if (w->fd < 0)
        return; /* given up by a callback of the same turn */
    unsigned got =
        ((events & EPOLLIN) ? WATCH_READ : 0u) | ((events & EPOLLOUT) ? WATCH_WRITE : 0u);
    if (events & (EPOLLERR | EPOLLHUP))
        got = WATCH_READ | WATCH_WRITE | WATCH_GONE; /* whichever call the owner makes tells */
    unsigned wanted = got & w->events;
    if (got & w->armed & ~w->events)
        arm(w);
    else if (!wanted)
        watch_quiet(w); /* an error that nobody waits for would come again and again */
    if (wanted)
        w->ready(w->ctx, wanted);
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

/* This turn's events may still name the watch, so the memory goes later. */
static void retire(struct watch *w)
{
    w->fd = -1;
    loop_later(w->loop, give_back, w);
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    if (w->shared)
        watch_quiet(w); /* the copy elsewhere would keep it in the set, pointing at freed memory */
    else
        forget(w);
    close(w->fd);
    retire(w);
}

int watch_take_fd(struct watch *w)
{
    int fd = w->fd;
    watch_quiet(w);
    retire(w);
    return fd;
}
