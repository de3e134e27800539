/* disk_quota.h - how much more lies beneath the write roots than at the start (x.limits.diskQuota, contract 4.1).
 *
 * The polling form: the warden performs every call that makes, opens for writing or removes something,
 * so it knows the few files that can grow at all, those that somebody may have open for writing. These
 * are held by O_PATH descriptors and looked at five times a second; what is closed is counted once more
 * and let go. So the work depends on what is open, never on the size of the tree.
 *
 * Counted is what the file system says a file takes (holes are free), and 512 bytes for each name with
 * its inode. What is removed is given back when the kernel says that the inode is gone, which a process
 * that has it open in any way delays (inotify, IN_DELETE_SELF). That word is not true of what has had a
 * second name, so what was ever linked is not given back. In doubt more is counted, never less.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

enum { DISK_QUOTA_TICK_MS = 200, DISK_QUOTA_NAME = 512 };

struct disk_quota;

/* `fds` is /proc/self/fd, borrowed. At most `held` files may be open for writing at the same time. */
int disk_quota_new(uint64_t limit, unsigned held, int fds, struct disk_quota **out, struct err *e);

/* NULL is fine. */
void disk_quota_free(struct disk_quota *q);

/* May one more file be opened for writing? 0, EDQUOT when the limit has been passed, or ENFILE. */
int disk_quota_room(struct disk_quota *q);

/* Somebody is about to get a descriptor that can make this file grow. `object` is any descriptor of it
 * (borrowed), `blocks` its st_blocks before the open, in which O_TRUNC may have cut it. 0 or errno: then
 * the descriptor must not be given. */
int disk_quota_open(struct disk_quota *q, int object, blkcnt_t blocks);

/* A name was made. What may grow was or will be opened, too. */
void disk_quota_made(struct disk_quota *q, int parent, const char *name);

/* What a removal is about to take away. */
struct disk_quota_leaver {
    enum { LEAVES_NOTHING, LEAVES_NAME, LEAVES_FILE } kind;
    int watch;
};

/* Before the name is removed, or something else takes it; and after that was tried. */
void disk_quota_leaves(struct disk_quota *q, int parent, const char *name,
                       struct disk_quota_leaver *l);
void disk_quota_left(struct disk_quota *q, const struct disk_quota_leaver *l, bool gone);

/* The file has got, or is about to get, a further name. */
void disk_quota_linked(struct disk_quota *q, int object);

/* Readable when something has ended that was waited for; then disk_quota_ready must be called. */
int disk_quota_fd(const struct disk_quota *q);
void disk_quota_ready(struct disk_quota *q);

/* Looks at what is open, when that is due; `now` is monotonic, in ns. Returns the milliseconds until the
 * next look, -1 for none. */
int disk_quota_run(struct disk_quota *q, int64_t now);

/* Bytes added so far, as last looked at; less than nothing when more was removed. */
int64_t disk_quota_added(const struct disk_quota *q);
bool disk_quota_is_passed(const struct disk_quota *q);
