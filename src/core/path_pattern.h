/* path_pattern.h - glob patterns over whole paths (sandbox contract 3.4.2).
 *
 *   *      any run without '/', also an empty one      ?      one character, not '/'
 *   **     any run, '/' included                       [a-z]  one character of the set, never '/'
 *
 * "**" with a '/' behind it, at the start of a component, is any number of whole directories, none
 * included: "/w/" + "**" + "/x" matches "/w/x". "/" + "**" at the end is the directory itself and
 * everything beneath it. There is no negation and no escape: '!' and '^' in a set are members. A
 * bracket that spells no set ("[]", "[z-a]", "[a/b]", one that is never closed) is text.
 *
 * Names are bytes. A "character" is one well-formed UTF-8 sequence, or else one byte. Matching takes
 * time proportional to path times pattern, whatever both are; nothing is tried twice.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PATH_PATTERN_MAX = 4096 }; /* bytes of one pattern; no path can be longer */

struct path_pattern;

/* True when `text` holds one of the bytes that make a settings entry a pattern: * ? [ ] */
bool path_pattern_is(struct str text);

/* Compiles `text`. The result and all it points to live in the arena. Any text is a pattern; fails
 * only when it is longer than PATH_PATTERN_MAX or the arena is used up (E_BUSY). */
int path_pattern_compile(struct arena *arena, struct str text, struct path_pattern **out,
                         struct err *e);

/* Does the whole of `path` match? */
bool path_pattern_matches(const struct path_pattern *p, struct str path);

/* Matching in steps, for who walks a tree: a state is the set of positions in the pattern that a path
 * has come to, one bit each. What can still match behind a path depends on its state alone, and
 * behind two states on each of their bits. */

/* How many words a state of this pattern takes. */
size_t path_pattern_words(const struct path_pattern *p);

/* Sets `state` to where `path` has come to. `path` must reach behind the last '/' that stands in front of
 * the first special byte of the pattern. False when it and all that begins so match nothing. */
bool path_pattern_start(const struct path_pattern *p, struct str path, uint64_t *state);

/* The path has grown by `part`: whole components, or '/'. False as above. */
bool path_pattern_advance(const struct path_pattern *p, uint64_t *state, struct str part);

/* Does the path that has come to `state` match? */
bool path_pattern_ends(const struct path_pattern *p, const uint64_t *state);

/* False when no path that ends in `end` matches; a quick test before the others. */
bool path_pattern_may_end(const struct path_pattern *p, struct str end);
