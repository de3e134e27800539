#include "io/doorbell.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* An eventfd among the loop's own descriptors: uv_async would have to go through the loop within, which
 * ours asks only while look-ups run. */
struct doorbell {
    struct watch *watch;
    void (*rung)(void *ctx);
    void *ctx;
};

static void on_ready(void *ctx, unsigned events)
{
    struct doorbell *d = ctx;
    eventfd_t rings;
    (void)events;
    if (eventfd_read(watch_fd(d->watch), &rings) == 0)
        d->rung(d->ctx); /* may free it */
}

int doorbell_new(struct doorbell **out, struct loop *l, void (*rung)(void *ctx), void *ctx,
                 struct err *e)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return err_set(e, E_IO, errno, "make a doorbell");
    struct doorbell *d = mem_get(sizeof *d);
    d->rung = rung;
    d->ctx = ctx;
    d->watch = watch_new(l, fd, on_ready, d);
    watch_set(d->watch, WATCH_READ);
    *out = d;
    return 0;
}

void doorbell_ring(struct doorbell *d)
{
    int rc = eventfd_write(watch_fd(d->watch), 1);
    CHECK(rc == 0 || errno == EAGAIN); /* EAGAIN: it rings already, 2^64 times */
}

void doorbell_free(struct doorbell *d)
{
    if (!d)
        return;
    watch_free(d->watch);
    free(d);
}
