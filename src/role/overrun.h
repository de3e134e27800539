/* overrun.h - which limits of x.limits a run has hit, as far as it can be known (contract 1.2, 4.1, 10.2). */
#pragma once

#include "role/record.h"
#include "sandbox/plan.h"
#include "sandbox/warden.h"

#include <stdbool.h>
#include <sys/resource.h>

/* The warden's word that the disk quota has been passed. */
void overrun_of_quota(struct record *r, const struct warden_excess *excess);

/* How the first command ended, and what it used. */
struct overrun_end {
    int wait_status;
    struct rusage usage;
    bool cpu_group; /* a control group holds `cpu`: there is no RLIMIT_CPU of ours */
};

/* At the end, when nobody of ours has killed: limits of each process, which show by the signal alone. */
void overrun_of_processes(struct record *r, const struct plan *p, const struct overrun_end *end);

/* At the end: what the control groups have counted. */
void overrun_of_groups(struct record *r, const struct cgroup_usage *usage);
