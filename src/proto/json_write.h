/* json_write.h - JSON out, appended to a struct buf.
 *
 * The buffer may hold other text before; a document begins at its start or behind a newline, so that
 * JSON lines can be written one after the other. Commas are derived from the byte that stands last:
 * callers just write keys and values in order.
 *
 * What is written is always valid UTF-8 on one line: a byte that is not UTF-8 becomes U+FFFD, and
 * every control character (C0, DEL, C1) and line separator is escaped, so that no name from a hostile
 * tree can end a line of a log or drive a terminal.
 */
#pragma once

#include "base/buf.h"
#include "proto/json.h"

#include <stdbool.h>
#include <stdint.h>

void json_write_object(struct buf *b); /* { */
void json_write_object_end(struct buf *b);
void json_write_array(struct buf *b); /* [ */
void json_write_array_end(struct buf *b);

/* A key of the object that is open; its value follows. */
void json_write_key(struct buf *b, struct str key);

void json_write_str(struct buf *b, struct str bytes);
void json_write_text(struct buf *b, const char *text); /* NULL becomes null */
void json_write_u64(struct buf *b, uint64_t value);
void json_write_i64(struct buf *b, int64_t value);
void json_write_bool(struct buf *b, bool value);
void json_write_null(struct buf *b);

/* One value, or members without braces, that is already JSON. */
void json_write_raw(struct buf *b, struct str json);

/* A parsed value printed again, members in the order of its text. A real keeps its value, not its
 * spelling: 17 digits at most, "1.0" for a whole one. */
void json_write_value(struct buf *b, const struct json *v);

/* Key and value in one call. */
void json_member_str(struct buf *b, const char *key, struct str bytes);
void json_member_text(struct buf *b, const char *key, const char *text);
void json_member_u64(struct buf *b, const char *key, uint64_t value);
void json_member_i64(struct buf *b, const char *key, int64_t value);
void json_member_bool(struct buf *b, const char *key, bool value);

void json_member_value(struct buf *b, const char *key, const struct json *v);

/* The inside of a JSON string, without quotes and without a comma. */
void json_escape(struct buf *b, struct str bytes);
