/* backend_bwrap.h - the same plan, given to an installed bubblewrap.
 *
 * For comparison, not for use: the tests run file and process checks under both backends and compare
 * the verdicts. bubblewrap mounts over names and has nothing that judges by name, so names that do not
 * exist yet are not denied there, and there is no network at all.
 */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

/* The argument vector for bubblewrap, NULL-terminated, from the plan's arena. `empty` is the number of
 * a descriptor that reads as an empty file, inherited by bubblewrap: hidden files are made from it;
 * each use needs one of its own, so `empty` is the first of bwrap_empty_count() in a row. */
char **bwrap_arguments(struct plan *p, char *const *command, int empty, struct err *e);

/* How many descriptors bwrap_arguments refers to. */
size_t bwrap_empty_count(const struct plan *p);

/* Replaces this process by bubblewrap. Returns -1 when that fails. `environment` is the command's. */
int bwrap_execute(struct plan *p, char *const *command, char *const *environment, struct err *e);
