#include "role/overrun.h"

#include <stdio.h>

void overrun_of_quota(struct record *r, const struct warden_excess *excess)
{
    char what[120];
    snprintf(what, sizeof what, "%llu bytes added of %llu: the command was killed",
             (unsigned long long)excess->added, (unsigned long long)excess->limit);
    record_limit(r, LIMIT_DISK_QUOTA, 1, what);
}

void overrun_of_groups(struct record *r, const struct cgroup_usage *usage)
{
    if (usage->oom_kills)
        record_limit(r, LIMIT_MEMORY, usage->oom_kills, "processes were killed");
    if (usage->pids_refused)
        record_limit(r, LIMIT_PIDS, usage->pids_refused, "no further process was started");
}
