/* rate.h - a token bucket. Pure: time is a parameter. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint32_t per_second, burst;
    uint64_t thousandths; /* tokens left, times 1000 */
    uint64_t at_ms;
};

void rate_init(struct rate *r, uint32_t per_second, uint32_t burst, uint64_t now_ms);

/* Takes one token. False when there is none. `now_ms` never goes back. */
bool rate_take(struct rate *r, uint64_t now_ms);
