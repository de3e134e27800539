/* schema.h - what a JSON value must look like, as rows of tables.
 *
 * The API and postern.yaml check what they are given against such tables before they read it, so
 * that one message names every problem and the readers behind can take the shape for granted.
 *
 *     static const struct schema_row rows[] = {
 *         { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256 },
 *         { "title", SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 256 },
 *         { "speed", SCHEMA_WORD, .words = speeds },
 *         { "tools", SCHEMA_ARRAY, .max = 256, .item = &tool_row },
 *     };
 *     static const struct schema_table table = { ROWS(rows) };
 */
#pragma once

#include "proto/json.h"
#include "proto/problems.h"

enum schema_kind {
    SCHEMA_ANY, /* nothing is looked at */
    SCHEMA_BOOL,
    SCHEMA_INTEGER, /* min to max are of the value */
    SCHEMA_NUMBER,  /* integer or with a fraction; min and max are not looked at */
    SCHEMA_STRING,  /* min to max characters (code points) */
    SCHEMA_WORD,    /* one of `words` */
    SCHEMA_ARRAY,   /* min to max items, each like `item` */
    SCHEMA_MAP,     /* min to max members with any keys (key_max characters), each like `item` */
    SCHEMA_OBJECT,  /* `table`; without one any object */
    SCHEMA_VARIANT  /* an object whose member "type" chooses among `variants` */
};

enum schema_flag {
    SCHEMA_REQUIRED = 1 << 0, /* must be there */
    SCHEMA_NULLABLE = 1 << 1  /* may be null */
};

struct schema_row;

struct schema_table {
    const struct schema_row *rows;
    size_t count;
    bool
        closed; /* an unknown key is a problem (postern.yaml); else it is passed over (contract 0) */
};
#define ROWS(array) .rows = (array), .count = sizeof(array) / sizeof *(array)

struct schema_variant {
    const char *word;                 /* NULL ends the list */
    const struct schema_table *table; /* without a row for "type"; NULL: nothing more to check */
};

struct schema_row {
    const char *name; /* NULL for items */
    enum schema_kind kind;
    unsigned flags;
    int64_t min, max;         /* max 0: no upper bound */
    const char *const *words; /* NULL-terminated */
    const struct schema_row *item;
    const struct schema_table *table;
    const struct schema_variant *variants;
    int64_t key_max;
    /* Strings, after their length: what is wrong, for "name: <this>", or NULL. */
    const char *(*refuses)(struct str text);
    /* Looked at instead when the value is not of this row's JSON kind: "a string or an object". */
    const struct schema_row *either;
};

/* Adds a problem for everything in `v` that is not as the table says. True when there was none. */
bool schema_check(const struct json *v, const struct schema_table *table, struct problems *out);

/* The same for one value of any kind; the row's name is not looked at. */
bool schema_check_value(const struct json *v, const struct schema_row *row, struct problems *out);

/* Characters (code points) of well-formed UTF-8. */
size_t schema_characters(struct str text);

/* Position of `word` in a NULL-terminated list, or -1. */
int schema_word(const char *const *words, struct str word);
