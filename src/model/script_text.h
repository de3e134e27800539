/* script_text.h - texts of a script with what they stand for filled in.
 *
 *     {{user}} {{result}} {{result.0}} {{tool.0}} {{round}} {{answer}} {{session}} {{model}}
 *
 * {{{{ stands for {{. A result that is not there is empty.
 */
#pragma once

#include "base/buf.h"
#include "model/conversation.h"
#include "postern/model.h"

enum { SCRIPT_TEXT_MAX = 8 << 20 };

/* What is wrong with the text, or NULL. */
const char *script_text_refuses(struct str text);

/* Appends the text `repeat` times, filled in each time. E_BUSY when it would have more than
 * SCRIPT_TEXT_MAX bytes. */
int script_text_fill(struct buf *out, struct str text, uint64_t repeat,
                     const struct conversation *c, const struct model_request *request,
                     struct err *e);

/* Appends a JSON value with every text in it filled in (keys stay as they are). */
int script_text_fill_value(struct buf *out, const struct json *v, const struct conversation *c,
                           const struct model_request *request, struct err *e);
