/* memory.h - the store for tests and the simulator: no threads, no files, no clock.
 *
 * A disk is what outlives a process; a store is one process's way to it. Several stores on one disk
 * are several processes on one database. Freeing a store is that process's death: what it submitted
 * and was not committed yet never happens, what was committed stays, and nobody is told.
 *
 * A commit and its answer are two separate calls of `later`, in the order of the submits, so that a
 * simulator can let a process die between them.
 */
#pragma once

#include "postern/store.h"

/* Calls fn(arg) soon, not from within this call. What it was asked for by a store must not be called
 * any more once that store is freed. */
typedef void memory_later(void *ctx, void (*fn)(void *arg), void *arg);

struct memory_disk;

struct memory_disk *memory_disk_new(void);

/* After all stores on it. NULL is fine. */
void memory_disk_free(struct memory_disk *d);

/* From now on every commit fails with E_IO (nothing happens) and `check` fails, until it is mended. */
void memory_disk_break(struct memory_disk *d, bool broken);

/* Freed by its ops->free. */
struct store *memory_store_new(struct memory_disk *d, memory_later *later, void *ctx);
