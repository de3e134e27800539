/* cover.h - keeps hidden what the host replaces or makes while a run lasts (sandbox contract 3.4.2, 3.4.4).
 *
 * A mount over a file falls off as soon as somebody outside renames another file over that name, and a
 * name that does not exist yet cannot be mounted over. Where the directory around it is writable inside,
 * Landlock cannot help; so init, which sits in the sandbox's mount namespace outside every Landlock
 * domain, watches those directories and covers the new file at once.
 */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

#include <stdbool.h>

/* Directories watched for names that do not exist at the start. */
enum { COVER_DIRECTORIES_MAX = 1024 };

struct cover_place {
    int watch;
    const char *path; /* the plan's */
};

struct cover_directory {
    int watch;
    char *path; /* owned */
};

struct cover {
    const struct plan *plan;
    int notify, stash;          /* owned; -1 = nothing to watch */
    struct cover_place *places; /* owned */
    size_t count;
    struct cover_directory *directories; /* owned */
    size_t directory_count;
    bool incomplete; /* some directory could not be watched */
    void (*covered)(void *ctx, const char *path);
    void *ctx;
    char waiting[4096]; /* events read and not yet handled */
};

/* Watches the directories of the plan's hidden files that need it, and those within write roots where
 * hidden names may appear; what has appeared since the plan was made is covered. Warns when not all of
 * them can be watched. Takes `stash` over. */
int cover_init(struct cover *c, const struct plan *p, int stash, struct err *e);
void cover_release(struct cover *c);

/* True when there is something to watch: init then keeps the right to mount. */
bool cover_is_needed(const struct cover *c);

/* Readable when something happened; -1 when nothing is watched. */
int cover_fd(const struct cover *c);

/* Handles what has happened; `covered` is told each path that was covered. A cover that fails ends the
 * process: the sandbox must not go on with the file in the open. */
void cover_serve(struct cover *c, void (*covered)(void *ctx, const char *path), void *ctx);
