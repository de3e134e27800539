/* cgroup.h - limits for the whole process tree of one run (contract 4.1).
 *
 * Places tried in order: a delegated v2 subtree of our own; as root the v2 root (also under
 * /sys/fs/cgroup/unified); v1 hierarchies (memory, pids, cpu) as root. Where no controller can be
 * had, the caller falls back to rlimits and says so.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct cgroup_limits {
    uint64_t memory;                /* bytes, UINT64_MAX = none */
    uint64_t pids;                  /* UINT64_MAX = none */
    uint64_t cpu_percent;           /* 100 = one core, UINT64_MAX = none */
    uint64_t cpu_weight, io_weight; /* 0 = leave */
};

enum { CGROUP_PLACES = 4 };

/* The directories of one run. All zero is an empty set, which cgroup_remove takes too. */
struct cgroup {
    char *dirs[CGROUP_PLACES]; /* owned; made by us; NULL-filled behind the last */
    bool v2;                   /* the first directory is a v2 group: cgroup.kill works there */
    bool memory, pids, cpu;    /* which limits are really in force */
    bool memory_v2, pids_v2, cpu_v2; /* and which of them by the v2 group */
    pid_t guard;       /* removes the groups when we are killed; 0 = none (cgroup_guard.h) */
    void *guard_stack; /* owned */
};

/* Makes the groups and sets the limits. Returns 0 also when some controllers are missing: the flags
 * say what is in force. -1 only when a limit that a controller offers was refused; then nothing is
 * left of the groups. `name` starts with CGROUP_PREFIX ("postern.<pid>.<random>"): a run inside a run
 * knows the outer group by it and never places its own group beside or above that one. */
#define CGROUP_PREFIX "postern."
int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits,
                struct err *e);

/* Moves `pid` in. Everything it forks later is in, too. */
int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e);

/* Changes limits of a running group (contract 6, x.limits). A limit whose controller this run does not
 * have is E_SANDBOX. */
int cgroup_set_limits(const struct cgroup *c, const struct cgroup_limits *limits, struct err *e);

struct cgroup_usage {
    uint64_t memory_peak, oom_kills, pids_refused;
};

/* What happened so far; zeros where the kernel does not tell. */
void cgroup_usage(const struct cgroup *c, struct cgroup_usage *out);

/* Kills everything inside (cgroup.kill where present, else by pid) and removes the groups, waiting up
 * to 2 s for the tasks to end. What cannot be removed is said as a warning. */
void cgroup_remove(struct cgroup *c);
