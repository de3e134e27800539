/* capabilities.h - giving up root's powers for good (contract 2.2). */
#pragma once

#include "base/err.h"

#include <stdint.h>

/* Empties every capability set of the calling thread: permitted, effective, inheritable, ambient,
 * bounding; sets no_new_privs; and locks the secure bits so that uid 0 means nothing at execve. What
 * is in the mask `keep` (1ull << CAP_SYS_PTRACE) and held now stays permitted and effective, but is
 * gone after execve, too.
 *
 * The bounding set and the secure bits can only be changed with CAP_SETPCAP. A caller without it has
 * nothing that they could give: for it they are left, and no_new_privs does their work. */
int capabilities_drop(uint64_t keep, struct err *e);

/* The part of it that children inherit and that takes some forty calls: bounding set and secure bits.
 * Whoever has CAP_SETPCAP in effect and starts several processes does it once, before them; what
 * it holds itself stays. */
int capabilities_bound(struct err *e);

/* Debug builds without the layer: what the caller holds in its user namespace stays after execve. */
int capabilities_hand_on(struct err *e);
