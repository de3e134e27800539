#include "role/layering.h"

#include "base/log.h"
#include "sandbox/disk_quota.h"
#include "sandbox/landlock.h"

#include <stdio.h>

static void degrade(struct launch *l, enum layer layer, const char *why)
{
    l->degraded[layer] = true;
    snprintf(l->degraded_why[layer], sizeof l->degraded_why[0], "%s", why);
}

int layering_judge(struct launch *l, const struct plan *p, bool proxy_failed, struct err *e)
{
    const struct cgroup *c = &l->cgroup;
    bool limited = c->memory && c->pids && (c->cpu || p->limits.cpu_percent == UINT64_MAX);
    if (!limited && !p->disabled_layers[LAYER_CGROUP])
        degrade(l, LAYER_CGROUP,
                "no control group for memory, pids or cpu here; limits hold per process only");
    if (landlock_abi() == 0 && !p->disabled_layers[LAYER_LANDLOCK])
        degrade(l, LAYER_LANDLOCK, "this kernel has no Landlock");
    for (int i = 0; i < LAYERS; i++) {
        const char *off = plan_layer_off(p, (enum layer)i);
        if (i == LAYER_PROXY && proxy_failed)
            off = "did not start";
        if (p->required[i] && (off || l->degraded[i]))
            return err_set(e, E_SANDBOX, 0, "layer %s is required and %s%s",
                           layer_name((enum layer)i),
                           off ? off : "degraded: ", off ? "" : l->degraded_why[i]);
    }
    return 0;
}

void layering_record(const struct launch *l, const struct plan *p, struct record *r)
{
    const struct settings_limits *limits = &p->settings->limits;
    const bool asked_limits = limits->memory_set || limits->pids_set || limits->cpu_set;
    for (int i = 0; i < LAYERS; i++) {
        const bool nested = i == LAYER_NAMESPACES || i == LAYER_MOUNT; /* contract 3.8 */
        bool aloud = p->accepted[i] || (i == LAYER_CGROUP && asked_limits) ||
                     (i == LAYER_NAMESPACES && l->standin) ||
                     (nested && p->settings->weaker_nested);
        if (l->degraded[i])
            record_degraded(r, (enum layer)i, l->degraded_why[i], aloud);
    }
    if (limits->disk_quota) /* contract 4.1: polling is said aloud */
        log_warn(
            "x.limits.diskQuota: what is added is looked at %d times a second; what is written "
            "between two looks can be more",
            1000 / DISK_QUOTA_TICK_MS);
}
