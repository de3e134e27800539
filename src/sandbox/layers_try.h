/* layers_try.h - one trial per layer: does here what a run does, and says what came of it.
 *
 * Each trial runs in a child process of its own (layers.c), which it may confine, drop or break as it
 * likes; `l` is memory that the parent sees. A trial sets the report of its layer and nothing else of
 * the table, but for what its comment says.
 */
#pragma once

#include "sandbox/layers.h"

typedef void layer_trial(struct layers *l);

layer_trial try_namespaces, try_net, try_mount, try_seccomp, try_capabilities, try_rlimit,
    try_proxy, try_transparent, try_keyring;
layer_trial try_landlock; /* sets landlock_abi, too */
layer_trial try_cgroup;   /* sets placement, too */

/* For trials: fills a report. The cure stays as it is. */
__attribute__((format(printf, 3, 4))) void layer_say(struct layer_report *r, enum layer_state state,
                                                     const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void layer_cure(struct layer_report *r, const char *fmt, ...);

/* Enters a new user namespace together with the namespaces of `flags` and maps the caller's own uid
 * and gid, as a run does. False when it is refused; then `r` says why and how to cure it. */
bool enter_namespaces(struct layer_report *r, int flags);
