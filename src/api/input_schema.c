#include "api/input_schema.h"

static bool name_is_fine(struct str name)
{
    if (name.n < 1 || name.n > 64)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

/* Depth is bounded by the reader (JSON_DEPTH_MAX). */
static bool has_reference(const struct json *v)
{
    if (json_get(v, "$ref"))
        return true;
    for (size_t i = 0; json_kind_of(v) == JSON_IS_ARRAY && i < json_count(v); i++)
        if (has_reference(json_at(v, i)))
            return true;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m))
        if (has_reference(m.value))
            return true;
    return false;
}

void input_schema_check(const struct json *schema, struct problems *p)
{
    static const char *const mixes[] = { "oneOf", "anyOf", "allOf" };
    struct str type = { 0 };
    json_to_str(json_get(schema, "type"), &type);
    if (!str_eq(type, STR("object")))
        problems_add_at(p, "type", "must be \"object\"");
    for (size_t i = 0; i < sizeof mixes / sizeof *mixes; i++)
        if (json_get(schema, mixes[i]))
            problems_add_at(p, mixes[i], "may not stand on top of an input schema");
    if (has_reference(schema))
        problems_add(p, "may not hold $ref");
    const struct json *properties = json_get(schema, "properties");
    size_t was = problems_enter_key(p, STR("properties"));
    if (properties && json_kind_of(properties) != JSON_IS_OBJECT)
        problems_add(p, "must be an object");
    for (struct json_member m = json_first(properties); m.value; m = json_next(properties, m)) {
        size_t here = problems_enter_key(p, m.key);
        if (!name_is_fine(m.key))
            problems_add(p, "the name must have 1 to 64 of letters, digits, '_', '.' and '-'");
        problems_leave(p, here);
    }
    problems_leave(p, was);
}
