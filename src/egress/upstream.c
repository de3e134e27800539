#include "egress/upstream.h"

#include "io/socket.h"

#include <stdlib.h>

enum { IDLE_MAX = 64, IDLE_FOR_MS = 10 * 1000 };

static void on_idle_event(void *ctx, unsigned events)
{
    (void)events; /* an end, or an answer that nobody asked for */
    upstream_close(ctx);
}

static void on_idle_timer(void *ctx)
{
    upstream_close(ctx);
}

struct upstream *upstream_new(struct egress_sandbox *s, const struct want *want,
                              const struct hop_result *hop)
{
    struct upstream *u = mem_get(sizeof *u);
    socket_no_delay(hop->fd);
    u->sandbox = s;
    u->watch = watch_new(s->egress->loop, hop->fd, on_idle_event, u);
    u->host = want->host;
    u->port = want->port;
    u->via = hop->via;
    u->address = hop->address;
    http1_init(&u->http, HTTP1_RESPONSE, NULL);
    return u;
}

static void leave_list(struct upstream *u)
{
    if (!u->link)
        return;
    *u->link = u->next;
    if (u->next)
        u->next->link = u->link;
    u->link = NULL;
    u->next = NULL;
    u->sandbox->idle_count--;
    timer_free(u->timer);
    u->timer = NULL;
}

struct upstream *upstream_take(struct egress_sandbox *s, const struct want *want, enum hop_via via,
                               const void *owner)
{
    for (struct upstream *u = s->idle; u; u = u->next) {
        if (u->port != want->port || u->via != via || (u->owner && u->owner != owner) ||
            strcmp(u->host.text, want->host.text) != 0)
            continue;
        leave_list(u);
        return u;
    }
    return NULL;
}

void upstream_keep(struct upstream *u, const void *owner)
{
    struct egress_sandbox *s = u->sandbox;
    if (s->idle_count >= IDLE_MAX) {
        upstream_close(u);
        return;
    }
    u->owner = owner;
    u->used_before = true;
    u->next = s->idle;
    u->link = &s->idle;
    if (s->idle)
        s->idle->link = &u->next;
    s->idle = u;
    s->idle_count++;
    u->timer = timer_new(s->egress->loop, on_idle_timer, u);
    timer_start(u->timer, IDLE_FOR_MS);
    watch_hand(u->watch, on_idle_event, u);
    watch_set(u->watch, WATCH_READ);
}

void upstream_close(struct upstream *u)
{
    if (!u)
        return;
    leave_list(u);
    watch_free(u->watch);
    mem_wipe(u->out.p, u->out.n); /* may hold the parent proxy's credentials */
    buf_release(&u->out);
    http1_release(&u->http);
    free(u);
}

void upstream_drop_owned(struct egress_sandbox *s, const void *owner)
{
    for (struct upstream *u = s->idle, *next; u; u = next) {
        next = u->next;
        if (u->owner == owner)
            upstream_close(u);
    }
}

void upstream_drop_idle(struct egress_sandbox *s)
{
    for (struct upstream *u = s->idle, *next; u; u = next) {
        next = u->next;
        upstream_close(u);
    }
}
