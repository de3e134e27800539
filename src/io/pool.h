/* pool.h - work that would hold the loop up, done on another thread.
 *
 * For reading large JSON and the like: the work touches nothing but what it was given. At most some
 * run at once (libuv's pool); the others wait in order.
 */
#pragma once

#include "io/loop.h"

/* Runs work(ctx) on a thread of the pool, then done(ctx) on the loop. There is no way back: what is
 * no longer wanted is thrown away by `done`. loop_run goes on until `done` has been called. */
void pool_run(struct loop *l, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx);
