/* init.h - pid 1 of a sandbox.
 *
 * Builds the inside (identity, network, mounts), starts the spawner, reaps everything, passes signals
 * on, covers hidden files that the host replaces or makes, and ends with the command: the kernel then kills
 * whatever is left (contract 1.3). Dies with the supervisor, by PDEATHSIG and by the end of its socket.
 */
#pragma once

#include "sandbox/command.h"

#include <sys/types.h>

struct init_setup {
    const struct plan *plan;
    const struct seccomp_program *filter;
    const struct command *first; /* NULL: stay until the supervisor ends */
    uid_t uid;                   /* the caller's, as seen outside */
    gid_t gid;
    bool standin;  /* they are those of standin.h, and to be kept */
    bool terminal; /* make a pty for the first command and pass its master out */
    bool report_allowed;
    int boss, orders, report, failure; /* owned */
    int redirect;                      /* see warden.h; -1 = it is made at once; owned */
    int ruleset;                       /* of the outer Landlock domain, -1 = none; owned */
};

/* Runs in the new namespaces, right after clone. Never returns. */
_Noreturn void init_main(const struct init_setup *setup);

/* Steps that a run without namespaces takes, too (flat.h). */

/* Closes every descriptor but our own sockets and the standard ones. */
int init_close_others(const struct init_setup *s, struct err *e);

/* Makes a pty that becomes the session's terminal; its master goes to the supervisor. *slave is the
 * caller's. */
int init_make_terminal(const struct init_setup *s, const char *multiplexer, int *slave,
                       struct err *e);

/* Says that the inside stands, moves into the control groups that the supervisor has made meanwhile, and
 * sets the limits that hold per process. */
int init_wait_to_enter(const struct init_setup *s, struct err *e);

/* Tells the supervisor what could not be built, and ends. */
_Noreturn void init_fail(const struct init_setup *s, const struct err *e);

/* Puts /dev/null in place of descriptors 0, 1 and 2, so that pipes of the caller end with the command
 * and not with us. */
int stdio_drop(struct err *e);
