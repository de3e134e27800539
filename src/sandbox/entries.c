#include "sandbox/entries.h"

#include "base/buf.h"
#include "base/fd.h"
#include "core/filerules.h"
#include "sandbox/mount_calls.h"
#include "sandbox/pattern_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The patterns of one list, until all of them are searched for in one walk. */
struct pattern_list {
    struct walked_pattern *items; /* heap, owned */
    size_t count;
};

static void pattern_list_release(struct pattern_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        places_release(&l->items[i].found);
    free(l->items);
}

static struct place *places_slot(struct places *p)
{
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 16;
        p->items = mem_grow(p->items, p->room * sizeof *p->items);
    }
    p->items[p->count] = (struct place){ 0 };
    return &p->items[p->count++];
}

const struct place *places_above(const struct places *p, const char *path)
{
    for (size_t i = 0; i < p->count; i++)
        if (path_is_beneath(str_of(path), str_of(p->items[i].path)))
            return &p->items[i];
    return NULL;
}

void places_release(struct places *p)
{
    free(p->items);
    *p = (struct places){ 0 };
}

void later_patterns_release(struct later_patterns *p)
{
    free(p->items);
    *p = (struct later_patterns){ 0 };
}

static bool has_pattern_bytes(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '*' || s.p[i] == '?' || s.p[i] == '[' || s.p[i] == ']')
            return true;
    return false;
}

/* Makes an absolute path without "//", "/./" and ".." (folded in text, contract 3.4.1). */
static void fold(const char *cwd, struct str path, struct buf *out)
{
    AUTO_BUF whole = { 0 };
    if (path.n == 0 || path.p[0] != '/') {
        buf_add(&whole, str_of(cwd));
        buf_add_byte(&whole, '/');
    }
    buf_add(&whole, path);
    struct str rest = buf_str(&whole), part;
    buf_empty(out);
    while (str_cut(&rest, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            ptrdiff_t slash = str_last_index(buf_str(out), '/');
            out->n = slash > 0 ? (size_t)slash : 0;
            continue;
        }
        buf_add_byte(out, '/');
        buf_add(out, part);
    }
    if (out->n == 0)
        buf_add_byte(out, '/');
    out->p[out->n] = '\0';
}

/* Whether no part of the path is a link: one look instead of one for each part, and none when something
 * beneath it is known by its real path already. */
static bool is_real(const struct places *known, const char *path)
{
    for (size_t i = known->count; i-- > 0;) {
        const struct place *at = &known->items[i];
        if (at->exists && path_is_beneath(str_of(at->path), str_of(path)) &&
            (!at->is_link || strcmp(at->path, path) != 0))
            return true;
    }
    AUTO_FD at = path_open(path);
    return at >= 0;
}

/* The real path of the directory part of `path`; when a part of it is missing or cannot be entered,
 * the nearest that can, followed by the rest as it is written. *looked tells whether all of it could
 * be looked at. */
static void resolve_parent(const struct places *known, const struct entry_context *c,
                           const char *path, struct buf *out, bool *looked)
{
    char real[PATH_MAX];
    struct str whole = str_of(path);
    *looked = true;
    for (ptrdiff_t end = str_last_index(whole, '/'); end >= 0;) {
        AUTO_FREE char *head = str_dup((struct str){ path, end ? (size_t)end : 1 });
        /* The quick look would wait for a file system that does not answer. */
        bool quick = (!c->stalled || c->stalled->count == 0) && is_real(known, head);
        const char *found = quick ? head : stalled_realpath(c->stalled, head, real);
        if (found) {
            buf_empty(out);
            buf_add(out, str_eq(str_of(found), STR("/")) ? STR("") : str_of(found));
            buf_add(out, str_skip(whole, (size_t)end));
            return;
        }
        if (errno != ENOENT && errno != ENOTDIR)
            *looked = false;
        if (end == 0)
            break;
        end = str_last_index((struct str){ path, (size_t)end }, '/');
    }
    buf_empty(out);
    buf_add(out, whole);
}

static int add_found(struct places *p, const struct entry_context *c, const char *path,
                     const char *rule, const struct stat *st, struct err *e)
{
    struct place *at = places_slot(p);
    at->path = arena_dup(c->arena, str_of(path));
    at->rule = rule;
    if (!at->path)
        return err_set(e, E_BUSY, 0, "%s: too many paths", rule);
    if (st) {
        at->exists = true;
        at->is_directory = S_ISDIR(st->st_mode);
        at->is_link = S_ISLNK(st->st_mode);
        at->device = st->st_dev;
        at->inode = st->st_ino;
        at->many_links = S_ISREG(st->st_mode) && st->st_nlink > 1;
    }
    return 0;
}

void entry_warn(const struct entry_context *c, const char *rule, const char *path, const char *why)
{
    AUTO_BUF text = { 0 };
    buf_addf(&text, "%s: '%s' %s", rule, path, why);
    if (c->warn)
        c->warn(c->warn_ctx, buf_text(&text));
}

/* The nearest directory above `path` that can be looked at stands for it (contract 3.4.3). */
static int add_nearest_above(struct places *p, const struct entry_context *c, const char *path,
                             const char *rule, struct err *e)
{
    const bool silent = errno == ETIMEDOUT;
    AUTO_FREE char *head = str_dup(str_of(path));
    for (char *slash = strrchr(head, '/'); slash && slash != head; slash = strrchr(head, '/')) {
        *slash = '\0';
        struct stat st;
        char real[PATH_MAX];
        if (stalled_stat(c->stalled, head, &st) == 0 && stalled_realpath(c->stalled, head, real)) {
            entry_warn(
                c, rule, path,
                silent ? "does not answer within 500 ms; the directory above its file system is "
                         "denied instead"
                       : "cannot be looked at; the directory above it is denied instead");
            return add_found(p, c, real, rule, &st, e);
        }
    }
    return err_set(e, E_SANDBOX, 0, "%s: '%s' cannot be looked at, nor any directory above it",
                   rule, path);
}

/* A link in an allow list that leads out of where it stands opens nothing (contract 3.4.1). */
static bool link_leads_out(const char *link, const char *target)
{
    struct str parent = str_of(link);
    ptrdiff_t slash = str_last_index(parent, '/');
    parent.n = slash > 0 ? (size_t)slash : 0;
    struct str t = str_of(target);
    bool below = t.n > parent.n + 1 && str_starts(t, parent) && t.p[parent.n] == '/';
    bool one_component = str_last_index(t, '/') <= 0;
    return !below || one_component;
}

int places_add(struct places *p, const struct entry_context *c, const char *path, const char *rule,
               enum entry_use use, struct err *e)
{
    AUTO_BUF name = { 0 };
    bool looked;
    bool is_deny = use == ENTRY_DENY_READ || use == ENTRY_DENY_WRITE;
    if (str_eq(str_of(path), STR("/")))
        buf_add(&name, STR("/"));
    else
        resolve_parent(p, c, path, &name, &looked);

    struct stat st;
    if (stalled_lstat(c->stalled, buf_text(&name), &st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return add_found(p, c, buf_text(&name), rule, NULL, e);
        if (is_deny)
            return add_nearest_above(p, c, buf_text(&name), rule, e);
        entry_warn(c, rule, buf_text(&name),
                   errno == ETIMEDOUT ? "does not answer within 500 ms; skipped"
                                      : "cannot be looked at; skipped");
        return 0;
    }
    if (!S_ISLNK(st.st_mode))
        return add_found(p, c, buf_text(&name), rule, &st, e);

    char real[PATH_MAX];
    if (!stalled_realpath(c->stalled, buf_text(&name), real)) {
        if (is_deny && errno == ETIMEDOUT)
            return add_nearest_above(p, c, buf_text(&name), rule, e);
        if (is_deny)
            return add_found(p, c, buf_text(&name), rule, &st, e);
        entry_warn(c, rule, buf_text(&name), "is a link that leads nowhere; skipped");
        return 0;
    }
    struct stat target;
    if (stalled_stat(c->stalled, real, &target) < 0)
        return is_deny ? add_nearest_above(p, c, real, rule, e) : 0;
    if (use == ENTRY_ALLOW_WRITE && link_leads_out(buf_text(&name), real)) {
        entry_warn(c, rule, buf_text(&name), "is a link that leads out of its directory; skipped");
        return 0;
    }
    if (use == ENTRY_DENY_WRITE && add_found(p, c, buf_text(&name), rule, &st, e) < 0)
        return -1; /* the link itself: else it is removed and a file of its name made (T38) */
    if (use == ENTRY_ALLOW_READ)
        return add_found(p, c, buf_text(&name), rule, &st, e);
    return add_found(p, c, real, rule, &target, e);
}

static void later_add(struct later_patterns *later, const struct path_pattern *pattern,
                      const char *rule, struct str text, const char *base)
{
    size_t depth = 0;
    for (size_t i = 0; i < text.n; i++)
        depth += text.p[i] == '/';
    if (later->count == later->room) {
        later->room = later->room ? later->room * 2 : 8;
        later->items = mem_grow(later->items, later->room * sizeof *later->items);
    }
    later->items[later->count++] =
        (struct later_pattern){ .pattern = pattern,
                                .rule = rule,
                                .base = base[0] ? base : "/",
                                .depth = str_has(text, STR("**")) ? SIZE_MAX : depth };
}

/* `text` is folded and absolute. Its matches belong behind what `out` holds now. */
static int take_pattern(const struct entry_context *c, struct str text, const char *rule,
                        enum entry_use use, const struct places *out, struct pattern_list *list,
                        struct later_patterns *later, struct err *e)
{
    struct path_pattern *pattern = NULL;
    if (path_pattern_compile(c->arena, text, &pattern, e) < 0)
        return err_while(e, "%s", rule);
    /* The literal part before the first pattern byte: its last '/' is where the walk begins. */
    size_t literal = 0;
    while (literal < text.n && !has_pattern_bytes((struct str){ text.p + literal, 1 }))
        literal++;
    ptrdiff_t slash = str_last_index((struct str){ text.p, literal }, '/');
    struct str base = { text.p, slash > 0 ? (size_t)slash : 0 };
    bool is_deny = use == ENTRY_DENY_READ || use == ENTRY_DENY_WRITE;
    if (base.n == 0 && str_has(text, STR("**")) && is_deny && !c->lenient_patterns)
        return err_set(e, E_INPUT, 0,
                       "%s: a pattern that begins at the root cannot be expanded; name a first "
                       "directory (or set x.lenientPatterns)",
                       rule);
    const char *start = arena_dup(c->arena, base);
    if (!start)
        return err_set(e, E_BUSY, 0, "%s: too many patterns", rule);
    if (later)
        later_add(later, pattern, rule, text, start);
    list->items = mem_grow(list->items, (list->count + 1) * sizeof *list->items);
    list->items[list->count++] = (struct walked_pattern){
        .pattern = pattern, .rule = rule, .base = start, .at = out->count
    };
    return 0;
}

/* Searches for all patterns and puts the matches of each where its entry stands in the list. */
static int expand_patterns(const struct entry_context *c, enum entry_use use,
                           struct pattern_list *list, struct places *out, struct err *e)
{
    if (list->count == 0)
        return 0;
    if (pattern_walk(c, use, list->items, list->count, e) < 0)
        return -1;
    struct places all = { 0 };
    size_t next = 0;
    for (size_t i = 0; i < list->count; i++) {
        while (next < list->items[i].at)
            *places_slot(&all) = out->items[next++];
        for (size_t k = 0; k < list->items[i].found.count; k++)
            *places_slot(&all) = list->items[i].found.items[k];
    }
    while (next < out->count)
        *places_slot(&all) = out->items[next++];
    places_release(out);
    *out = all;
    return 0;
}

/* A string with pattern bytes is also the path it spells, when that exists (contract 3.4.1). */
static bool spelled_path_counts(const struct entry_context *c, const char *path, enum entry_use use)
{
    struct stat st;
    if (stalled_lstat(c->stalled, path, &st) == 0)
        return true;
    bool is_deny = use == ENTRY_DENY_READ || use == ENTRY_DENY_WRITE;
    return is_deny && errno != ENOENT && errno != ENOTDIR;
}

static int resolve_one(const struct entry_context *c, const struct settings_entry *entry,
                       const char *home, enum entry_use use, struct places *out,
                       struct pattern_list *list, struct later_patterns *later, struct err *e)
{
    struct str text = str_of(entry->path);
    AUTO_BUF spelled = { 0 }, path = { 0 };
    if (str_eq(text, STR("~")) || str_starts(text, STR("~/"))) {
        buf_add(&spelled, str_of(home));
        buf_add(&spelled, str_skip(text, 1));
    } else {
        buf_add(&spelled, text);
    }
    fold(c->cwd, buf_str(&spelled), &path);
    bool is_pattern = !entry->literal && has_pattern_bytes(text);
    /* A trailing double star means the directory itself. */
    if (is_pattern && str_ends(buf_str(&path), STR("/**"))) {
        struct str head = { path.p, path.n - 3 };
        if (!has_pattern_bytes(head)) {
            path.n -= 3;
            path.p[path.n] = '\0';
            is_pattern = false;
        }
    }
    if (path.n > 5 && str_starts(buf_str(&path), STR("/dev/")))
        return 0; /* contract 3.6: paths under /dev in any list are ignored */
    if (!is_pattern)
        return places_add(out, c, buf_text(&path), entry->where, use, e);
    if (spelled_path_counts(c, buf_text(&path), use) &&
        places_add(out, c, buf_text(&path), entry->where, use, e) < 0)
        return -1;
    return take_pattern(c, buf_str(&path), entry->where, use, out, list, later, e);
}

int entries_resolve(const struct entry_context *c, const struct settings_list *list,
                    enum entry_use use, struct places *out, struct later_patterns *later,
                    struct err *e)
{
    CLEANUP(pattern_list_release) struct pattern_list patterns = { 0 };
    for (size_t i = 0; i < list->count; i++) {
        const struct settings_entry *entry = &list->items[i];
        bool is_deny = use == ENTRY_DENY_READ || use == ENTRY_DENY_WRITE;
        bool of_home = entry->path[0] == '~' && (!entry->path[1] || entry->path[1] == '/');
        /* Every deny holds for every home the caller has; an allow only for the first. */
        size_t homes = of_home && is_deny ? c->home_count : 1;
        if (of_home && c->home_count == 0)
            return err_set(e, E_INPUT, 0, "%s: '~' cannot be expanded: no home directory is known",
                           entry->where);
        for (size_t h = 0; h < homes; h++)
            if (resolve_one(c, entry, of_home ? c->homes[h] : "", use, out, &patterns, later, e) <
                0)
                return -1;
    }
    return expand_patterns(c, use, &patterns, out, e);
}
