/* later.h - what a part of the program wants called from the loop, and can take back as a whole.
 *
 * loop_later calls whatever happens; a part that may go away before asks here, and is forgotten with
 * later_free.
 */
#pragma once

#include "io/loop.h"

struct later;

struct later *later_new(struct loop *l);

/* fn(arg) once, from the loop, in the order of the calls. */
void later_add(struct later *l, void (*fn)(void *arg), void *arg);

/* What has not been called is not any more. NULL is fine. */
void later_free(struct later *l);
