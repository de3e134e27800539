/* warden_rules.h - from resolved places to the rules by which the warden judges names and sockets.
 *
 * The other half of what marks.h makes of them: what holds for names that do not exist yet (contract 3.4.4,
 * 3.5, 3.7).
 */
#pragma once

#include "sandbox/plan.h"

/* Fills p->rules and the lists of unix sockets from the places and the mounts of *p. */
int warden_rules_compile(struct plan *p, const struct plan_request *request, struct err *e);
