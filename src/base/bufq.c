#include "base/bufq.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

void bufq_init(struct bufq *q, size_t cap)
{
    CHECK(cap > 0);
    *q = (struct bufq){ .cap = cap };
}

void bufq_release(struct bufq *q)
{
    free(q->mem);
    q->mem = NULL;
    q->head = q->len = 0;
}

char *bufq_space(struct bufq *q, size_t *n)
{
    if (!q->mem)
        q->mem = mem_grow(NULL, q->cap); /* not zeroed: only what was put in is ever read */
    if (q->len == 0)
        q->head = 0;
    size_t at = (q->head + q->len) % q->cap;
    size_t to_end = q->cap - at;
    *n = to_end < bufq_room(q) ? to_end : bufq_room(q);
    return q->mem + at;
}

void bufq_filled(struct bufq *q, size_t n)
{
    CHECK(n <= bufq_room(q));
    q->len += n;
}

size_t bufq_put(struct bufq *q, struct str s)
{
    size_t done = 0;
    while (done < s.n && bufq_room(q) > 0) {
        size_t run;
        char *at = bufq_space(q, &run);
        if (run > s.n - done)
            run = s.n - done;
        memcpy(at, s.p + done, run);
        bufq_filled(q, run);
        done += run;
    }
    return done;
}

struct str bufq_peek(const struct bufq *q)
{
    if (q->len == 0)
        return (struct str){ NULL, 0 };
    size_t run = q->cap - q->head;
    return (struct str){ q->mem + q->head, q->len < run ? q->len : run };
}

void bufq_skip(struct bufq *q, size_t n)
{
    CHECK(n <= q->len);
    q->head = (q->head + n) % q->cap;
    q->len -= n;
}
