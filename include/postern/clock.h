/* clock.h - what time it is, for whoever may not ask the machine.
 *
 * Times are microseconds since 1970 in UTC. Tests and the simulator put their own clock here.
 */
#pragma once

#include <stdint.h>

struct clock {
    int64_t (*now)(void *ctx);
    void *ctx;
};

static inline int64_t clock_now(const struct clock *c)
{
    return c->now(c->ctx);
}
