#include "proto/schema.h"

#include "base/check.h"

static void check_value(const struct json *v, const struct schema_row *row, struct problems *out);

size_t schema_characters(struct str text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++)
        count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return count;
}

int schema_word(const char *const *words, struct str word)
{
    for (int i = 0; words[i]; i++)
        if (str_eq(str_of(words[i]), word))
            return i;
    return -1;
}

static bool fits(const struct schema_row *row, enum json_kind kind)
{
    switch (row->kind) {
    case SCHEMA_ANY:
        return true;
    case SCHEMA_BOOL:
        return kind == JSON_IS_BOOL;
    case SCHEMA_INTEGER:
        return kind == JSON_IS_INTEGER;
    case SCHEMA_NUMBER:
        return kind == JSON_IS_INTEGER || kind == JSON_IS_REAL;
    case SCHEMA_STRING:
    case SCHEMA_WORD:
        return kind == JSON_IS_STRING;
    case SCHEMA_ARRAY:
        return kind == JSON_IS_ARRAY;
    case SCHEMA_MAP:
    case SCHEMA_OBJECT:
    case SCHEMA_VARIANT:
        return kind == JSON_IS_OBJECT;
    }
    CHECK(!"a row of no kind");
    return false;
}

static const char *kind_text(enum schema_kind kind)
{
    static const char *const texts[] = {
        [SCHEMA_ANY] = "anything",       [SCHEMA_BOOL] = "a boolean",
        [SCHEMA_INTEGER] = "an integer", [SCHEMA_NUMBER] = "a number",
        [SCHEMA_STRING] = "a string",    [SCHEMA_WORD] = "a string",
        [SCHEMA_ARRAY] = "an array",     [SCHEMA_MAP] = "an object",
        [SCHEMA_OBJECT] = "an object",   [SCHEMA_VARIANT] = "an object",
    };
    return texts[kind];
}

/* "must be a string or an object, not null" */
static void wrong_kind(const struct schema_row *row, enum json_kind is, struct problems *out)
{
    AUTO_BUF wanted = { 0 };
    for (; row; row = row->either) {
        if (wanted.n)
            buf_add(&wanted, STR(" or "));
        buf_add(&wanted, str_of(kind_text(row->kind)));
        if (row->flags & SCHEMA_NULLABLE)
            buf_add(&wanted, STR(" or null"));
    }
    problems_add(out, "must be %s, not %s", buf_text(&wanted), json_kind_text(is));
}

/* "must have 1 to 16 items", with the words of the kind. */
static void check_range(const struct schema_row *row, uint64_t n, const char *what,
                        struct problems *out)
{
    uint64_t min = row->min > 0 ? (uint64_t)row->min : 0;
    uint64_t max = row->max > 0 ? (uint64_t)row->max : UINT64_MAX;
    if (n == 0 && min == 1)
        problems_add(out, "must not be empty");
    else if (n < min)
        problems_add(out, "must have at least %llu %s", (unsigned long long)min, what);
    else if (n > max)
        problems_add(out, "must have at most %llu %s, not %llu", (unsigned long long)max, what,
                     (unsigned long long)n);
}

static void check_integer(const struct json *v, const struct schema_row *row, struct problems *out)
{
    int64_t value = 0, max = row->max ? row->max : INT64_MAX;
    json_to_i64(v, &value);
    if (value >= row->min && value <= max)
        return;
    if (row->max)
        problems_add(out, "must be %lld to %lld", (long long)row->min, (long long)max);
    else
        problems_add(out, "must be at least %lld", (long long)row->min);
}

static void check_string(const struct json *v, const struct schema_row *row, struct problems *out)
{
    struct str text = { 0 };
    json_to_str(v, &text);
    size_t before = out->count;
    check_range(row, schema_characters(text), "characters", out);
    const char *wrong = row->refuses && out->count == before ? row->refuses(text) : NULL;
    if (wrong)
        problems_add(out, "%s", wrong);
}

static void add_list(struct buf *b, const char *word)
{
    if (b->n)
        buf_add(b, STR(", "));
    buf_addf(b, "\"%s\"", word);
}

static void check_word(const struct json *v, const struct schema_row *row, struct problems *out)
{
    struct str text = { 0 };
    json_to_str(v, &text);
    if (schema_word(row->words, text) >= 0)
        return;
    AUTO_BUF list = { 0 };
    for (size_t i = 0; row->words[i]; i++)
        add_list(&list, row->words[i]);
    problems_add(out, row->words[1] ? "must be one of %s" : "must be %s", buf_text(&list));
}

static void check_array(const struct json *v, const struct schema_row *row, struct problems *out)
{
    size_t before = out->count, count = json_count(v);
    check_range(row, count, "items", out);
    if (!row->item || out->count != before)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t was = problems_enter_index(out, i);
        check_value(json_at(v, i), row->item, out);
        problems_leave(out, was);
    }
}

static void check_map(const struct json *v, const struct schema_row *row, struct problems *out)
{
    size_t before = out->count;
    check_range(row, json_count(v), "members", out);
    if (out->count != before)
        return;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = problems_enter_key(out, m.key), n = schema_characters(m.key);
        if (row->key_max && (n == 0 || n > (size_t)row->key_max))
            problems_add(out, "the key must have 1 to %lld characters", (long long)row->key_max);
        if (row->item)
            check_value(m.value, row->item, out);
        problems_leave(out, was);
    }
}

static const struct schema_row *row_of(const struct schema_table *table, struct str key)
{
    for (size_t i = 0; i < table->count; i++)
        if (str_eq(str_of(table->rows[i].name), key))
            return &table->rows[i];
    return NULL;
}

/* `tag` is the member that has chosen the table, or NULL. */
static void check_table(const struct json *v, const struct schema_table *table, const char *tag,
                        struct problems *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct schema_row *row = &table->rows[i];
        const struct json *value = json_get(v, row->name);
        if (!value && (row->flags & SCHEMA_REQUIRED))
            problems_add_at(out, row->name, "required");
        if (!value)
            continue;
        size_t was = problems_enter_key(out, str_of(row->name));
        check_value(value, row, out);
        problems_leave(out, was);
    }
    if (!table->closed)
        return;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        if (row_of(table, m.key) || (tag && str_eq(m.key, str_of(tag))))
            continue;
        size_t was = problems_enter_key(out, m.key);
        problems_add(out, "unknown key");
        problems_leave(out, was);
    }
}

static void check_variant(const struct json *v, const struct schema_row *row, struct problems *out)
{
    struct str word = { 0 };
    const struct json *tag = json_get(v, "type");
    if (!tag) {
        problems_add_at(out, "type", "required");
        return;
    }
    if (json_to_str(tag, &word))
        for (const struct schema_variant *one = row->variants; one->word; one++)
            if (str_eq(str_of(one->word), word)) {
                if (one->table)
                    check_table(v, one->table, "type", out);
                return;
            }
    AUTO_BUF list = { 0 };
    for (const struct schema_variant *one = row->variants; one->word; one++)
        add_list(&list, one->word);
    problems_add_at(out, "type", row->variants[1].word ? "must be one of %s" : "must be %s",
                    buf_text(&list));
}

static void check_value(const struct json *v, const struct schema_row *row, struct problems *out)
{
    enum json_kind kind = json_kind_of(v);
    const struct schema_row *first = row;
    while (row && !fits(row, kind)) {
        if (kind == JSON_IS_NULL && (row->flags & SCHEMA_NULLABLE))
            return;
        row = row->either;
    }
    if (!row) {
        wrong_kind(first, kind, out);
        return;
    }
    switch (row->kind) {
    case SCHEMA_ANY:
    case SCHEMA_BOOL:
    case SCHEMA_NUMBER:
        return;
    case SCHEMA_INTEGER:
        check_integer(v, row, out);
        return;
    case SCHEMA_STRING:
        check_string(v, row, out);
        return;
    case SCHEMA_WORD:
        check_word(v, row, out);
        return;
    case SCHEMA_ARRAY:
        check_array(v, row, out);
        return;
    case SCHEMA_MAP:
        check_map(v, row, out);
        return;
    case SCHEMA_OBJECT:
        if (row->table)
            check_table(v, row->table, NULL, out);
        return;
    case SCHEMA_VARIANT:
        check_variant(v, row, out);
        return;
    }
}

bool schema_check(const struct json *v, const struct schema_table *table, struct problems *out)
{
    const struct schema_row row = { NULL, SCHEMA_OBJECT, .table = table };
    return schema_check_value(v, &row, out);
}

bool schema_check_value(const struct json *v, const struct schema_row *row, struct problems *out)
{
    size_t before = out->count;
    check_value(v, row, out);
    return out->count == before;
}
