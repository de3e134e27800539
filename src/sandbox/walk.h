/* walk.h - finds what a path of the caller's means, as the kernel would for the caller.
 *
 * The path is walked with O_PATH descriptors, so that nothing is opened or judged twice under one
 * name. Links are followed one by one, because /proc/self must be the caller's and not ours; a path
 * without any link costs one call.
 */
#pragma once

#include "base/mem.h"
#include "sandbox/warden-int.h"

/* Where a name stands. `parent` and `object` are owned. */
struct place {
    int parent;
    /* The last component, with a '/' behind it when the caller wrote one. A name that is not plain
     * ("/", ".", "..") makes every call that would change it fail. */
    char name[NAME_MAX + 2];
    bool is_plain;
    bool is_direct; /* of place_find_object with `follow`: no link was met, at the end neither */
    int object;     /* O_PATH, of place_find_object; -1 when there is none */
    bool is_magic;  /* the object was reached through /proc/PID/fd or the like; no parent then */
    int own_descriptor; /* then: the number of the caller's descriptor, or -1 */
    bool ends_in_slash;
    bool
        through_self; /* the way led through what is the caller's own in /proc: not ours to repeat */
};

#define AUTO_PLACE CLEANUP(place_release) struct place

/* `struct place p = PLACE_NONE;` can be released at any time. */
#define PLACE_NONE ((struct place){ .parent = -1, .object = -1, .own_descriptor = -1 })
void place_release(struct place *p);

/* Opens (O_PATH and `flags`) what stands at `path`, where no component is a link. errno as usual, ELOOP
 * for a link. */
int open_without_links(int dir, const char *path, int flags);

/* The name without the slash that may follow it. */
struct str place_name(const struct place *p);

/* The last component stays as it is, link or not. 0 or errno. */
int place_find_parent(struct request *q, int dirfd, const char *path, struct place *out);

/* Finds the object too. With `follow`, a link as the last component is followed, and the place is the
 * one where it leads. An object that is not there is no error when its parent is: it may be made. */
int place_find_object(struct request *q, int dirfd, const char *path, bool follow,
                      struct place *out);
