/* places.h - on which line each value of a document stands, so that a problem can be found in an
 * editor. Filled by yaml.h, asked by problems.h.
 */
#pragma once

#include "base/buf.h"

struct places;

struct places *places_new(void);
void places_free(struct places *p); /* NULL is fine */
void places_drop(struct places **p);
#define AUTO_PLACES CLEANUP(places_drop) struct places *

/* Adds a value below `parent`, which was added before, and returns its number. The first one is the
 * root (0), whose parent does not count. */
size_t places_add_member(struct places *p, size_t parent, struct str key, size_t line);
size_t places_add_item(struct places *p, size_t parent, size_t index, size_t line);

/* The line of the value at that dotted path, or of the nearest one above it that is there; 0 when
 * nothing was added. */
size_t places_line(const struct places *p, struct str path);
