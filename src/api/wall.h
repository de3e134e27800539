/* wall.h - what crossed the wall for a session, counted (contract 13). */
#pragma once

#include "base/id.h"

struct api;

/* The session is deleted: its counters go with it. */
void wall_forget(struct api *api, const struct id *session);
