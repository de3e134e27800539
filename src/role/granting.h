/* granting.h - wishes for files, from the warden to a person and back (contract 8, x.ask.files).
 *
 * Each wish is judged, asked about (asking.h) unless that has been answered already, and answered with a
 * descriptor that we open on the host (hostfile.h), or with an errno.
 */
#pragma once

#include "role/asking.h"
#include "sandbox/wish.h"

#include <stdint.h>

struct granting;

/* All is borrowed for the life. `socket` is the supervisor's end of the warden's reports. `asking` NULL
 * denies everything. */
struct granting *granting_new(const struct plan *plan, struct asking *asking, struct record *record,
                              struct watch *watch, int socket);
void granting_free(struct granting *g);

/* A message of the warden. `process` is a pidfd of who asks, taken over; -1 = none came. */
void granting_take(struct granting *g, const struct wish *w, int process, int64_t now_ms);
