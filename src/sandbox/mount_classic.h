/* mount_classic.h - what mount_setattr does, for kernels that do not have it (before Linux 5.12).
 *
 * mount(2) can change the flags of one mount that is attached and that a path leads to. So the list of
 * mounts is gone through until every one has the flags. A mount that a path does not lead to, because
 * another one covers it, cannot be reached by the command either. One behind a directory that nobody
 * here may enter gets that directory covered. Whatever else cannot be changed is an error. Needed
 * by nobody else: kernels that cannot answer seccomp notifications (before 5.9) run nothing at all, and
 * those that can have every other call of mount_calls.h.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Whether the kernel, or a filter around us, lacks mount_setattr. To be asked after a failure, so that it
 * costs nothing elsewhere. errno stays. */
bool classic_is_needed(void);

/* Sets MOUNT_ATTR_RDONLY, _NOSUID, _NODEV, _NOEXEC on the attached mount whose root is `fd`, and on
 * everything that stands on it when `deep`; what is set stays set. `proc`: the root of a proc file
 * system, -1 for /proc. 0, or -1 with errno; ENOENT: it is not mounted, or not any more. */
int classic_set(int fd, uint64_t attributes, bool deep, int proc);
