/* transport.h - a connected socket as one who talks over it sees it, plain or with TLS.
 *
 * Works like a watch (watch.h): interest is computed by the owner and set in one place; readiness is
 * level-triggered and may be false alarm.
 */
#pragma once

#include "base/str.h"
#include "io/watch.h"

#include <sys/types.h>

struct transport;

/* Gets WATCH_ bits, those that were asked for. */
typedef void transport_ready(void *ctx, unsigned events);

/* Plain. Takes the socket. */
struct transport *transport_new(struct loop *l, int fd, transport_ready *ready, void *ctx);

/* As socket_read and socket_write: a count, 0 when the peer has finished sending, or -1 with errno
 * (EAGAIN: not now; what was not written is written again later, from its first byte on). */
ssize_t transport_read(struct transport *t, void *to, size_t n);
ssize_t transport_write(struct transport *t, struct str bytes);

/* Interest: WATCH_READ, WATCH_WRITE, WATCH_GONE. */
void transport_want(struct transport *t, unsigned events);

/* Tells the peer that nothing more will be written. */
void transport_finish(struct transport *t);

/* The next transport_free throws away what waits and tells the peer so. */
void transport_abort(struct transport *t);

/* Closes. The callback never runs afterwards. NULL is fine. */
void transport_free(struct transport *t);
