/* worker.h - workers of the environment, played: as the SDK's (contract 5), or as ours, which marks a
 * call before it runs it. Some are slow, die, freeze while their lease runs out, or give items back;
 * in some runs all end each item at once.
 */
#pragma once

#include "world.h"

void crew_open(struct world *w);
void crew_free(struct world *w);

/* A session's log has grown. */
void crew_notice(struct world *w, const struct id *session);

/* All are alive and well from now on. */
void crew_calm(struct world *w);
