/* mem.h - memory that is there or the process stops.
 *
 * Sizes that a peer chooses are bounded before they reach these functions (arena limits, bufq
 * capacities), so running out here means that the machine is out of memory: nothing sensible can be
 * done, and the supervisor starts a new process.
 */
#pragma once

#include <stddef.h>
#include <string.h>

/* Zeroed memory; the caller frees. Aborts when there is none. n = 0 gives a valid pointer. */
void *mem_get(size_t n);

/* Zeroed array of `count` items; aborts on overflow too. */
void *mem_array(size_t count, size_t size);

/* realloc that aborts instead of failing. New bytes are not zeroed. */
void *mem_grow(void *p, size_t n);

/* Overwrites secrets in a way that the compiler may not drop, before the memory is given back. */
void mem_wipe(void *p, size_t n);

/* For CLEANUP: frees what the pointer variable points to. */
void mem_drop(void *pointer_variable);

/* Releases by scope: `AUTO_FREE char *path = ...;` */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define AUTO_FREE CLEANUP(mem_drop)

/* Hands the pointer over to the caller and forgets it, so that the scope does not free it. */
static inline void *mem_take(void *pointer_variable)
{
    static void *const none = NULL;
    void *was; /* copied, because the variable may be of any pointer type */
    memcpy(&was, pointer_variable, sizeof was);
    memcpy(pointer_variable, &none, sizeof none);
    return was;
}
