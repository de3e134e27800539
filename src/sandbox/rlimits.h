/* rlimits.h - limits per process (contract 4.1), and what they can replace of a missing cgroup.
 *
 * A hard limit is never raised: where the host allows less than was asked for, the host's limit
 * stays.
 */
#pragma once

#include "base/err.h"
#include "sandbox/cgroup.h"
#include "sandbox/settings.h"

#include <stdbool.h>

/* Which totals no cgroup holds. Then `memory` becomes RLIMIT_DATA of each process, `pids` RLIMIT_NPROC
 * (per uid in the user namespace from Linux 5.14 on; nothing for uid 0), `cpu` a lower priority and,
 * with a wall-clock limit, RLIMIT_CPU. */
struct rlimits_instead {
    bool memory, pids, cpu;
};

/* What `cpu` becomes without a group: the CPU seconds of one process that uses its share for the whole
 * wall-clock time; UINT64_MAX without both limits. */
uint64_t rlimits_cpu_seconds(const struct settings_limits *limits,
                             const struct cgroup_limits *totals);

/* Sets the limits of the calling process; what it starts inherits them. */
int rlimits_apply(const struct settings_limits *limits, const struct cgroup_limits *totals,
                  struct rlimits_instead instead, struct err *e);
