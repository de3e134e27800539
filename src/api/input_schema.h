/* input_schema.h - the JSON Schema of a custom tool's input, as far as we look at it (contract 2.1). */
#pragma once

#include "proto/json.h"
#include "proto/problems.h"

/* `schema` is an object. It must say "type": "object", hold no "$ref" at any depth and no oneOf, anyOf
 * or allOf on top; property names have 1 to 64 of [A-Za-z0-9_.-]. */
void input_schema_check(const struct json *schema, struct problems *p);
