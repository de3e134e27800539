#include "base/table.h"

#include "base/check.h"

#include <stdlib.h>

enum { TABLE_FIRST = 8 };

/* FNV-1a, eight bytes at a step, and mixed so that the low bits depend on all. */
static uint64_t hash_of(struct str name)
{
    uint64_t hash = 14695981039346656037u ^ name.n;
    size_t at = 0;
    for (; at + 8 <= name.n; at += 8) {
        uint64_t word;
        memcpy(&word, name.p + at, 8);
        hash = (hash ^ word) * 1099511628211u;
        hash ^= hash >> 29;
    }
    for (; at < name.n; at++)
        hash = (hash ^ (unsigned char)name.p[at]) * 1099511628211u;
    hash ^= hash >> 32;
    return hash * 0x9e3779b97f4a7c15u >> 16;
}

void table_release(struct table *t)
{
    free(t->slots);
    *t = (struct table){ 0 };
}

/* Where the name stands, or the free slot where it would. The table is never full. */
static size_t place_of(const struct table *t, struct str name, uint64_t hash)
{
    size_t at = hash & (t->cap - 1);
    while (t->slots[at].thing && (t->slots[at].hash != hash || !str_eq(t->slots[at].name, name)))
        at = (at + 1) & (t->cap - 1);
    return at;
}

void *table_find(const struct table *t, struct str name)
{
    return t->count ? t->slots[place_of(t, name, hash_of(name))].thing : NULL;
}

static void make_room(struct table *t)
{
    struct table was = *t;
    t->cap = was.cap ? was.cap * 2 : TABLE_FIRST;
    t->slots = mem_array(t->cap, sizeof *t->slots);
    for (size_t i = 0; i < was.cap; i++)
        if (was.slots[i].thing)
            t->slots[place_of(t, was.slots[i].name, was.slots[i].hash)] = was.slots[i];
    free(was.slots);
}

void table_put(struct table *t, struct str name, void *thing)
{
    CHECK(thing);
    if (t->count >= t->cap / 4 * 3)
        make_room(t);
    uint64_t hash = hash_of(name);
    struct table_slot *slot = &t->slots[place_of(t, name, hash)];
    CHECK(!slot->thing);
    *slot = (struct table_slot){ name, thing, hash };
    t->count++;
}

void *table_drop(struct table *t, struct str name)
{
    if (!t->count)
        return NULL;
    size_t gap = place_of(t, name, hash_of(name));
    void *thing = t->slots[gap].thing;
    if (!thing)
        return NULL;
    /* Whoever stands behind the gap and would be looked for across it moves into it. */
    size_t mask = t->cap - 1;
    for (size_t at = (gap + 1) & mask; t->slots[at].thing; at = (at + 1) & mask) {
        size_t home = t->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            t->slots[gap] = t->slots[at];
            gap = at;
        }
    }
    t->slots[gap] = (struct table_slot){ 0 };
    t->count--;
    return thing;
}

void *table_next(const struct table *t, size_t *at)
{
    while (*at < t->cap) {
        void *thing = t->slots[(*at)++].thing;
        if (thing)
            return thing;
    }
    return NULL;
}
