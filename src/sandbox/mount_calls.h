/* mount_calls.h - the new mount system calls, for C libraries that do not wrap them.
 *
 * Each returns what the kernel returns: a descriptor or 0, or -1 with errno. Descriptors are
 * close-on-exec.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Opens `path` as seen from here without following any link; O_PATH. */
int path_open(const char *path);

/* The same relative to a descriptor. */
int path_open_at(int dir, const char *path);

/* A detached copy of the mount tree behind `fd` (with all that is mounted beneath when `deep`). */
int tree_copy(int fd, bool deep);

/* A detached copy of what stands at `path` below `dir`. */
int tree_copy_at(int dir, const char *path);

/* Sets MOUNT_ATTR_* bits on a tree; `deep` for everything beneath it too. */
int tree_set(int fd, uint64_t attributes, bool deep);

/* Puts a detached tree on top of what is behind `onto`. */
int tree_attach(int tree, int onto);

/* The same on `path` below `dir`: for places where nobody else can make a link. */
int tree_attach_at(int tree, int dir, const char *path);

/* Both for a detached tree; also on kernels that have no call to set its bits (mount_classic.h, for
 * `proc` too). When it fails the tree may stand there, with bits missing. */
int tree_place(int tree, int onto, uint64_t attributes, bool deep, int proc);

/* The bits of an attached tree, likewise. */
int tree_set_placed(int fd, uint64_t attributes, bool deep, int proc);

/* Makes a file system: options are "key=value" or "flag" strings, NULL-terminated. */
int tree_make(const char *type, const char *const *options, uint64_t attributes);
