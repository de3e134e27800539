#include "proto/json_make.h"

#include "base/check.h"

#include <jansson.h>
#include <math.h>

static struct json *outer(json_t *v)
{
    CHECK(v); /* jansson gives NULL only when memory is out, or for what was looked at before */
    return (struct json *)v;
}

static json_t *inner(struct json *v)
{
    return (json_t *)v;
}

struct json *json_make_null(void)
{
    return outer(json_null());
}

struct json *json_make_bool(bool value)
{
    return outer(json_boolean(value));
}

struct json *json_make_i64(int64_t value)
{
    return outer(json_integer(value));
}

struct json *json_make_array(void)
{
    return outer(json_array());
}

struct json *json_make_object(void)
{
    return outer(json_object());
}

struct json *json_make_real(double value)
{
    return isfinite(value) ? outer(json_real(value)) : NULL;
}

struct json *json_make_str(struct str bytes)
{
    if (!str_is_utf8(bytes) || str_index(bytes, '\0') >= 0)
        return NULL;
    return outer(json_stringn_nocheck(bytes.n ? bytes.p : "", bytes.n));
}

void json_make_item(struct json *array, struct json *value)
{
    CHECK(json_array_append_new(inner(array), inner(value)) == 0);
}

bool json_make_member(struct json *object, struct str key, struct json *value)
{
    AUTO_FREE char *name = str_dup(key);
    CHECK(strlen(name) == key.n);
    if (json_object_get(inner(object), name))
        return false;
    CHECK(json_object_set_new_nocheck(inner(object), name, inner(value)) == 0);
    return true;
}
