#include "store/memory-int.h"

#include "base/check.h"

#include <stdlib.h>

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

int created_order(const struct record *a, const struct record *b)
{
    int order = compare(a->created_at, b->created_at);
    return order ? order : strcmp(a->id.text, b->id.text);
}

int due_order(const struct record *a, const struct record *b)
{
    int order = compare(a->due_at, b->due_at);
    return order ? order : created_order(a, b);
}

const struct id *scope_id(const struct record *r, enum scope scope)
{
    return scope == SCOPE_WORKSPACE ? &r->workspace
           : scope == SCOPE_PARENT  ? &r->parent
                                    : &r->group;
}

size_t shelf_place(const struct shelf *s, const struct record *r, record_order *order)
{
    size_t low = 0, high = s->count;
    if (high && order(&s->items[high - 1]->record, r) < 0)
        return high; /* most come at the end */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (order(&s->items[middle]->record, r) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void shelf_put(struct shelf *s, struct held_record *h, record_order *order)
{
    size_t place = shelf_place(s, &h->record, order);
    if (s->count == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 8;
        s->items = mem_grow(s->items, s->cap * sizeof *s->items);
    }
    memmove(s->items + place + 1, s->items + place, (s->count - place) * sizeof *s->items);
    s->items[place] = h;
    s->count++;
}

static void shelf_take(struct shelf *s, const struct held_record *h, record_order *order)
{
    size_t place = shelf_place(s, &h->record, order);
    CHECK(place < s->count && s->items[place] == h);
    s->count--;
    memmove(s->items + place, s->items + place + 1, (s->count - place) * sizeof *s->items);
}

static void scope_put(struct table *scope, const struct id *name, struct held_record *h)
{
    struct shelf *s = table_find(scope, id_str(name));
    if (!s) {
        s = mem_get(sizeof *s);
        s->name = *name;
        table_put(scope, id_str(&s->name), s);
    }
    shelf_put(s, h, created_order);
}

static void scope_take(struct table *scope, const struct id *name, const struct held_record *h)
{
    struct shelf *s = table_find(scope, id_str(name)); /* there, since h stands on it */
    shelf_take(s, h, created_order);
    if (s->count)
        return;
    table_drop(scope, id_str(name));
    free(s->items);
    free(s);
}

static void cabinet_put(struct cabinet *c, struct held_record *h)
{
    const struct record *r = &h->record;
    table_put(&c->by_id, id_str(&r->id), h);
    if (r->secret.n)
        table_put(&c->by_secret, r->secret, h);
    for (enum scope scope = 0; scope < SCOPES; scope++)
        if (!id_is_none(scope_id(r, scope)))
            scope_put(&c->scopes[scope], scope_id(r, scope), h);
    shelf_put(&c->all, h, created_order);
    if (r->due_at)
        shelf_put(&c->due, h, due_order);
}

static void cabinet_take(struct cabinet *c, const struct held_record *h)
{
    const struct record *r = &h->record;
    if (r->due_at)
        shelf_take(&c->due, h, due_order);
    shelf_take(&c->all, h, created_order);
    for (enum scope scope = 0; scope < SCOPES; scope++)
        if (!id_is_none(scope_id(r, scope)))
            scope_take(&c->scopes[scope], scope_id(r, scope), h);
    if (r->secret.n)
        table_drop(&c->by_secret, r->secret);
    table_drop(&c->by_id, id_str(&r->id));
}

static struct held_record *hold(const struct record *r)
{
    struct held_record *h = mem_get(sizeof *h + r->state.n + r->secret.n + r->body.n);
    char *at = h->texts;
    h->record = *r;
    take_text(&h->record.state, &at);
    take_text(&h->record.secret, &at);
    take_text(&h->record.body, &at);
    return h;
}

/* What takes one change back. */
struct undo {
    const struct change *change;
    struct held_record *old, *put;
    struct memory_log *log;
    size_t count; /* of the log's entries before */
};

static int put(struct memory_disk *d, const struct change *c, struct undo *u, struct err *e)
{
    struct cabinet *cabinet = &d->cabinets[c->record.kind];
    struct held_record *old = table_find(&cabinet->by_id, id_str(&c->record.id));
    int64_t found = old ? old->record.revision : 0;
    if (found != c->seen)
        return tx_conflict_record(&c->record, c->seen, found, e);
    struct held_record *same = table_find(&cabinet->by_secret, c->record.secret);
    if (c->record.secret.n && same && same != old)
        return tx_conflict_secret(&c->record, e);
    if (old)
        cabinet_take(cabinet, old);
    u->old = old;
    u->put = hold(&c->record);
    cabinet_put(cabinet, u->put);
    return 0;
}

static int take(struct memory_disk *d, const struct change *c, struct undo *u, struct err *e)
{
    struct cabinet *cabinet = &d->cabinets[c->record.kind];
    struct held_record *old = table_find(&cabinet->by_id, id_str(&c->record.id));
    int64_t found = old ? old->record.revision : 0;
    if (found != c->seen)
        return tx_conflict_record(&c->record, c->seen, found, e);
    cabinet_take(cabinet, old);
    u->old = old;
    if (c->record.kind == RECORD_SESSION)
        u->log = table_drop(&d->logs, id_str(&c->record.id));
    return 0;
}

static int append(struct memory_disk *d, const struct change *c, struct undo *u, struct err *e)
{
    if (!table_find(&d->cabinets[RECORD_SESSION].by_id, id_str(&c->session)))
        return tx_conflict_no_session(&c->session, e);
    struct memory_log *log = table_find(&d->logs, id_str(&c->session));
    if (!log) {
        log = mem_get(sizeof *log);
        log->session = c->session;
        table_put(&d->logs, id_str(&log->session), log);
    }
    u->log = log;
    u->count = log->count;
    return memory_log_append(log, c, e);
}

static int do_change(struct memory_disk *d, const struct change *c, struct undo *u, struct err *e)
{
    static int (*const doers[])(struct memory_disk *, const struct change *, struct undo *,
                                struct err *) = {
        [CHANGE_PUT] = put,
        [CHANGE_REMOVE] = take,
        [CHANGE_APPEND] = append,
    };
    u->change = c;
    return doers[c->kind](d, c, u, e);
}

static void undo(struct memory_disk *d, const struct undo *u)
{
    struct cabinet *cabinet = &d->cabinets[u->change->record.kind];
    switch (u->change->kind) {
    case CHANGE_PUT:
        cabinet_take(cabinet, u->put);
        free(u->put);
        if (u->old)
            cabinet_put(cabinet, u->old);
        break;
    case CHANGE_REMOVE:
        cabinet_put(cabinet, u->old);
        if (u->log)
            table_put(&d->logs, id_str(&u->log->session), u->log);
        break;
    case CHANGE_APPEND:
        memory_log_cut(u->log, u->count);
        break;
    }
}

/* Gives back what a change replaced, now that nothing can take it back. */
static void forget(const struct undo *u)
{
    free(u->old);
    if (u->change->kind == CHANGE_REMOVE)
        memory_log_free(u->log);
}

int memory_apply(struct memory_disk *d, struct tx *tx, struct err *e)
{
    if (d->broken)
        return err_set(e, E_IO, 0, "the disk is broken");
    size_t count = 0, done = 0;
    for (const struct change *c = tx->first; c; c = c->next)
        count++;
    AUTO_FREE struct undo *undos = mem_array(count, sizeof *undos);
    for (const struct change *c = tx->first; c; c = c->next, done++)
        if (do_change(d, c, &undos[done], e) < 0) {
            while (done > 0)
                undo(d, &undos[--done]);
            return -1;
        }
    for (size_t i = 0; i < count; i++)
        forget(&undos[i]);
    return 0;
}

struct memory_disk *memory_disk_new(void)
{
    return mem_get(sizeof(struct memory_disk));
}

static void shelf_release(struct shelf *s)
{
    free(s->items);
}

static void cabinet_release(struct cabinet *c)
{
    for (size_t i = 0; i < c->all.count; i++)
        free(c->all.items[i]);
    for (enum scope scope = 0; scope < SCOPES; scope++) {
        size_t at = 0;
        for (struct shelf *s; (s = table_next(&c->scopes[scope], &at));) {
            shelf_release(s);
            free(s);
        }
        table_release(&c->scopes[scope]);
    }
    shelf_release(&c->all);
    shelf_release(&c->due);
    table_release(&c->by_id);
    table_release(&c->by_secret);
}

void memory_disk_free(struct memory_disk *d)
{
    if (!d)
        return;
    size_t at = 0;
    for (struct memory_log *log; (log = table_next(&d->logs, &at));)
        memory_log_free(log);
    table_release(&d->logs);
    for (size_t kind = 0; kind < RECORD_KINDS; kind++)
        cabinet_release(&d->cabinets[kind]);
    free(d);
}

void memory_disk_break(struct memory_disk *d, bool broken)
{
    d->broken = broken;
}
