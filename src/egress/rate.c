#include "egress/rate.h"

void rate_init(struct rate *r, uint32_t per_second, uint32_t burst, uint64_t now_ms)
{
    *r = (struct rate){ per_second, burst, (uint64_t)burst * 1000, now_ms };
}

bool rate_take(struct rate *r, uint64_t now_ms)
{
    uint64_t full = (uint64_t)r->burst * 1000, passed = now_ms - r->at_ms;
    /* Past the time that fills the bucket nothing more can be earned, nor overflow. */
    uint64_t earned = passed > full ? full : passed * r->per_second;
    r->thousandths = r->thousandths + earned > full ? full : r->thousandths + earned;
    r->at_ms = now_ms;
    if (r->thousandths < 1000)
        return false;
    r->thousandths -= 1000;
    return true;
}
