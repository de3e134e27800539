/* spawner.h - the process that starts commands and is their warden.
 *
 * A child of init. It enters the outer Landlock domain first, so that every command inherits it and
 * so that what the warden does in a command's place stays inside it too; keeps CAP_SYS_PTRACE towards
 * the sandbox and nothing else; then starts the first command and serves its notifications, and takes
 * orders for further commands (the worker's case) from the supervisor.
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
    int orders;                  /* SEQPACKET to the supervisor, owned */
    int report;                  /* warden's reports, owned */
    int failure;                 /* failure pipe, owned */
    const char *covered;         /* see warden.h */
    int covered_fd;
    int ruleset;                     /* of the outer Landlock domain, -1 = none; owned */
    int born;                        /* pipe to init: the first command's pid; owned */
    const struct spawner_life *life; /* NULL: init cares for all that */
    bool report_allowed;             /* the audit log wants allowed calls too */
};

/* Never returns: ends when no command is left and no order can come. */
_Noreturn void spawner_main(const struct spawner_setup *setup);
