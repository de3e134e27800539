/* entries.h - the paths of the settings, as they really are on this machine.
 *
 * Turns entries ("~/.ssh", ".", "secrets-*", a link) into canonical absolute paths (sandbox contract
 * 3.4.1 and 3.4.2). Looks, never changes anything. A place that cannot be looked at is reported with
 * the nearest directory above it that can, so that a deny is never lost.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "core/path_pattern.h"
#include "sandbox/settings.h"
#include "sandbox/stalled.h"

#include <stdbool.h>
#include <sys/types.h>

/* One canonical place. */
struct place {
    const char *path; /* absolute, every link of its parent resolved */
    const char *rule; /* "filesystem.denyRead[0]" */
    dev_t device;     /* of what stands there now; 0 when nothing does */
    ino_t inode;
    bool exists, is_directory;
    bool is_link;    /* guarded by name only: a link cannot be mounted over */
    bool many_links; /* a plain file with more than one hard link */
    bool from_pattern;
};

struct places {
    struct place *items; /* heap, owned; strings are the arena's */
    size_t count, room;
};

/* A pattern that also holds for files made later. */
struct later_pattern {
    const struct path_pattern *pattern;
    const char *rule;
    const char *base; /* the directory before the first component with a pattern byte */
    size_t depth;     /* components of a match; SIZE_MAX with a double star */
};

struct later_patterns {
    struct later_pattern *items; /* heap, owned */
    size_t count, room;
};

enum entry_use { ENTRY_DENY_READ, ENTRY_ALLOW_READ, ENTRY_ALLOW_WRITE, ENTRY_DENY_WRITE };

struct entry_context {
    struct arena *arena;
    const char *cwd;          /* canonical absolute */
    const char *const *homes; /* for "~": $HOME and the passwd entry; every deny uses all of them */
    size_t home_count;
    bool lenient_patterns;
    struct stalled *stalled; /* NULL: every file system answers */
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
};

/* Resolves every entry of `list` and appends to `out`; patterns that hold for later files go to
 * `later` (NULL = not wanted). Fails with E_INPUT for a pattern that would hide nothing (contract
 * 3.4.2) and with E_BUSY when a pattern matches more than 100,000 places. */
int entries_resolve(const struct entry_context *c, const struct settings_list *list,
                    enum entry_use use, struct places *out, struct later_patterns *later,
                    struct err *e);

/* Looks at one absolute path, resolving links of its parents (and of itself with `follow`), and
 * appends it. A deny of a link adds both the link and what it leads to (T38). */
int places_add(struct places *p, const struct entry_context *c, const char *path, const char *rule,
               enum entry_use use, struct err *e);

/* Tells the caller of `path`, which `rule` names, in the words of `why`. */
void entry_warn(const struct entry_context *c, const char *rule, const char *path, const char *why);

/* The first place at or above `path`, or NULL. */
const struct place *places_above(const struct places *p, const char *path);

void places_release(struct places *p);
void later_patterns_release(struct later_patterns *p);
