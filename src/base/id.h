/* id.h - names of objects: a prefix that says the kind, and 24 base62 characters of chance
 * (API contract 1.11 and 11, row 13).
 */
#pragma once

#include "base/str.h"
#include "postern/random.h"

enum { ID_CHANCE = 24, ID_SIZE = 48 /* prefix, chance and NUL; prefixes have 20 bytes at most */ };

/* One name, by value: short enough to live in the object that it names. "" is none. */
struct id {
    char text[ID_SIZE];
};

/* "sesn_" becomes "sesn_0fK3…". */
struct id id_make(const char *prefix, const struct random_source *r);

/* Takes over a name that came from outside or from the store. False, and *out is none, when it is
 * empty, too long, or holds anything but letters, digits, '_' and '-'. */
bool id_read(struct str text, struct id *out);

static inline struct str id_str(const struct id *id)
{
    return str_of(id->text);
}

static inline bool id_is_none(const struct id *id)
{
    return id->text[0] == 0;
}

bool id_eq(const struct id *a, const struct id *b);

/* `bytes` of chance as base62 text, for keys: about 5.95 bits a character. `out` holds `n`
 * characters and a NUL. */
void id_chance(char *out, size_t n, const struct random_source *r);
