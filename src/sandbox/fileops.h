/* fileops.h - the file calls that the warden performs, one handler each.
 *
 * The arguments are the system call's own, already sorted out by the table in warden.c. Each returns
 * what the caller is to be told (see warden-int.h).
 */
#pragma once

#include "sandbox/warden-int.h"

int fileop_open(struct request *q, int dirfd, uint64_t path, int flags, mode_t mode);
int fileop_truncate(struct request *q, uint64_t path, int64_t length);

int fileop_mkdir(struct request *q, int dirfd, uint64_t path, mode_t mode);
int fileop_mknod(struct request *q, int dirfd, uint64_t path, mode_t mode);
int fileop_symlink(struct request *q, uint64_t target, int dirfd, uint64_t path);
int fileop_link(struct request *q, int old_dirfd, uint64_t old_path, int new_dirfd,
                uint64_t new_path, int flags);

int fileop_unlink(struct request *q, int dirfd, uint64_t path, int flags);
int fileop_rename(struct request *q, int old_dirfd, uint64_t old_path, int new_dirfd,
                  uint64_t new_path, unsigned flags);

/* Marks of what exists: mode, owner, times. `path` 0 or an empty one with AT_EMPTY_PATH in `flags`
 * means the descriptor `dirfd` itself. */
int fileop_chmod(struct request *q, int dirfd, uint64_t path, mode_t mode, int flags);
int fileop_chown(struct request *q, int dirfd, uint64_t path, uid_t owner, gid_t group, int flags);

/* The form in which the times stand at `times`; 0 there means now. */
enum fileop_times { TIMES_TIMESPEC, TIMES_TIMEVAL, TIMES_SECONDS };
int fileop_times(struct request *q, int dirfd, uint64_t path, uint64_t times,
                 enum fileop_times form, int flags);

/* Set-id bits on what is to be made: refused with a report when the settings say so. 0 or EPERM. */
int fileop_check_mode(struct request *q, mode_t mode);
