/* json_make.h - trees of json.h that do not come from JSON text.
 *
 * For readers of other notations (yaml.h). The maker keeps to what json_parse promises: UTF-8 without
 * NUL, no duplicate keys; depth and number of values are the maker's to bound. A tree is not changed
 * any more once it has been handed out.
 */
#pragma once

#include "proto/json.h"

/* Each is the caller's until it is put into another: json_free. */
struct json *json_make_null(void);
struct json *json_make_bool(bool value);
struct json *json_make_i64(int64_t value);
struct json *json_make_array(void);
struct json *json_make_object(void);

/* NULL when `value` is not finite. */
struct json *json_make_real(double value);

/* NULL when the bytes are not UTF-8 or hold a NUL. */
struct json *json_make_str(struct str bytes);

/* Puts `value` at the end; takes it over. */
void json_make_item(struct json *array, struct json *value);

/* Puts a member at the end and takes `value` over. False, and the value is still the caller's, when
 * there is such a key already. The key must be UTF-8 without NUL. */
bool json_make_member(struct json *object, struct str key, struct json *value);
