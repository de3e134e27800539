/* json_slice.h - members of JSON text as runs of that text, without a tree.
 *
 * For text that we wrote ourselves and read back (log bodies, records): what is only carried is
 * spliced as it stands, and one member of a large object costs no parse. Grammar (RFC 8259) and depth
 * (twice JSON_DEPTH_MAX) are checked while walking; duplicate keys are not looked for, so what strangers
 * send goes through json.h first.
 */
#pragma once

#include "base/arena.h"
#include "base/str.h"
#include "proto/json.h"

/* True when `text` is one whole JSON value, blanks around it allowed. */
bool json_slice_check(struct str text);

/* Walks the members of an object or, with keys left empty, the items of an array:
 *     struct json_slice s;
 *     if (!json_slice_begin(&s, text)) ... not an object or array
 *     while (json_slice_next(&s)) ... s.key, s.value
 *     if (s.bad) ... the text is not JSON
 * A key is borrowed raw: escapes in it are left as they are. */
struct json_slice {
    struct str key, value;
    bool bad;
    /* private */
    struct str rest;
    bool array, started;
};
bool json_slice_begin(struct json_slice *s, struct str text);
bool json_slice_next(struct json_slice *s);

/* The two halves of json_slice_next, for who may not want to walk over a large value: it then stops
 * behind the key. */
bool json_slice_key(struct json_slice *s);
bool json_slice_value(struct json_slice *s);

/* The value of the first member of that name, or an empty run: no such member, or no object. */
struct str json_slice_get(struct str object, const char *key);

/* What a value says. False when it is of another kind or does not fit. */
bool json_slice_bool(struct str value, bool *out);
bool json_slice_i64(struct str value, int64_t *out);
bool json_slice_u64(struct str value, uint64_t *out);

/* A string without its quotes and escapes: borrowed from `value` when it has none, else from the
 * arena. False also when the arena is full or a code unit is no character. */
bool json_slice_str(struct str value, struct str *out, struct arena *a);
