/* timer.h - one deadline.
 *
 * A timer belongs to one object and fires at most once per start. Freeing it is allowed at any time,
 * also from its own callback.
 */
#pragma once

#include "io/loop.h"

struct timer;

struct timer *timer_new(struct loop *l, void (*fired)(void *ctx), void *ctx);

/* Fires once, `ms` from now; a running timer is set anew. */
void timer_start(struct timer *t, uint64_t ms);
void timer_stop(struct timer *t);

/* NULL is fine. The callback never runs afterwards. */
void timer_free(struct timer *t);
