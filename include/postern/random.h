/* random.h - where random bytes come from: the kernel, or a seed in tests and the simulator. */
#pragma once

#include <stddef.h>

struct random_source {
    void (*fill)(void *ctx, void *bytes, size_t n); /* never fails */
    void *ctx;
};

static inline void random_fill(const struct random_source *r, void *bytes, size_t n)
{
    r->fill(r->ctx, bytes, n);
}
