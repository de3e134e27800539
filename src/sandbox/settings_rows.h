/* settings_rows.h - the keys of the settings as rows of tables.
 *
 * Shared by the files that read the settings. One row is one key: what its value may be, where it
 * goes, and whether it can change while a command runs. The same tables read a file, find unknown
 * keys and tell two settings apart (contract 6).
 */
#pragma once

#include "sandbox/settings_check.h"

#include <stddef.h>

struct settings_row;

struct settings_kind {
    void (*read)(struct settings_check *c, const struct json *v, const struct settings_row *row);
    /* Do both hold the same? NULL: nothing is kept, or another row compares it. */
    bool (*same)(const void *a, const void *b);
};

enum settings_row_flag {
    ROW_REQUIRED = 1 << 0, /* must be there, unless a profile stands under the file */
    ROW_LIVE = 1 << 1,     /* takes effect while the command runs (contract 6) */
    ROW_DENY_LIST =
        1 << 2, /* joined with the profile's list instead of replacing it; see entries */
    ROW_PLAIN_PATHS = 1 << 3, /* the paths of the list are never patterns */
    ROW_UNLIMITED = 1 << 4,   /* the word "unlimited" is a value, UINT64_MAX */
};

struct settings_table {
    const struct settings_row *rows;
    size_t count;
    bool unknown_is_error; /* else an unknown key is a warning */
};

#define SETTINGS_NOWHERE SIZE_MAX /* the value is checked and not kept */

struct settings_row {
    const char *key;
    const struct settings_kind *kind;
    size_t at; /* offset in struct settings, or SETTINGS_NOWHERE */
    unsigned flags;
    uint64_t min, max;                       /* numbers and sizes */
    const char *const *words;                /* KIND_WORD, KIND_EITHER: NULL-terminated */
    const char *(*refuses)(struct str text); /* strings: what is wrong with it, or NULL */
    const struct settings_table *table;      /* KIND_OBJECT */
};

/* Where the row's value goes; NULL for SETTINGS_NOWHERE. */
void *row_target(const struct settings_check *c, const struct settings_row *row);

/* Reads the members of `v` (a problem when it is no object), in the order of the table. */
void rows_read(struct settings_check *c, const struct json *v, const struct settings_table *table);

/* Appends the dotted key of every fixed row that differs, one a line. `path` is the table's own. */
void rows_difference(const struct settings_table *table, const struct settings *was,
                     const struct settings *now, struct buf *path, struct buf *keys);

/* The key of the table that is spelled nearly like `key`, or NULL. */
const char *rows_suggest(const struct settings_table *table, struct str key);

/* Kinds, and the type that each fills. */
extern const struct settings_kind KIND_OBJECT;     /* row->table */
extern const struct settings_kind KIND_BOOL;       /* bool */
extern const struct settings_kind KIND_SWITCH;     /* enum setting_switch */
extern const struct settings_kind KIND_WORD;       /* unsigned or an enum: index in row->words */
extern const struct settings_kind KIND_EITHER;     /* bool: row->words[1] means true */
extern const struct settings_kind KIND_NUMBER;     /* uint64_t, min to max */
extern const struct settings_kind KIND_NUMBER32;   /* uint32_t, min to max */
extern const struct settings_kind KIND_PORT;       /* uint16_t, 1 to 65535 */
extern const struct settings_kind KIND_SIZE;       /* uint64_t: bytes, or "512MiB" */
extern const struct settings_kind KIND_TEXT;       /* const char * */
extern const struct settings_kind KIND_NAMES;      /* struct settings_names */
extern const struct settings_kind KIND_ENTRIES;    /* struct settings_list */
extern const struct settings_kind KIND_ANYTHING;   /* nothing is looked at */
extern const struct settings_kind KIND_LATER;      /* refused: belongs to a later version */
extern const struct settings_kind KIND_LATER_TRUE; /* a boolean whose `true` is refused so */

/* Checks for row->refuses. */
const char *refuse_relative_path(struct str text);

/* Appends `more` to `list`; the new array lives in the arena. */
void list_append(struct settings_check *c, struct settings_list *list,
                 const struct settings_entry *more, size_t count);

/* Reads one path entry, a string or {path, literal}; false after a problem. */
bool entry_read(struct settings_check *c, const struct json *v, struct settings_entry *out);

/* The entry is never a pattern, and a warning says so when it looks like one. */
void entry_is_path(struct settings_check *c, struct settings_entry *entry);

/* For the `same` of kinds. NULL is the same as NULL only. */
bool text_same(const char *a, const char *b);
bool list_same(const void *a, const void *b); /* two struct settings_list */

extern const struct settings_table settings_network_table;    /* settings_network.c */
extern const struct settings_table settings_filesystem_table; /* settings_filesystem.c */
extern const struct settings_table settings_x_table;          /* settings_x.c */
extern const struct settings_table settings_limits_table;     /* settings_limits.c */
extern const struct settings_table settings_x_network_table;  /* settings_ports.c */

/* What the file leaves to others: the caller's proxy variables (contract 3.3.4), and what follows
 * from x.network.transparent. */
void network_finish(struct settings_check *c);

/* What one limit needs of other keys. Called once, when everything has been read. */
void limits_finish(struct settings_check *c);
