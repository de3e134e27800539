#include "api/page.h"

#include "api/api-int.h"
#include "proto/json_write.h"

enum { STEP = 20 }; /* records of one read: their texts lie in the arena until the answer */

static void scope_of(const struct errand *x, const struct page *p, struct buf *out)
{
    buf_addf(out, "%s %s", p->list, x->asker.workspace.text);
}

int page_begin(struct errand *x, struct page *p, const char *list, size_t usual, size_t max)
{
    int64_t limit = (int64_t)usual;
    struct str text = request_parameter(x->request, STR("page"));
    *p = (struct page){ .list = list };
    if (errand_integer(x, "limit", 1, (int64_t)max, &limit) < 0)
        return -1;
    p->limit = (size_t)limit;
    if (!text.n)
        return 0;
    AUTO_BUF scope = { 0 };
    scope_of(x, p, &scope);
    if (!cursor_read(text, buf_str(&scope), x->api->parts.cursor_key, &p->cursor)) {
        errand_fail(x, 400, NULL, "page: is no cursor of this list");
        return -1;
    }
    p->has_cursor = true;
    return 0;
}

int page_fits(struct errand *x, const struct page *p, bool oldest_first, int64_t from,
              int64_t before)
{
    if (!p->has_cursor)
        return 0;
    if (p->cursor.oldest_first != oldest_first) {
        errand_fail(x, 400, NULL, "page: this cursor belongs to the other order");
        return -1;
    }
    if ((from && p->cursor.at < from) || (before && p->cursor.at >= before)) {
        errand_fail(x, 400, NULL, "page: the created_at filter excludes this cursor's place");
        return -1;
    }
    return 0;
}

void page_write_cursor(struct errand *x, const struct page *p, const struct cursor *c,
                       struct buf *out)
{
    AUTO_BUF scope = { 0 };
    AUTO_BUF text = { 0 };
    scope_of(x, p, &scope);
    cursor_write(&text, c, buf_str(&scope), x->api->parts.cursor_key);
    json_write_str(out, buf_str(&text));
}

static struct cursor cursor_of(const struct record *r, bool oldest_first, bool backward)
{
    return (struct cursor){ .oldest_first = oldest_first,
                            .backward = backward,
                            .at = r->created_at,
                            .number = r->number,
                            .id = r->id };
}

/* What a page holds: texts of records, in the order in which they were read. */
struct gathered {
    struct buf *text;
    size_t starts[1001];       /* of each record's text; the last one is the end */
    struct record first, last; /* of those shown: names and places only */
    struct record read;        /* the last one that was looked at */
    size_t count;
    bool more;
};

/* One more read. 1: go on, 0: that was all or enough, -1: answered. */
static int gather_step(struct errand *x, const struct page *p, struct record_query *query,
                       page_write *write, struct gathered *g)
{
    struct store *store = x->api->parts.store;
    struct record_list list = { 0 };
    struct err e = { 0 };
    size_t left = p->limit - g->count;
    query->limit = left < STEP ? left + 1 : STEP; /* one more tells whether there is more */
    if (store->ops->list(store, query, &list, &x->arena, &e) < 0) {
        errand_fail_store(x, &e);
        return -1;
    }
    for (size_t i = 0; i < list.count; i++) {
        if (g->count == p->limit || g->text->n > PAGE_BYTES) {
            g->more = true;
            return 0;
        }
        g->read = list.items[i];
        if (write(x, &g->read, g->text, &e) < 0) {
            errand_fail_store(x, &e);
            return -1;
        }
        if (g->text->n == g->starts[g->count])
            continue; /* left out */
        if (g->count == 0)
            g->first = g->read;
        g->last = g->read;
        g->starts[++g->count] = g->text->n;
    }
    query->after = &g->read;
    return list.count == query->limit;
}

/* Items are read backward when the cursor leads back, and shown in the order of the list. */
static void write_data(const struct gathered *g, bool backward, struct buf *out)
{
    for (size_t i = 0; i < g->count; i++) {
        size_t at = backward ? g->count - 1 - i : i;
        struct str item = str_skip(buf_str(g->text), g->starts[at]);
        item.n = g->starts[at + 1] - g->starts[at];
        if (i > 0)
            buf_add_byte(out, ',');
        if (item.n && item.p[0] == ',') /* the writer put it between two items */
            item = str_skip(item, 1);
        buf_add(out, item);
    }
}

static void write_place(struct errand *x, const struct page *p, const char *key, bool there,
                        const struct record *r, bool oldest_first, bool backward, struct buf *out)
{
    struct cursor c = cursor_of(r, oldest_first, backward);
    json_write_key(out, str_of(key));
    if (there)
        page_write_cursor(x, p, &c, out);
    else
        json_write_null(out);
}

void page_answer(struct errand *x, struct page *p, struct record_query *query, page_write *write)
{
    bool oldest_first = query->oldest_first, backward = p->has_cursor && p->cursor.backward;
    struct gathered *g = x->held = mem_get(sizeof *g);
    struct record place = { .id = p->cursor.id,
                            .created_at = p->cursor.at,
                            .number = p->cursor.number };
    AUTO_BUF text = { 0 };
    AUTO_BUF out = { 0 };
    int more;
    g->text = &text;
    query->workspace = &x->asker.workspace;
    query->oldest_first = oldest_first != backward;
    query->by_number = p->by_number;
    query->after = p->has_cursor ? &place : NULL;
    while ((more = gather_step(x, p, query, write, g)) > 0)
        continue;
    if (more < 0)
        return;
    const struct record *first = backward ? &g->last : &g->first;
    const struct record *last = backward ? &g->first : &g->last;
    buf_add(&out, STR("{\"data\":["));
    write_data(g, backward, &out);
    buf_add_byte(&out, ']');
    write_place(x, p, "next_page", g->count && (g->more || backward), last, oldest_first, false,
                &out);
    if (p->both)
        write_place(x, p, "prev_page", g->count && (backward ? g->more : p->has_cursor), first,
                    oldest_first, true, &out);
    buf_add_byte(&out, '}');
    errand_answer(x, buf_str(&out));
}
