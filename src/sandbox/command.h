/* command.h - one command inside a sandbox: what to execute, and how it gives up its last rights.
 *
 * Runs in the spawner, which lives inside the namespaces and the outer Landlock domain. Each command
 * is a child of init, whose thread the spawner is: it outlives nobody and is reaped in one place.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "sandbox/plan.h"

#include <stdbool.h>
#include <sys/types.h>

struct command {
    char *const *argv;        /* NULL-terminated, at least one */
    char *const *environment; /* NULL-terminated "NAME=value" */
    const char *cwd;          /* inside; NULL = stay */
    int stdio[3];             /* become 0, 1 and 2; -1 = leave as it is */
    bool terminal;            /* stdio[0] is the controlling terminal of init's session */
    bool own_session; /* setsid; else a process group of init's session, so that a stop signal
                               * stops it: the kernel does not stop orphaned groups */
};

/* What a command that could not be executed says on the failure pipe (close-on-exec: end of file
 * means that it runs). */
struct command_failure {
    int32_t stage; /* 1 = the sandbox could not be finished, 2 = execve failed */
    int32_t os;
    char text[512];
};

/* Starts the command: own session, inner Landlock domain, system call filter, no descriptor above 2.
 * *listener is the filter's notification descriptor (owned), -1 when it has none. *pid is its pid in
 * the sandbox, set before it runs. `failure` is the write end of the failure pipe; the command is executed when BOSS_GO comes
 * on `go`, at once when that is -1. */
int command_start(const struct plan *p, const struct seccomp_program *filter,
                  const struct command *c, int failure, int go, pid_t *pid, int *listener,
                  struct err *e);

/* A command as bytes for BOSS_COMMAND, in a sealed memory file (owned by the caller), and back.
 * Strings of the result point into *text, which the caller frees. */
int command_image(const struct command *c, struct err *e);
int command_from_image(int fd, struct command *c, char **text, struct err *e);
