#include "egress/via.h"

#include "base/buf.h"
#include "base/fd.h"
#include "io/socket.h"
#include "io/timer.h"
#include "io/watch.h"

#include <errno.h>
#include <stdlib.h>

enum { HEAD_MAX = 16 << 10 };

struct via {
    struct loop *loop;
    struct watch *watch; /* NULL once over */
    struct timer *timer;
    struct buf out, in;
    int fd; /* the result, until the callback has it */
    via_done *done;
    void *ctx;
};

static void tell(void *ctx)
{
    struct via *v = ctx;
    if (v->done)
        v->done(v->ctx, fd_take(&v->fd));
    fd_drop(&v->fd);
    mem_wipe(v->out.p, v->out.n);
    buf_release(&v->out);
    buf_release(&v->in);
    free(v);
}

static void finish(struct via *v, bool ok)
{
    int fd = watch_take_fd(v->watch);
    v->watch = NULL;
    timer_free(v->timer);
    v->timer = NULL;
    if (ok)
        v->fd = fd;
    else
        close(fd);
    loop_later(v->loop, tell, v);
}

/* "HTTP/1.x 2xx": anything else is a refusal. */
static bool head_says_yes(struct str head)
{
    return head.n > 12 && str_starts(head, STR("HTTP/1.")) && head.p[8] == ' ' &&
           head.p[9] == '2' && head.p[10] >= '0' && head.p[10] <= '9' && head.p[11] >= '0' &&
           head.p[11] <= '9' && (head.p[12] == ' ' || head.p[12] == '\r');
}

/* Looks at what has come, and takes no more than the head out of the socket. */
static void read_head(struct via *v)
{
    size_t size;
    char *seen = loop_scratch(v->loop, &size);
    if (size > HEAD_MAX - v->in.n)
        size = HEAD_MAX - v->in.n;
    ssize_t got = size ? recv(watch_fd(v->watch), seen, size, MSG_PEEK) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        finish(v, false);
        return;
    }
    size_t had = v->in.n;
    buf_add(&v->in, (struct str){ seen, (size_t)got });
    size_t from = had < 3 ? 0 : had - 3; /* the blank line may have been cut in two */
    const char *end = memmem(v->in.p + from, v->in.n - from, "\r\n\r\n", 4);
    size_t take = end ? (size_t)(end - v->in.p) + 4 - had : (size_t)got;
    if (socket_read(watch_fd(v->watch), seen, take) != (ssize_t)take) {
        finish(v, false);
        return;
    }
    if (end)
        finish(v, head_says_yes(buf_str(&v->in)));
}

static void on_ready(void *ctx, unsigned events)
{
    struct via *v = ctx;
    if (events & WATCH_WRITE) {
        ssize_t sent = socket_write(watch_fd(v->watch), buf_str(&v->out));
        if (sent < 0 && errno != EAGAIN) {
            finish(v, false);
            return;
        }
        if (sent == (ssize_t)v->out.n)
            watch_set(v->watch, WATCH_READ);
        else if (sent > 0) { /* cannot be: the head is smaller than any socket buffer */
            finish(v, false);
        }
        return;
    }
    read_head(v);
}

static void on_timer(void *ctx)
{
    finish(ctx, false);
}

struct via *via_new(struct loop *l, int fd, const char *authority, const char *authorization,
                    uint64_t timeout_ms, via_done *done, void *ctx)
{
    struct via *v = mem_get(sizeof *v);
    *v = (struct via){ .loop = l, .fd = -1, .done = done, .ctx = ctx };
    buf_addf(&v->out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority, authority);
    if (authorization)
        buf_addf(&v->out, "Proxy-Authorization: %s\r\n", authorization);
    buf_add(&v->out, STR("\r\n"));
    v->watch = watch_new(l, fd, on_ready, v);
    watch_set(v->watch, WATCH_WRITE);
    v->timer = timer_new(l, on_timer, v);
    timer_start(v->timer, timeout_ms);
    return v;
}

void via_cancel(struct via *v)
{
    if (!v)
        return;
    v->done = NULL;
    if (v->watch)
        finish(v, false);
}
