/* memory-int.h - how the memory store keeps its data; shared by memory.c and memory_*.c. */
#pragma once

#include "base/table.h"
#include "store/memory.h"
#include "store/tx.h"

/* One record with its texts behind it, never changed: a put makes a new one. */
struct held_record {
    struct record record;
    char texts[];
};

/* Records of one kind that have something in common, sorted. */
struct shelf {
    struct id name;
    struct held_record **items;
    size_t count, cap;
};

/* By (created_at, id), and by (due_at, created_at, id). */
int created_order(const struct record *a, const struct record *b);
int due_order(const struct record *a, const struct record *b);

typedef int record_order(const struct record *a, const struct record *b);

/* Where `r` stands, or would: the first place that is not before it. */
size_t shelf_place(const struct shelf *s, const struct record *r, record_order *order);

enum scope { SCOPE_WORKSPACE, SCOPE_PARENT, SCOPE_GROUP, SCOPES };

/* The record's id in that scope. */
const struct id *scope_id(const struct record *r, enum scope scope);

/* All records of one kind. */
struct cabinet {
    struct table by_id, by_secret;
    struct table scopes[SCOPES]; /* id: struct shelf */
    struct shelf all, due;
};

struct held_entry {
    struct entry entry;
    char texts[];
};

struct memory_log {
    struct id session;
    struct held_entry **items; /* items[i] has seq i + 1 */
    size_t count, cap;
    struct table events; /* id: struct held_entry; those that are not internal */
};

struct memory_disk {
    struct cabinet cabinets[RECORD_KINDS];
    struct table logs; /* session's id: struct memory_log */
    bool broken;
};

/* Makes all changes, or none: 0, or -1 with *e. */
int memory_apply(struct memory_disk *d, struct tx *tx, struct err *e);

/* memory_log.c */

/* Copies a text to *at, makes it point there, and moves *at behind it. */
void take_text(struct str *text, char **at);

/* Appends, or changes nothing: 0, or -1 with *e. */
int memory_log_append(struct memory_log *log, const struct change *c, struct err *e);

/* Forgets all entries behind the first `count`. */
void memory_log_cut(struct memory_log *log, size_t count);
void memory_log_free(struct memory_log *log);

/* memory_query.c: ops of struct store_ops on a disk */
int memory_list(const struct memory_disk *d, const struct record_query *q, struct record_list *out,
                struct arena *a, struct err *e);
int memory_entries(const struct memory_disk *d, const struct entry_query *q, struct entry_list *out,
                   struct arena *a, struct err *e);
