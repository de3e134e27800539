/* page.h - lists of records, page by page (contract 1.7).
 *
 *     struct page page;
 *     struct record_query query = { .kind = RECORD_AGENT, ... };
 *     if (page_begin(x, &page, "agents", 20, 100) == 0 && ... more parameters ...)
 *         page_answer(x, &page, &query, write_agent);
 *
 * A page also ends when its text has grown beyond PAGE_BYTES: it is then shorter than its limit, and
 * next_page leads on.
 */
#pragma once

#include "api/cursor.h"
#include "api/errand.h"

enum { PAGE_BYTES = 4 << 20 };

struct page {
    size_t limit;
    bool has_cursor;
    struct cursor cursor;
    const char *list;     /* which list it is */
    bool by_number, both; /* set by the caller: versions; prev_page is shown (sessions) */
};

/* Reads "limit" and "page". 0, or -1 and answered. `list` is the list's name: cursors of one are none of
 * another's. */
int page_begin(struct errand *x, struct page *p, const char *list, size_t usual, size_t max);

/* Whether the cursor fits order and range of this request; else answered with 400. */
int page_fits(struct errand *x, const struct page *p, bool oldest_first, int64_t from,
              int64_t before);

/* Appends the cursor as a JSON string. */
void page_write_cursor(struct errand *x, const struct page *p, const struct cursor *c,
                       struct buf *out);

/* Appends a record as clients see it; one for which it appends nothing is left out of the page. 0, or -1
 * with *e. */
typedef int page_write(struct errand *x, const struct record *r, struct buf *out, struct err *e);

/* Answers with {"data":[...],"next_page":...}. Fills in what the query needs: workspace, place, limit. */
void page_answer(struct errand *x, struct page *p, struct record_query *query, page_write *write);
