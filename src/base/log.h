/* log.h - one line per happening on stderr, for people and for machines.
 *
 * An event name first, fixed; then fields. The name never contains data. Secrets have no way in:
 * callers pass names and numbers, never header values, tokens or bodies.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>

/* Turns debug lines on; each starts with "[SandboxDebug] " (sandbox contract 1, -d). */
void log_set_debug(bool on);
bool log_is_debug(void);

/* LOG_AS_JSON: every line is an object with "time" and "event" or "level". */
enum log_form { LOG_AS_TEXT, LOG_AS_JSON };
void log_set_form(enum log_form form);

/* Only written with debug on. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

/* "postern: warning: ..." on stderr, control characters replaced. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);

/* "postern: error: ..." on stderr, control characters replaced. */
__attribute__((format(printf, 1, 2))) void log_error(const char *fmt, ...);

/* One field of an event: a text when text.p is not NULL, else a number. */
struct log_field {
    const char *key;
    struct str text;
    int64_t number;
};
#define LOG_STR(key, value) ((struct log_field){ key, value, 0 })
#define LOG_NUMBER(key, value) ((struct log_field){ key, { NULL, 0 }, value })

/* log_event("lease.expired", LOG_STR("job", id), LOG_NUMBER("held_ms", held)) writes
 * "lease.expired job=job_01J9 held_ms=30012". A text that holds a blank, a quote or anything that does not
 * print is quoted and escaped, so no value can pass for another field or line. */
#define log_event(name, ...)                                                                       \
    log_event_fields(name, (const struct log_field[]){ __VA_ARGS__ },                              \
                     sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))
void log_event_fields(const char *name, const struct log_field *fields, size_t count);

/* For who has so many that a write for each is too dear: appends the line, and writes such lines. */
void log_event_add(struct buf *out, const char *name, const struct log_field *fields, size_t count);
void log_write(struct str lines);
