#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>

struct arena_block {
    struct arena_block *below;
    alignas(max_align_t) char mem[];
};

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){ .limit = limit };
}

void arena_release(struct arena *a)
{
    while (a->top) {
        struct arena_block *dead = a->top;
        a->top = dead->below;
        free(dead);
    }
    a->left = a->spent = 0;
}

void *arena_get(struct arena *a, size_t n)
{
    enum { BLOCK = 8192 - sizeof(struct arena_block), UNIT = alignof(max_align_t) };
    if (n > a->limit || n > SIZE_MAX / 2)
        return NULL;
    n = n ? (n + UNIT - 1) / UNIT * UNIT : UNIT;
    if (n > a->left) {
        size_t room = a->limit - a->spent;
        size_t size = n > BLOCK || BLOCK > room ? n : BLOCK;
        if (size > room)
            return NULL;
        struct arena_block *b = calloc(1, sizeof *b + size);
        if (!b)
            return NULL;
        b->below = a->top;
        a->top = b;
        a->left = size;
        a->spent += size;
    }
    /* Hand out from the end: the start of the free part never has to be remembered. */
    a->left -= n;
    return a->top->mem + a->left;
}

char *arena_dup(struct arena *a, struct str s)
{
    char *copy = s.n < SIZE_MAX ? arena_get(a, s.n + 1) : NULL;
    if (copy && s.n)
        memcpy(copy, s.p, s.n);
    return copy;
}
