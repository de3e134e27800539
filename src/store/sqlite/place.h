/* place.h - the directory of a store: who may be in it, and that one process serves it. */
#pragma once

#include "base/err.h"

struct place {
    char *database; /* owned; path of postern.db */
    int lock;       /* descriptor that holds the lock, or -1 */
};

/* Makes what is missing and takes the lock. The lock is held until place_close; it is never inherited.
 * Errors as sqlite_store_new says. */
int place_open(struct place *p, const char *dir, struct err *e);
void place_close(struct place *p);

/* The path of the database in `dir`; the caller frees. */
char *place_database(const char *dir);
