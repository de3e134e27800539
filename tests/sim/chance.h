/* chance.h - dice that fall the same way for the same seed. */
#pragma once

#include "postern/random.h"

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

uint64_t dice_roll(struct dice *d);

/* From 0 to n - 1; n > 0. */
uint64_t dice_below(struct dice *d, uint64_t n);

/* From `least` to `most`, both included. */
int64_t dice_between(struct dice *d, int64_t least, int64_t most);

/* True in `permille` of a thousand cases. */
bool dice_chance(struct dice *d, unsigned permille);

/* For whoever wants random bytes. */
struct random_source dice_random(struct dice *d);
