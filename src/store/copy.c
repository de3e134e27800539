#include "store/copy.h"

#include <stdlib.h>

static int too_small(struct err *e)
{
    return err_set(e, E_BUSY, 0, "what was asked for is larger than the memory for one answer");
}

static bool dup(struct str *text, struct arena *a)
{
    text->p = arena_dup(a, *text);
    return text->p != NULL;
}

int record_copy(struct record *out, const struct record *r, struct arena *a, struct err *e)
{
    *out = *r;
    return dup(&out->state, a) && dup(&out->secret, a) && dup(&out->body, a) ? 0 : too_small(e);
}

int entry_copy(struct entry *out, const struct entry *entry, struct arena *a, struct err *e)
{
    *out = *entry;
    return dup(&out->type, a) && dup(&out->body, a) && dup(&out->inner, a) ? 0 : too_small(e);
}

/* Room for one more item in an array on the heap. */
static void *room(void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    *cap = *cap ? *cap * 2 : 16;
    return mem_grow(items, *cap * size);
}

int record_rows_add(struct record_rows *rows, const struct record *r, struct arena *a,
                    struct err *e)
{
    rows->items = room(rows->items, rows->count, &rows->cap, sizeof *rows->items);
    return record_copy(&rows->items[rows->count++], r, a, e);
}

int entry_rows_add(struct entry_rows *rows, const struct entry *entry, struct arena *a,
                   struct err *e)
{
    rows->items = room(rows->items, rows->count, &rows->cap, sizeof *rows->items);
    return entry_copy(&rows->items[rows->count++], entry, a, e);
}

/* A copy of an array in the arena, or NULL. */
static void *settle(const void *items, size_t count, size_t size, struct arena *a)
{
    void *copy = arena_get(a, count * size);
    if (copy && count)
        memcpy(copy, items, count * size);
    return copy;
}

int record_rows_finish(const struct record_rows *rows, struct record_list *out, struct arena *a,
                       struct err *e)
{
    out->count = rows->count;
    out->items = settle(rows->items, rows->count, sizeof *rows->items, a);
    return out->items ? 0 : too_small(e);
}

int entry_rows_finish(const struct entry_rows *rows, struct entry_list *out, struct arena *a,
                      struct err *e)
{
    out->count = rows->count;
    out->items = settle(rows->items, rows->count, sizeof *rows->items, a);
    return out->items ? 0 : too_small(e);
}

void record_rows_release(struct record_rows *rows)
{
    free(rows->items);
}

void entry_rows_release(struct entry_rows *rows)
{
    free(rows->items);
}
