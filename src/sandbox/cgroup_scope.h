/* cgroup_scope.h - a control group from the user's systemd (contract 4.1, placement 4).
 *
 * Only with `x.limits.useSystemd`, and only where no group can be made directly: a login session of
 * an ordinary user. One call, StartTransientUnit of org.freedesktop.systemd1, makes a scope around the
 * sandbox's init with the limits as its properties; no `systemd-run` is started. What was really done is
 * then looked up in /proc and /sys, whatever the answer said.
 */
#pragma once

#include "sandbox/cgroup.h"

/* Fills *c with the group of a new scope "NAME.scope" in which `pid` is. Its flags say which limits are in
 * force; on failure nothing of ours is left, and *c is empty. `runtime_dir` is $XDG_RUNTIME_DIR or
 * NULL. Blocks for some milliseconds, for 5 s at most. */
int cgroup_scope_make(struct cgroup *c, const char *name, pid_t pid,
                      const struct cgroup_limits *limits, const char *runtime_dir, struct err *e);

/* The body of that call, signature "ssa(sv)a(sa(sv))"; for tests. */
struct buf;
void cgroup_scope_body(struct buf *out, const char *unit, pid_t pid,
                       const struct cgroup_limits *limits);
