/* record.h - what the supervisor writes down: the audit log and the violations of one run.
 *
 * Takes what the warden, the proxy and init report, and turns each into an audit record and, where
 * something was refused, into a violation line.
 */
#pragma once

#include "base/err.h"
#include "sandbox/audit.h"
#include "sandbox/cgroup.h"
#include "sandbox/landlock_audit.h"
#include "sandbox/launch.h"
#include "sandbox/violations.h"
#include "sandbox/warden.h"
#include "sandbox/watch.h"

struct record {
    struct audit *audit;
    struct violations *violations;
    uint64_t bytes_out, bytes_in, connections; /* from the proxy's totals */
    unsigned limits_said, limits_ignored;      /* one bit for each enum limit */
};

/* The keys of x.limits that a run can hit and we can know of. */
enum limit {
    LIMIT_MEMORY,
    LIMIT_PIDS,
    LIMIT_WALL,
    LIMIT_CPU,
    LIMIT_FILE_SIZE,
    LIMIT_OPEN_FILES,
    LIMIT_DISK_QUOTA,
    LIMITS
};

/* What a "net" frame of the proxy says (sandbox/channel.h). */
struct net_report {
    bool denied;
    const char *host, *method, *rule, *reason, *violation; /* NULL = not said; borrowed */
    uint16_t port;
    const struct watch_process *who; /* or NULL */
};

/* AUDIT_START with the settings' hash, versions and the state of every layer. `program` is the
 * command's first word only: arguments may hold secrets. `landlock_audit` is the state of that source. */
void record_start(struct record *r, const struct plan *p, const struct launch *l,
                  const char *program, const char *landlock_audit);

/* One judged call of the warden. */
void record_call(struct record *r, const struct warden_report *report);

/* One denial that the kernel logged, and that it dropped some. */
void record_landlock(struct record *r, const struct landlock_denial *denial);
void record_landlock_lost(struct record *r);

/* One judged connection. */
void record_net(struct record *r, const struct net_report *report);

/* A layer that is weaker than the plan wants; also one warning on stderr when `aloud`. */
void record_degraded(struct record *r, enum layer layer, const char *why, bool aloud);

/* A limit that was hit; `what` came of it is for people. One violation line for each limit. */
void record_limit(struct record *r, enum limit limit, uint64_t times, const char *what);

/* A hidden file that the host replaced or made and init covered. */
void record_covered(struct record *r, struct str path);

/* AUDIT_END: status and what the run used. */
void record_end(struct record *r, int status, const struct rusage *usage, uint64_t memory_peak);
