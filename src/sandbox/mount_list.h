/* mount_list.h - the mounts of this process, as /proc/self/mountinfo lists them. */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

enum { MOUNT_NONE = -1 };

struct mount_line {
    unsigned id, parent_id;
    int parent; /* index in the list, MOUNT_NONE when it is not listed */
    char *path; /* where it stands, seen from our root; owned */
    unsigned long
        flags; /* MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOSYMFOLLOW of the mount itself */
};

struct mount_list {
    struct mount_line *lines; /* heap, owned */
    size_t count, room;
};

/* Reads a text in the form of /proc/self/mountinfo; lines that have another form are left out. */
void mount_list_take(struct mount_list *l, struct str mountinfo);
void mount_list_release(struct mount_list *l);

/* Index of the mount with this id, or MOUNT_NONE. */
int mount_list_find(const struct mount_list *l, unsigned id);

/* Does `index` stand somewhere on `top`, or is it that one? */
bool mount_list_is_on(const struct mount_list *l, int index, int top);

/* Is there a mount over `index`, or over a directory on the way to it, so that no path leads there? Judged
 * step by step: on each parent, what stands on the way to the next step. */
bool mount_list_is_covered(const struct mount_list *l, int index);

/* A copy of `text` with the bytes that "\040" and the like stand for. The caller frees. */
char *mount_list_unescape(struct str text);
