#include "api/metadata.h"

#include "proto/json_write.h"

const struct schema_row metadata_item = { NULL, SCHEMA_STRING, .max = METADATA_VALUE };
const struct schema_row metadata_patch_item = { NULL, SCHEMA_STRING, SCHEMA_NULLABLE,
                                                .max = METADATA_VALUE };

static size_t write_pair(struct buf *out, struct str key, const struct json *value)
{
    if (json_kind_of(value) == JSON_IS_NULL)
        return 0;
    json_write_key(out, key);
    json_write_value(out, value);
    return 1;
}

bool metadata_write(struct buf *out, const struct json *current, const struct json *patch,
                    struct problems *p)
{
    size_t pairs = 0;
    json_write_object(out);
    for (struct json_member m = json_first(current); m.value; m = json_next(current, m)) {
        const struct json *other = json_get(patch, m.key.p);
        pairs += write_pair(out, m.key, other ? other : m.value);
    }
    for (struct json_member m = json_first(patch); m.value; m = json_next(patch, m))
        if (!json_get(current, m.key.p))
            pairs += write_pair(out, m.key, m.value);
    json_write_object_end(out);
    if (pairs <= METADATA_PAIRS)
        return true;
    problems_add_at(p, "metadata", "would have %zu pairs; %d are allowed", pairs, METADATA_PAIRS);
    return false;
}
