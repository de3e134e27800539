/* event_field.h - members of events: how one field of struct event stands in JSON.
 *
 * Shared by event_json.c and event_field.c only.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "postern/event.h"

enum field_flag {
    FIELD_INNER = 1 << 0,  /* only we may see it */
    FIELD_HEAVY = 1 << 1,  /* the fold does without; stands behind all that are not */
    FIELD_ALWAYS = 1 << 2, /* written, and wanted when read, also when it says nothing */
};

struct field;

/* `at` is the field in the event. `write` writes the value behind a key that stands already and is
 * only called when `says` is true or the field is FIELD_ALWAYS. `read` is false when the value is
 * nothing that `write` writes. */
struct field_codec {
    bool (*says)(const struct event *e, const void *at);
    void (*write)(struct buf *b, const struct field *f, const struct event *e, const void *at);
    bool (*read)(const struct field *f, struct str value, struct event *e, void *at,
                 struct arena *a);
};

struct field {
    const char *name; /* NULL ends a list */
    const struct field_codec *codec;
    size_t offset;
    unsigned flags;
    const char *const
        *words; /* of field_word: names of the values, NULL-terminated; 0 says nothing */
};

extern const struct field_codec field_id, field_text, field_raw, field_content, field_bool,
    field_verdict, field_word, field_unsigned, field_i64, field_u64, field_sha256, field_evaluation,
    field_stop_reason, field_stop_details, field_error, field_usage_shown, field_usage,
    field_model_usage;

extern const char *const permission_words[],
    *const owner_words[], *const repeat_words[], *const budget_words[], *const step_words[];
