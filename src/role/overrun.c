#include "role/overrun.h"

#include "sandbox/rlimits.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

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

/* A shell passes the signal of its child on as 128 and the number. */
static int signal_of(int wait_status)
{
    return WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status) - 128;
}

void overrun_of_processes(struct record *r, const struct plan *p, const struct overrun_end *end)
{
    const struct settings_limits *l = &p->settings->limits;
    const int signal = signal_of(end->wait_status);
    /* The kernel counts in whole seconds and kills at the last one. */
    const uint64_t used = (uint64_t)(end->usage.ru_utime.tv_sec + end->usage.ru_stime.tv_sec) + 1;
    const uint64_t may = end->cpu_group ? UINT64_MAX : rlimits_cpu_seconds(l, &p->limits);
    const bool sized = l->file_size && l->file_size != UINT64_MAX;
    const char *name = signal > 0 ? sigabbrev_np(signal) : NULL;
    char what[80];
    if (!name || p->disabled_layers[LAYER_RLIMIT])
        return;
    snprintf(what, sizeof what, "ended by SIG%s", name);
    if (may != UINT64_MAX && used >= may && (signal == SIGXCPU || signal == SIGKILL))
        record_limit(r, LIMIT_CPU, 1, what);
    if (sized && signal == SIGXFSZ)
        record_limit(r, LIMIT_FILE_SIZE, 1, what);
}
