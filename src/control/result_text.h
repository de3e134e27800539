/* result_text.h - what the model sees of a tool's result (contract 3.2, 6.10).
 *
 * The event keeps the whole result; the model gets RESULT_CHARACTERS_MAX of its text, the middle cut
 * out with a note that says how much is missing.
 */
#pragma once

#include "base/buf.h"

enum { RESULT_CHARACTERS_MAX = 100000 };

/* Appends the blocks of a result as a JSON array, `most` characters of text. `content` is an array of
 * blocks or empty; then `text` is the one block, and nothing at all becomes "(no output)". */
void result_text_write(struct buf *out, struct str content, struct str text, size_t most);
