#include "control/log_walk.h"

/* One entry can be as large as a request body (32 MB) with its text escaped. */
enum {
    PAGE_ENTRIES = 256,
    PAGE_BYTES = 8 << 20,
    LITTLE_ENTRIES = 64,
    LITTLE_BYTES = 128 << 10,
    ENTRY_BYTES_MAX = 256 << 20
};

void log_walk_begin(struct log_walk *w, struct store *store, const struct id *session,
                    int64_t after, enum entry_shows shows)
{
    *w = (struct log_walk){
        .store = store,
        .query = { .session = *session, .after = after, .shows = shows },
        .page_entries = PAGE_ENTRIES,
        .page_bytes = PAGE_BYTES,
    };
}

void log_walk_little(struct log_walk *w)
{
    w->page_entries = LITTLE_ENTRIES;
    w->page_bytes = LITTLE_BYTES;
}

void log_walk_types(struct log_walk *w, const struct str *types, size_t count)
{
    w->query.types = types;
    w->query.type_count = count;
}

static int page_read(struct log_walk *w, struct err *e)
{
    arena_release(&w->arena);
    w->at = 0;
    return w->store->ops->entries(w->store, &w->query, &w->page, &w->arena, e);
}

/* A page of large entries is read one by one. */
static int page_next(struct log_walk *w, struct err *e)
{
    arena_init(&w->arena, w->page_bytes);
    w->query.limit = w->page_entries;
    int rc = page_read(w, e);
    if (rc < 0 && e->kind == E_BUSY) {
        arena_release(&w->arena);
        arena_init(&w->arena, ENTRY_BYTES_MAX);
        w->query.limit = 1;
        rc = page_read(w, e);
    }
    if (rc < 0)
        return -1;
    w->last = w->page.count < w->query.limit;
    if (w->page.count)
        w->query.after = w->page.items[w->page.count - 1].seq;
    return 0;
}

const struct entry *log_walk_next(struct log_walk *w, struct err *e)
{
    if (w->failed)
        return NULL;
    if (w->at == w->page.count) {
        if (w->last)
            return NULL;
        arena_release(&w->arena);
        if (page_next(w, e) < 0) {
            w->failed = true;
            return NULL;
        }
    }
    return w->at < w->page.count ? &w->page.items[w->at++] : NULL;
}

void log_walk_end(struct log_walk *w)
{
    arena_release(&w->arena);
}
