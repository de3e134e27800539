#include "io/relay.h"

#include "base/bufq.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/socket.h"
#include "io/timer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TURNS = 8,                /* reads of one direction before others have their turn */
    CHECK_PEER_MS = 30 * 1000 /* a half-closed side that has died is noticed this late */
};

/* One direction. */
struct flow {
    struct relay *relay;
    enum relay_side from;
    struct bufq queue; /* read, and not yet taken by the receiver */
    int pipe[2];       /* -1: none */
    size_t piped;      /* bytes in the pipe */
    uint64_t moved;
    unsigned writes; /* counted up to 2 */
    bool peeking;    /* nothing is forwarded before the first bytes have been judged */
    bool ended;      /* the sender has no more */
    bool closed;     /* the receiver has been told so, or is gone */
};

struct relay {
    struct loop *loop;
    struct watch *sides[2]; /* by relay_side */
    struct flow flows[2];   /* by where the bytes come from */
    struct relay_options options;
    struct timer *check;
    bool over, clean, freed;
};

static int flow_in(const struct flow *f)
{
    return watch_fd(f->relay->sides[f->from]);
}

static int flow_out(const struct flow *f)
{
    return watch_fd(f->relay->sides[!f->from]);
}

static void drop_pipe(struct flow *f)
{
    if (f->pipe[0] < 0)
        return;
    close(f->pipe[0]);
    close(f->pipe[1]);
    f->pipe[0] = f->pipe[1] = -1;
    f->piped = 0;
    f->relay->options.room->pipes++;
}

static void tell_over(void *ctx)
{
    struct relay *r = ctx;
    if (!r->freed) /* relay_free came in between: its own turn comes after this one */
        r->options.over(r->options.ctx, r->clean);
}

static void finish(struct relay *r, bool clean)
{
    if (r->over)
        return;
    r->over = true;
    r->clean = clean;
    loop_later(r->loop, tell_over, r); /* and until then on_side does nothing */
}

/* The receiver is gone. What it sent before may still be on its way to the other side. */
static void break_flow(struct flow *f)
{
    bufq_skip(&f->queue, f->queue.len);
    drop_pipe(f);
    f->ended = f->closed = true;
    f->relay->clean = false;
    if (f->relay->flows[!f->from].closed)
        finish(f->relay, false);
}

/* The first write goes out at once whatever Nagle thinks, and short tunnels have no second. */
static ssize_t flow_write(struct flow *f, struct str bytes)
{
    if (f->writes < 2 && ++f->writes == 2)
        socket_no_delay(flow_out(f));
    return socket_write(flow_out(f), bytes);
}

static bool would_block(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Sends what waits. True when nothing is left. */
static bool flow_drain(struct flow *f)
{
    while (f->queue.len) {
        ssize_t sent = flow_write(f, bufq_peek(&f->queue));
        if (sent < 0) {
            if (!would_block(sent))
                break_flow(f);
            return false;
        }
        bufq_skip(&f->queue, (size_t)sent);
    }
    bufq_release(&f->queue); /* idle tunnels hold no memory */
    while (f->piped) {
        ssize_t sent = splice(f->pipe[0], NULL, flow_out(f), NULL, f->piped,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            if (!would_block(sent))
                break_flow(f);
            return false;
        }
        f->piped -= (size_t)sent;
    }
    return true;
}

/* Asks the owner about the client's first bytes, all that have come. True when they may be
 * forwarded. */
static bool flow_judged_bytes(struct flow *f, struct str bytes)
{
    struct relay *r = f->relay;
    bool last = f->ended || bytes.n >= RELAY_QUEUE;
    enum relay_peek said = r->options.peek(r->options.ctx, bytes, last);
    if (said == RELAY_STOP || (said == RELAY_MORE && last)) {
        finish(r, false);
        return false;
    }
    f->peeking = said == RELAY_MORE;
    return !f->peeking;
}

static bool flow_judged(struct flow *f)
{
    return flow_judged_bytes(f, bufq_peek(&f->queue));
}

static bool flow_count(struct flow *f, size_t n)
{
    struct relay *r = f->relay;
    f->moved += n;
    if (!r->options.moved || r->options.moved(r->options.ctx, f->from, n))
        return true;
    finish(r, false);
    return false;
}

/* The end of the sender's data, or its failure. */
static void flow_end(struct flow *f, ssize_t got)
{
    if (got == 0)
        f->ended = true;
    else
        finish(f->relay, false);
}

/* A pipe once the direction has proved to be long. */
static bool flow_has_pipe(struct flow *f)
{
    struct relay_room *room = f->relay->options.room;
    if (f->pipe[0] >= 0)
        return true;
    if (f->moved < RELAY_SPLICE_AFTER || room->pipes == 0)
        return false;
    if (pipe2(f->pipe, O_NONBLOCK | O_CLOEXEC) < 0) {
        f->pipe[0] = f->pipe[1] = -1; /* out of descriptors: copying needs none */
        return false;
    }
    room->pipes--;
    /* When the kernel does not grant the size, its own default still works. */
    (void)fcntl(f->pipe[1], F_SETPIPE_SZ, RELAY_PIPE);
    return true;
}

/* Reads once through the pipe. True when more may be waiting. */
static bool flow_splice(struct flow *f)
{
    ssize_t got;
    do
        got = splice(flow_in(f), NULL, f->pipe[1], NULL, RELAY_PIPE,
                     SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    while (got < 0 && errno == EINTR);
    if (would_block(got))
        return false;
    if (got <= 0) {
        flow_end(f, got);
        return false;
    }
    f->piped = (size_t)got;
    return flow_count(f, (size_t)got);
}

/* Reads once and forwards at once; what the receiver does not take waits in the queue. True when
 * more may be waiting. */
static bool flow_copy(struct flow *f)
{
    size_t size;
    char *bytes = loop_scratch(f->relay->loop, &size);
    if (size > bufq_room(&f->queue))
        size = bufq_room(&f->queue);
    ssize_t got = socket_read(flow_in(f), bytes, size);
    if (would_block(got))
        return false;
    if (got <= 0) {
        flow_end(f, got);
        if (f->ended && f->peeking)
            flow_judged(f);
        return false;
    }
    if (!flow_count(f, (size_t)got))
        return false;
    struct str rest = { bytes, (size_t)got };
    bool queued = f->peeking && f->queue.len;
    if (queued)
        CHECK(bufq_put(&f->queue, rest) == rest.n);
    if (f->peeking && !(queued ? flow_judged(f) : flow_judged_bytes(f, rest))) {
        if (!queued && !f->relay->over)
            CHECK(bufq_put(&f->queue, rest) == rest.n);
        return false;
    }
    if (queued)
        return true; /* the queue is sent first */
    ssize_t sent = flow_write(f, rest);
    if (sent < 0 && !would_block(sent)) {
        break_flow(f);
        return false;
    }
    rest = str_skip(rest, sent > 0 ? (size_t)sent : 0);
    CHECK(bufq_put(&f->queue, rest) == rest.n);
    return (size_t)got == size;
}

static void flow_pump(struct flow *f)
{
    struct relay *r = f->relay;
    for (int turn = 0; turn < TURNS && !r->over && !f->closed; turn++) {
        if (!f->peeking && !flow_drain(f))
            break;
        if (f->ended || !(flow_has_pipe(f) && !f->peeking ? flow_splice(f) : flow_copy(f)))
            break;
    }
    if (r->over || f->closed || f->peeking)
        return;
    if (f->ended && flow_drain(f) && !f->closed) {
        drop_pipe(f);
        f->closed = true;
        if (r->flows[!f->from].closed) {
            finish(r, r->clean); /* the close that follows says the same as a shutdown */
            return;
        }
        shutdown(flow_out(f), SHUT_WR); /* fails only on a dead socket, where reading ends too */
    }
}

static bool flow_wants_read(const struct flow *f)
{
    return !f->ended && f->piped == 0 && (f->peeking ? bufq_room(&f->queue) : f->queue.len == 0);
}

static bool flow_wants_write(const struct flow *f)
{
    return !f->closed && !f->peeking && (f->queue.len || f->piped);
}

static void set_interest(struct relay *r)
{
    if (r->over)
        return;
    for (int side = 0; side < 2; side++)
        watch_set(r->sides[side], (flow_wants_read(&r->flows[side]) ? WATCH_READ : 0u) |
                                      (flow_wants_write(&r->flows[!side]) ? WATCH_WRITE : 0u));
}

static void on_side(struct relay *r, enum relay_side side, unsigned events)
{
    if (r->over)
        return;
    if (events & WATCH_WRITE)
        flow_pump(&r->flows[!side]);
    if (events & WATCH_READ)
        flow_pump(&r->flows[side]);
    set_interest(r);
}

static void on_client(void *ctx, unsigned events)
{
    on_side(ctx, RELAY_CLIENT, events);
}

static void on_upstream(void *ctx, unsigned events)
{
    on_side(ctx, RELAY_UPSTREAM, events);
}

/* A side whose data has ended is not watched any more; a reset of it shows only here. */
static void on_check(void *ctx)
{
    struct relay *r = ctx;
    for (int side = 0; side < 2; side++) {
        socket_keep_alive(watch_fd(r->sides[side])); /* short tunnels never come here */
        struct pollfd state = { .fd = watch_fd(r->sides[side]) };
        bool told = r->flows[!side].closed; /* both ends shut is POLLHUP and no failure */
        if (poll(&state, 1, 0) == 1 &&
            ((state.revents & POLLERR) || ((state.revents & POLLHUP) && !told))) {
            finish(r, false);
            return;
        }
    }
    timer_start(r->check, CHECK_PEER_MS);
}

struct relay *relay_new(struct loop *l, struct watch *client, struct watch *upstream,
                        const struct relay_options *options)
{
    struct relay *r = mem_get(sizeof *r);
    r->loop = l;
    r->options = *options;
    r->clean = true;
    r->sides[RELAY_CLIENT] = client;
    r->sides[RELAY_UPSTREAM] = upstream;
    for (int side = 0; side < 2; side++) {
        r->flows[side] =
            (struct flow){ .relay = r, .from = (enum relay_side)side, .pipe = { -1, -1 } };
        bufq_init(&r->flows[side].queue, RELAY_QUEUE);
    }
    r->flows[RELAY_CLIENT].peeking = options->peek != NULL;
    watch_hand(client, on_client, r);
    watch_hand(upstream, on_upstream, r);
    r->check = timer_new(l, on_check, r);
    return r;
}

void relay_put(struct relay *r, enum relay_side from, struct str bytes)
{
    struct flow *f = &r->flows[from];
    CHECK(bufq_put(&f->queue, bytes) == bytes.n);
}

void relay_end(struct relay *r, enum relay_side from)
{
    r->flows[from].ended = true;
}

void relay_start(struct relay *r)
{
    struct flow *out = &r->flows[RELAY_CLIENT];
    if (out->peeking && (out->queue.len || out->ended))
        flow_judged(out);
    for (int side = 0; side < 2; side++)
        if (r->flows[side].queue.len || r->flows[side].ended)
            flow_pump(&r->flows[side]);
    timer_start(r->check, CHECK_PEER_MS);
    set_interest(r);
}

void relay_free(struct relay *r)
{
    if (!r)
        return;
    for (int side = 0; side < 2; side++) {
        drop_pipe(&r->flows[side]);
        bufq_release(&r->flows[side].queue);
        watch_free(r->sides[side]);
    }
    timer_free(r->check);
    r->freed = true;
    loop_later(r->loop, free, r);
}
