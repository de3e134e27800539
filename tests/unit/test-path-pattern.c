/* Claims of core/path_pattern.h. */
#include "base/buf.h"
#include "core/path_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

struct row {
    const char *pattern, *path;
    bool matches;
};

/* As who walks a tree does: each '/' and each name by itself. */
static bool match_in_steps(const struct path_pattern *p, struct str path)
{
    uint64_t state[PATH_PATTERN_MAX / 64 + 2], none[PATH_PATTERN_MAX / 64 + 2] = { 0 };
    size_t words = path_pattern_words(p);
    size_t head = 0;
    while (head <= path.n && !path_pattern_start(p, (struct str){ path.p, head }, state))
        head++;
    if (head > path.n)
        return false;
    for (struct str rest = str_skip(path, head); rest.n;) {
        ptrdiff_t slash = str_index(rest, '/');
        size_t n = slash < 0 ? rest.n : slash ? (size_t)slash : 1;
        bool alive = path_pattern_advance(p, state, (struct str){ rest.p, n });
        assert_int_equal(alive, memcmp(state, none, words * sizeof *state) != 0);
        if (!alive)
            return false;
        rest = str_skip(rest, n);
    }
    if (path_pattern_ends(p, state))
        assert_true(path_pattern_may_end(p, str_skip(path, path.n / 2)));
    return path_pattern_ends(p, state);
}

static bool match(struct str pattern, struct str path)
{
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    struct path_pattern *p = NULL;
    struct err e = { 0 };
    assert_int_equal(path_pattern_compile(&arena, pattern, &p, &e), 0);
    bool whole = path_pattern_matches(p, path);
    assert_int_equal(match_in_steps(p, path), whole);
    return whole;
}

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (match(str_of(rows[i].pattern), str_of(rows[i].path)) != rows[i].matches)
            fail_msg("'%s' and '%s': not %s", rows[i].pattern, rows[i].path,
                     rows[i].matches ? "a match" : "refused");
}

static void text_matches_itself_alone(void **state)
{
    static const struct row rows[] = {
        { "/a/b", "/a/b", true },         { "/a/b", "/a/bc", false }, { "/a/b", "/a", false },
        { "/a/b", "/a/B", false },        { "", "", true },           { "", "/", false },
        { "/a.b", "/axb", false },        { "/a\\*", "/a*", false },  { "/a\\*", "/a\\x", true },
        { "/(a|b)+$", "/(a|b)+$", true },
    };
    check(rows, COUNT(rows));
}

static void one_star_stays_in_its_component(void **state)
{
    static const struct row rows[] = {
        { "/a/*", "/a/b", true },          { "/a/*", "/a/b/c", false },
        { "/a/*", "/a", false },           { "/a/*/c", "/a/b/c", true },
        { "/a/*/c", "/a/c", false },       { "/a/*/c", "/a/b/b/c", false },
        { "/a/*.txt", "/a/.txt", true },   { "/a/*.txt", "/a/x.txt.txt", true },
        { "/a/x*", "/a/x", true },         { "/a/*b*c*", "/a/1b2c3", true },
        { "/a/*b*c*", "/a/1c2b3", false }, { "*", "/a", false },
        { "/a/*", "/a/.hidden", true },
    };
    check(rows, COUNT(rows));
}

static void two_stars_cross_components(void **state)
{
    static const struct row rows[] = {
        { "/w/**/.env", "/w/.env", true },
        { "/w/**/.env", "/w/a/.env", true },
        { "/w/**/.env", "/w/a/b/c/.env", true },
        { "/w/**/.env", "/w/a.env", false },
        { "/w/**/.env", "/w.env", false },
        { "/w/**/.env", "/w/.env/x", false },
        { "/**/x", "/x", true },
        { "/**/x", "/a/x", true },
        { "**/x", "x", true },
        { "**/x", "/a/x", true },
        { "/w/a**", "/w/a", true },
        { "/w/a**", "/w/ab/c/d", true },
        { "/w/a**z", "/w/a/b/z", true },
        { "/w/a**/z", "/w/az", false },
        { "/w/a**/z", "/w/ab/z", true },
        { "/w/**/a/**/b", "/w/a/b", true },
        { "/w/**/a/**/b", "/w/1/a/2/3/b", true },
        { "/w/**/a/**/b", "/w/b/a", false },
        { "/w/***/b", "/w/b", true },
        { "/w/**/*.c", "/w/a/b.c", true },
        { "/w/**/*.c", "/w/b.c", true },
        { "/w/**/**/b", "/w/b", true },
        { "**", "/a/b", true },
        { "**", "", true },
    };
    check(rows, COUNT(rows));
}

static void two_stars_at_the_end_mean_the_directory_itself_too(void **state)
{
    static const struct row rows[] = {
        { "/w/dir/**", "/w/dir", true },
        { "/w/dir/**", "/w/dir/a/b", true },
        { "/w/dir/**", "/w/dirx", false },
        { "/w/*/**", "/w/a", true },
        { "/w/*/**", "/w/a/b/c", true },
        { "/w/*/**", "/w", false },
        { "/w/d*/**/**", "/w/dir", true },
        { "/w/d*/**/***", "/w/dir/x", true },
        { "/**", "/anything/at/all", true },
        { "/w/**/node_modules/**", "/w/node_modules", true },
        { "/w/**/node_modules/**", "/w/a/node_modules/b", true },
        { "/w/**/node_modules/**", "/w/a/node_modules_b", false },
    };
    check(rows, COUNT(rows));
}

static void a_question_mark_is_one_character(void **state)
{
    static const struct row rows[] = {
        { "/a?", "/ab", true },
        { "/a?", "/a", false },
        { "/a?", "/abc", false },
        { "/a?b", "/a/b", false },
        { "/?", "/\xc3\xa9", true },
        { "/??", "/\xc3\xa9", false },
        { "/?", "/\xf0\x9f\x98\x80", true },
        { "/?", "/\xff", true },
        { "/?", "/\xff\xfe", false },
        { "/??", "/\xff\xfe", true },
        { "/?x", "/\xc3x", true },
    };
    check(rows, COUNT(rows));
}

static void a_set_is_one_of_its_members(void **state)
{
    static const struct row rows[] = {
        { "/[abc]", "/b", true },
        { "/[abc]", "/d", false },
        { "/[a-c]x", "/cx", true },
        { "/[a-c]x", "/-x", false },
        { "/[a-]", "/-", true },
        { "/[-a]", "/-", true },
        { "/[a-c-e]", "/d", false },
        { "/[a-c-e]", "/-", true },
        { "/[!a]", "/a", true },
        { "/[!a]", "/!", true },
        { "/[!a]", "/b", false },
        { "/[^a]", "/^", true },
        { "/[^a]", "/b", false },
        { "/[*?]", "/*", true },
        { "/[*?]", "/x", false },
        { "/[\\a]", "/\\", true },
        { "/[\xc3\xa0-\xc3\xbc]", "/\xc3\xa9", true },
        { "/a[+-9]b", "/a/b", false },
        { "/a[+-9]b", "/a5b", true },
        { "/[[]", "/[", true },
        { "/[a]]", "/a]", true },
    };
    check(rows, COUNT(rows));
}

static void a_bracket_that_spells_no_set_is_text(void **state)
{
    static const struct row rows[] = {
        { "/[z-a]", "/[z-a]", true }, { "/[z-a]", "/z", false },    { "/[]", "/[]", true },
        { "/[]a]", "/[]a]", true },   { "/[abc", "/[abc", true },   { "/[abc", "/a", false },
        { "/a]", "/a]", true },       { "/a[/]b", "/a[/]b", true }, { "/a[/]b", "/a/b", false },
        { "/[x/*", "/[x/y", true },   { "/[a-/]", "/[a-/]", true },
    };
    check(rows, COUNT(rows));
}

static void names_are_bytes(void **state)
{
    assert_true(match(STR("/a*b"), STR("/a\nb")));
    assert_true(match(STR("/a*"), STR("/a\0b")));
    assert_true(match(STR("/\xff*"), STR("/\xff\xfe")));
    assert_true(match(STR("/d\xc3/*"), STR("/d\xc3/x")));
    assert_false(match(STR("/\xfe*"), STR("/\xff\xfe")));
}

static void pattern_bytes_are_the_four(void **state)
{
    assert_true(path_pattern_is(STR("a*")));
    assert_true(path_pattern_is(STR("a?")));
    assert_true(path_pattern_is(STR("a[")));
    assert_true(path_pattern_is(STR("a]")));
    assert_false(path_pattern_is(STR("a{b}!\\")));
    assert_false(path_pattern_is(STR("")));
}

static void a_longer_pattern_than_any_path_is_refused(void **state)
{
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    AUTO_BUF text = { 0 };
    struct path_pattern *p = NULL;
    struct err e = { 0 };
    while (text.n < PATH_PATTERN_MAX)
        buf_add_byte(&text, '*');
    assert_int_equal(path_pattern_compile(&arena, buf_str(&text), &p, &e), 0);
    buf_add_byte(&text, 'x');
    assert_int_equal(path_pattern_compile(&arena, buf_str(&text), &p, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
}

static void a_full_arena_is_said(void **state)
{
    AUTO_ARENA arena;
    arena_init(&arena, 64);
    struct path_pattern *p = NULL;
    struct err e = { 0 };
    assert_int_equal(path_pattern_compile(&arena, STR("/a/*/b/*/c"), &p, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
}

/* A matcher that backtracks would need longer than anybody lives. */
static void stars_upon_stars_end(void **state)
{
    AUTO_BUF pattern = { 0 }, path = { 0 };
    buf_add_byte(&pattern, '/');
    while (pattern.n + 9 < PATH_PATTERN_MAX)
        buf_add(&pattern, STR("*a**?"));
    buf_add(&pattern, STR("[q]x"));
    while (path.n < 4095)
        buf_add(&path, STR("/aaaaaaa"));
    buf_add(&path, STR("yx"));
    assert_false(match(buf_str(&pattern), buf_str(&path)));
}

/* The plainest matcher there is, with the same meaning; exponential, so only for short texts. */
static bool plain(const char *p, const char *path, bool at_component)
{
    if (*p == '\0')
        return *path == '\0';
    if (strcmp(p, "/**") == 0)
        return *path == '\0' || *path == '/';
    if (p[0] == '*' && p[1] == '*') {
        bool slash = at_component && p[2] == '/';
        if (slash && plain(p + 3, path, true))
            return true;
        if (!slash && plain(p + 2, path, false))
            return true;
        for (; *path; path++)
            if (slash ? *path == '/' && plain(p + 3, path + 1, true)
                      : plain(p + 2, path + 1, false))
                return true;
        return false;
    }
    if (*p == '*') {
        for (;; path++) {
            if (plain(p + 1, path, false))
                return true;
            if (*path == '\0' || *path == '/')
                return false;
        }
    }
    if (*path == '\0' || (*p == '?' ? *path == '/' : *p != *path))
        return false;
    return plain(p + 1, path + 1, *p == '/');
}

static void every_short_pattern_means_what_the_plain_matcher_says(void **state)
{
    static const char letters[] = "a/*?", path_letters[] = "a/b";
    char pattern[7], path[6];
    for (unsigned n = 0; n < 4096; n++) {
        size_t length = 0;
        pattern[length++] = '/';
        for (unsigned rest = n; length < 6; rest /= 4)
            pattern[length++] = letters[rest % 4];
        pattern[1 + n % 5 + 1] = '\0';
        if (strstr(pattern, "***") || strstr(pattern, "/**/**"))
            continue; /* the plain matcher does not fold these */
        for (unsigned m = 0; m < 243; m++) {
            path[0] = '/';
            for (unsigned rest = m, i = 1; i < 5; i++, rest /= 3)
                path[i] = path_letters[rest % 3];
            path[1 + m % 4 + 1] = '\0';
            bool expected = plain(pattern, path, false);
            if (match(str_of(pattern), str_of(path)) != expected)
                fail_msg("'%s' and '%s': not %d", pattern, path, expected);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_matches_itself_alone),
        cmocka_unit_test(one_star_stays_in_its_component),
        cmocka_unit_test(two_stars_cross_components),
        cmocka_unit_test(two_stars_at_the_end_mean_the_directory_itself_too),
        cmocka_unit_test(a_question_mark_is_one_character),
        cmocka_unit_test(a_set_is_one_of_its_members),
        cmocka_unit_test(a_bracket_that_spells_no_set_is_text),
        cmocka_unit_test(names_are_bytes),
        cmocka_unit_test(pattern_bytes_are_the_four),
        cmocka_unit_test(a_longer_pattern_than_any_path_is_refused),
        cmocka_unit_test(a_full_arena_is_said),
        cmocka_unit_test(stars_upon_stars_end),
        cmocka_unit_test(every_short_pattern_means_what_the_plain_matcher_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
