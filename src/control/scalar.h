/* scalar.h - single values of ours as JSON: moments, spans of time, hashes. */
#pragma once

#include "base/buf.h"
#include "postern/event.h"

/* A key and a moment (microseconds), or null for 0. */
void moment_member(struct buf *b, const char *key, int64_t at);

/* A key and a number of seconds with six digits behind the point. */
void seconds_member(struct buf *b, const char *key, int64_t microseconds);

/* A JSON string of 64 hexadecimal digits. */
void sha256_write_value(struct buf *b, const struct sha256 *hash);
bool sha256_read_value(struct str value, struct sha256 *out);
