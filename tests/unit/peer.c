#include "peer.h"

#include "io/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static void on_readable(void *ctx, unsigned events)
{
    struct peer *p = ctx;
    char some[64 << 10];
    (void)events;
    if (p->deaf) {
        watch_set(p->watch, 0);
        return;
    }
    ssize_t n = socket_read(watch_fd(p->watch), some, sizeof some);
    if (n > 0) {
        buf_add(&p->got, (struct str){ some, (size_t)n });
        return;
    }
    if (n < 0 && errno == EAGAIN)
        return;
    p->ended = true;
    p->reset = n < 0;
    watch_set(p->watch, 0);
}

void peer_take(struct peer *p, struct loop *l, int fd)
{
    *p = (struct peer){ .loop = l };
    p->watch = watch_new(l, fd, on_readable, p);
    watch_set(p->watch, WATCH_READ);
}

void peer_connect(struct peer *p, struct loop *l, uint16_t port)
{
    struct socket_address to = { .v4 = { .sin_family = AF_INET,
                                         .sin_port = htons(port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) } };
    int fd = socket_begin_connect(&to);
    assert_true(fd >= 0);
    peer_take(p, l, fd);
}

void peer_close(struct peer *p)
{
    watch_free(p->watch);
    p->watch = NULL;
    buf_release(&p->got);
}

void peer_abort(struct peer *p)
{
    socket_abort_on_close(watch_fd(p->watch));
    peer_close(p);
}

void peer_finish(struct peer *p)
{
    shutdown(watch_fd(p->watch), SHUT_WR);
}

void peer_read_again(struct peer *p)
{
    p->deaf = false;
    watch_set(p->watch, WATCH_READ);
}

static void on_patience(void *ctx)
{
    bool *late = ctx;
    *late = true;
}

static void stop_loop(void *ctx)
{
    loop_stop(ctx);
}

/* One turn at a time; the timer wakes a loop in which nothing happens. */
void loop_until(struct loop *l, bool (*is)(void *ctx), void *ctx)
{
    bool late = false;
    struct timer *patience = timer_new(l, on_patience, &late), *turn = timer_new(l, stop_loop, l);
    timer_start(patience, PEER_PATIENCE_MS);
    while (!is(ctx)) {
        assert_false(late);
        timer_start(turn, 1);
        loop_run(l);
    }
    timer_free(patience);
    timer_free(turn);
}

void loop_for(struct loop *l, uint64_t ms)
{
    struct timer *end = timer_new(l, stop_loop, l);
    timer_start(end, ms);
    loop_run(l);
    timer_free(end);
}

struct sending {
    struct peer *peer;
    struct str left;
};

static bool all_sent(void *ctx)
{
    struct sending *s = ctx;
    while (s->left.n) {
        ssize_t n = socket_write(watch_fd(s->peer->watch), s->left);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return false;
        if (n < 0)
            return true; /* cut; what comes after tells */
        s->left = str_skip(s->left, (size_t)n);
    }
    return true;
}

void peer_send(struct peer *p, struct str bytes)
{
    loop_until(p->loop, all_sent, &(struct sending){ p, bytes });
}

void peer_say(struct peer *p, const char *text)
{
    peer_send(p, str_of(text));
}

struct expecting {
    struct peer *peer;
    struct str text;
};

static bool has_come(void *ctx)
{
    struct expecting *e = ctx;
    return e->peer->ended || str_has(buf_str(&e->peer->got), e->text);
}

void peer_expect(struct peer *p, const char *text)
{
    loop_until(p->loop, has_come, &(struct expecting){ p, str_of(text) });
    const char *at = p->got.n ? strstr(p->got.p, text) : NULL;
    if (!at)
        fail_msg("expected '%s', got '%s'", text, buf_text(&p->got));
    size_t used = (size_t)(at - p->got.p) + strlen(text);
    memmove(p->got.p, p->got.p + used, p->got.n - used + 1);
    p->got.n -= used;
}

static bool is_over(void *ctx)
{
    const struct peer *p = ctx;
    return p->ended;
}

void peer_expect_end(struct peer *p)
{
    loop_until(p->loop, is_over, p);
}
