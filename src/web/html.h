/* html.h - what a person would read of a page: its text, without markup.
 *
 * Not a browser: tags are dropped, those of blocks end a line, scripts, styles and the like go with
 * what is in them, entities become characters, blanks are folded. Any bytes give some text, in one
 * pass; a byte that is no UTF-8 becomes U+FFFD.
 */
#pragma once

#include "base/buf.h"

/* Appends the text; and the page's title to `title`. */
void html_text(struct buf *out, struct buf *title, struct str page);
