/* arena.h - memory with one lifetime and a ceiling.
 *
 * Everything that one settings file, request or plan needs is taken from one arena and given back at
 * once. The ceiling is the single answer to "what if somebody sends a million of them".
 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

struct arena_block;
struct arena {
    struct arena_block *top;
    size_t left;  /* free bytes in the top block */
    size_t spent; /* bytes of all blocks */
    size_t limit; /* arena_get fails beyond this */
};

/* Allocates nothing. */
void arena_init(struct arena *a, size_t limit);

/* Gives everything back; the arena can be used again. */
void arena_release(struct arena *a);

/* Zeroed, aligned, lives until arena_release. NULL when the limit is reached. */
void *arena_get(struct arena *a, size_t n);

/* A copy with a NUL behind it, or NULL at the limit. */
char *arena_dup(struct arena *a, struct str s);

#define AUTO_ARENA CLEANUP(arena_release) struct arena
