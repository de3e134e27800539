#include "base/buf.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b)
{
    *b = (struct buf){ 0 };
}

void buf_release(struct buf *b)
{
    free(b->p);
    buf_init(b);
}

void buf_empty(struct buf *b)
{
    b->n = 0;
    if (b->p)
        b->p[0] = '\0';
}

char *buf_room(struct buf *b, size_t n)
{
    size_t need;
    CHECK(!__builtin_add_overflow(b->n, n, &need) && !__builtin_add_overflow(need, 1, &need));
    if (need > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < need)
            CHECK(!__builtin_mul_overflow(cap, 2, &cap));
        b->p = mem_grow(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_grew(struct buf *b, size_t n)
{
    CHECK(n < b->cap - b->n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_add(struct buf *b, struct str s)
{
    char *at = buf_room(b, s.n);
    if (s.n)
        memcpy(at, s.p, s.n);
    buf_grew(b, s.n);
}

void buf_add_byte(struct buf *b, char byte)
{
    buf_add(b, (struct str){ &byte, 1 });
}

/* Most texts fit into the room that is there. */
void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    char *at = buf_room(b, 0);
    const size_t room = b->cap - b->n;
    va_start(ap, fmt);
    int n = vsnprintf(at, room, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    if ((size_t)n >= room) {
        at = buf_room(b, (size_t)n);
        va_start(ap, fmt);
        vsnprintf(at, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    buf_grew(b, (size_t)n);
}

void buf_add_number(struct buf *b, uint64_t value)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    buf_add(b, (struct str){ digits + at, sizeof digits - at });
}

char *buf_take(struct buf *b)
{
    buf_room(b, 0);
    b->p[b->n] = '\0';
    char *p = b->p;
    buf_init(b);
    return p;
}
