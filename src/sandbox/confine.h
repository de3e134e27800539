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

/* Devices that can do no harm: what a command sees of /dev. */
enum { CONFINE_DEVICES = 6 };
extern const char *const confine_devices[CONFINE_DEVICES];

/* A rule set for the outer domain, close-on-exec. *ruleset is -1 when there is to be none (files not
 * restricted, or the layer accepted as missing). */
int confine_open(const struct plan *p, int *ruleset, struct err *e);

/* Adds what the host's own files need. The supervisor does this while init mounts, because rules hold
 * on inodes and a rule for each sibling of a hidden path takes its time. */
int confine_allow_host(const struct plan *p, int ruleset, struct err *e);

/* Adds what exists only inside (devices, private directories), once the mounts are in place; the two may add
 * at the same time. */
int confine_allow_inside(const struct plan *p, int ruleset, struct err *e);

/* Puts the caller, the warden, into the domain, once both have added theirs; no_new_privs must be set. With
 * plan.audited the kernel logs what this domain and the inner one refuse. */
int confine_warden(const struct plan *p, int ruleset, struct err *e);

/* Puts the caller into the inner domain. */
int confine_command(const struct plan *p, struct err *e);
