/* via.h - a tunnel through a proxy one hop further out: CONNECT, and its answer (RFC 9110 9.3.6).
 *
 * Reads not one byte beyond the answer's head, so that what the far server says first stays in the
 * socket for whoever gets it.
 */
#pragma once

#include "io/loop.h"

struct via;

/* `fd` is the caller's, or -1 when the proxy refused, failed or took too long. */
typedef void via_done(void *ctx, int fd);

/* Takes `fd`, a stream to the proxy. `authority` is "host:port", `authorization` the value of
 * Proxy-Authorization or NULL; both are copied. The object frees itself after the callback, which
 * comes from the loop. */
struct via *via_new(struct loop *l, int fd, const char *authority, const char *authorization,
                    uint64_t timeout_ms, via_done *done, void *ctx);

/* Closes; the callback will not come. NULL is fine. */
void via_cancel(struct via *v);
