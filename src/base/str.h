/* str.h - a borrowed run of bytes.
 *
 * A struct str owns nothing and is not NUL-terminated; pass it by value. Length and pointer travel
 * together, so bytes from the network never lose what stands behind a NUL.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

/* A string literal as a struct str. */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })

/* For printf's "%.*s". The caller knows that the run is shorter than INT_MAX. */
#define STR_ARGS(s) (int)(s).n, (s).p

/* The bytes of a C string, without its NUL. NULL gives an empty run. */
static inline struct str str_of(const char *text)
{
    return (struct str){ text, text ? strlen(text) : 0 };
}

/* Same bytes. */
bool str_eq(struct str a, struct str b);

/* Same bytes when ASCII letters are compared without case. */
bool str_eq_nocase(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Order of the bytes, for sorting: negative, 0 or positive. */
int str_compare(struct str a, struct str b);

/* Position of the first `byte` in `s`, or -1. */
ptrdiff_t str_index(struct str s, char byte);

/* Position of the last `byte` in `s`, or -1. */
ptrdiff_t str_last_index(struct str s, char byte);

/* True when `needle` stands somewhere in `s`. An empty needle is everywhere. */
bool str_has(struct str s, struct str needle);

/* `s` without its first n bytes (n may be larger than s). */
struct str str_skip(struct str s, size_t n);

/* Without ASCII blanks and tabs at both ends. */
struct str str_trim(struct str s);

/* Moves the part of *rest before the first `sep` into *head and steps over the separator.
 * The last part has no separator after it. Returns false once *rest is used up. */
bool str_cut(struct str *rest, char sep, struct str *head);

/* Reads a decimal number of digits only ("0" to "18446744073709551615"). False on anything else:
 * empty, sign, blank, overflow. */
bool str_to_u64(struct str s, uint64_t *out);

/* A heap copy with a NUL behind it; the caller frees. Never NULL (see mem.h). */
char *str_dup(struct str s);

/* True when the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);
