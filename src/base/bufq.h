/* bufq.h - a byte queue with a fixed capacity.
 *
 * Putting returns how much fitted: a slow reader slows its writer, and memory is a function of
 * configuration, never of what a peer sends.
 */
#pragma once

#include "base/str.h"

struct bufq {
    char *mem; /* owned; allocated at the first put, so an idle queue costs nothing */
    size_t cap, head, len;
};

/* Sets the capacity (> 0); allocates nothing. */
void bufq_init(struct bufq *q, size_t cap);
void bufq_release(struct bufq *q);

static inline size_t bufq_room(const struct bufq *q)
{
    return q->cap - q->len;
}

/* Copies in as much of `s` as fits and returns how much that was. */
size_t bufq_put(struct bufq *q, struct str s);

/* The longest free run that can be filled in one call; *n is its length (0 when full). The caller
 * fills it and says bufq_filled. */
char *bufq_space(struct bufq *q, size_t *n);
void bufq_filled(struct bufq *q, size_t n);

/* The longest run that can be taken in one call. Valid until the queue is next changed. */
struct str bufq_peek(const struct bufq *q);

/* Drops the first n bytes, n <= len. */
void bufq_skip(struct bufq *q, size_t n);
