/* supervisor.h - the process outside a sandbox: it starts it, watches it, and outlives it by nothing.
 *
 * One poll loop: signals, the command's end, the warden's reports, the egress proxy, permission
 * prompts, live updates, the pty, time limits. It writes the audit log and holds the token; it parses
 * no hostile bytes but the bounded messages named in boss.h, warden.h and channel.h.
 */
#pragma once

#include "base/err.h"
#include "sandbox/command.h"
#include "sandbox/plan.h"
#include "sandbox/violations.h"

#include <stdbool.h>
#include <stdint.h>

struct supervision {
    const struct plan *plan;
    const struct flat *flat; /* NULL: with namespaces */
    const struct command *command;
    const char *command_text;  /* for attribution and messages */
    const char *settings_text; /* what the proxy compiles; "" = built-in defaults */
    size_t settings_length;
    const char *profile;
    bool strict;
    char *const *environment; /* the caller's */
    const char *token;
    const char *engine; /* path of postern-engine */
    bool terminal;      /* the command gets a pty */

    const char *audit_file;
    int audit_fd;
    int control_fd, ask_fd; /* -1 = none */
    const char *ask_socket; /* path, or NULL */
    bool ask_tty;
    struct violations_target violations;
    bool compat_exit;            /* SRT_COMPAT_EXIT */
    const char *rules_directory; /* persisted answers, or NULL */
};

/* The exit status for our own end, or -1 with *e when the sandbox could not be built. */
int supervise(const struct supervision *s, struct err *e);
