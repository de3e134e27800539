/* throttle.h - so many calls a minute for each workspace (contract 1.10).
 *
 * A bucket per workspace that fills evenly and holds a minute's worth. At most THROTTLE_WORKSPACES are
 * remembered; a bucket that is full again is the first to be forgotten, which changes nothing.
 */
#pragma once

#include "base/id.h"

enum { THROTTLE_WORKSPACES = 1024 };

struct throttle;

struct throttle *throttle_new(unsigned per_minute);
void throttle_free(struct throttle *t); /* NULL is fine */

/* 0: it may go; else the seconds after which it is worth trying again. */
unsigned throttle_take(struct throttle *t, const struct id *workspace, int64_t now);
