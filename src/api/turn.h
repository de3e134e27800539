/* turn.h - errands that must not be at work on the same object at the same time wait for each other.
 *
 * A change that is merged into what is stored would else be undone by another one that was merged into
 * the same. The turn belongs to the errand until it ends, however it ends.
 */
#pragma once

#include "api/errand.h"

/* True: it is the errand's turn (x->held is taken). False: its handler is called again when it is. */
bool turn_take(struct errand *x, const struct id *object);
