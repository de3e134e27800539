/* Kinds of settings that hold lists: names, and paths with what may be said about each. */
#include "sandbox/settings_rows.h"

#include "core/path_pattern.h"

#include <limits.h>

static void names_read(struct settings_check *c, const struct json *v,
                       const struct settings_row *row)
{
    struct settings_names *target = row_target(c, row);
    if (!check_array(c, v))
        return;
    const char **items = check_get(c, (json_count(v) + 1) * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; items && i < json_count(v); i++) {
        struct str name;
        size_t was = check_enter_index(c, i);
        if (check_string(c, json_at(v, i), &name)) {
            const char *wrong = row->refuses ? row->refuses(name) : NULL;
            if (wrong)
                check_problem(c, "%s", wrong);
            items[n] = check_dup(c, name);
            n += items[n] != NULL;
        }
        check_leave(c, was);
    }
    if (target && items)
        *target = (struct settings_names){ items, n };
}

static bool names_same(const void *a, const void *b)
{
    const struct settings_names *left = a, *right = b;
    if (left->count != right->count)
        return false;
    for (size_t i = 0; i < left->count; i++)
        if (!text_same(left->items[i], right->items[i]))
            return false;
    return true;
}

void list_append(struct settings_check *c, struct settings_list *list,
                 const struct settings_entry *more, size_t count)
{
    if (count == 0)
        return;
    struct settings_entry *items = check_get(c, (list->count + count) * sizeof *items);
    if (!items)
        return;
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    memcpy(items + list->count, more, count * sizeof *items);
    *list = (struct settings_list){ items, list->count + count };
}

static const char *entry_where(struct settings_check *c)
{
    AUTO_BUF where = { 0 };
    if (c->profile_reading)
        buf_addf(&where, "profile %s: ", c->profile_reading);
    buf_add(&where, buf_str(&c->path));
    return check_dup(c, buf_str(&where));
}

/* {"path": ..., "literal": true}: any other key is an error (contract 3.4). */
static bool read_literal(struct settings_check *c, const struct json *v, struct str *path,
                         bool *literal)
{
    size_t problems = c->problem_count;
    bool has_path = false, has_literal = false;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = check_enter_key(c, m.key);
        if (str_eq(m.key, STR("path")))
            has_path = check_string(c, m.value, path);
        else if (str_eq(m.key, STR("literal")))
            has_literal = check_kind(c, m.value, JSON_IS_BOOL) && json_to_bool(m.value, literal);
        else
            check_unknown(c, true, "");
        check_leave(c, was);
    }
    if (c->problem_count == problems && (!has_path || !has_literal))
        check_problem(c, "must be a string or {\"path\": ..., \"literal\": true}");
    return c->problem_count == problems;
}

bool entry_read(struct settings_check *c, const struct json *v, struct settings_entry *out)
{
    struct str path = { 0 };
    enum json_kind kind = json_kind_of(v);
    *out = (struct settings_entry){ 0 };
    if (kind == JSON_IS_OBJECT) {
        if (!read_literal(c, v, &path, &out->literal))
            return false;
    } else if (kind != JSON_IS_STRING) {
        check_problem(c, "must be a string or {\"path\": ..., \"literal\": true}, not %s",
                      json_kind_text(kind));
        return false;
    } else if (!check_string(c, v, &path)) {
        return false;
    }
    if (path.n >= PATH_MAX) {
        check_problem(c, "is longer than any path");
        return false;
    }
    out->path = check_dup(c, path);
    out->where = entry_where(c);
    return out->path && out->where;
}

/* A deny that could match nothing would be lost in silence (contract 3.4.1). */
static void check_deny_pattern(struct settings_check *c, const struct settings_entry *entry)
{
    struct str path = str_of(entry->path);
    bool rooted = path.p[0] == '/' || path.p[0] == '~';
    if (!entry->literal && rooted && path_pattern_is(path) && str_ends(path, STR("/")))
        check_problem(c, "is a pattern that ends in '/' and so matches nothing");
}

void entry_is_path(struct settings_check *c, struct settings_entry *entry)
{
    if (!entry->literal && path_pattern_is(str_of(entry->path)))
        check_warn(c, "is taken as a path and not as a pattern; write {\"path\": ..., \"literal\": "
                      "true} when its name is spelled so");
    entry->literal = true;
}

static void entries_read(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    struct settings_list *target = row_target(c, row);
    if (!check_array(c, v))
        return;
    struct settings_entry *items = check_get(c, (json_count(v) + 1) * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; items && i < json_count(v); i++) {
        size_t was = check_enter_index(c, i);
        if (entry_read(c, json_at(v, i), &items[n])) {
            if (row->flags & ROW_DENY_LIST)
                check_deny_pattern(c, &items[n]);
            if (row->flags & ROW_PLAIN_PATHS)
                entry_is_path(c, &items[n]);
            n++;
        }
        check_leave(c, was);
    }
    if (!target || !items)
        return;
    if (row->flags & ROW_DENY_LIST)
        list_append(c, target, items, n);
    else
        *target = (struct settings_list){ items, n };
}

bool list_same(const void *a, const void *b)
{
    const struct settings_list *left = a, *right = b;
    if (left->count != right->count)
        return false;
    for (size_t i = 0; i < left->count; i++) {
        const struct settings_entry *l = &left->items[i], *r = &right->items[i];
        if (!text_same(l->path, r->path) || l->literal != r->literal ||
            l->create_dir != r->create_dir)
            return false;
    }
    return true;
}

const struct settings_kind KIND_NAMES = { names_read, names_same };
const struct settings_kind KIND_ENTRIES = { entries_read, list_same };
