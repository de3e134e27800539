/* refusal.h - a call that is not carried out, and what the caller is told (API contract 1.5).
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

/* `status` 0: there is nothing to refuse. Otherwise an HTTP status with message and machine code. */
struct refusal {
    int status;
    const char *type;   /* error.type; NULL: the usual one of the status */
    const char *code;   /* details.error_code, or NULL */
    struct str details; /* further members of `details`, JSON text, or empty */
    bool no_retry;      /* x-should-retry: false */
    char message[512];
};

/* Always returns -1, so that `return refusal_set(...)` reads as "refuse with". 409 is not worth
 * another try. `code` is a constant or NULL. */
__attribute__((format(printf, 4, 5))) int refusal_set(struct refusal *r, int status,
                                                      const char *code, const char *fmt, ...);
