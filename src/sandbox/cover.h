/* cover.h - keeps hidden files hidden when the host replaces them (sandbox contract 3.4.4).
 *
 * A mount over a file falls off as soon as somebody outside renames another file over that name. Where
 * the directory around a hidden file is writable inside, Landlock cannot help; so init, which sits in
 * the sandbox's mount namespace outside every Landlock domain, watches those directories and covers
 * the new file at once.
 */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

#include <stdbool.h>

struct cover_place {
    int watch;
    const char *path; /* the plan's */
};

struct cover {
    int notify, stash;          /* owned; -1 = nothing to watch */
    struct cover_place *places; /* owned */
    size_t count;
    char waiting[4096]; /* events read and not yet handled */
    size_t used, at;
};

/* Watches the directories of the plan's hidden files that need it. Takes `stash` over. */
int cover_init(struct cover *c, const struct plan *p, int stash, struct err *e);
void cover_release(struct cover *c);

/* True when there is something to watch: init then keeps the right to mount. */
bool cover_is_needed(const struct cover *c);

/* Readable when something happened; -1 when nothing is watched. */
int cover_fd(const struct cover *c);

/* Handles the next event; true when a path was covered again (its name is in `path`). A cover that
 * fails ends the process: the sandbox must not go on with the file in the open. */
bool cover_next(struct cover *c, char *path, size_t room);
