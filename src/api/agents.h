/* agents.h - how agents are kept (agents.c), for whoever makes sessions of them. */
#pragma once

#include "postern/store.h"

/* The record id of a version: the agent's id, "-" and the number. */
struct id agent_version_id(const struct id *agent, int64_t version);
