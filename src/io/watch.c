#include "io/watch.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>
#include <unistd.h>

struct watch {
    uv_poll_t uv; /* first: the closed callback gets this pointer back */
    struct loop *loop;
    watch_ready *ready;
    void *ctx;
    unsigned events;
    int fd;
    bool known; /* libuv has the descriptor */
};

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_ready(uv_poll_t *uv, int status, int events)
{
    struct watch *w = (struct watch *)uv;
    unsigned got = status < 0 ? w->events
                              : ((events & UV_READABLE) ? WATCH_READ : 0u) |
                                    ((events & UV_WRITABLE) ? WATCH_WRITE : 0u);
    if (status < 0)
        w->events = 0; /* libuv has stopped watching; the owner asks again if it still wants to */
    w->ready(w->ctx, got);
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

void watch_hand(struct watch *w, watch_ready *ready, void *ctx)
{
    watch_set(w, 0);
    w->ready = ready;
    w->ctx = ctx;
}

void watch_set(struct watch *w, unsigned events)
{
    if (events == w->events)
        return;
    if (!w->known) {
        CHECK(uv_poll_init(loop_uv(w->loop), &w->uv, w->fd) == 0);
        w->known = true;
    }
    w->events = events;
    if (!events) {
        uv_poll_stop(&w->uv);
        return;
    }
    int wanted =
        ((events & WATCH_READ) ? UV_READABLE : 0) | ((events & WATCH_WRITE) ? UV_WRITABLE : 0);
    uv_poll_start(&w->uv, wanted, on_ready);
}

int watch_fd(const struct watch *w)
{
    return w->fd;
}

void watch_free(struct watch *w)
{
    if (w)
        close(watch_take_fd(w));
}

int watch_take_fd(struct watch *w)
{
    int fd = w->fd;
    if (w->known)
        uv_close((uv_handle_t *)&w->uv, on_closed);
    else
        free(w);
    return fd;
}
