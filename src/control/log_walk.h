/* log_walk.h - a session's log, read in pages whose memory is bounded.
 *
 *     struct log_walk w;
 *     log_walk_begin(&w, store, &session, after, ENTRY_INTERNAL);
 *     for (const struct entry *entry; (entry = log_walk_next(&w, &e)) != NULL;) ...
 *     if (w.failed) ... e says why
 *     log_walk_end(&w);
 */
#pragma once

#include "postern/store.h"

struct log_walk {
    bool failed;
    /* private */
    struct store *store;
    struct entry_query query;
    struct arena arena;
    struct entry_list page;
    size_t at;
    bool last;
    size_t page_entries, page_bytes;
};

void log_walk_begin(struct log_walk *w, struct store *store, const struct id *session,
                    int64_t after, enum entry_shows shows);

/* Small pages, for who takes a little now and the rest later; before the first log_walk_next. */
void log_walk_little(struct log_walk *w);

/* Only these types; before the first log_walk_next. Borrowed. */
void log_walk_types(struct log_walk *w, const struct str *types, size_t count);

/* The next entry, borrowed until the next call, or NULL at the end. */
const struct entry *log_walk_next(struct log_walk *w, struct err *e);
void log_walk_end(struct log_walk *w);
