/* layering.h - what the layers of a run came to, once its inside stands and before its command runs.
 *
 * A layer can be weaker than wanted because of the machine. Required ones end the run, accepted ones are
 * said aloud (contract 11).
 */
#pragma once

#include "base/err.h"
#include "role/record.h"

#include <stdbool.h>

/* Adds to l->degraded what only the outside knows. E_SANDBOX when a required layer is off or degraded. */
int layering_judge(struct launch *l, const struct plan *p, bool proxy_failed, struct err *e);

/* Writes a record for each degraded layer, and warns of those that were asked for or accepted. */
void layering_record(const struct launch *l, const struct plan *p, struct record *r);
