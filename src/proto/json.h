/* json.h - strict JSON in.
 *
 * Reads one whole text into a tree. Refused: duplicate keys (also when they are spelled with
 * escapes), bytes that are not UTF-8, NUL (raw or \u0000), lone surrogates, integers beyond 64 bits,
 * more than JSON_DEPTH_MAX levels, more than JSON_VALUES_MAX values, and anything behind the value.
 * Every refusal names line and column. Messages never repeat a value of the text: it may be a secret.
 *
 * Values are borrowed from the tree whose root json_parse gave. No value has a way to change.
 */
#pragma once

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum { JSON_DEPTH_MAX = 64, JSON_VALUES_MAX = 200000 };

struct json; /* one value */

enum json_kind {
    JSON_IS_NULL,
    JSON_IS_BOOL,
    JSON_IS_INTEGER,
    JSON_IS_REAL,
    JSON_IS_STRING,
    JSON_IS_ARRAY,
    JSON_IS_OBJECT
};

/* Reads `text`, which may be any one JSON value. On success *out is the caller's: json_free. */
int json_parse(struct str text, struct json **out, struct err *e);

/* Gives the whole tree back; NULL is fine. Only for what json_parse gave. */
void json_free(struct json *root);

/* For CLEANUP. */
void json_drop(struct json **root);
#define AUTO_JSON CLEANUP(json_drop) struct json *

/* NULL, a member that is not there, is JSON_IS_NULL. */
enum json_kind json_kind_of(const struct json *v);

/* "null", "a boolean", "an integer" ...: for messages. */
const char *json_kind_text(enum json_kind kind);

/* Each is false, and leaves *out alone, when the value is of another kind or does not fit. A real is
 * never taken for an integer, nor a number for a boolean. */
bool json_to_bool(const struct json *v, bool *out);
bool json_to_i64(const struct json *v, int64_t *out);
bool json_to_u64(const struct json *v, uint64_t *out);

/* An integer is taken, too. */
bool json_to_real(const struct json *v, double *out);

/* UTF-8 without NUL; the bytes are followed by a NUL. */
bool json_to_str(const struct json *v, struct str *out);

/* Items of an array, members of an object, else 0. */
size_t json_count(const struct json *v);

/* Item `i` of an array; NULL beyond its end or when it is none. */
const struct json *json_at(const struct json *array, size_t i);

/* The member of that name; NULL when there is none or `object` is none. */
const struct json *json_get(const struct json *object, const char *key);

/* Walks an object in the order of the text:
 *     for (struct json_member m = json_first(o); m.value; m = json_next(o, m))
 * For anything but an object the walk is empty. */
struct json_member {
    struct str key; /* followed by a NUL */
    const struct json *value;
    void *at; /* private */
};
struct json_member json_first(const struct json *object);
struct json_member json_next(const struct json *object, struct json_member m);
