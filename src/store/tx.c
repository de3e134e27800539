#include "store/tx.h"

#include "base/check.h"

#include <inttypes.h>
#include <stdlib.h>

struct tx *tx_new(void)
{
    struct tx *tx = mem_get(sizeof *tx);
    arena_init(&tx->memory, SIZE_MAX); /* a backend bounds what waits, see its queue */
    return tx;
}

void tx_free(struct tx *tx)
{
    if (!tx)
        return;
    arena_release(&tx->memory);
    free(tx);
}

static void *get(struct tx *tx, size_t n)
{
    void *p = arena_get(&tx->memory, n);
    CHECK(p);
    return p;
}

static struct str copy(struct tx *tx, struct str s)
{
    char *p = arena_dup(&tx->memory, s);
    CHECK(p);
    return (struct str){ p, s.n };
}

static struct change *change_new(struct tx *tx, enum change_kind kind)
{
    struct change *c = get(tx, sizeof *c);
    c->kind = kind;
    if (tx->last)
        tx->last->next = c;
    else
        tx->first = c;
    tx->last = c;
    return c;
}

void tx_put(struct tx *tx, const struct record *r, int64_t seen)
{
    CHECK(r->kind < RECORD_KINDS && !id_is_none(&r->id) && seen >= 0);
    struct change *c = change_new(tx, CHANGE_PUT);
    c->seen = seen;
    c->record = *r;
    c->record.revision = seen + 1;
    c->record.state = copy(tx, r->state);
    c->record.secret = copy(tx, r->secret);
    c->record.body = copy(tx, r->body);
}

void tx_remove(struct tx *tx, enum record_kind kind, const struct id *id, int64_t seen)
{
    CHECK(kind < RECORD_KINDS && !id_is_none(id) && seen > 0);
    struct change *c = change_new(tx, CHANGE_REMOVE);
    c->seen = seen;
    c->record.kind = kind;
    c->record.id = *id;
}

void tx_append(struct tx *tx, const struct id *session, const struct entry *items, size_t count)
{
    if (count == 0)
        return;
    struct change *c = change_new(tx, CHANGE_APPEND);
    c->session = *session;
    c->count = count;
    c->entries = get(tx, count * sizeof *items);
    for (size_t i = 0; i < count; i++) {
        CHECK(items[i].seq == items[0].seq + (int64_t)i && items[i].seq > 0);
        CHECK(items[i].shows == ENTRY_INTERNAL || !id_is_none(&items[i].id));
        c->entries[i] = items[i];
        c->entries[i].type = copy(tx, items[i].type);
        c->entries[i].body = copy(tx, items[i].body);
        c->entries[i].inner = copy(tx, items[i].inner);
    }
}

void tx_queue_add(struct tx_queue *q, struct tx *tx)
{
    tx->next = NULL;
    if (q->last)
        q->last->next = tx;
    else
        q->first = tx;
    q->last = tx;
}

void tx_queue_move(struct tx_queue *to, struct tx_queue *from)
{
    if (!from->first)
        return;
    if (to->last)
        to->last->next = from->first;
    else
        to->first = from->first;
    to->last = from->last;
    *from = (struct tx_queue){ 0 };
}

struct tx *tx_queue_take(struct tx_queue *q)
{
    struct tx *tx = q->first;
    if (tx) {
        q->first = tx->next;
        if (!q->first)
            q->last = NULL;
        tx->next = NULL;
    }
    return tx;
}

void tx_queue_release(struct tx_queue *q)
{
    for (struct tx *tx; (tx = tx_queue_take(q));)
        tx_free(tx);
}

size_t tx_bytes(const struct tx *tx)
{
    return sizeof *tx + tx->memory.spent;
}

void tx_empty(struct tx *tx)
{
    arena_release(&tx->memory);
    tx->first = tx->last = NULL;
}

void tx_answer(struct tx *tx)
{
    tx->done(tx->ctx, &tx->err);
    tx_free(tx);
}

int tx_conflict_record(const struct record *r, int64_t seen, int64_t found, struct err *e)
{
    return err_set(e, E_CONFLICT, 0, "%s has revision %" PRId64 ", and %" PRId64 " was expected",
                   r->id.text, found, seen);
}

int tx_conflict_log(const struct id *session, int64_t wanted, int64_t next, struct err *e)
{
    return err_set(e, E_CONFLICT, 0,
                   "the log of %s goes on at %" PRId64 ", and %" PRId64 " was expected",
                   session->text, next, wanted);
}

int tx_conflict_no_session(const struct id *session, struct err *e)
{
    return err_set(e, E_CONFLICT, 0, "there is no session %s", session->text);
}

int tx_conflict_event(const struct id *session, const struct id *event, struct err *e)
{
    return err_set(e, E_CONFLICT, 0, "the log of %s already holds %s", session->text, event->text);
}

int tx_conflict_secret(const struct record *r, struct err *e)
{
    return err_set(e, E_CONFLICT, 0, "the key of %s already names another", r->id.text);
}
