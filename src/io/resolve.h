/* resolve.h - one name to its addresses, on the worker pool, so that the loop never waits. */
#pragma once

#include "io/loop.h"
#include "io/socket.h"

enum { RESOLVE_MAX = 32 };

struct resolve;

/* `count` is 0 when the name has no address or the look-up failed; the list is borrowed for the call
 * and its ports are 0. */
typedef void resolve_done(void *ctx, const struct socket_address *list, size_t count);

/* Starts a look-up of TCP addresses, IPv4 and IPv6, in the order the system prefers. NULL when it
 * cannot even be started. The object frees itself after the callback. */
struct resolve *resolve_new(struct loop *l, const char *name, resolve_done *done, void *ctx);

/* The callback will not come. NULL is fine. */
void resolve_cancel(struct resolve *r);

/* Look-ups that the pool still works on, cancelled ones included: loop_free waits for them, and that
 * may be as long as the system's resolver likes. */
size_t resolve_pending(const struct loop *l);
