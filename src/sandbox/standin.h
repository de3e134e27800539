/* standin.h - who runs the command where root may not map itself (contract 11).
 *
 * Since Linux 5.12 only a process with CAP_SETFCAP may map uid 0 of its surroundings into a new user
 * namespace, and containers can be started without it. Root then makes the namespace as an unprivileged
 * user: what is inside has no right on root's files but what everybody has.
 *
 * The ids are put on by the process that makes the namespace, taken off again by it once the child is
 * born, and kept for good by the child when they have been mapped.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

enum { STANDIN_ID = 65534 }; /* "nobody" on every system; uid and gid */
#define STANDIN_WHY                                                                                \
    "root here may not map uid 0 (no CAP_SETFCAP): the command runs as nobody, uid 65534"

/* What is put on; standin_take_off needs it. Groups are owned. */
struct standin {
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    int group_count;
    int dumpable;
};

/* True for a root that lacks CAP_SETFCAP. */
bool standin_is_needed(void);

/* Changes the calling process's effective ids and gives up its other groups, keeping the way back. Fails
 * with E_SANDBOX where root may not do that either; then nothing has changed. */
int standin_put_on(struct standin *s, struct err *e);

/* Back to what was. Dies when the kernel does not let us: we must not go on as somebody half changed. */
void standin_take_off(struct standin *s);

/* Inside, after mapping: no other ids are left. */
int standin_keep(struct err *e);
