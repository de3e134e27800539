/* buf.h - bytes that grow.
 *
 * For text that we build ourselves. What a peer sends goes into a bufq (bounded) or an arena
 * (with a ceiling) instead.
 */
#pragma once

#include "base/mem.h"
#include "base/str.h"

struct buf {
    char *p; /* owned; NUL-terminated whenever it is not NULL */
    size_t n, cap;
};

/* Makes the caller's memory usable; allocates nothing. `struct buf b = { 0 };` is the same. */
void buf_init(struct buf *b);

/* Gives back what the buffer holds. */
void buf_release(struct buf *b);

/* Keeps the memory, forgets the bytes. */
void buf_empty(struct buf *b);

void buf_add(struct buf *b, struct str s);
void buf_add_byte(struct buf *b, char byte);
__attribute__((format(printf, 2, 3))) void buf_addf(struct buf *b, const char *fmt, ...);

/* A decimal number, some ten times as fast as buf_addf. */
void buf_add_number(struct buf *b, uint64_t value);

/* Room for `n` more bytes behind the end; the caller writes there and then adds to b->n with
 * buf_grew. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

/* The bytes, borrowed until the buffer is next changed. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ b->p, b->n };
}

/* The bytes as a C string; "" when there are none. */
static inline const char *buf_text(const struct buf *b)
{
    return b->p ? b->p : "";
}

/* Hands the memory over; the caller frees. Never NULL. The buffer is empty afterwards. */
char *buf_take(struct buf *b);

#define AUTO_BUF CLEANUP(buf_release) struct buf
