/* secret.h - a key or a password that we hold.
 *
 * It has no printing function, is never shown by accident because it is no struct str, and is wiped
 * before its memory is given back.
 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

struct secret {
    char *bytes; /* owned; NULL: none */
    size_t length;
};

/* Keeps a copy; an empty run makes it none. What was there before is wiped. */
void secret_set(struct secret *s, struct str bytes);

/* Wipes; the secret is none afterwards. */
void secret_release(struct secret *s);
#define AUTO_SECRET CLEANUP(secret_release) struct secret

static inline bool secret_is_none(const struct secret *s)
{
    return s->length == 0;
}

/* The bytes, for the one place that sends or compares them; borrowed. */
static inline struct str secret_reveal(const struct secret *s)
{
    return (struct str){ s->bytes, s->length };
}
