/* yaml.h - strict YAML in, as a tree of json.h.
 *
 * One document. Plain scalars are typed by the core schema of YAML 1.2: null, true, 12, 0x1f, 0o17,
 * 1.5; everything else ("yes", "on", a date) is a string. Refused: anchors, aliases, tags, several
 * documents, keys that are no scalars, empty or doubled, NUL and bytes that are not UTF-8, numbers
 * with a leading zero, beyond 64 bits or not finite, and what goes beyond the bounds of json.h or
 * YAML_TEXT_MAX. Every refusal names line and column and never repeats a value.
 */
#pragma once

#include "proto/json.h"
#include "proto/places.h"

enum { YAML_TEXT_MAX = 4 << 20 };

/* Reads `text`. On success *out is the caller's (json_free), and, when `places` is not NULL, so is
 * *places (places_free). A text without a value is null. */
int yaml_parse(struct str text, struct json **out, struct places **places, struct err *e);
