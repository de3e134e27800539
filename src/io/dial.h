/* dial.h - one TCP connection to the first of several addresses that answers (RFC 8305).
 *
 * Families are interleaved, the next address is tried when the one before has had 250 ms without an
 * answer or has failed, each address gets at most 10 s.
 */
#pragma once

#include "io/loop.h"
#include "io/resolve.h"

struct dial;

/* `fd` is the caller's from now on, or -1 and `os` says why the last address failed. `which` is the
 * index of the address in the list given to dial_new. */
typedef void dial_done(void *ctx, int fd, size_t which, int os);

/* The list (1 to RESOLVE_MAX addresses with ports) is copied. The object frees itself after the
 * callback, which comes from the loop, never from here. `timeout_ms` bounds the whole. */
struct dial *dial_new(struct loop *l, const struct socket_address *list, size_t count,
                      uint64_t timeout_ms, dial_done *done, void *ctx);

/* Closes what was begun; the callback will not come. NULL is fine. */
void dial_cancel(struct dial *d);
