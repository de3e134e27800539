#include "sandbox/pattern_walk.h"

#include "base/buf.h"
#include "base/check.h"
#include "core/filerules.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MATCHES_MAX = 100000, WALK_DEPTH_MAX = 64 };

/* Where a directory stands in every pattern: for each one word that is 1 at the base of the pattern, then
 * its state behind the directory's '/'. Kept once however many directories share it. */
struct standing {
    size_t words;
    uint64_t bits[];
};

/* A directory that was met. */
struct directory {
    const struct standing *seen;   /* from where it was searched, or will be */
    const struct standing *wanted; /* from where it is still to be searched; NULL = not queued */
    size_t level;
    size_t length;
    char path[]; /* real; "" for the root */
};

struct walk {
    const struct entry_context *context;
    enum entry_use use;
    struct walked_pattern *patterns;
    size_t count;
    size_t *slice; /* where each pattern's words begin */
    size_t *alive; /* patterns that the directory at hand is searched for */
    size_t alive_count;
    struct standing *next;  /* of the name at hand */
    struct standing *other; /* room to reckon in */
    /* Balanced trees: no names that somebody chooses make a look into them slow. */
    void *directories, *standings;
    struct directory **queue;
    size_t queue_begin, queue_end, queue_room;
};

static int compare_directories(const void *left, const void *right)
{
    const struct directory *a = left, *b = right;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return memcmp(a->path, b->path, a->length);
}

static int compare_standings(const void *left, const void *right)
{
    const struct standing *a = left, *b = right;
    return memcmp(a->bits, b->bits, a->words * sizeof *a->bits);
}

/* Where the tree holds what is equal to `item`: `item` itself when there was none. */
static void *tree_keep(void *item, void **tree, int (*compare)(const void *, const void *))
{
    void *node = tsearch(item, tree, compare);
    CHECK(node);
    return node;
}

static size_t standing_size(size_t words)
{
    return sizeof(struct standing) + words * sizeof(uint64_t);
}

static struct standing *standing_new(size_t words)
{
    struct standing *s = mem_get(standing_size(words));
    s->words = words;
    return s;
}

/* The one that is kept and equal to `s`. */
static const struct standing *standing_keep(struct walk *w, const struct standing *s)
{
    struct standing **found = tfind(s, &w->standings, compare_standings);
    if (!found) {
        struct standing *copy = standing_new(s->words);
        memcpy(copy, s, standing_size(s->words));
        found = tree_keep(copy, &w->standings, compare_standings);
    }
    return *found;
}

static struct directory *directory_find(struct walk *w, struct str path)
{
    struct directory *wanted = mem_get(sizeof *wanted + path.n + 1);
    wanted->length = path.n;
    memcpy(wanted->path, path.p, path.n);
    struct directory **found = tree_keep(wanted, &w->directories, compare_directories);
    if (*found != wanted)
        free(wanted);
    return *found;
}

/* Queues the directory for those positions of `s` from where it was not searched yet. */
static void want(struct walk *w, struct directory *d, const struct standing *s, size_t level)
{
    struct standing *fresh = w->other;
    uint64_t any = 0;
    for (size_t i = 0; i < s->words; i++)
        any |= fresh->bits[i] = s->bits[i] & ~(d->seen ? d->seen->bits[i] : 0);
    if (!any)
        return;
    if (!d->wanted) {
        if (w->queue_end == w->queue_room) {
            w->queue_room = w->queue_room ? w->queue_room * 2 : 256;
            w->queue = mem_grow(w->queue, w->queue_room * sizeof(struct directory *));
        }
        w->queue[w->queue_end++] = d;
        d->level = level;
    }
    for (size_t i = 0; d->wanted && i < s->words; i++)
        fresh->bits[i] |= d->wanted->bits[i];
    d->wanted = standing_keep(w, fresh);
    for (size_t i = 0; d->seen && i < s->words; i++)
        fresh->bits[i] |= d->seen->bits[i];
    d->seen = standing_keep(w, fresh);
}

/* How many words pattern `i` has, the first one included. */
static size_t words_of(const struct walk *w, size_t i)
{
    return 1 + path_pattern_words(w->patterns[i].pattern);
}

static bool is_alive(const struct walk *w, const struct standing *s, size_t i)
{
    uint64_t any = 0;
    for (size_t k = 0; k < words_of(w, i); k++)
        any |= s->bits[w->slice[i] + k];
    return any != 0;
}

static int add_match(struct walk *w, struct walked_pattern *p, const char *path, struct err *e)
{
    if (p->found.count >= MATCHES_MAX)
        return err_set(e, E_BUSY, 0, "%s: the pattern matches more than %d places", p->rule,
                       MATCHES_MAX);
    size_t before = p->found.count;
    if (places_add(&p->found, w->context, path, p->rule, w->use, e) < 0)
        return -1;
    for (size_t i = before; i < p->found.count; i++)
        p->found.items[i].from_pattern = true;
    return 0;
}

static const char slow[] = "does not answer within 500 ms, so it is not searched";

/* A directory whose names cannot be told, so that a match in it would be missed: a deny takes it whole. */
static int take_whole(struct walk *w, const struct standing *s, const char *path, const char *why,
                      struct err *e)
{
    const bool is_deny = w->use == ENTRY_DENY_READ || w->use == ENTRY_DENY_WRITE;
    for (size_t i = 0; i < w->count; i++) {
        if (!is_alive(w, s, i))
            continue;
        if (why)
            entry_warn(w->context, w->patterns[i].rule, path, why);
        if (is_deny && add_match(w, &w->patterns[i], path, e) < 0)
            return -1;
    }
    return 0;
}

/* The same for one that a call has just failed on. What is not there hides nothing. */
static int take_failed(struct walk *w, const struct standing *s, const char *path, struct err *e)
{
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
        return 0;
    return take_whole(w, s, path, errno == ETIMEDOUT ? slow : NULL, e);
}

/* Brings pattern `i` from the directory to the name in it: w->next gets its state behind the name. */
static bool step_into(struct walk *w, size_t i, const struct standing *from, struct str name)
{
    const struct walked_pattern *p = &w->patterns[i];
    const size_t words = path_pattern_words(p->pattern);
    const uint64_t *now = from->bits + w->slice[i];
    uint64_t *next = w->next->bits + w->slice[i], *other = w->other->bits;
    bool alive = false;
    if (now[0]) {
        AUTO_BUF path = { 0 };
        buf_add(&path, str_of(p->base));
        buf_add_byte(&path, '/');
        buf_add(&path, name);
        alive = path_pattern_start(p->pattern, buf_str(&path), next + 1);
    }
    memcpy(other, now + 1, words * sizeof *other);
    if (path_pattern_advance(p->pattern, other, name)) {
        for (size_t k = 0; k < words; k++)
            next[1 + k] |= other[k];
        alive = true;
    }
    return alive;
}

/* Tries a name against every pattern that is alive. *deeper: something beneath it may match, from where
 * w->next stands. */
static int try_name(struct walk *w, const struct standing *from, struct str name, const char *path,
                    bool may_be_directory, bool *deeper, struct err *e)
{
    *deeper = false;
    memset(w->next->bits, 0, w->next->words * sizeof(uint64_t));
    for (size_t a = 0; a < w->alive_count; a++) {
        size_t i = w->alive[a];
        struct walked_pattern *p = &w->patterns[i];
        uint64_t *next = w->next->bits + w->slice[i] + 1;
        if (!may_be_directory && !path_pattern_may_end(p->pattern, name))
            continue;
        if (!step_into(w, i, from, name))
            continue;
        if (path_pattern_ends(p->pattern, next) && add_match(w, p, path, e) < 0)
            return -1;
        if (may_be_directory)
            *deeper |= path_pattern_advance(p->pattern, next, STR("/"));
    }
    return 0;
}

/* Where a link leads, as a directory to be searched; "" when to none, or upward. */
static int follow(struct walk *w, struct str holder, const char *link, struct buf *target,
                  struct err *e)
{
    struct stat st;
    char real[PATH_MAX];
    buf_empty(target);
    if (stalled_stat(w->context->stalled, link, &st) < 0)
        return take_failed(w, w->next, link, e);
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (!stalled_realpath(w->context->stalled, link, real))
        return take_failed(w, w->next, link, e);
    if (!path_is_beneath(holder, str_of(real)))
        buf_add(target, str_of(real));
    return 0;
}

/* Queues what stands at `path` in `d` when it is a directory, or leads to one. */
static int go_deeper(struct walk *w, const struct directory *d, const struct buf *path,
                     unsigned char type, struct err *e)
{
    AUTO_BUF target = { 0 };
    struct stat st;
    if (type == DT_UNKNOWN) {
        if (stalled_lstat(w->context->stalled, buf_text(path), &st) < 0)
            return take_failed(w, w->next, buf_text(path), e);
        type = IFTODT(st.st_mode);
    }
    if (type == DT_DIR)
        want(w, directory_find(w, str_of(buf_text(path))), w->next, d->level + 1);
    if (type != DT_LNK || w->use != ENTRY_DENY_READ)
        return 0;
    struct str holder = d->length ? (struct str){ d->path, d->length } : STR("/");
    if (follow(w, holder, buf_text(path), &target, e) < 0)
        return -1;
    if (target.n)
        want(w, directory_find(w, str_of(buf_text(&target))), w->next, d->level + 1);
    return 0;
}

/* Opens a directory. NULL: there is nothing to go through, or a deny has taken it whole. */
static int open_directory(struct walk *w, const struct directory *d, const struct standing *from,
                          DIR **out, struct err *e)
{
    struct stalled *stalled = w->context->stalled;
    const char *path = d->length ? d->path : "/";
    struct stat st;
    *out = NULL;
    if (d->level >= WALK_DEPTH_MAX)
        return take_whole(w, from, path, "lies deeper than a pattern is searched for", e);
    /* Without file systems that may not answer, opening it is all it takes. */
    bool answers = !stalled || stalled->count == 0;
    if (answers ||
        (stalled_stat(stalled, path, &st) == 0 && stalled_list(stalled, path, st.st_dev) == 0))
        *out = opendir(path);
    return *out ? 0 : take_failed(w, from, path, e);
}

static int search_names(struct walk *w, const struct directory *d, const struct standing *from,
                        DIR *names, struct err *e)
{
    AUTO_BUF path = { 0 };
    buf_add(&path, (struct str){ d->path, d->length });
    buf_add_byte(&path, '/');
    const size_t stem = path.n;
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(names);
        if (!entry)
            return errno ? take_failed(w, from, d->length ? d->path : "/", e) : 0;
        struct str name = str_of(entry->d_name);
        if (str_eq(name, STR(".")) || str_eq(name, STR("..")))
            continue;
        path.n = stem;
        buf_add(&path, name);
        bool may_be_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN ||
                                (entry->d_type == DT_LNK && w->use == ENTRY_DENY_READ);
        bool deeper;
        if (try_name(w, from, name, buf_text(&path), may_be_directory, &deeper, e) < 0)
            return -1;
        if (deeper && go_deeper(w, d, &path, entry->d_type, e) < 0)
            return -1;
    }
}

static int search(struct walk *w, struct directory *d, struct err *e)
{
    const struct standing *from = d->wanted;
    DIR *names;
    d->wanted = NULL;
    if (open_directory(w, d, from, &names, e) < 0)
        return -1;
    if (!names)
        return 0;
    w->alive_count = 0;
    for (size_t i = 0; i < w->count; i++)
        if (is_alive(w, from, i))
            w->alive[w->alive_count++] = i;
    int result = search_names(w, d, from, names, e);
    closedir(names);
    return result;
}

/* Queues the base of pattern `i`, by its real path. */
static int begin(struct walk *w, size_t i, struct err *e)
{
    const char *base = w->patterns[i].base[0] ? w->patterns[i].base : "/";
    char real[PATH_MAX];
    memset(w->next->bits, 0, w->next->words * sizeof(uint64_t));
    w->next->bits[w->slice[i]] = 1;
    if (!stalled_realpath(w->context->stalled, base, real))
        return take_failed(w, w->next, base, e);
    struct str path = str_of(real);
    want(w, directory_find(w, path.n == 1 ? STR("") : path), w->next, 0);
    return 0;
}

static void walk_release(struct walk *w)
{
    tdestroy(w->directories, free);
    tdestroy(w->standings, free);
    free(w->queue);
    free(w->next);
    free(w->other);
    free(w->alive);
    free(w->slice);
}

int pattern_walk(const struct entry_context *c, enum entry_use use, struct walked_pattern *patterns,
                 size_t count, struct err *e)
{
    struct walk w = { .context = c, .use = use, .patterns = patterns, .count = count };
    size_t words = 0;
    int result = 0;
    w.slice = mem_array(count, sizeof *w.slice);
    w.alive = mem_array(count, sizeof *w.alive);
    for (size_t i = 0; i < count; i++) {
        w.slice[i] = words;
        words += words_of(&w, i);
    }
    w.next = standing_new(words);
    w.other = standing_new(words);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = begin(&w, i, e);
    while (result == 0 && w.queue_begin < w.queue_end)
        result = search(&w, w.queue[w.queue_begin++], e);
    walk_release(&w);
    return result;
}
