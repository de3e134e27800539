/* metadata.h - maps of texts that people hang on objects (contract 1.10, 2.1). */
#pragma once

#include "proto/schema.h"

enum { METADATA_PAIRS = 16, METADATA_KEY = 64, METADATA_VALUE = 512 };

/* Rows for the member "metadata": as it is made, and as a patch in which null deletes a key. */
extern const struct schema_row metadata_item, metadata_patch_item;
#define METADATA_ROW                                                                               \
    {                                                                                              \
        "metadata", SCHEMA_MAP, SCHEMA_NULLABLE, .max = METADATA_PAIRS, .key_max = METADATA_KEY,   \
                                                 .item = &metadata_item                            \
    }
#define METADATA_PATCH_ROW                                                                         \
    {                                                                                              \
        "metadata", SCHEMA_MAP, SCHEMA_NULLABLE,                                                   \
            .max = 2 * METADATA_PAIRS, .key_max = METADATA_KEY, .item = &metadata_patch_item       \
    }

/* Appends the map that `patch` makes of `current`; either may be NULL or null, which changes
 * nothing. What it had keeps its order, what is new comes behind. False, with a problem at "metadata",
 * when there are more than METADATA_PAIRS afterwards. */
bool metadata_write(struct buf *out, const struct json *current, const struct json *patch,
                    struct problems *p);
