/* fileread.h - opens that only read, where the kernel is not left to judge them alone.
 *
 * Mounts and Landlock hide what the settings hide. What they cannot do is to hide a name whose file the
 * host has just replaced; so with x.filesystem.strictHide every open comes to the warden, and is judged
 * by name and by inode as well.
 */
#pragma once

#include "sandbox/verdict.h"

enum { FILEREAD_OTHER_PROCESS = -2 };

/* Judges reading of what is there and fills d->path. 0, an errno (EACCES is a denial that is not reported
 * yet), or FILEREAD_OTHER_PROCESS: it lies in another process's part of /proc. */
int fileread_judge(struct request *q, const struct place *at, struct deed *d,
                   const struct stat *st);

/* Opens what the kernel would let a process without our rights open there, and what it would let the
 * caller. REQUEST_ANSWERED or errno. */
int fileread_other_process(struct request *q, const struct pathname *path, int flags);

/* True when the object lies in a proc file system. */
bool fileread_is_proc(struct warden *w, int object, dev_t device);

/* Not a name at all, or one that is gone: only the caller's own descriptor leads there. */
bool fileread_is_nameless(const struct place *at, const struct pathname *path,
                          const struct stat *st);
