/* fifo.h - opens a fifo in the caller's place, without waiting for its other end.
 *
 * The caller waits (pending.h); whoever opens the other end inside comes through the warden too, so the
 * two find each other here. For the host's processes a reader sees only that one has written or gone.
 */
#pragma once

#include "sandbox/warden-int.h"

/* `object` is O_PATH, judged already; `st` is its. REQUEST_ANSWERED or errno. */
int fifo_open(struct request *q, int object, const struct stat *st, int flags);
