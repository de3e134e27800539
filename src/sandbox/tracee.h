/* tracee.h - what the warden learns from the thread whose call it serves.
 *
 * All of it is the command's own doing: bytes that may change while they are read, pids that may have
 * been taken over. So everything is read once, and counts only when tracee_is_there says true after.
 */
#pragma once

#include "sandbox/warden-int.h"

#include <sys/socket.h>

/* Copies a path, at most PATH_MAX bytes with its NUL. 0, EFAULT or ENAMETOOLONG. */
int tracee_read_path(struct request *q, uint64_t address, char path[PATH_MAX]);

/* Copies exactly n bytes. 0 or EFAULT. */
int tracee_read(struct request *q, uint64_t address, void *out, size_t n);

/* Opens (O_PATH) where a path of the caller begins: its root when `absolute`, else its working
 * directory or its descriptor `dirfd`. The caller of this function closes *fd. 0 or errno. */
int tracee_open_start(struct request *q, int dirfd, bool absolute, int *fd);

/* Opens (O_PATH) the caller's root. */
int tracee_open_root(struct request *q, int *fd);

/* A copy of the caller's own descriptor, same open file. 0 or errno. */
int tracee_copy_descriptor(struct request *q, int descriptor, int *fd);

/* The process of the calling thread, 0 when it is gone. */
pid_t tracee_tgid(struct request *q);

/* The numbers under which our /proc shows the calling thread and its process: other ones than those that
 * calls take where a container's /proc had to be bound. 0 when it is gone, or cannot be told (there, before Linux 6.9,
 * of a thread that is not the first of its process). */
pid_t tracee_number(struct request *q);
pid_t tracee_tgid_number(struct request *q);

/* The caller's umask, for the creation of a file. */
mode_t tracee_umask(struct request *q);

/* The caller is about to set its umask: what was seen of it before is void. */
void tracee_umask_changes(struct request *q);

/* Path of the caller's controlling terminal beneath /dev/pts. 0, or ENXIO when it has none there. */
int tracee_terminal(struct request *q, char path[64]);

/* True when the caller is still waiting, so that everything read until now was its own. */
bool tracee_is_there(struct request *q);

/* Whose is what stands at `path` in a proc file system opened by us? */
enum proc_owner {
    PROC_OWN,     /* the caller's own, or about no process at all */
    PROC_OTHER,   /* another process's */
    PROC_FOREIGN, /* of another proc file system: its numbers mean other processes */
};
enum proc_owner tracee_proc_owner(struct request *q, struct str path);

/* May the caller have it? Only what is PROC_OWN: we may look into processes that it must not touch,
 * ourselves first. */
bool tracee_may_use_proc(struct request *q, struct str path);

/* Does the process come from the caller, as a child or a child's child? What the kernel lets a process see
 * of another depends on more than we can ask for; of its descendants it may see all. */
bool tracee_is_ancestor(struct request *q, pid_t of);
