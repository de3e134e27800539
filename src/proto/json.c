#include "proto/json.h"

#include "base/check.h"

#include <jansson.h>
#include <stdio.h>
#include <sys/random.h>

/* A struct json is jansson's json_t under a name of ours; jansson has no const in its walkers, so the
 * casts drop it, but nothing here changes a value. */
static json_t *inner(const struct json *v)
{
    return (json_t *)(uintptr_t)v;
}

static const struct json *outer(const json_t *v)
{
    return (const struct json *)v;
}

/* Where a byte stands, as people count: from 1, columns in characters. */
struct place {
    size_t line, column;
};

static struct place place_of(struct str text, size_t at)
{
    struct place p = { 1, 1 };
    for (size_t i = 0; i < at && i < text.n; i++) {
        if (text.p[i] == '\n')
            p = (struct place){ p.line + 1, 1 };
        else if (((unsigned char)text.p[i] & 0xc0) != 0x80)
            p.column++;
    }
    return p;
}

static int fail_at(struct str text, size_t at, const char *why, struct err *e)
{
    struct place p = place_of(text, at);
    return err_set(e, E_INPUT, 0, "line %zu, column %zu: %s", p.line, p.column, why);
}

/* Bounds depth and number of values before the parser, which recurses and allocates, sees the text.
 * Every value but the first stands behind '[', '{' or ','; a key does, too, and is counted with it. */
static int check_bounds(struct str text, struct err *e)
{
    size_t depth = 0, values = 1;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{' || c == ',') {
            if (c != ',' && ++depth > JSON_DEPTH_MAX)
                return fail_at(text, i, "nested too deeply (64 levels at most)", e);
            if (++values > JSON_VALUES_MAX)
                return fail_at(text, i, "too many values (200,000 at most)", e);
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return 0;
}

static bool is_blank(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!memchr(" \t\r\n", text.p[i], 4))
            return false;
    return true;
}

/* jansson ends its messages with the text it stumbled over, which may be a secret. It is cut, but for
 * keys: they stand before any value and say what is doubled. */
static int fail_from(struct str text, const json_error_t *error, struct err *e)
{
    char why[JSON_ERROR_TEXT_LENGTH];
    enum json_error_code code = json_error_code(error);
    snprintf(why, sizeof why, "%s", error->text);
    char *near = strstr(why, " near '");
    if (near && code != json_error_duplicate_key)
        *near = '\0';
    if (code == json_error_invalid_utf8)
        snprintf(why, sizeof why, "bytes that are not UTF-8");
    if (error->position <= 0)
        return fail_at(text, 0, why, e);
    return fail_at(text, (size_t)error->position - 1, why, e);
}

/* jansson takes the seed of its tables from /dev/urandom: three calls more, and not there in every
 * sandbox. A second seed changes nothing. */
static void seed_tables(void)
{
    static bool seeded;
    size_t seed;
    if (!seeded && getrandom(&seed, sizeof seed, GRND_NONBLOCK) == sizeof seed)
        json_object_seed(seed | 1);
    seeded = true;
}

int json_parse(struct str text, struct json **out, struct err *e)
{
    seed_tables();
    if (is_blank(text))
        return err_set(e, E_INPUT, 0, "line 1, column 1: the text is empty");
    /* jansson takes a NUL between values for the end, so that text behind it would pass unseen. */
    ptrdiff_t nul = str_index(text, '\0');
    if (nul >= 0)
        return fail_at(text, (size_t)nul, "a NUL byte", e);
    if (check_bounds(text, e) < 0)
        return -1;
    json_error_t error = { .position = -1 };
    json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root)
        return fail_from(text, &error, e);
    *out = (struct json *)root;
    return 0;
}

void json_free(struct json *root)
{
    json_decref(inner(root));
}

void json_drop(struct json **root)
{
    json_free(*root);
    *root = NULL;
}

enum json_kind json_kind_of(const struct json *v)
{
    if (!v)
        return JSON_IS_NULL;
    switch (json_typeof(inner(v))) {
    case JSON_OBJECT:
        return JSON_IS_OBJECT;
    case JSON_ARRAY:
        return JSON_IS_ARRAY;
    case JSON_STRING:
        return JSON_IS_STRING;
    case JSON_INTEGER:
        return JSON_IS_INTEGER;
    case JSON_REAL:
        return JSON_IS_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return JSON_IS_BOOL;
    case JSON_NULL:
        return JSON_IS_NULL;
    }
    CHECK(!"a value of no kind");
    return JSON_IS_NULL;
}

const char *json_kind_text(enum json_kind kind)
{
    static const char *const texts[] = {
        [JSON_IS_NULL] = "null",        [JSON_IS_BOOL] = "a boolean",
        [JSON_IS_INTEGER] = "a number", [JSON_IS_REAL] = "a number with a fraction",
        [JSON_IS_STRING] = "a string",  [JSON_IS_ARRAY] = "an array",
        [JSON_IS_OBJECT] = "an object",
    };
    return texts[kind];
}

bool json_to_bool(const struct json *v, bool *out)
{
    if (!json_is_boolean(inner(v)))
        return false;
    *out = json_is_true(inner(v));
    return true;
}

bool json_to_i64(const struct json *v, int64_t *out)
{
    if (!json_is_integer(inner(v)))
        return false;
    *out = json_integer_value(inner(v));
    return true;
}

bool json_to_u64(const struct json *v, uint64_t *out)
{
    int64_t value;
    if (!json_to_i64(v, &value) || value < 0)
        return false;
    *out = (uint64_t)value;
    return true;
}

bool json_to_real(const struct json *v, double *out)
{
    if (!json_is_number(inner(v)))
        return false;
    *out = json_number_value(inner(v));
    return true;
}

bool json_to_str(const struct json *v, struct str *out)
{
    if (!json_is_string(inner(v)))
        return false;
    *out = (struct str){ json_string_value(inner(v)), json_string_length(inner(v)) };
    return true;
}

size_t json_count(const struct json *v)
{
    return json_is_array(inner(v)) ? json_array_size(inner(v)) : json_object_size(inner(v));
}

const struct json *json_at(const struct json *array, size_t i)
{
    return outer(json_array_get(inner(array), i));
}

const struct json *json_get(const struct json *object, const char *key)
{
    return outer(json_object_get(inner(object), key));
}

static struct json_member member_at(void *at)
{
    if (!at)
        return (struct json_member){ 0 };
    return (struct json_member){
        .key = { json_object_iter_key(at), json_object_iter_key_len(at) },
        .value = outer(json_object_iter_value(at)),
        .at = at,
    };
}

struct json_member json_first(const struct json *object)
{
    return member_at(json_object_iter(inner(object)));
}

struct json_member json_next(const struct json *object, struct json_member m)
{
    return member_at(json_object_iter_next(inner(object), m.at));
}
