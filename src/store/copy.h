/* copy.h - what a read found, copied into the reader's arena.
 *
 * Shared by the backends. An arena that is too small for it is E_BUSY.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "postern/store.h"

/* Copies with all texts. 0, or -1 with *e. */
int record_copy(struct record *out, const struct record *r, struct arena *a, struct err *e);
int entry_copy(struct entry *out, const struct entry *entry, struct arena *a, struct err *e);

/* A list that grows while rows are found. The items stand on the heap until the end, because `limit`
 * says nothing of how many there will be. {0} is an empty one. */
struct record_rows {
    struct record *items;
    size_t count, cap;
};
struct entry_rows {
    struct entry *items;
    size_t count, cap;
};

int record_rows_add(struct record_rows *rows, const struct record *r, struct arena *a,
                    struct err *e);
int entry_rows_add(struct entry_rows *rows, const struct entry *entry, struct arena *a,
                   struct err *e);

/* Moves the items into the arena. */
int record_rows_finish(const struct record_rows *rows, struct record_list *out, struct arena *a,
                       struct err *e);
int entry_rows_finish(const struct entry_rows *rows, struct entry_list *out, struct arena *a,
                      struct err *e);

void record_rows_release(struct record_rows *rows);
void entry_rows_release(struct entry_rows *rows);

#define AUTO_RECORD_ROWS CLEANUP(record_rows_release) struct record_rows
#define AUTO_ENTRY_ROWS CLEANUP(entry_rows_release) struct entry_rows
