/* seccomp.h - the system call filter of the command (contract 4.5), and how it is loaded.
 *
 * One filter: it refuses or kills, and hands every call that makes, opens for writing, marks, moves or
 * removes a name, or reaches a socket, to the warden. The programs of the
 * presets are compiled at build time (libseccomp) and linked in; x.seccomp.allow / .deny compile at
 * start. Never SECCOMP_RET_USER_NOTIF with "continue" for a decision on a pointer.
 */
#pragma once

#include "base/err.h"

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of our own processes in the sandbox's pid namespace: the filter protects them by these numbers. */
enum { SECCOMP_INIT_PID = 1, SECCOMP_WARDEN_PID = 2 };

/* Values of the settings' enum seccomp_preset are used as they are: 0 default, 1 strict, 2 compat. */
struct seccomp_choice {
    int preset;
    bool nested_user_namespaces; /* CLONE_NEWUSER and friends are let through */
    bool no_setid;               /* refuse set-id bits */
    /* False only with filesystem.disabled and all unix sockets allowed, or --disable-layer. */
    bool notify;
    bool every_open;         /* opens that only read are judged as well (strictHide); with notify */
    bool sends;              /* with notify: also those that may carry an address (sendops.h) */
    bool without_namespaces; /* see flat.h; compiled at start */
    const char *const *allow, *const *deny; /* NULL-terminated names, or NULL */
};

/* A program for the kernel. `owned` tells whether `filter` must be freed (compiled at start) or is
 * linked in. */
struct seccomp_program {
    const struct sock_filter *filter;
    unsigned short count;
    bool owned;
};

/* Are the names of allow and deny such as can be allowed and denied? Every one that is not is said, as
 * "x.seccomp.allow[3]: ...", joined by "; ": E_INPUT. */
int seccomp_choice_check(const struct seccomp_choice *choice, struct err *e);

/* Does the filter refuse every call that makes a user namespace? Not when the settings let one through. */
bool seccomp_refuses_namespaces(const struct seccomp_choice *choice);

/* Picks the linked-in program or compiles one. A wrong name is E_INPUT, as seccomp_choice_check says. */
int seccomp_program_get(const struct seccomp_choice *choice, struct seccomp_program *out,
                        struct err *e);
void seccomp_program_release(struct seccomp_program *p);

/* Loads the program into the calling thread; no_new_privs must be set. A `pass` that is not 0 lets one
 * kind of call through: sendmsg whose descriptor and flags carry its halves above their own 32 bits, which
 * the kernel does not look at. It is for handing the listener on where sends are judged: random, and gone
 * with our memory when the command is executed. With `listener` the
 * notification descriptor comes back in *listener. EBUSY is said as "already inside a sandbox that
 * holds the notification listener". */
int seccomp_program_load(const struct seccomp_program *p, uint64_t pass, int *listener,
                         struct err *e);

/* Prints what a preset does, for --explain: one line per rule. */
void seccomp_describe(const struct seccomp_choice *choice,
                      void (*line)(void *ctx, const char *text), void *ctx);
