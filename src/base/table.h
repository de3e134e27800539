/* table.h - things found by name.
 *
 * A hash table of pointers. It owns neither the names nor the things: a name is borrowed and usually
 * stands in the thing itself, so it must stay as it is until the thing is dropped from the table. The
 * names are meant to be ours (ids, hashes); a peer that chooses names can make it slow.
 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

struct table_slot {
    struct str name;
    void *thing; /* NULL: a free slot */
    uint64_t hash;
};

struct table {
    struct table_slot *slots; /* owned */
    size_t count, cap;        /* cap is a power of two, or 0 */
};

/* Gives the memory back and forgets all things. `struct table t = { 0 };` is an empty table. */
void table_release(struct table *t);

/* The thing of that name, or NULL. */
void *table_find(const struct table *t, struct str name);

/* Puts a thing there, not NULL, whose name is not in the table yet. */
void table_put(struct table *t, struct str name, void *thing);

/* Takes the thing of that name out and gives it, or NULL. */
void *table_drop(struct table *t, struct str name);

/* Walks all things in no order: the next one from *at (0 to begin), or NULL at the end. The table must
 * not be changed meanwhile. */
void *table_next(const struct table *t, size_t *at);
