#include "sandbox/settings_rows.h"

void *row_target(const struct settings_check *c, const struct settings_row *row)
{
    return row->at == SETTINGS_NOWHERE ? NULL : (char *)c->s + row->at;
}

static const struct settings_row *row_find(const struct settings_table *table, struct str key)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_eq(str_of(table->rows[i].key), key))
            return &table->rows[i];
    return NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t n = a < b ? a : b;
    return n < c ? n : c;
}

/* How many letters must be added, dropped or changed to make one of the other. */
static size_t edits(struct str a, struct str b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1];
    if (a.n > LONGEST || b.n > LONGEST)
        return LONGEST;
    for (size_t k = 0; k <= b.n; k++)
        row[k] = k;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= b.n; k++) {
            size_t above = row[k];
            row[k] = least(above + 1, row[k - 1] + 1, diagonal + (a.p[i - 1] != b.p[k - 1]));
            diagonal = above;
        }
    }
    return row[b.n];
}

const char *rows_suggest(const struct settings_table *table, struct str key)
{
    const char *best = NULL;
    size_t best_edits = 3;
    for (size_t i = 0; i < table->count; i++) {
        struct str known = str_of(table->rows[i].key);
        size_t n = str_eq_nocase(known, key) ? 0 : edits(known, key);
        if (n < best_edits && n < key.n) {
            best = table->rows[i].key;
            best_edits = n;
        }
    }
    return best;
}

static void report_unknown(struct settings_check *c, const struct settings_table *table,
                           struct str key)
{
    const char *near = rows_suggest(table, key);
    size_t was = check_enter_key(c, key);
    AUTO_BUF hint = { 0 };
    if (near)
        buf_addf(&hint, " (did you mean \"%s\"?)", near);
    check_unknown(c, table->unknown_is_error, buf_text(&hint));
    check_leave(c, was);
}

void rows_read(struct settings_check *c, const struct json *v, const struct settings_table *table)
{
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    size_t known = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct settings_row *row = &table->rows[i];
        const struct json *value = json_get(v, row->key);
        if (!value && (!(row->flags & ROW_REQUIRED) || c->options->profile))
            continue;
        size_t was = check_enter_key(c, str_of(row->key));
        if (value)
            row->kind->read(c, value, row);
        else
            check_problem(c, "required");
        check_leave(c, was);
        known += value != NULL;
    }
    if (known == json_count(v))
        return;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m))
        if (!row_find(table, m.key))
            report_unknown(c, table, m.key);
}

void rows_difference(const struct settings_table *table, const struct settings *was,
                     const struct settings *now, struct buf *path, struct buf *keys)
{
    size_t start = path->n;
    for (size_t i = 0; i < table->count; i++) {
        const struct settings_row *row = &table->rows[i];
        if (row->flags & ROW_LIVE)
            continue;
        buf_addf(path, "%s%s", start ? "." : "", row->key);
        if (row->table) {
            rows_difference(row->table, was, now, path, keys);
        } else if (row->kind->same && row->at != SETTINGS_NOWHERE &&
                   !row->kind->same((const char *)was + row->at, (const char *)now + row->at)) {
            buf_add(keys, buf_str(path));
            buf_add_byte(keys, '\n');
        }
        path->n = start;
        path->p[start] = '\0';
    }
}

static void object_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    rows_read(c, v, row->table);
}

static void anything_read(struct settings_check *c, const struct json *v,
                          const struct settings_row *row)
{
}

static void later_read(struct settings_check *c, const struct json *v,
                       const struct settings_row *row)
{
    check_problem(c, "is not supported by this version of postern; refusing to run without it");
    if (row->table)
        rows_read(c, v, row->table);
}

static void later_true_read(struct settings_check *c, const struct json *v,
                            const struct settings_row *row)
{
    bool on = false;
    if (check_kind(c, v, JSON_IS_BOOL) && json_to_bool(v, &on) && on)
        later_read(c, v, row);
}

const struct settings_kind KIND_OBJECT = { object_read, NULL };
const struct settings_kind KIND_ANYTHING = { anything_read, NULL };
const struct settings_kind KIND_LATER = { later_read, NULL };
const struct settings_kind KIND_LATER_TRUE = { later_true_read, NULL };
