/* pattern_walk.h - what the patterns of one list match on this machine.
 *
 * One walk serves all patterns: a directory is listed once, and each of its names is tried against
 * every pattern that something beneath can still match. Links to directories are followed for denyRead
 * alone, never upward (contract 3.4.2). Directories are known by their real paths, and none is searched
 * twice from one position of one pattern, so a tree full of links takes no longer than its directories
 * (T34). Breadth first: what can be reached by a short way is not taken for deep.
 */
#pragma once

#include "sandbox/entries.h"

/* One pattern on its way through the tree. */
struct walked_pattern {
    const struct path_pattern *pattern;
    const char *rule;
    const char
        *base; /* directory where the walk begins, as the pattern spells it; "" for the root */
    size_t at; /* the caller's: where in its list the matches belong */
    struct places found; /* owned by the caller */
};

/* Fills `found` of each pattern. What a deny cannot search it takes whole, with a warning. Fails with
 * E_BUSY when a pattern matches more than 100,000 places. */
int pattern_walk(const struct entry_context *c, enum entry_use use, struct walked_pattern *patterns,
                 size_t count, struct err *e);
