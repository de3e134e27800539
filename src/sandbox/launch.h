/* launch.h - starts a sandbox and holds its outer ends.
 *
 * The supervisor's half: clones init into the new namespaces, limits it, collects the listeners and the
 * pty, and lets the command go. Nothing of the sandbox outlives this process: init dies with it.
 */
#pragma once

#include "base/err.h"
#include "sandbox/boss.h"
#include "sandbox/cgroup.h"
#include "sandbox/command.h"
#include "sandbox/flat.h"
#include "sandbox/plan.h"
#include "sandbox/ports.h"

#include <signal.h>
#include <sys/types.h>

struct launch_request {
    const struct plan *plan;
    const struct flat *flat;     /* NULL: with namespaces */
    const struct command *first; /* NULL: an empty sandbox that takes commands by launch_command */
    struct ports *ports;         /* takes the sockets of x.network.ports that are made inside */
    bool terminal, report_allowed;
};

struct launch {
    pid_t init; /* on the host */
    int pidfd;  /* all descriptors are owned; -1 = none */
    int boss, orders, report, failure;
    int pty;      /* master, when asked for */
    int redirect; /* readable when the sandbox wants its network's redirect: launch_redirect */
    struct netns_control control; /* for that */
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    size_t listener_count;
    struct cgroup cgroup;
    bool cgroup_made, inside_v2; /* inside_v2: init was born in the v2 group */
    bool flat;                   /* init is the keeper of flat.h */
    bool standin;                /* the command runs as the user of standin.h */
    bool degraded[LAYERS];
    char degraded_why[LAYERS][320];
    uint32_t next_tag;
};

/* Nothing is open: launch_end may be called. */
#define LAUNCH_NONE                                                                                \
    ((struct launch){ .pidfd = -1,                                                                 \
                      .boss = -1,                                                                  \
                      .orders = -1,                                                                \
                      .report = -1,                                                                \
                      .failure = -1,                                                               \
                      .pty = -1,                                                                   \
                      .redirect = -1,                                                              \
                      .control = { -1, -1 } })

/* Builds the sandbox. Blocks until the inside stands (a few milliseconds). No command runs before
 * launch_go: the caller looks at `degraded` first. On failure nothing is left. */
int launch_start(struct launch *l, const struct launch_request *r, struct err *e);

/* Starts the first command. What fails from here on is said by BOSS_FAILED or the failure pipe. */
int launch_go(struct launch *l, struct err *e);

/* Makes the redirect if that has not been done, and says so to who waits for it. Call it before the listeners
 * are given away. What the kernel does not grant is noted in `degraded`: true when it is news. */
bool launch_redirect(struct launch *l, const struct plan *p);

/* Reads the failure pipe after BOSS_EXITED of the first command or at any time: 1 = it says why the
 * command could not be executed, 0 = the command runs or has run. */
int launch_failure(struct launch *l, struct command_failure *out);

/* Starts one more command in a running sandbox; stdio and failure pipe are borrowed. The answer
 * (BOSS_STARTED or BOSS_REFUSED with *tag) comes on l->orders. */
int launch_command(struct launch *l, const struct command *c, int failure, uint32_t *tag,
                   struct err *e);

/* Sends a signal to a command's process group; pid 0 means the first command. Never waits: it fails when
 * init has not taken what was sent before. */
int launch_signal(struct launch *l, pid_t pid, int number, struct err *e);

/* Kills everything inside; the end is seen as that of init. */
void launch_kill(const struct launch *l);

/* Kills everything inside, waits for init, removes the cgroup, closes all. Safe to call twice. */
void launch_end(struct launch *l);
