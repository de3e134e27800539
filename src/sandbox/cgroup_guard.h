/* cgroup_guard.h - the end of a run's control groups, also when the supervisor is killed.
 *
 * A group cannot remove itself, and whoever is inside dies with the run. So a small process outside
 * waits for the supervisor's end: it shares the supervisor's memory (clone with CLONE_VM, about 50 us;
 * a fork would cost ten times that in page faults), holds no descriptor but the one it waits on, and
 * is in a session of its own, so that signals to the supervisor's process group do not reach it.
 */
#pragma once

#include "sandbox/cgroup.h"

/* Starts the guard of c's groups, those that are added to c->dirs later included. The supervisor must not
 * start it twice. */
int cgroup_guard_start(struct cgroup *c, struct err *e);

/* Ends the guard without letting it act. */
void cgroup_guard_stop(struct cgroup *c);

/* Kills what is inside `dirs` and removes them and the groups below. Uses no heap: the guard calls it
 * when the supervisor may have died inside malloc. Returns how many directories are left. */
int cgroup_tear_down(char *const dirs[CGROUP_PLACES]);
