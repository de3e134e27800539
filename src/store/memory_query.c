#include "store/memory-int.h"

#include "store/copy.h"

#include <stdlib.h>

static bool is(const struct id *wanted, const struct id *id)
{
    return !wanted || (!id_is_none(wanted) && id_eq(wanted, id));
}

static bool one_of(const struct str *words, size_t count, struct str word)
{
    for (size_t i = 0; i < count; i++)
        if (word.n && str_eq(words[i], word))
            return true;
    return count == 0;
}

static bool within(int64_t at, int64_t from, int64_t before)
{
    return (!from || at >= from) && (!before || at < before);
}

static int number_order(const struct record *a, const struct record *b)
{
    if (a->number != b->number)
        return a->number < b->number ? -1 : 1;
    return strcmp(a->id.text, b->id.text);
}

static record_order *order_of(const struct record_query *q)
{
    return q->by_number ? number_order : created_order;
}

static bool record_matches(const struct record_query *q, const struct record *r)
{
    if (q->after) {
        int order = order_of(q)(r, q->after);
        if (q->oldest_first ? order <= 0 : order >= 0)
            return false;
    }
    return is(q->workspace, &r->workspace) && is(q->parent, &r->parent) &&
           is(q->group, &r->group) && (!q->number || r->number == q->number) &&
           one_of(q->states, q->state_count, r->state) && (q->with_archived || !r->archived_at) &&
           within(r->created_at, q->created_from, q->created_before) &&
           (!q->due_until || (r->due_at > 0 && r->due_at <= q->due_until));
}

/* The shortest list that holds all that can match. NULL: there is nothing. */
static const struct shelf *shelf_for(const struct memory_disk *d, const struct record_query *q)
{
    const struct cabinet *c = &d->cabinets[q->kind];
    const struct id *const wanted[SCOPES] = { q->workspace, q->parent, q->group };
    for (int scope = SCOPES - 1; scope >= 0; scope--)
        if (wanted[scope])
            return table_find(&c->scopes[scope], id_str(wanted[scope]));
    return &c->all;
}

static int by_number(const void *a, const void *b)
{
    struct held_record *const *x = a, *const *y = b;
    return number_order(&(*x)->record, &(*y)->record);
}

static int by_creation(const void *a, const void *b)
{
    struct held_record *const *x = a, *const *y = b;
    return created_order(&(*x)->record, &(*y)->record);
}

/* Copies what matches of sorted records, from `first` on in the direction asked for. */
static int copy_matches(struct held_record *const *items, size_t count, size_t first,
                        const struct record_query *q, struct record_list *out, struct arena *a,
                        struct err *e)
{
    AUTO_RECORD_ROWS rows = { 0 };
    for (size_t i = first; i < count && rows.count < q->limit; i++) {
        const struct record *r = &items[q->oldest_first ? i : count - 1 - i]->record;
        if (record_matches(q, r) && record_rows_add(&rows, r, a, e) < 0)
            return -1;
    }
    return record_rows_finish(&rows, out, a, e);
}

/* The same when the shelf has another order than the one asked for. */
static int copy_sorted(const struct shelf *s, size_t count, const struct record_query *q,
                       struct record_list *out, struct arena *a, struct err *e)
{
    AUTO_FREE struct held_record **items = mem_array(count, sizeof(struct held_record *));
    if (count)
        memcpy(items, s->items, count * sizeof *items);
    qsort(items, count, sizeof *items, q->by_number ? by_number : by_creation);
    return copy_matches(items, count, 0, q, out, a, e);
}

int memory_list(const struct memory_disk *d, const struct record_query *q, struct record_list *out,
                struct arena *a, struct err *e)
{
    static const struct shelf none;
    if (q->due_until && !q->workspace && !q->parent && !q->group) {
        const struct shelf *due = &d->cabinets[q->kind].due;
        struct record end = { .due_at = q->due_until, .created_at = INT64_MAX };
        return copy_sorted(due, shelf_place(due, &end, due_order), q, out, a, e);
    }
    const struct shelf *s = shelf_for(d, q);
    if (!s)
        s = &none;
    if (q->by_number)
        return copy_sorted(s, s->count, q, out, a, e);
    size_t first = 0;
    if (q->after) {
        size_t place = shelf_place(s, q->after, created_order);
        first = q->oldest_first ? place : s->count - place;
    }
    return copy_matches(s->items, s->count, first, q, out, a, e);
}

static bool entry_matches(const struct entry_query *q, const struct entry *entry)
{
    return entry->shows <= q->shows && one_of(q->types, q->type_count, entry->type) &&
           within(entry->at, q->from, q->before);
}

int memory_entries(const struct memory_disk *d, const struct entry_query *q, struct entry_list *out,
                   struct arena *a, struct err *e)
{
    const struct memory_log *log = table_find(&d->logs, id_str(&q->session));
    int64_t count = log ? (int64_t)log->count : 0;
    int64_t step = q->newest_first ? -1 : 1;
    int64_t seq = q->after + 1;
    if (q->newest_first)
        seq = q->after && q->after <= count ? q->after - 1 : count;
    AUTO_ENTRY_ROWS rows = { 0 };
    for (; seq >= 1 && seq <= count && rows.count < q->limit; seq += step) {
        const struct entry *entry = &log->items[seq - 1]->entry;
        if (entry_matches(q, entry) && entry_rows_add(&rows, entry, a, e) < 0)
            return -1;
    }
    return entry_rows_finish(&rows, out, a, e);
}
