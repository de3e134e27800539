/* usermap.h - opening a user namespace's maps in the caller's place (allowNestedUserNamespaces).
 *
 * /proc/PID/uid_map, gid_map, projid_map and setgroups ask at each write who has *opened* them: the maps
 * of a namespace may be written by what was opened inside it, or in the one just above. The warden
 * stands further up, so it opens them by a child of its own that has entered the caller's namespace. The
 * child has no more to say there than the caller's uid has: the namespace's own maps, once.
 */
#pragma once

#include "sandbox/warden-int.h"

#include <stdbool.h>

/* True for the path of such a file. */
bool usermap_is(const struct request *q, struct str path);

/* Opens `path`, which has been judged. *fd is the caller's. 0 or errno. */
int usermap_open(struct request *q, struct str path, int flags, int *fd);
