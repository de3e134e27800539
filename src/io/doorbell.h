/* doorbell.h - how another thread gets the loop's attention.
 *
 * What is to be said stands where both threads can read it, under a lock of theirs; the bell only
 * wakes. Several rings may become one call. While there is a doorbell, loop_run goes on.
 */
#pragma once

#include "io/loop.h"

struct doorbell;

/* `rung` is called on the loop's thread some time after each doorbell_ring. */
int doorbell_new(struct doorbell **out, struct loop *l, void (*rung)(void *ctx), void *ctx,
                 struct err *e);

/* From any thread, as long as the doorbell is there. Never waits. */
void doorbell_ring(struct doorbell *d);

/* On the loop's thread, also from `rung`; nobody may ring any more. NULL is fine. */
void doorbell_free(struct doorbell *d);
