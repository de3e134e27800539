/* confine.h - the two Landlock domains of a run.
 *
 * The outer one holds for the warden and for everything below it: reads everywhere except hidden
 * paths, writes only beneath the allowed roots. The inner one is the command's alone and lets it make,
 * write, move or remove nothing at all and connect nowhere: all of that goes through the warden, and
 * whatever would get round the warden's notification stops here.
 */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

/* Puts the caller into the outer domain; the mounts must be in place and no_new_privs set. */
int confine_warden(const struct plan *p, struct err *e);

/* Puts the caller into the inner domain. */
int confine_command(const struct plan *p, struct err *e);
