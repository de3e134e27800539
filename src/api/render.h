/* render.h - small parts of objects that several files write. */
#pragma once

#include "base/buf.h"
#include "postern/store.h"

/* "key": the time, or null for 0. */
void render_moment(struct buf *out, const char *key, int64_t moment);

/* "key": the text, or null for an empty one. */
void render_text(struct buf *out, const char *key, struct str text);

/* A record whose body is the object as clients see it but for archived_at. */
void render_record(struct buf *out, const struct record *r, int64_t archived_at);

/* {"id":..., "type":...}: what deletions answer. */
void render_gone(struct buf *out, const struct id *id, const char *type);
