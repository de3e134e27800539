/* stalled.h - looks at paths on file systems that may never answer (contract 11: FUSE, NFS, autofs ...).
 *
 * A look into a dead one waits for ever, and no signal but SIGKILL ends it. So where such file systems are
 * mounted, looks are done by a child of ours that is killed when one takes longer than 500 ms; what
 * did not answer "cannot be looked at" (3.4.3) and is said by whoever asked. On a machine without them
 * the looks are plain calls, and all it costs is to read the list of mounts once.
 */
#pragma once

#include "base/str.h"

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

enum { STALLED_PATIENCE_MS = 500 };

struct stalled_mount {
    char *path; /* owned */
    dev_t device;
    bool dead; /* has not answered */
};

struct stalled {
    struct stalled_mount *mounts; /* owned; those that may not answer */
    size_t count;
    pid_t looker; /* 0 = none yet */
    int socket;   /* to it */
};

/* Reads the list of mounts. One that cannot be read counts as empty. */
void stalled_init(struct stalled *s);

/* The same for a text in the form of /proc/self/mountinfo. */
void stalled_init_from(struct stalled *s, struct str mountinfo);

/* Ends the child; what was found stays. */
void stalled_rest(struct stalled *s);
void stalled_release(struct stalled *s);

/* As the calls of these names, with ETIMEDOUT for what does not answer. `s` NULL: plain calls. */
int stalled_stat(struct stalled *s, const char *path, struct stat *st);
int stalled_lstat(struct stalled *s, const char *path, struct stat *st);
char *stalled_realpath(struct stalled *s, const char *path, char real[PATH_MAX]);

/* Can the directory be listed? 0, or -1 and errno. Costs nothing where `device` always answers. */
int stalled_list(struct stalled *s, const char *path, dev_t device);

/* True for the root of a file system that has not answered. */
bool stalled_is_dead(const struct stalled *s, struct str path);
