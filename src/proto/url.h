/* url.h - percent-decoding of paths and queries (RFC 3986 2.1), strictly.
 *
 * Nothing is repaired: an escape that is none, and an escaped NUL, make the whole malformed. Decoded
 * text is never longer than what it was decoded from, so callers know how much room is enough.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

/* Decodes one segment of a path, "%2F" into "/" and "+" into "+". `out` has room for text.n bytes;
 * *n is how many were written. */
bool url_decode(struct str text, char *out, size_t *n);

/* How many segments a path "/a/b" has: one for each slash. */
size_t url_segment_count(struct str path);

/* Cuts a path that begins with "/" at its slashes and decodes each segment once. `segments` has room
 * for url_segment_count, `memory` for path.n bytes. */
bool url_path_decode(struct str path, struct str *segments, char *memory);

struct url_parameter {
    struct str name, value; /* "a" alone has an empty value */
};

/* At most so many parameters stand in a query (empty ones between two "&" do not count). */
size_t url_parameter_count(struct str query);

/* Decodes "a=1&b%5B%5D=2" ("+" is a blank). `parameters` has room for url_parameter_count, `memory` for
 * query.n bytes. *count is how many there are. */
bool url_query_decode(struct str query, struct url_parameter *parameters, size_t *count,
                      char *memory);
