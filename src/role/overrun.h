/* overrun.h - which limits of x.limits a run has hit, as far as it can be known (contract 1.2, 4.1, 10.2). */
#pragma once

#include "role/record.h"
#include "sandbox/plan.h"
#include "sandbox/warden.h"

/* The warden's word that the disk quota has been passed. */
void overrun_of_quota(struct record *r, const struct warden_excess *excess);

/* At the end: what the control groups have counted. */
void overrun_of_groups(struct record *r, const struct cgroup_usage *usage);
