/* mounts.h - carries out the mounts of a plan, by descriptor.
 *
 * Runs as init inside the new user and mount namespaces, whose mount tree is already a copy of the
 * host's: the copy is made read-only as a whole, and what the plan opens, hides or adds is laid over
 * it. Every path is opened without following links (openat2), and what is opened for writing must be
 * the very inode that the plan saw (T29). Nothing is made on the host.
 */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

struct mount_work {
    const char *resolv_conf; /* text that covers /etc/resolv.conf, NULL = leave the host's */
    bool classic;     /* out: without mount_setattr, by mount(2) one by one (mount_classic.h) */
    bool weaker_proc; /* out: the host's /proc had to be bound (enableWeakerNestedSandbox) */
    char *covered;    /* out: the directory that was overlaid for TMPDIR, NULL = none; owned */
    int covered_fd;   /* out: the host's directory beneath, O_PATH; owned; -1 = none */
    int stash;        /* out: the run's private tree, for mounts_cover; owned by the caller */
};

/* Builds the tree. On return the working directory is the plan's, inside the new tree. */
int mounts_apply(const struct plan *p, struct mount_work *work, struct err *e);

/* Hides the file or directory at `path` again, which the host has just put in the place of a hidden one (contract
 * 3.4.4). Nothing to do when there is none. */
int mounts_cover(int stash, const char *path, struct err *e);
