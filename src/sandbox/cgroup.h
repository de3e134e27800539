/* cgroup.h - limits for the whole process tree of one run (contract 4.1).
 *
 * Places tried in order: a delegated v2 subtree of our own; as root the v2 root (also under
 * /sys/fs/cgroup/unified); v1 hierarchies (memory, pids, cpu) as root. Where no controller can be
 * had, the caller asks systemd if it may (cgroup_scope.h), else falls back to rlimits and says so.
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

/* The directories of one run. All zero is an empty set, which cgroup_remove takes too. It must stay
 * where it is until then: the guard reads `dirs` there. */
struct cgroup {
    char name[64];
    char *dirs[CGROUP_PLACES]; /* owned; made by us; NULL-filled behind the last */
    bool v2;                   /* the first directory is a v2 group: cgroup.kill works there */
    bool memory, pids, cpu;    /* which limits are really in force */
    bool memory_v2, pids_v2, cpu_v2; /* and which of them by the v2 group */
    pid_t guard;       /* removes the groups when we are killed; 0 = none (cgroup_guard.h) */
    void *guard_stack; /* owned */
};

/* Two steps, because a start can do them beside other work: the v2 group first, if there is one that can
 * have limits, so that the sandbox's first process can be born in it (cgroup_open, CLONE_INTO_CGROUP);
 * then the v1 groups and the limits. Both return 0 also when some controllers are missing: the flags say
 * what is in force. -1 only when a limit that a controller offers was refused; then nothing is left of
 * the groups. `name` starts with CGROUP_PREFIX ("postern.<pid>.<random>"): a run inside a run knows the
 * outer group by it and never places its own group beside or above that one. */
#define CGROUP_PREFIX "postern."
int cgroup_begin(struct cgroup *c, const char *name, struct err *e);
int cgroup_finish(struct cgroup *c, const struct cgroup_limits *limits, struct err *e);

/* Both at once. */
int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits,
                struct err *e);

/* The v2 group's directory (owned by the caller), or -1 when there is none. */
int cgroup_open(const struct cgroup *c);

/* The files through which a process moves itself in with cgroup_pass (owned by the caller). To move
 * another process, or a whole one, makes the kernel wait for a grace period of some milliseconds; one
 * thread that moves itself does not. `inside_v2`: it was born in the v2 group. */
int cgroup_doors(const struct cgroup *c, bool inside_v2, int fds[CGROUP_PLACES], size_t *count,
                 struct err *e);

/* Moves the calling thread, which must be the only one of its process, through a door. */
int cgroup_pass(int door, struct err *e);

/* Moves the process `pid` in. Everything it forks later is in, too. */
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
