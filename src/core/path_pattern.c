#include "core/path_pattern.h"

/* A pattern is the bytes that every match begins with, then a row of items. Matching walks the rest of
 * the path once and keeps the set of items that may be next (a bit each). Item `count` is the end: a
 * path matches when that bit is set behind its last character. */
enum item_kind {
    ITEM_CHARACTER, /* exactly this one */
    ITEM_ANY,       /* one character but '/' */
    ITEM_SET,
    ITEM_RUN,         /* "*" */
    ITEM_DEEP,        /* "**" */
    ITEM_DIRECTORIES, /* "**" and '/': whole directories, none included */
    ITEM_BENEATH,     /* '/' and "**" at the end */
};

/* A character: a code point, or BYTE + value for a byte that is no part of one. */
typedef uint32_t character;
enum { BYTE = 0x110000 };

struct range {
    character first, last;
};

struct item {
    enum item_kind kind;
    character character;
    const struct range *ranges;
    size_t range_count;
};

struct path_pattern {
    struct str head;
    struct item *items;
    size_t count;
    struct str
        tail; /* bytes that every match ends with: most paths are told from a match by them */
};

bool path_pattern_is(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '*' || text.p[i] == '?' || text.p[i] == '[' || text.p[i] == ']')
            return true;
    return false;
}

/* Takes the first character of *rest, which is not empty. */
static character take_character(struct str *rest)
{
    unsigned char first = (unsigned char)rest->p[0];
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (n > 1 && (n > rest->n || !str_is_utf8((struct str){ rest->p, n }))) {
        *rest = str_skip(*rest, 1);
        return BYTE + first;
    }
    character c = n == 1 ? first : first & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        c = c << 6 | ((unsigned char)rest->p[i] & 0x3fu);
    *rest = str_skip(*rest, n);
    return c;
}

/* Reads the inside of a bracket into `ranges` (room for one per byte). False when it spells no set. */
static bool read_set(struct str inside, struct range *ranges, size_t *count)
{
    *count = 0;
    while (inside.n) {
        struct range r;
        r.first = r.last = take_character(&inside);
        if (inside.n >= 2 && inside.p[0] == '-') {
            inside = str_skip(inside, 1);
            r.last = take_character(&inside);
        }
        if (r.first > r.last || r.first == '/' || r.last == '/')
            return false;
        ranges[(*count)++] = r;
    }
    return *count > 0;
}

/* A set at the start of *rest ('[' included). 1 = taken, 0 = it is text, -1 = no memory. */
static int take_set(struct arena *arena, struct str *rest, struct item *item)
{
    ptrdiff_t close = str_index(*rest, ']');
    if (close < 2)
        return 0;
    struct str inside = { rest->p + 1, (size_t)close - 1 };
    struct range *ranges = arena_get(arena, inside.n * sizeof *ranges);
    if (!ranges)
        return -1;
    if (!read_set(inside, ranges, &item->range_count))
        return 0;
    item->kind = ITEM_SET;
    item->ranges = ranges;
    *rest = str_skip(*rest, (size_t)close + 1);
    return 1;
}

/* Stars at the start of *rest. `at_component`: nothing or a '/' stands in front. */
static void take_stars(struct str *rest, bool at_component, struct item *item)
{
    size_t stars = 0;
    while (stars < rest->n && rest->p[stars] == '*')
        stars++;
    *rest = str_skip(*rest, stars);
    item->kind = stars == 1 ? ITEM_RUN : ITEM_DEEP;
    if (stars > 1 && at_component && rest->n && rest->p[0] == '/') {
        item->kind = ITEM_DIRECTORIES;
        *rest = str_skip(*rest, 1);
    }
}

/* Is all that is left '/' and two stars or more, any number of times? */
static bool is_beneath(struct str rest)
{
    while (str_starts(rest, STR("/**")))
        for (rest = str_skip(rest, 3); rest.n && rest.p[0] == '*';)
            rest = str_skip(rest, 1);
    return rest.n == 0;
}

/* Reads one item. 0, or -1 without memory. */
static int take_item(struct arena *arena, struct str *rest, bool at_component, struct item *item)
{
    char first = rest->p[0];
    *item = (struct item){ 0 };
    if (is_beneath(*rest)) {
        item->kind = ITEM_BENEATH;
        *rest = str_skip(*rest, rest->n);
        return 0;
    }
    if (first == '*') {
        take_stars(rest, at_component, item);
        return 0;
    }
    if (first == '[') {
        int taken = take_set(arena, rest, item);
        if (taken != 0)
            return taken < 0 ? -1 : 0;
    }
    item->kind = first == '?' ? ITEM_ANY : ITEM_CHARACTER;
    item->character = take_character(rest);
    return 0;
}

/* How many bytes at the start of `text` stand for themselves. A '/' before the first star is not
 * counted: "dir" matches "dir" + "/" + "**". */
static size_t head_length(struct str text)
{
    size_t n = 0;
    while (n < text.n && !path_pattern_is((struct str){ text.p + n, 1 }))
        n++;
    return n < text.n && n > 0 && text.p[n - 1] == '/' ? n - 1 : n;
}

/* What is behind the last byte that may be part of an item of another kind; without a '/' at its
 * start, which "**" may have taken with it. */
static struct str find_tail(struct str text)
{
    size_t at = text.n;
    while (at > 0 && !path_pattern_is((struct str){ text.p + at - 1, 1 }))
        at--;
    struct str tail = { text.p + at, text.n - at };
    return tail.n && tail.p[0] == '/' ? str_skip(tail, 1) : tail;
}

int path_pattern_compile(struct arena *arena, struct str text, struct path_pattern **out,
                         struct err *e)
{
    if (text.n > PATH_PATTERN_MAX)
        return err_set(e, E_INPUT, 0, "a pattern of %zu bytes is longer than any path", text.n);
    struct path_pattern *p = arena_get(arena, sizeof *p);
    const char *copy = arena_dup(arena, text);
    size_t head = head_length(text);
    struct item *items = arena_get(arena, (text.n - head) * sizeof *items);
    if (!p || !copy || !items)
        return err_set(e, E_BUSY, 0, "too many patterns");
    p->head = (struct str){ copy, head };
    p->items = items;
    struct str rest = { copy + head, text.n - head };
    p->tail = find_tail(rest);
    while (rest.n) {
        bool at_component = rest.p == copy || rest.p[-1] == '/';
        if (take_item(arena, &rest, at_component, &items[p->count]) < 0)
            return err_set(e, E_BUSY, 0, "too many patterns");
        p->count++;
    }
    *out = p;
    return 0;
}

/* A set of items; the end is one more, and so is what lies beneath a match (ITEM_BENEATH). */
enum { SET_WORDS = (PATH_PATTERN_MAX + 1) / 64 + 1 };

static void set_add(uint64_t *set, size_t i)
{
    set[i / 64] |= 1ull << i % 64;
}

static bool set_has(const uint64_t *set, size_t i)
{
    return set[i / 64] >> i % 64 & 1;
}

/* Item `i` may be next: what can match nothing lets those behind it be next as well. */
static void set_reach(const struct path_pattern *p, uint64_t *set, size_t i)
{
    for (;; i++) {
        set_add(set, i);
        if (i == p->count)
            return;
        enum item_kind kind = p->items[i].kind;
        if (kind == ITEM_CHARACTER || kind == ITEM_ANY || kind == ITEM_SET)
            return;
    }
}

static bool is_member(const struct item *item, character c)
{
    for (size_t i = 0; i < item->range_count; i++)
        if (item->ranges[i].first <= c && c <= item->ranges[i].last)
            return c != '/';
    return false;
}

/* Item `i` was next and `c` came: what may be next now? */
static void step(const struct path_pattern *p, size_t i, character c, uint64_t *next)
{
    if (i >= p->count) { /* nothing follows the end; what lies beneath a match goes on as it is */
        if (i > p->count)
            set_add(next, i);
        return;
    }
    const struct item *item = &p->items[i];
    bool taken = false;
    switch (item->kind) {
    case ITEM_CHARACTER:
        taken = c == item->character;
        break;
    case ITEM_ANY:
        taken = c != '/';
        break;
    case ITEM_SET:
        taken = is_member(item, c);
        break;
    case ITEM_RUN:
        if (c != '/')
            set_reach(p, next, i);
        return;
    case ITEM_DEEP:
        set_reach(p, next, i);
        return;
    case ITEM_DIRECTORIES:
        set_add(next, i);
        taken = c == '/';
        break;
    case ITEM_BENEATH:
        if (c == '/')
            set_add(next, p->count + 1);
        return;
    }
    if (taken)
        set_reach(p, next, i + 1);
}

size_t path_pattern_words(const struct path_pattern *p)
{
    return (p->count + 1) / 64 + 1;
}

bool path_pattern_ends(const struct path_pattern *p, const uint64_t *state)
{
    return set_has(state, p->count) || set_has(state, p->count + 1);
}

bool path_pattern_advance(const struct path_pattern *p, uint64_t *state, struct str part)
{
    size_t words = path_pattern_words(p);
    uint64_t next[SET_WORDS], any = 1;
    while (part.n && any) {
        character c = take_character(&part);
        memset(next, 0, words * sizeof *next);
        for (size_t w = 0; w < words; w++)
            for (uint64_t left = state[w]; left; left &= left - 1)
                step(p, w * 64 + (size_t)__builtin_ctzll(left), c, next);
        any = 0;
        for (size_t w = 0; w < words; w++)
            any |= state[w] = next[w];
        if (set_has(state, p->count + 1))
            return true; /* whatever follows */
    }
    return any != 0;
}

bool path_pattern_start(const struct path_pattern *p, struct str path, uint64_t *state)
{
    memset(state, 0, path_pattern_words(p) * sizeof *state);
    if (!str_starts(path, p->head))
        return false;
    set_reach(p, state, 0);
    return path_pattern_advance(p, state, str_skip(path, p->head.n));
}

bool path_pattern_may_end(const struct path_pattern *p, struct str end)
{
    return p->tail.n > end.n ? str_ends(p->tail, end) : str_ends(end, p->tail);
}

bool path_pattern_matches(const struct path_pattern *p, struct str path)
{
    uint64_t state[SET_WORDS];
    return str_ends(path, p->tail) && path_pattern_start(p, path, state) &&
           path_pattern_ends(p, state);
}
