#include "store/memory.h"

#include "store/copy.h"
#include "store/memory-int.h"

#include <stdlib.h>

struct memory_store {
    struct store store; /* first: the ops get this pointer back */
    struct memory_disk *disk;
    memory_later *later;
    void *ctx;
    struct tx_queue waiting, committed;
};

static struct memory_store *from(struct store *s)
{
    return (struct memory_store *)s;
}

static void answer_one(void *arg)
{
    struct memory_store *s = arg;
    tx_answer(tx_queue_take(&s->committed)); /* may free the store */
}

static void commit_one(void *arg)
{
    struct memory_store *s = arg;
    struct tx *tx = tx_queue_take(&s->waiting);
    memory_apply(s->disk, tx, &tx->err); /* what became of it stands in tx->err */
    tx_queue_add(&s->committed, tx);
    s->later(s->ctx, answer_one, s);
}

static void memory_submit(struct store *store, struct tx *tx, tx_done *done, void *ctx)
{
    struct memory_store *s = from(store);
    tx->done = done;
    tx->ctx = ctx;
    tx_queue_add(&s->waiting, tx);
    s->later(s->ctx, commit_one, s);
}

static void memory_free(struct store *store)
{
    struct memory_store *s = from(store);
    tx_queue_release(&s->waiting);
    tx_queue_release(&s->committed);
    free(s);
}

static int found(const struct held_record *h, struct record *out, struct arena *a, struct err *e)
{
    if (!h)
        return 0;
    return record_copy(out, &h->record, a, e) < 0 ? -1 : 1;
}

static int memory_get(struct store *store, enum record_kind kind, const struct id *id,
                      struct record *out, struct arena *a, struct err *e)
{
    return found(table_find(&from(store)->disk->cabinets[kind].by_id, id_str(id)), out, a, e);
}

static int memory_get_by_secret(struct store *store, enum record_kind kind, struct str sha256,
                                struct record *out, struct arena *a, struct err *e)
{
    return found(table_find(&from(store)->disk->cabinets[kind].by_secret, sha256), out, a, e);
}

static int memory_store_list(struct store *store, const struct record_query *q,
                             struct record_list *out, struct arena *a, struct err *e)
{
    return memory_list(from(store)->disk, q, out, a, e);
}

static int memory_store_entries(struct store *store, const struct entry_query *q,
                                struct entry_list *out, struct arena *a, struct err *e)
{
    return memory_entries(from(store)->disk, q, out, a, e);
}

static int64_t memory_last_seq(struct store *store, const struct id *session, struct err *e)
{
    const struct memory_log *log = table_find(&from(store)->disk->logs, id_str(session));
    return log ? (int64_t)log->count : 0;
}

static int memory_entry(struct store *store, const struct id *session, const struct id *event,
                        struct entry *out, struct arena *a, struct err *e)
{
    const struct memory_log *log = table_find(&from(store)->disk->logs, id_str(session));
    const struct held_entry *h = log ? table_find(&log->events, id_str(event)) : NULL;
    if (!h)
        return 0;
    return entry_copy(out, &h->entry, a, e) < 0 ? -1 : 1;
}

static int memory_check(struct store *store, struct err *e)
{
    return from(store)->disk->broken ? err_set(e, E_IO, 0, "the disk is broken") : 0;
}

static const struct store_ops memory_ops = {
    .name = "memory",
    .free = memory_free,
    .get = memory_get,
    .get_by_secret = memory_get_by_secret,
    .list = memory_store_list,
    .entries = memory_store_entries,
    .last_seq = memory_last_seq,
    .entry = memory_entry,
    .submit = memory_submit,
    .check = memory_check,
};

struct store *memory_store_new(struct memory_disk *d, memory_later *later, void *ctx)
{
    struct memory_store *s = mem_get(sizeof *s);
    s->store.ops = &memory_ops;
    s->disk = d;
    s->later = later;
    s->ctx = ctx;
    return &s->store;
}
