/* question.h - queries of the store as SQL: the text and its parameters, nothing is asked here.
 *
 * Each text names the index that answers it, so what a query costs is decided here and not by the
 * planner's guess about the data; SQLite refuses a text whose index does not fit.
 */
#pragma once

#include "base/buf.h"
#include "postern/store.h"
#include "store/sqlite/database.h"

struct question_value {
    bool is_text;
    int64_t number;
    struct str text; /* borrowed from the query */
};

struct question {
    struct buf sql;
    struct question_value *values; /* values[i] is for ?i+1 */
    size_t count, cap;
};

void question_release(struct question *q);

#define AUTO_QUESTION CLEANUP(question_release) struct question

/* Columns as record_of_row reads them. *out must be {0}. */
void question_of_records(const struct record_query *query, struct question *out);

/* Columns as entry_of_row reads them. *out must be {0}. */
void question_of_entries(const struct entry_query *query, struct question *out);

/* The columns alone, for a SELECT of one row. */
#define RECORD_COLUMNS                                                                             \
    "kind,id,workspace,parent,group_id,number,state,created_at,archived_at,due_at,secret,"         \
    "revision,body"
#define ENTRY_COLUMNS "seq,id,type,at,shows,inner,body"

/* The number of an event's session in the table of records; ?1 is RECORD_SESSION, ?2 its id. */
#define SESSION_KEY "(SELECT key FROM record INDEXED BY record_by_id WHERE kind=?1 AND id=?2)"

/* Rows as they are in memory; texts are borrowed until the next step. */
void record_of_row(sqlite3_stmt *s, struct record *out);
void entry_of_row(sqlite3_stmt *s, struct entry *out);

/* Prepares the question and gives it its parameters. NULL with *e. */
sqlite3_stmt *question_ask(const struct question *q, struct database *d, struct err *e);
