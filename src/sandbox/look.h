/* look.h - a look into a directory that is about to be moved.
 *
 * Moving a directory gives new names to everything in it, and takes the old ones away.
 */
#pragma once

#include "sandbox/warden-int.h"

enum look_result {
    LOOK_CLEAN,
    LOOK_DENIED,   /* *rule forbids one of the names */
    LOOK_TOO_MUCH, /* more entries than one call may cost */
    LOOK_BLIND,    /* a directory could not be read */
};

/* Judges everything beneath the directory `name` in `parent` as if it were made beneath `path`.
 * `skip_modules`: what lies in a node_modules is not looked at. */
enum look_result look_beneath(const struct file_rules *rules, int parent, const char *name,
                              struct str path, bool skip_modules, const char **rule);
