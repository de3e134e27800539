#include "agenda.h"

#include "base/mem.h"

#include <stdlib.h>

static bool before(const struct task *a, const struct task *b)
{
    return a->at < b->at || (a->at == b->at && a->order < b->order);
}

static void swap(struct task *a, struct task *b)
{
    struct task was = *a;
    *a = *b;
    *b = was;
}

static void sift_up(struct agenda *a, size_t i)
{
    for (; i > 0 && before(&a->heap[i], &a->heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&a->heap[i], &a->heap[(i - 1) / 2]);
}

static void sift_down(struct agenda *a, size_t i)
{
    for (;;) {
        size_t least = i;
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < a->count; k++)
            if (before(&a->heap[k], &a->heap[least]))
                least = k;
        if (least == i)
            return;
        swap(&a->heap[i], &a->heap[least]);
        i = least;
    }
}

static struct task pop(struct agenda *a)
{
    struct task top = a->heap[0];
    a->heap[0] = a->heap[--a->count];
    sift_down(a, 0);
    return top;
}

static void push(struct agenda *a, const struct task *task)
{
    if (a->count == a->room) {
        a->room = a->room ? 2 * a->room : 64;
        a->heap = mem_grow(a->heap, a->room * sizeof *a->heap);
    }
    a->heap[a->count++] = *task;
    sift_up(a, a->count - 1);
}

static void drop(const struct task *t)
{
    if (t->drop)
        t->drop(t->arg);
}

void agenda_release(struct agenda *a)
{
    for (size_t i = 0; i < a->count; i++)
        drop(&a->heap[i]);
    free(a->heap);
    *a = (struct agenda){ 0 };
}

void agenda_put(struct agenda *a, int64_t at, struct task task)
{
    task.at = at > a->now ? at : a->now;
    task.order = a->order++;
    push(a, &task);
}

void agenda_purge(struct agenda *a)
{
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (a->heap[i].life && a->heap[i].life->over)
            drop(&a->heap[i]);
        else
            a->heap[kept++] = a->heap[i];
    }
    a->count = kept;
    for (size_t i = kept / 2 + 1; i > 0; i--)
        if (i - 1 < a->count)
            sift_down(a, i - 1);
}

int64_t agenda_next(const struct agenda *a)
{
    return a->count ? a->heap[0].at : INT64_MAX;
}

bool agenda_step(struct agenda *a)
{
    if (a->count == 0)
        return false;
    struct task t = pop(a);
    a->now = t.at;
    if (t.life && t.life->frozen_until > a->now) {
        t.at = t.life->frozen_until; /* in the old order */
        push(a, &t);
        return true;
    }
    if (t.life && t.life->over)
        drop(&t);
    else
        t.run(t.arg);
    return true;
}
