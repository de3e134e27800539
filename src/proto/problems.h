/* problems.h - every problem of one input, collected as `dotted.path: message`.
 *
 * Checking goes on after a problem, so that a person sees all of them at once. Messages name keys
 * and kinds, never values: a value may be a secret.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "proto/places.h"

#include <stdbool.h>

struct problems {
    struct buf text; /* owned; "a.b: message; c[2]: message": the first PROBLEMS_SHOWN of them */
    struct buf path; /* owned; of the value that is being looked at */
    const struct places *places; /* borrowed; NULL, or where lines come from: "line 3: a.b: ..." */
    size_t count;
};
enum { PROBLEMS_SHOWN = 20 };

void problems_release(struct problems *p);
#define AUTO_PROBLEMS CLEANUP(problems_release) struct problems

/* Goes down to a member or an item; problems_leave with what was returned goes back up. Long keys
 * are cut and control characters replaced. */
size_t problems_enter_key(struct problems *p, struct str key);
size_t problems_enter_index(struct problems *p, size_t i);
void problems_leave(struct problems *p, size_t was);

/* A problem with the value at the current path. */
__attribute__((format(printf, 2, 3))) void problems_add(struct problems *p, const char *fmt, ...);

/* A problem with the member `key` of the value at the current path. */
__attribute__((format(printf, 3, 4))) void problems_add_at(struct problems *p, const char *key,
                                                           const char *fmt, ...);

/* 0 when there are none; else -1 and E_INPUT with as many as fit. Callers with more room than a
 * struct err take `text` themselves after problems_finish. */
int problems_fail(struct problems *p, struct err *e);

/* Says how many were left out. Called once, at the end; problems_fail does it too. */
void problems_finish(struct problems *p);
