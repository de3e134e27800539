#include "io/dial.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "io/timer.h"
#include "io/watch.h"

#include <errno.h>
#include <stdlib.h>

enum { NEXT_AFTER_MS = 250, ADDRESS_MS = 10000 }; /* RFC 8305 section 8 */

struct attempt {
    struct dial *dial;
    struct watch *watch; /* NULL: not begun, or over */
    uint64_t ends;
};

struct dial {
    struct loop *loop;
    struct timer *timer;
    struct socket_address list[RESOLVE_MAX];
    size_t order[RESOLVE_MAX];            /* indexes into list, families interleaved */
    struct attempt attempts[RESOLVE_MAX]; /* in the order of `order` */
    size_t count, begun, open;
    uint64_t ends;
    int os; /* why the last one failed */
    dial_done *done;
    void *ctx;
    int fd; /* the winner, until the callback has it */
    size_t which;
};

/* The first address keeps its place, then the families take turns (RFC 8305 section 4). */
static void interleave(struct dial *d)
{
    bool used[RESOLVE_MAX] = { false };
    sa_family_t want = d->list[0].sa.sa_family;
    for (size_t n = 0; n < d->count; n++) {
        size_t pick = d->count;
        for (size_t i = 0; i < d->count && pick == d->count; i++)
            if (!used[i] && d->list[i].sa.sa_family == want)
                pick = i;
        for (size_t i = 0; i < d->count && pick == d->count; i++)
            if (!used[i])
                pick = i;
        used[pick] = true;
        d->order[n] = pick;
        want = d->list[pick].sa.sa_family == AF_INET ? AF_INET6 : AF_INET;
    }
}

static void give_back(void *ctx)
{
    free(ctx);
}

static void close_all(struct dial *d)
{
    for (size_t i = 0; i < d->begun; i++) {
        watch_free(d->attempts[i].watch);
        d->attempts[i].watch = NULL;
    }
    d->open = 0;
    timer_free(d->timer);
    d->timer = NULL;
}

static void tell(void *ctx)
{
    struct dial *d = ctx;
    dial_done *done = d->done;
    if (done)
        done(d->ctx, fd_take(&d->fd), d->which, d->os);
    free(d);
}

/* Ends the race; the owner hears of it from the loop. */
static void finish(struct dial *d, int fd, size_t which)
{
    close_all(d);
    d->fd = fd;
    d->which = which;
    loop_later(d->loop, tell, d);
}

static void step(struct dial *d);

static void on_ready(void *ctx, unsigned events)
{
    (void)events;
    struct attempt *a = ctx;
    struct dial *d = a->dial;
    int os = 0;
    if (!socket_connected(watch_fd(a->watch), &os))
        return;
    size_t which = d->order[(size_t)(a - d->attempts)];
    if (os == 0) {
        int fd = watch_take_fd(a->watch);
        a->watch = NULL;
        d->os = 0;
        finish(d, fd, which);
        return;
    }
    watch_free(a->watch);
    a->watch = NULL;
    d->open--;
    d->os = os;
    step(d);
}

/* Begins the next address. True when the race is over because it answered at once. */
static bool begin(struct dial *d)
{
    struct attempt *a = &d->attempts[d->begun];
    size_t which = d->order[d->begun++];
    int os = 0, fd = socket_begin_connect(&d->list[which]);
    if (fd < 0) {
        d->os = errno;
        return false;
    }
    if (socket_connected(fd, &os)) {
        if (os == 0) {
            finish(d, fd, which);
            return true;
        }
        d->os = os;
        close(fd);
        return false;
    }
    *a = (struct attempt){ .dial = d, .ends = loop_now(d->loop) + ADDRESS_MS };
    a->watch = watch_new(d->loop, fd, on_ready, a);
    watch_set(a->watch, WATCH_WRITE);
    d->open++;
    return false;
}

/* An address that has had its time is given up, or it would hold the whole for its share. */
static void drop_late(struct dial *d, uint64_t now)
{
    for (size_t i = 0; i < d->begun; i++)
        if (d->attempts[i].watch && d->attempts[i].ends <= now) {
            watch_free(d->attempts[i].watch);
            d->attempts[i].watch = NULL;
            d->open--;
            d->os = ETIMEDOUT;
        }
}

/* Begins one more address, and others at once while they fail at once. */
static void step(struct dial *d)
{
    uint64_t now = loop_now(d->loop);
    drop_late(d, now);
    size_t was_open = d->open;
    while (d->begun < d->count && d->open == was_open && now < d->ends)
        if (begin(d))
            return;
    if (now >= d->ends || (d->open == 0 && d->begun == d->count)) {
        if (now >= d->ends)
            d->os = ETIMEDOUT;
        finish(d, -1, 0);
        return;
    }
    uint64_t next = d->ends;
    if (d->begun < d->count)
        next = now + NEXT_AFTER_MS < next ? now + NEXT_AFTER_MS : next;
    for (size_t i = 0; i < d->begun; i++)
        if (d->attempts[i].watch && d->attempts[i].ends < next)
            next = d->attempts[i].ends;
    timer_start(d->timer, next - now);
}

static void on_timer(void *ctx)
{
    step(ctx);
}

struct dial *dial_new(struct loop *l, const struct socket_address *list, size_t count,
                      uint64_t timeout_ms, dial_done *done, void *ctx)
{
    CHECK(count > 0 && count <= RESOLVE_MAX);
    struct dial *d = mem_get(sizeof *d);
    d->loop = l;
    d->count = count;
    memcpy(d->list, list, count * sizeof *list);
    d->ends = loop_now(l) + timeout_ms;
    d->done = done;
    d->ctx = ctx;
    d->fd = -1;
    interleave(d);
    d->timer = timer_new(l, on_timer, d);
    step(d);
    return d;
}

void dial_cancel(struct dial *d)
{
    if (!d)
        return;
    if (!d->timer) { /* over already: tell() is on its way and frees */
        fd_drop(&d->fd);
        d->done = NULL;
        return;
    }
    close_all(d);
    loop_later(d->loop, give_back, d);
}
