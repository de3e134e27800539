/* settings_check.h - collects every problem of a settings file as `dotted.path: message`.
 *
 * Shared by the files that read the settings; nobody else needs it. One struct settings_check lives
 * as long as one settings_parse. Reading goes on after a problem, so that a person sees all of them.
 */
#pragma once

#include "base/buf.h"
#include "proto/json.h"
#include "sandbox/settings.h"

struct settings_check {
    struct settings *s; /* being filled */
    const struct settings_options *options;
    struct buf path;      /* owned; of the value that is being read: "filesystem.denyRead[2]" */
    struct buf *problems; /* borrowed; joined by "; " */
    size_t problem_count, warning_count;
    size_t first_length;         /* bytes of the first problem */
    bool full;                   /* the arena's ceiling was reached, and that was said */
    bool parent_proxy_given;     /* network.parentProxy stands in the file */
    const char *profile_reading; /* the name of the profile while its own text is read, or NULL */
};

void check_init(struct settings_check *c, struct settings *s,
                const struct settings_options *options, struct buf *problems);
void check_release(struct settings_check *c);

/* Goes down to a member or an item; check_leave with what was returned goes back up. */
size_t check_enter_key(struct settings_check *c, struct str key);
size_t check_enter_index(struct settings_check *c, size_t i);
void check_leave(struct settings_check *c, size_t was);

/* A problem with the value that is being read. The first 100 are written out, the rest counted. */
__attribute__((format(printf, 2, 3))) void check_problem(struct settings_check *c, const char *fmt,
                                                         ...);

/* A warning about the value that is being read; a problem under --strict. */
__attribute__((format(printf, 2, 3))) void check_warn(struct settings_check *c, const char *fmt,
                                                      ...);

/* The member that is being read has a key that nobody knows: a problem when `is_error` or under
 * --strict, else a warning. `hint` stands behind the message, or is "". */
void check_unknown(struct settings_check *c, bool is_error, const char *hint);

/* Says how many problems and warnings were left out. Called once, at the end. */
void check_finish(struct settings_check *c);

/* True when `v` is of that kind, else a problem "must be an array, not null". */
bool check_kind(struct settings_check *c, const struct json *v, enum json_kind kind);

/* True for a string that is not empty, else a problem. */
bool check_string(struct settings_check *c, const struct json *v, struct str *out);

/* True for an array of at most SETTINGS_LIST_MAX items, else a problem. */
enum { SETTINGS_LIST_MAX = 50000 };
bool check_array(struct settings_check *c, const struct json *v);

/* Memory of the settings' arena, zeroed; NULL after the ceiling, which becomes one problem. */
void *check_get(struct settings_check *c, size_t n);
const char *check_dup(struct settings_check *c, struct str s);
