/* cursor.h - where a list goes on (contract 1.7): the place of its last item, authenticated.
 *
 * A cursor is good for one list (its scope: which list, of which workspace) in one order, and stays
 * good over restarts, because its key is kept in the state directory.
 */
#pragma once

#include "base/buf.h"
#include "base/id.h"

#include <stdbool.h>

enum { CURSOR_KEY = 32 };

struct cursor {
    bool oldest_first;
    bool backward; /* leads to what comes before this place */
    int64_t at;    /* microseconds */
    int64_t number;
    struct id id;
};

/* Appends the opaque text. */
void cursor_write(struct buf *out, const struct cursor *c, struct str scope,
                  const unsigned char key[CURSOR_KEY]);

/* False for whatever cursor_write did not write with that scope and key. */
bool cursor_read(struct str text, struct str scope, const unsigned char key[CURSOR_KEY],
                 struct cursor *out);
