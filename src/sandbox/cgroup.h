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
    uint64_t memory;      /* bytes, UINT64_MAX = none */
    uint64_t pids;        /* UINT64_MAX = none */
    uint64_t cpu_percent; /* 100 = one core, UINT64_MAX = none */
    uint64_t cpu_weight, io_weight; /* 0 = leave */
};

enum { CGROUP_PLACES = 4 };

/* The directories of one run. */
struct cgroup {
    char *dirs[CGROUP_PLACES]; /* owned; made by us; NULL-filled behind the last */
    bool v2;                   /* the first directory is a v2 group: cgroup.kill works there */
    bool memory, pids, cpu;    /* which limits are really in force */
};

/* Makes the groups and sets the limits. Returns 0 also when some controllers are missing: the flags
 * say what is in force. -1 only when a limit that a controller offers was refused. */
int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits,
                struct err *e);

/* Moves `pid` in. Everything it forks later is in, too. */
int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e);

/* Changes limits of a running group (contract 6, x.limits). */
int cgroup_set_limits(const struct cgroup *c, const struct cgroup_limits *limits, struct err *e);

struct cgroup_usage {
    uint64_t memory_peak, oom_kills, pids_refused;
};

/* What happened so far; zeros where the kernel does not tell. */
void cgroup_usage(const struct cgroup *c, struct cgroup_usage *out);

/* Kills everything inside (cgroup.kill where present, else by pid) and removes the groups. */
void cgroup_remove(struct cgroup *c);
