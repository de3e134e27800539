/* clean.h - text from hostile places made fit for a line that people read (contract 8, 10.1).
 *
 * Control, zero-width and bidirectional characters become one space, bytes that are not UTF-8 become "?".
 */
#pragma once

#include "base/buf.h"

/* Appends `text`, cut after `max` UTF-16 units: for a person who is asked, and must see what is meant. */
void clean_shown(struct buf *out, struct str text, size_t max);

/* The same without "<" and ">": for lines that stand between tags (contract 10.1). */
void clean_text(struct buf *out, struct str text, size_t max);

/* Appends `text` as an HTTP status phrase: cleaned, and everything that is not ASCII is "?". */
void clean_phrase(struct buf *out, struct str text);

/* Appends a request target with query and fragment cut to "?..." and "#...". */
void clean_target(struct buf *out, struct str target);
