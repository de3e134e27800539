/* client.h - applications and people: they talk, confirm, interrupt, raise budgets, stop items, and
 * read along. One of them has one session.
 */
#pragma once

#include "world.h"

void clients_open(struct world *w);
void clients_free(struct world *w);

/* The server's process ends: its readers with it. */
void readers_forget(struct world *w);

/* Nothing is left to say. */
bool clients_are_content(struct world *w);

/* The run is over: has everybody read everything? */
void clients_end(struct world *w);
