/* confine.h - gives up what a process of ours does not need.
 *
 * For roles that parse hostile bytes and need only sockets and read access: no capability, no new
 * program, no change to any file, no look into other processes, no core dump. For good, and for the
 * threads made afterwards.
 */
#pragma once

#include "base/err.h"

/* no_new_privs, not dumpable, no core dump, no capability, Landlock (no writing, no executing), a
 * seccomp filter on the calls that would lead out. What the kernel lacks is left out with a debug
 * line: the other layers hold without it. -1 when something that always works fails. */
int confine_reader(struct err *e);

/* The same for a role that keeps files: whatever lies beneath these directories may be read, made,
 * written and removed. Called before there are threads. */
int confine_keeper(const char *const *directories, size_t count, struct err *e);

/* As many descriptors as the system grants, up to `want`. Returns how many that is. */
unsigned long confine_descriptors(unsigned long want);
