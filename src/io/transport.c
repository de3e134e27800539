#include "io/transport-int.h"

#include "base/mem.h"
#include "io/socket.h"

#include <stdlib.h>
#include <sys/socket.h>

static ssize_t plain_read(struct transport *t, void *to, size_t n)
{
    return socket_read(watch_fd(t->watch), to, n);
}

static ssize_t plain_write(struct transport *t, struct str bytes)
{
    return socket_write(watch_fd(t->watch), bytes);
}

static void plain_want(struct transport *t, unsigned events)
{
    watch_set(t->watch, events);
}

static void plain_finish(struct transport *t)
{
    /* Refused only when the peer is gone, which the next read tells. */
    (void)shutdown(watch_fd(t->watch), SHUT_WR);
}

static void plain_free(struct transport *t)
{
    watch_free(t->watch);
    free(t);
}

static const struct transport_ops plain_ops = { plain_read, plain_write, plain_want, plain_finish,
                                                plain_free };

struct transport *transport_new(struct loop *l, int fd, transport_ready *ready, void *ctx)
{
    struct transport *t = mem_get(sizeof *t);
    t->ops = &plain_ops;
    t->watch = watch_new(l, fd, ready, ctx);
    return t;
}

ssize_t transport_read(struct transport *t, void *to, size_t n)
{
    return t->ops->read(t, to, n);
}

ssize_t transport_write(struct transport *t, struct str bytes)
{
    return t->ops->write(t, bytes);
}

void transport_want(struct transport *t, unsigned events)
{
    t->ops->want(t, events);
}

void transport_finish(struct transport *t)
{
    t->ops->finish(t);
}

void transport_abort(struct transport *t)
{
    socket_abort_on_close(watch_fd(t->watch));
}

void transport_free(struct transport *t)
{
    if (t)
        t->ops->free(t);
}
