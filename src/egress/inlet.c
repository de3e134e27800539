#include "egress/inlet.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "io/socket.h"
#include "io/timer.h"
#include "io/watch.h"

#include <errno.h>
#include <stdlib.h>

enum { FAMILIES = 2 };

/* Waits for a socket (in `waiting` or `asked` of the inlet), then connects it (`watch`), then is over. */
struct entry {
    struct inlet *inlet;
    struct entry *next; /* among those that wait to ask */
    uint16_t port;
    unsigned tried;      /* families that have failed */
    struct timer *timer; /* NULL: over, and tell() is on its way */
    struct watch *watch;
    entry_done *done;
    void *ctx;
    int fd, os; /* the outcome, until the callback has it */
};

struct inlet {
    struct loop *loop;
    struct watch *watch; /* NULL: init is gone */
    struct entry *waiting, **end;
    struct entry *asked[INLET_ASKED_MAX]; /* a ring, oldest at `first`; NULL = cancelled */
    unsigned first, count;
};

static void give_back(void *ctx)
{
    free(ctx);
}

static void tell(void *ctx)
{
    struct entry *e = ctx;
    if (e->done)
        e->done(e->ctx, fd_take(&e->fd), e->os);
    fd_drop(&e->fd);
    free(e);
}

/* Takes the entry out of whatever it waits in. */
static void leave(struct entry *e)
{
    struct inlet *i = e->inlet;
    for (struct entry **link = &i->waiting; *link; link = &(*link)->next)
        if (*link == e) {
            *link = e->next;
            if (!*link)
                i->end = link;
            break;
        }
    for (unsigned k = 0; k < i->count; k++) {
        struct entry **seat = &i->asked[(i->first + k) % INLET_ASKED_MAX];
        if (*seat == e)
            *seat = NULL; /* its socket still comes, and is closed then */
    }
    watch_free(e->watch);
    e->watch = NULL;
    timer_free(e->timer);
    e->timer = NULL;
}

static void finish(struct entry *e, int fd, int os)
{
    leave(e);
    e->fd = fd;
    e->os = os;
    loop_later(e->inlet->loop, tell, e);
}

/* Nobody makes sockets any more. */
static void break_off(struct inlet *i)
{
    watch_free(i->watch);
    i->watch = NULL;
    for (; i->count; i->count--, i->first = (i->first + 1) % INLET_ASKED_MAX)
        if (i->asked[i->first])
            finish(i->asked[i->first], -1, ENETDOWN);
    while (i->waiting)
        finish(i->waiting, -1, ENETDOWN);
}

/* Asks for as many sockets as may be under way. */
static void pump(struct inlet *i)
{
    while (i->watch && i->waiting && i->count < INLET_ASKED_MAX) {
        struct entry *e = i->waiting;
        char family = e->tried == 0 ? INLET_V4 : INLET_V6;
        if (socket_write(watch_fd(i->watch), (struct str){ &family, 1 }) != 1) {
            log_debug("egress: init makes no more sockets: %s", strerrordesc_np(errno));
            break_off(i);
            return;
        }
        i->waiting = e->next;
        if (!i->waiting)
            i->end = &i->waiting;
        e->next = NULL;
        i->asked[(i->first + i->count++) % INLET_ASKED_MAX] = e;
    }
}

static void wait_for_socket(struct entry *e)
{
    struct inlet *i = e->inlet;
    *i->end = e;
    i->end = &e->next;
}

/* The next family, or the end. */
static void fail_one(struct entry *e, int os)
{
    if (++e->tried == FAMILIES)
        finish(e, -1, os);
    else
        wait_for_socket(e);
}

static void on_connected(void *ctx, unsigned events)
{
    (void)events;
    struct entry *e = ctx;
    int os = 0;
    if (!socket_connected(watch_fd(e->watch), &os))
        return;
    int fd = watch_take_fd(e->watch);
    e->watch = NULL;
    if (os == 0) {
        finish(e, fd, 0);
        return;
    }
    close(fd);
    fail_one(e, os);
    pump(e->inlet);
}

static void connect_inside(struct entry *e, int fd)
{
    struct socket_address to = { 0 };
    int os = 0;
    if (e->tried == 0) {
        to.v4.sin_family = AF_INET;
        to.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        to.v6.sin6_family = AF_INET6;
        to.v6.sin6_addr = in6addr_loopback;
    }
    socket_address_set_port(&to, e->port);
    if (connect(fd, &to.sa, socket_address_size(&to)) < 0 && errno != EINPROGRESS)
        os = errno;
    else if (!socket_connected(fd, &os)) {
        e->watch = watch_new(e->inlet->loop, fd, on_connected, e);
        watch_set(e->watch, WATCH_WRITE);
        return;
    }
    if (os == 0) {
        finish(e, fd, 0);
        return;
    }
    close(fd);
    fail_one(e, os);
}

/* One answer of init's: a socket, or why there is none. False when there is no answer now. */
static bool take_answer(struct inlet *i)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    unsigned char os = 0;
    struct iovec part = { &os, 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof control.room };
    ssize_t got = recvmsg(watch_fd(i->watch), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    int fd = -1;
    struct cmsghdr *at = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    if (at && at->cmsg_level == SOL_SOCKET && at->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(at), sizeof fd);
    if (got != 1 || i->count == 0 || (os == 0) != (fd >= 0)) {
        fd_drop(&fd);
        break_off(i);
        return false;
    }
    struct entry *e = i->asked[i->first];
    i->first = (i->first + 1) % INLET_ASKED_MAX;
    i->count--;
    if (!e)
        fd_drop(&fd);
    else if (fd >= 0)
        connect_inside(e, fd);
    else
        fail_one(e, os);
    return true;
}

static void on_answer(void *ctx, unsigned events)
{
    (void)events;
    struct inlet *i = ctx;
    while (i->watch && take_answer(i))
        continue;
    pump(i);
}

static void on_timeout(void *ctx)
{
    finish(ctx, -1, ETIMEDOUT);
}

struct inlet *inlet_new(struct loop *l, int fd)
{
    struct inlet *i = mem_get(sizeof *i);
    i->loop = l;
    i->end = &i->waiting;
    i->watch = watch_new_shared(l, fd, on_answer, i);
    watch_set(i->watch, WATCH_READ);
    return i;
}

void inlet_free(struct inlet *i)
{
    if (!i)
        return;
    CHECK(!i->waiting);
    watch_free(i->watch);
    free(i);
}

struct entry *entry_new(struct inlet *i, uint16_t port, uint64_t timeout_ms, entry_done *done,
                        void *ctx)
{
    struct entry *e = mem_get(sizeof *e);
    *e = (struct entry){ .inlet = i, .port = port, .done = done, .ctx = ctx, .fd = -1 };
    e->timer = timer_new(i->loop, on_timeout, e);
    timer_start(e->timer, timeout_ms);
    wait_for_socket(e);
    if (i->watch)
        pump(i);
    else
        finish(e, -1, ENETDOWN);
    return e;
}

void entry_cancel(struct entry *e)
{
    if (!e)
        return;
    e->done = NULL;
    if (!e->timer) /* over already: tell() is on its way and frees */
        return;
    leave(e);
    loop_later(e->inlet->loop, give_back, e);
}
