#include "sandbox/rlimits.h"

#include <errno.h>
#include <sys/resource.h>

enum {
    OPEN_FILES_DEFAULT = 4096,
    MEMLOCK_DEFAULT = 64 << 10,
    NICE_WITHOUT_CGROUP = 10,
};

struct rlimit_row {
    const char *name;
    uint64_t value; /* UINT64_MAX = not limited */
    __rlimit_resource_t resource;
    bool set; /* false: what the host has stays */
};

static int rlimit_set(const struct rlimit_row *row, struct err *e)
{
    struct rlimit now = { 0 };
    if (row->value > 0 && getrlimit(row->resource, &now) < 0)
        return err_set(e, E_SANDBOX, errno, "layer rlimit: read %s", row->name);
    rlim_t want = row->value == UINT64_MAX ? RLIM_INFINITY : (rlim_t)row->value;
    if (want > now.rlim_max) /* RLIM_INFINITY is the largest number */
        want = now.rlim_max;
    if (setrlimit(row->resource, &(struct rlimit){ want, want }) < 0)
        return err_set(e, E_SANDBOX, errno, "layer rlimit: set %s", row->name);
    return 0;
}

uint64_t rlimits_cpu_seconds(const struct settings_limits *l, const struct cgroup_limits *totals)
{
    uint64_t product;
    if (l->wall_seconds == 0 || l->wall_seconds == UINT64_MAX ||
        totals->cpu_percent == UINT64_MAX ||
        __builtin_mul_overflow(l->wall_seconds, totals->cpu_percent, &product))
        return UINT64_MAX;
    return product / 100 + 1;
}

static int lower_priority(struct err *e)
{
    int now = getpriority(PRIO_PROCESS, 0);
    if (now < NICE_WITHOUT_CGROUP && setpriority(PRIO_PROCESS, 0, NICE_WITHOUT_CGROUP) < 0)
        return err_set(e, E_SANDBOX, errno, "layer rlimit: lower the priority");
    return 0;
}

int rlimits_apply(const struct settings_limits *limits, const struct cgroup_limits *totals,
                  struct rlimits_instead instead, struct err *e)
{
    const struct settings_limits *l = limits;
    const bool cpu = instead.cpu && totals->cpu_percent != UINT64_MAX;
    const uint64_t seconds = rlimits_cpu_seconds(l, totals);
    const struct rlimit_row rows[] = {
        { "fileSize", l->file_size, RLIMIT_FSIZE, l->file_size != 0 },
        { "openFiles", l->open_files ? l->open_files : OPEN_FILES_DEFAULT, RLIMIT_NOFILE, true },
        { "core", l->core, RLIMIT_CORE, true },
        { "stack", l->stack, RLIMIT_STACK, l->stack != 0 },
        { "memlock", l->memlock ? l->memlock : MEMLOCK_DEFAULT, RLIMIT_MEMLOCK, true },
        { "msgqueue", l->msgqueue, RLIMIT_MSGQUEUE, true },
        { "sigpending", l->sigpending, RLIMIT_SIGPENDING, l->sigpending != 0 },
        { "memory", totals->memory, RLIMIT_DATA, instead.memory && totals->memory != UINT64_MAX },
        { "pids", totals->pids, RLIMIT_NPROC, instead.pids && totals->pids != UINT64_MAX },
        { "cpu", seconds, RLIMIT_CPU, cpu && seconds != UINT64_MAX },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].set && rlimit_set(&rows[i], e) < 0)
            return -1;
    return cpu ? lower_priority(e) : 0;
}
