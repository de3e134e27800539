/* lookups.h - what names resolved to in the last seconds.
 *
 * A command that opens many connections to one host costs one look-up, not one each; how often new
 * names may be looked up is limited (threat T12: names as a channel). The addresses are judged anew
 * for every connection.
 */
#pragma once

#include "egress/domains.h"
#include "egress/rate.h"
#include "io/resolve.h"

enum { LOOKUPS_KEPT = 64, LOOKUPS_FRESH_MS = 5000 };

struct lookups {
    struct lookup *items[LOOKUPS_KEPT]; /* owned */
    struct rate rate;
};

void lookups_init(struct lookups *l, uint64_t now_ms);
void lookups_release(struct lookups *l);

/* The addresses of a name that was looked up a moment ago; 0 = it has to be looked up. `out` has room
 * for RESOLVE_MAX. */
size_t lookups_find(const struct lookups *l, const struct host *name, uint64_t now_ms,
                    struct socket_address *out);

/* May another name be looked up now? */
bool lookups_take(struct lookups *l, uint64_t now_ms);

/* Remembers an answer; the oldest gives way. */
void lookups_put(struct lookups *l, const struct host *name, uint64_t now_ms,
                 const struct socket_address *list, size_t count);
