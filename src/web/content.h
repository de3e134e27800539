/* content.h - what came from the web, as text for a model. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

enum { CONTENT_CHARACTERS = 100000 }; /* without max_content_tokens */

/* Appends the text of a body: of HTML what a person would read, of texts and JSON what stands there.
 * `title` gets a page's title. False for a type that is no text. */
bool content_text(struct buf *out, struct buf *title, struct str type, struct str body);

/* Cuts to about so many tokens (four bytes each), or 0: CONTENT_CHARACTERS bytes; between characters,
 * with a note. */
void content_cut(struct buf *text, int64_t max_tokens);
