/* permission.h - may this be reached? The policy's answer, or a person's (contract 3.3.2 and 8).
 *
 * Identical open questions (same host and port) share one answer. Every decision is reported once
 * per asker. Nothing is looked up or dialled before.
 */
#pragma once

#include "egress/proxy-int.h"

struct permission;

/* `reason` is what the client is told of a denial; borrowed for the call. */
typedef void permission_done(void *ctx, bool allowed, const char *reason);

/* Judges at once where the policy can: EGRESS_ALLOW or EGRESS_DENY, with *reason borrowed until the
 * policy changes. EGRESS_ASK: somebody has been asked, *waiting is the place in the queue, and `done`
 * comes later, from the loop; then the permission frees itself. `want` is borrowed until then. */
enum egress_decision permission_get(struct egress_sandbox *s, const struct want *want,
                                    const char **reason, struct permission **waiting,
                                    permission_done *done, void *ctx);

/* Nobody waits any more; `done` will not come. NULL is fine. */
void permission_cancel(struct permission *p);

/* An answer came in. */
void permission_answer(struct egress_sandbox *s, uint64_t id, bool allow, struct str reason);

/* The policy has changed: open questions that it answers now are answered. */
void permission_rejudge(struct egress_sandbox *s);
