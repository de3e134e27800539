/* flat.h - a run without namespaces: for machines that refuse them, when the owner accepts it
 * (contract 11, rows 1-3; `--allow-degraded=namespaces`).
 *
 * What is left: the warden's judging by name, both Landlock domains, the system call filter, limits,
 * and the proxy. The network, the process table, IPC and the mounts are the host's. So the proxy listens
 * on the host's 127.0.0.1, the filter knows nothing but TCP, the warden connects to the proxy's ports
 * and nowhere else, changes of modes, owners and times are judged by name like writes, and what only a
 * mount could hide or forbid is refused before anything starts.
 *
 * Two processes take init's place. The keeper is the supervisor's child and reaps: it ends with the
 * supervisor or the warden, and ends all descendants first. The warden is the ancestor of every process
 * of the command, so that Yama lets it read their memory, and does the same when the keeper is killed.
 */
#pragma once

#include "base/err.h"
#include "sandbox/init.h"
#include "sandbox/plan.h"

struct flat {
    /* Owned, and kept as long as the run whether the proxy lives or not: the ports are the machine's, and
     * whoever got hold of one would get what the command sends there. */
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    size_t listener_count;
    char tmpdir[32]; /* made by us; "" = none */
    char why[160];   /* what the machine refuses */
};

/* True when the plan accepts a run without namespaces and a trial says that this machine needs it;
 * then *f is filled and must be released. The trial costs nothing when the plan does not accept it. */
bool flat_is_needed(const struct plan *p, struct flat *f);

/* Fits the plan: opens the listeners, makes the directory for TMPDIR, sets plan->flat and what follows
 * from it. Fails with E_SANDBOX and the entry's name when the plan holds what needs a mount. */
int flat_prepare(struct flat *f, struct plan *p, struct err *e);

/* Ends the connections that wait at the listeners. For a run whose proxy has ended: what nobody accepts
 * would hang. */
void flat_turn_away(const struct flat *f);

/* Closes the listeners and removes the directory with all that is in it. */
void flat_release(struct flat *f);

/* The keeper, in place of init_main. Never returns. */
_Noreturn void flat_main(const struct init_setup *setup);
