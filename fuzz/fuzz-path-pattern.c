/* Path patterns: the input is a pattern, a NUL and a path. The matcher agrees with one that is written
 * straight from the meaning of each sign and remembers what it has tried. */
#include "fuzz.h"

#include "core/path_pattern.h"

enum { TEXT_MAX = 96 };

/* The plain matcher: does the pattern from byte i match the path from byte j? */
struct plain {
    struct str pattern, path;
    signed char known[TEXT_MAX + 1][TEXT_MAX + 1]; /* 0 = not tried, 1 = yes, -1 = no */
};

static bool plain_match(struct plain *m, size_t i, size_t j);

/* Bytes of the character at `at`: a well-formed sequence, or one byte. */
static size_t step(struct str s, size_t at)
{
    for (size_t n = 2; n <= 4 && n <= s.n - at; n++)
        if (str_is_utf8((struct str){ s.p + at, n }) && !str_is_utf8((struct str){ s.p + at, 1 }))
            return n;
    return 1;
}

static struct str character(struct str s, size_t at)
{
    return (struct str){ s.p + at, step(s, at) };
}

/* UTF-8 keeps the order of code points, and a byte that is none is above all of them. */
static bool not_above(struct str a, struct str b)
{
    bool a_good = str_is_utf8(a), b_good = str_is_utf8(b);
    return a_good == b_good ? str_compare(a, b) <= 0 : a_good;
}

/* The set at `open`; *behind is where the pattern goes on. 1 = has c, 0 = has it not, -1 = text. */
static int set_verdict(struct str pattern, size_t open, struct str c, size_t *behind)
{
    ptrdiff_t length = str_index(str_skip(pattern, open), ']');
    if (length < 2)
        return -1;
    struct str inside = { pattern.p + open + 1, (size_t)length - 1 };
    int has = 0;
    for (size_t i = 0; i < inside.n;) {
        struct str first = character(inside, i), last = first;
        i += first.n;
        if (i + 1 < inside.n && inside.p[i] == '-') {
            last = character(inside, i + 1);
            i += 1 + last.n;
        }
        if (!not_above(first, last) || first.p[0] == '/' || last.p[0] == '/')
            return -1;
        has |= not_above(first, c) && not_above(c, last);
    }
    *behind = open + (size_t)length + 1;
    return has && c.p[0] != '/';
}

static bool ends_beneath(struct str rest)
{
    bool any = false;
    while (str_starts(rest, STR("/**"))) {
        any = true;
        rest = str_skip(rest, 1);
        while (rest.n && rest.p[0] == '*')
            rest = str_skip(rest, 1);
    }
    return any && rest.n == 0;
}

static bool plain_stars(struct plain *m, size_t i, size_t j)
{
    size_t behind = i;
    while (behind < m->pattern.n && m->pattern.p[behind] == '*')
        behind++;
    bool deep = behind - i > 1;
    bool directories = deep && (i == 0 || m->pattern.p[i - 1] == '/') && behind < m->pattern.n &&
                       m->pattern.p[behind] == '/';
    behind += directories;
    for (bool here = true;; here = !directories || m->path.p[j - 1] == '/') {
        if (here && plain_match(m, behind, j))
            return true;
        if (j == m->path.n || (!deep && m->path.p[j] == '/'))
            return false;
        j += step(m->path, j);
    }
}

static bool plain_one(struct plain *m, size_t i, size_t j)
{
    char sign = m->pattern.p[i];
    struct str c = character(m->path, j);
    if (sign == '?')
        return c.p[0] != '/' && plain_match(m, i + 1, j + c.n);
    size_t behind;
    int has = sign == '[' ? set_verdict(m->pattern, i, c, &behind) : -1;
    if (has >= 0)
        return has && plain_match(m, behind, j + c.n);
    struct str own = character(m->pattern, i);
    return str_eq(own, c) && plain_match(m, i + own.n, j + c.n);
}

static bool plain_match(struct plain *m, size_t i, size_t j)
{
    if (i == m->pattern.n)
        return j == m->path.n;
    signed char *known = &m->known[i][j];
    if (*known == 0) {
        bool yes;
        if (ends_beneath(str_skip(m->pattern, i)))
            yes = j == m->path.n || m->path.p[j] == '/';
        else if (m->pattern.p[i] == '*')
            yes = plain_stars(m, i, j);
        else
            yes = j < m->path.n && plain_one(m, i, j);
        *known = yes ? 1 : -1;
    }
    return *known > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct plain m;
    struct str path = { (const char *)bytes, n }, pattern = { 0 };
    struct path_pattern *p = NULL;
    struct err e;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 22);
    if (!str_cut(&path, '\0', &pattern))
        return 0;
    if (path_pattern_compile(&arena, pattern, &p, &e) < 0) {
        CHECK(pattern.n > PATH_PATTERN_MAX);
        return 0;
    }
    bool matches = path_pattern_matches(p, path);
    CHECK(path_pattern_is(pattern) || matches == str_eq(pattern, path));
    /* Where a pattern is cut into characters is only defined for text. */
    if (pattern.n > TEXT_MAX || path.n > TEXT_MAX || !str_is_utf8(pattern))
        return 0;
    memset(m.known, 0, sizeof m.known);
    m.pattern = pattern;
    m.path = path;
    CHECK(plain_match(&m, 0, 0) == matches);
    return 0;
}
