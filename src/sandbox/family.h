/* family.h - which processes descend from another, as /proc tells it.
 *
 * Parents are something that everybody may read, whoever the processes belong to and however they are
 * closed to inspection. An orphan of a sandbox goes to its init (or, without namespaces, to its keeper),
 * so what descends from that is all of the sandbox and nothing else.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* The descendants of `root` that there are now, without itself; at most `max` entries of `proc` ("/proc")
 * are looked at. *out is the caller's to free; NULL when there is none. Returns how many. */
size_t family_list(const char *proc, pid_t root, size_t max, pid_t **out);
