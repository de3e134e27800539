/* spawner.h - who starts commands and is their warden.
 *
 * A thread of init, because another address space costs a start two milliseconds and a sandbox a fifth
 * of its memory. It enters the outer Landlock domain first, so that every command inherits it and so
 * that what the warden does in a command's place stays inside it too; keeps CAP_SYS_PTRACE towards the
 * sandbox and nothing else; then starts the first command and serves its notifications, and takes
 * orders for further commands (the worker's case) from the supervisor. Credentials are a thread's own.
 */
#pragma once

#include "sandbox/command.h"

/* For who has no init beside it (flat.h): called in the warden's loop. `first` is the first command's
 * pid, 0 = none. */
struct spawner_life {
    int events; /* readable when on_event has something to do */
    void (*on_event)(void *ctx, pid_t first);
    void (*on_last)(void *ctx, pid_t first); /* no process is left behind the filter */
    void *ctx;
};

struct spawner_setup {
    const struct plan *plan;
    const struct seccomp_program *filter;
    const struct command *first; /* NULL: only orders */
    /* Set to the first command's pid before it runs; the kernel writes it. */
    pid_t *first_pid;
    int orders;          /* SEQPACKET to the supervisor, owned */
    int report;          /* warden's reports, owned */
    int redirect;        /* see warden.h; owned */
    int failure;         /* failure pipe, owned */
    const char *covered; /* see warden.h */
    int covered_fd;
    bool foreign_proc; /* see warden.h */
    int ruleset; /* of the outer Landlock domain, complete; -1 = none, or we are in it; owned */
    const struct spawner_life *life; /* NULL: init cares for all that */
    bool report_allowed;             /* the audit log wants allowed calls too */
};

/* Adds the rules of what stands inside to the outer domain's, and waits for the supervisor to have added
 * those of the host's trees. */
int spawner_wait_for_rules(const struct plan *p, int ruleset, int orders, struct err *e);

/* Returns 0 when no command is left; -1 also when the first one could not be started. */
int spawner_run(const struct spawner_setup *setup, struct err *e);
