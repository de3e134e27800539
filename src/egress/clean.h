/* clean.h - text from hostile places made fit for a line that people read (contract 10.1).
 *
 * Control, zero-width and bidirectional characters become one space, "<" and ">" go, bytes that are
 * not UTF-8 become "?".
 */
#pragma once

#include "base/buf.h"

/* Appends `text`, cut after `max` UTF-16 units. */
void clean_text(struct buf *out, struct str text, size_t max);

/* Appends `text` as an HTTP status phrase: cleaned, and everything that is not ASCII is "?". */
void clean_phrase(struct buf *out, struct str text);

/* Appends a request target with query and fragment cut to "?..." and "#...". */
void clean_target(struct buf *out, struct str target);
