#include "api/throttle.h"

#include "base/mem.h"

#include <stdlib.h>

enum { MINUTE = 60 * 1000000 };

/* A bucket is kept as the moment at which it will be full again. */
struct bucket {
    struct id workspace;
    int64_t full_at;
};

struct throttle {
    int64_t each; /* microseconds that one call costs */
    size_t count;
    struct bucket buckets[THROTTLE_WORKSPACES];
};

struct throttle *throttle_new(unsigned per_minute)
{
    struct throttle *t = mem_get(sizeof *t);
    t->each = MINUTE / (int64_t)per_minute;
    return t;
}

void throttle_free(struct throttle *t)
{
    free(t);
}

static struct bucket *bucket_of(struct throttle *t, const struct id *workspace)
{
    struct bucket *fullest = &t->buckets[0];
    for (size_t i = 0; i < t->count; i++) {
        if (id_eq(&t->buckets[i].workspace, workspace))
            return &t->buckets[i];
        if (t->buckets[i].full_at < fullest->full_at)
            fullest = &t->buckets[i];
    }
    if (t->count < THROTTLE_WORKSPACES)
        fullest = &t->buckets[t->count++];
    *fullest = (struct bucket){ .workspace = *workspace };
    return fullest;
}

unsigned throttle_take(struct throttle *t, const struct id *workspace, int64_t now)
{
    struct bucket *b = bucket_of(t, workspace);
    int64_t full_at = (b->full_at > now ? b->full_at : now) + t->each;
    if (full_at - now > MINUTE)
        return (unsigned)((full_at - now - MINUTE + 999999) / 1000000);
    b->full_at = full_at;
    return 0;
}
