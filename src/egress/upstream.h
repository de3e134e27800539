/* upstream.h - a connection to a server that carries plain HTTP requests, one after the other.
 *
 * Between two requests it waits in its sandbox's list. It is used again only for the same host, port
 * and way; one that carried credentials only for the client that sent them.
 */
#pragma once

#include "egress/hop.h"
#include "proto/http1.h"

struct upstream {
    struct egress_sandbox *sandbox;
    struct upstream *next, **link; /* among the idle ones */
    struct watch *watch;
    struct timer *timer; /* runs while idle */
    struct http1 http;   /* reads responses */
    struct buf out;      /* of the request, not taken yet */
    struct host host;
    uint16_t port;
    enum hop_via via;
    struct ip_address address; /* as in hop_result */
    const void *owner;         /* NULL: anybody may have it */
    bool used_before;
};

/* Takes the descriptor of a hop that has just been made. */
struct upstream *upstream_new(struct egress_sandbox *s, const struct want *want,
                              const struct hop_result *hop);

/* An idle connection that fits, or NULL. `owner` is who asks. */
struct upstream *upstream_take(struct egress_sandbox *s, const struct want *want, enum hop_via via,
                               const void *owner);

/* Its response is complete and nothing stands behind it: keeps it for the next request. */
void upstream_keep(struct upstream *u, const void *owner);

/* Closes; NULL is fine. */
void upstream_close(struct upstream *u);

/* Closes what waits for `owner`, who goes. */
void upstream_drop_owned(struct egress_sandbox *s, const void *owner);

/* Closes all that wait. */
void upstream_drop_idle(struct egress_sandbox *s);
