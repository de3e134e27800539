#include "chance.h"

#include <string.h>

/* splitmix64: every state is reached, also from small seeds. */
uint64_t dice_roll(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27) * 0x94d049bb133111ebU;
    return z ^ z >> 31;
}

uint64_t dice_below(struct dice *d, uint64_t n)
{
    return dice_roll(d) % n;
}

int64_t dice_between(struct dice *d, int64_t least, int64_t most)
{
    return least + (int64_t)dice_below(d, (uint64_t)(most - least) + 1);
}

bool dice_chance(struct dice *d, unsigned permille)
{
    return dice_below(d, 1000) < permille;
}

static void fill(void *ctx, void *bytes, size_t n)
{
    for (unsigned char *to = bytes; n > 0;) {
        uint64_t roll = dice_roll(ctx);
        size_t part = n < sizeof roll ? n : sizeof roll;
        memcpy(to, &roll, part);
        to += part;
        n -= part;
    }
}

struct random_source dice_random(struct dice *d)
{
    return (struct random_source){ fill, d };
}
