#include "proto/json_slice.h"

static struct str skip_blanks(struct str s)
{
    size_t i = 0;
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\t' || s.p[i] == '\n' || s.p[i] == '\r'))
        i++;
    return str_skip(s, i);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits at `i`, or -1. */
static int32_t code_unit(struct str s, size_t i)
{
    int32_t unit = 0;
    for (size_t k = i; k < i + 4; k++) {
        int digit = k < s.n ? hex_value(s.p[k]) : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* Each of these gives the length of what stands at the start of `s`, or 0 when it is not well-formed.
 * That bytes are UTF-8 is not asked: what wrote them saw to it. */
static size_t string_length(struct str s)
{
    if (s.n == 0 || s.p[0] != '"')
        return 0;
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '"')
            return i + 1;
        if ((unsigned char)s.p[i] < 0x20)
            return 0;
        if (s.p[i] != '\\')
            continue;
        if (++i >= s.n)
            return 0;
        if (s.p[i] == 'u') {
            if (code_unit(s, i + 1) < 0)
                return 0;
            i += 4;
        } else if (!memchr("\"\\/bfnrt", s.p[i], 8)) {
            return 0;
        }
    }
    return 0;
}

static size_t digits_length(struct str s, size_t from)
{
    size_t i = from;
    while (i < s.n && is_digit(s.p[i]))
        i++;
    return i - from;
}

static size_t number_length(struct str s)
{
    size_t i = s.n && s.p[0] == '-' ? 1 : 0;
    size_t whole = digits_length(s, i);
    if (whole == 0 || (whole > 1 && s.p[i] == '0'))
        return 0;
    i += whole;
    if (i < s.n && s.p[i] == '.') {
        size_t part = digits_length(s, i + 1);
        if (part == 0)
            return 0;
        i += 1 + part;
    }
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
            i++;
        size_t power = digits_length(s, i);
        if (power == 0)
            return 0;
        i += power;
    }
    return i;
}

static size_t scalar_length(struct str s)
{
    static const struct str words[] = { { "true", 4 }, { "false", 5 }, { "null", 4 } };
    if (s.n == 0)
        return 0;
    if (s.p[0] == '"')
        return string_length(s);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_starts(s, words[i]))
            return words[i].n;
    return number_length(s);
}

/* What may come next inside arrays and objects. */
enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_MORE };

/* What was read with JSON_DEPTH_MAX may stand some levels deep in a text of ours. */
enum { SLICE_DEPTH_MAX = 2 * JSON_DEPTH_MAX };

/* The open arrays (0) and objects (1), one bit each, and what may come next. */
struct nest {
    unsigned __int128 kinds;
    unsigned depth;
    enum expect expect;
};

static bool in_object(const struct nest *n)
{
    return n->depth > 0 && (n->kinds & 1);
}

static bool nest_open(struct nest *n, bool object)
{
    if (n->depth == SLICE_DEPTH_MAX)
        return false;
    n->kinds = n->kinds << 1 | object;
    n->depth++;
    n->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return true;
}

/* Steps over a bracket or comma. False when it may not stand here. */
static bool nest_mark(struct nest *n, char c)
{
    const bool wants_value = n->expect == EXPECT_VALUE || n->expect == EXPECT_VALUE_OR_END;
    switch (c) {
    case '{':
    case '[':
        return wants_value && nest_open(n, c == '{');
    case '}':
    case ']':
        if (in_object(n) != (c == '}'))
            return false;
        if (n->expect != EXPECT_MORE &&
            n->expect != (c == '}' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END))
            return false;
        n->kinds >>= 1;
        n->depth--;
        n->expect = EXPECT_MORE;
        return true;
    default:
        if (n->expect != EXPECT_MORE)
            return false;
        n->expect = in_object(n) ? EXPECT_KEY : EXPECT_VALUE;
        return true;
    }
}

/* A key and its colon. */
static size_t key_length(struct str s)
{
    size_t n = string_length(s);
    if (n == 0)
        return 0;
    struct str behind = skip_blanks(str_skip(s, n));
    return behind.n && behind.p[0] == ':' ? s.n - behind.n + 1 : 0;
}

static size_t value_length(struct str s)
{
    struct nest nest = { .expect = EXPECT_VALUE };
    struct str rest = s;
    do {
        rest = skip_blanks(rest);
        if (rest.n == 0)
            return 0;
        if (memchr("{}[],", rest.p[0], 5)) {
            if ((rest.p[0] != '{' && rest.p[0] != '[' && nest.depth == 0) ||
                !nest_mark(&nest, rest.p[0]))
                return 0;
            rest = str_skip(rest, 1);
            continue;
        }
        const bool key = nest.expect == EXPECT_KEY || nest.expect == EXPECT_KEY_OR_END;
        if (nest.expect == EXPECT_MORE)
            return 0;
        size_t n = key ? key_length(rest) : scalar_length(rest);
        if (n == 0)
            return 0;
        rest = str_skip(rest, n);
        nest.expect = key ? EXPECT_VALUE : EXPECT_MORE;
    } while (nest.depth > 0);
    return s.n - rest.n;
}

bool json_slice_check(struct str text)
{
    text = skip_blanks(text);
    size_t n = value_length(text);
    return n > 0 && skip_blanks(str_skip(text, n)).n == 0;
}

bool json_slice_begin(struct json_slice *s, struct str text)
{
    *s = (struct json_slice){ .rest = skip_blanks(text) };
    if (s->rest.n == 0 || (s->rest.p[0] != '{' && s->rest.p[0] != '['))
        return false;
    s->array = s->rest.p[0] == '[';
    s->rest = str_skip(s->rest, 1);
    return true;
}

static bool go_bad(struct json_slice *s)
{
    s->bad = true;
    return false;
}

/* Steps over the comma or the end. True when an item follows. */
static bool has_more(struct json_slice *s)
{
    s->rest = skip_blanks(s->rest);
    if (s->rest.n == 0)
        return go_bad(s);
    if (s->rest.p[0] == (s->array ? ']' : '}')) {
        s->rest = skip_blanks(str_skip(s->rest, 1));
        s->bad = s->rest.n > 0;
        return false;
    }
    if (s->started) {
        if (s->rest.p[0] != ',')
            return go_bad(s);
        s->rest = skip_blanks(str_skip(s->rest, 1));
    }
    s->started = true;
    return true;
}

bool json_slice_key(struct json_slice *s)
{
    if (s->bad || !has_more(s))
        return false;
    if (!s->array) {
        size_t key = string_length(s->rest), with_colon = key ? key_length(s->rest) : 0;
        if (with_colon == 0)
            return go_bad(s);
        s->key = (struct str){ s->rest.p + 1, key - 2 };
        s->rest = skip_blanks(str_skip(s->rest, with_colon));
    }
    return true;
}

bool json_slice_next(struct json_slice *s)
{
    return json_slice_key(s) && json_slice_value(s);
}

bool json_slice_value(struct json_slice *s)
{
    size_t n = value_length(s->rest);
    if (n == 0)
        return go_bad(s);
    s->value = (struct str){ s->rest.p, n };
    s->rest = str_skip(s->rest, n);
    return true;
}

struct str json_slice_get(struct str object, const char *key)
{
    struct json_slice s;
    if (json_slice_begin(&s, object) && !s.array)
        while (json_slice_next(&s))
            if (str_eq(s.key, str_of(key)))
                return s.value;
    return (struct str){ NULL, 0 };
}

bool json_slice_bool(struct str value, bool *out)
{
    if (!str_eq(value, STR("true")) && !str_eq(value, STR("false")))
        return false;
    *out = value.n == 4;
    return true;
}

bool json_slice_u64(struct str value, uint64_t *out)
{
    return str_to_u64(value, out);
}

bool json_slice_i64(struct str value, int64_t *out)
{
    const bool negative = value.n && value.p[0] == '-';
    uint64_t size;
    if (!str_to_u64(str_skip(value, negative), &size) || size > (uint64_t)INT64_MAX)
        return false;
    *out = negative ? -(int64_t)size : (int64_t)size;
    return true;
}

static size_t put_character(char *to, uint32_t c)
{
    if (c < 0x80)
        return to[0] = (char)c, 1;
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char first[] = { 0, 0xc0, 0xe0, 0xf0 };
    to[0] = (char)(first[more] | (c >> (6 * more)));
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | ((c >> (6 * (more - i))) & 0x3f));
    return more + 1;
}

/* The character of "\uXXXX", one or a surrogate pair of them, whose 'u' stands at *i; *i moves to its
 * last byte. 0 when it is none. */
static uint32_t escaped_character(struct str s, size_t *i)
{
    int32_t high = code_unit(s, *i + 1);
    *i += 4;
    if (high < 0xd800 || high > 0xdfff)
        return high > 0 ? (uint32_t)high : 0;
    int32_t low =
        *i + 2 < s.n && s.p[*i + 1] == '\\' && s.p[*i + 2] == 'u' ? code_unit(s, *i + 3) : -1;
    if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0;
    *i += 6;
    return 0x10000 + (((uint32_t)high - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

bool json_slice_str(struct str value, struct str *out, struct arena *a)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (value.n < 2 || string_length(value) != value.n)
        return false;
    struct str inside = { value.p + 1, value.n - 2 };
    if (inside.n == 0 || !memchr(inside.p, '\\', inside.n))
        return *out = inside, true;
    char *text = arena_get(a, inside.n); /* no escape is shorter than what it stands for */
    size_t n = 0;
    for (size_t i = 0; text && i < inside.n; i++) {
        if (inside.p[i] != '\\') {
            text[n++] = inside.p[i];
            continue;
        }
        const char *at = memchr(letters, inside.p[++i], sizeof letters - 1);
        if (at) {
            text[n++] = meant[at - letters];
            continue;
        }
        uint32_t c = escaped_character(inside, &i);
        if (c == 0)
            return false;
        n += put_character(text + n, c);
    }
    *out = (struct str){ text, n };
    return text != NULL;
}
