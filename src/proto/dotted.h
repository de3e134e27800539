/* dotted.h - where in a document a value stands, as people write it: "turns[2].call[0].tool". */
#pragma once

#include "base/buf.h"

/* Goes down to a member or an item; dotted_leave with what was returned goes back up. Long keys are
 * cut and control characters replaced. */
size_t dotted_key(struct buf *path, struct str key);
size_t dotted_index(struct buf *path, size_t i);
void dotted_leave(struct buf *path, size_t was);
