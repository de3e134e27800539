#include "store/memory-int.h"

#include <stdlib.h>

void take_text(struct str *text, char **at)
{
    if (text->n)
        memcpy(*at, text->p, text->n);
    text->p = *at;
    *at += text->n;
}

static struct held_entry *hold(const struct entry *entry)
{
    struct held_entry *h = mem_get(sizeof *h + entry->type.n + entry->body.n + entry->inner.n);
    char *at = h->texts;
    h->entry = *entry;
    take_text(&h->entry.type, &at);
    take_text(&h->entry.body, &at);
    take_text(&h->entry.inner, &at);
    return h;
}

int memory_log_append(struct memory_log *log, const struct change *c, struct err *e)
{
    size_t before = log->count;
    if (c->entries[0].seq != (int64_t)before + 1)
        return tx_conflict_log(&c->session, c->entries[0].seq, (int64_t)before + 1, e);
    for (size_t i = 0; i < c->count; i++) {
        const struct entry *entry = &c->entries[i];
        bool found = entry->shows != ENTRY_INTERNAL;
        if (found && table_find(&log->events, id_str(&entry->id))) {
            memory_log_cut(log, before);
            return tx_conflict_event(&c->session, &entry->id, e);
        }
        if (log->count == log->cap) {
            log->cap = log->cap ? log->cap * 2 : 8;
            log->items = mem_grow(log->items, log->cap * sizeof *log->items);
        }
        struct held_entry *h = hold(entry);
        log->items[log->count++] = h;
        if (found)
            table_put(&log->events, id_str(&h->entry.id), h);
    }
    return 0;
}

void memory_log_cut(struct memory_log *log, size_t count)
{
    while (log->count > count) {
        struct held_entry *h = log->items[--log->count];
        if (h->entry.shows != ENTRY_INTERNAL)
            table_drop(&log->events, id_str(&h->entry.id));
        free(h);
    }
}

void memory_log_free(struct memory_log *log)
{
    if (!log)
        return;
    memory_log_cut(log, 0);
    table_release(&log->events);
    free(log->items);
    free(log);
}
