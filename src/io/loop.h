/* loop.h - one event loop, one thread.
 *
 * Everything that waits (descriptors, timers, look-ups) hangs on a loop; every callback runs on the
 * thread that called loop_run. No callback runs before the function that registered it has returned.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct loop;

/* A loop of its own; several may live in one process. The caller frees. */
int loop_new(struct loop **out, struct err *e);

/* Everything that hangs on the loop must have been freed by its owner before. */
void loop_free(struct loop *l);

/* Runs until loop_stop, or until nothing is left that could happen. */
void loop_run(struct loop *l);

/* Makes loop_run return after the callbacks of this turn. */
void loop_stop(struct loop *l);

/* Milliseconds on a clock that never goes back, as of the start of this turn. */
uint64_t loop_now(const struct loop *l);

/* Calls `fn(ctx)` from the loop, after the callback that is running now. Closing is two steps: an
 * object marks itself closed, and frees itself from here. */
void loop_later(struct loop *l, void (*fn)(void *ctx), void *ctx);

/* Memory for one read, shared by everybody on this loop: what is in it is gone when the callback
 * returns. */
char *loop_scratch(struct loop *l, size_t *n);
