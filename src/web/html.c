#include "web/html.h"

#include <stdbool.h>

/* Elements whose content is no text. */
static const char *const silent[] = { "script", "style",  "noscript", "template", "svg",
                                      "iframe", "object", "select",   "textarea" };
/* Elements that begin and end a line. */
static const char *const blocks[] = {
    "address", "article", "aside",  "blockquote", "br",    "dd",     "div", "dl",      "dt",
    "footer",  "form",    "h1",     "h2",         "h3",    "h4",     "h5",  "h6",      "header",
    "hr",      "li",      "main",   "nav",        "ol",    "p",      "pre", "section", "table",
    "tr",      "ul",      "figure", "caption",    "title", "option",
};
static const struct {
    const char *name, *text;
} entities[] = {
    { "amp", "&" },         { "lt", "<" },        { "gt", ">" },         { "quot", "\"" },
    { "apos", "'" },        { "nbsp", " " },      { "ndash", "\u2013" }, { "mdash", "\u2014" },
    { "hellip", "\u2026" }, { "copy", "\u00a9" }, { "euro", "\u20ac" },
};
enum {
    SILENT = sizeof silent / sizeof *silent,
    BLOCKS = sizeof blocks / sizeof *blocks,
    ENTITIES = sizeof entities / sizeof *entities
};

struct reader {
    struct str rest;
    struct buf *out;
    bool blank;     /* a blank is due before the next character */
    unsigned lines; /* so many line ends are */
    size_t start;   /* of the text in out */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void put(struct reader *r, struct str text)
{
    if (r->out->n > r->start) {
        for (unsigned i = 0; i < r->lines; i++)
            buf_add_byte(r->out, '\n');
        if (!r->lines && r->blank)
            buf_add_byte(r->out, ' ');
    }
    r->lines = 0;
    r->blank = false;
    buf_add(r->out, text);
}

static void end_line(struct reader *r, unsigned lines)
{
    if (lines > r->lines)
        r->lines = lines;
}

/* The character of a number, as UTF-8. */
static void put_character(struct reader *r, uint64_t c)
{
    char utf8[4];
    size_t n = 0;
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        c = 0xfffd;
    if (c < 0x80) {
        utf8[n++] = (char)c;
    } else if (c < 0x800) {
        utf8[n++] = (char)(0xc0 | c >> 6);
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        utf8[n++] = (char)(0xe0 | c >> 12);
        utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        utf8[n++] = (char)(0xf0 | c >> 18);
        utf8[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[n++] = (char)(0x80 | (c & 0x3f));
    }
    put(r, (struct str){ utf8, n });
}

/* "#38", "#x26": 0 when it is none. */
static uint64_t number_of(struct str name)
{
    uint64_t n = 0;
    if (name.n < 2 || name.p[0] != '#')
        return 0;
    bool hex = name.p[1] == 'x' || name.p[1] == 'X';
    for (size_t i = hex ? 2 : 1; i < name.n; i++) {
        char c = name.p[i];
        unsigned digit = c >= '0' && c <= '9'          ? (unsigned)(c - '0')
                         : hex && c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
                         : hex && c >= 'A' && c <= 'F' ? (unsigned)(c - 'A' + 10)
                                                       : 99;
        if (digit == 99 || n > 0x10ffff)
            return 0;
        n = n * (hex ? 16 : 10) + digit;
    }
    return n;
}

/* r->rest stands at "&". */
static void read_entity(struct reader *r)
{
    enum { NAME_MAX_BYTES = 10 };
    struct str name = { r->rest.p + 1, 0 };
    while (name.n < r->rest.n - 1 && name.n <= NAME_MAX_BYTES && name.p[name.n] != ';')
        name.n++;
    bool ends = name.n < r->rest.n - 1 && name.p[name.n] == ';';
    uint64_t number = ends ? number_of(name) : 0;
    for (size_t i = 0; ends && !number && i < ENTITIES; i++)
        if (str_eq(name, str_of(entities[i].name))) {
            put(r, str_of(entities[i].text));
            r->rest = str_skip(r->rest, name.n + 2);
            return;
        }
    if (number)
        put_character(r, number);
    else
        put(r, STR("&"));
    r->rest = str_skip(r->rest, number ? name.n + 2 : 1);
}

static bool is_among(const char *const *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(str_of(names[i]), name))
            return true;
    return false;
}

/* Skips to behind "</name", if it comes. */
static void skip_to_end(struct reader *r, struct str name)
{
    while (r->rest.n) {
        ptrdiff_t at = str_index(r->rest, '<');
        r->rest = str_skip(r->rest, at < 0 ? r->rest.n : (size_t)at + 1);
        struct str word = { r->rest.p + 1, name.n };
        if (r->rest.n > name.n && r->rest.p[0] == '/' && str_eq_nocase(word, name)) {
            r->rest = str_skip(r->rest, name.n + 1);
            return;
        }
    }
}

/* To behind the ">" that ends a tag; one in quotes does not. */
static void skip_tag(struct reader *r)
{
    char quote = 0;
    size_t i = 0;
    for (; i < r->rest.n; i++) {
        char c = r->rest.p[i];
        if (quote ? c == quote : c == '>') {
            if (!quote)
                break;
            quote = 0;
        } else if (!quote && (c == '"' || c == '\'')) {
            quote = c;
        }
    }
    r->rest = str_skip(r->rest, i < r->rest.n ? i + 1 : i);
}

static void skip_comment(struct reader *r)
{
    size_t i = 4;
    while (i + 3 <= r->rest.n && memcmp(r->rest.p + i, "-->", 3) != 0)
        i++;
    r->rest = str_skip(r->rest, i + 3 <= r->rest.n ? i + 3 : r->rest.n);
}

/* The title stands in the head: its text goes elsewhere, once. */
static void read_title(struct reader *r, struct buf *title)
{
    ptrdiff_t end = str_index(r->rest, '<');
    struct reader inner = { .rest = { r->rest.p, end < 0 ? r->rest.n : (size_t)end },
                            .out = title };
    r->rest = str_skip(r->rest, inner.rest.n);
    while (inner.rest.n) {
        if (inner.rest.p[0] == '&') {
            read_entity(&inner);
            continue;
        }
        if (is_blank(inner.rest.p[0]))
            inner.blank = true;
        else
            put(&inner, (struct str){ inner.rest.p, 1 });
        inner.rest = str_skip(inner.rest, 1);
    }
}

/* r->rest stands at "<". */
static void read_tag(struct reader *r, struct buf *title)
{
    if (r->rest.n >= 4 && memcmp(r->rest.p, "<!--", 4) == 0) {
        skip_comment(r);
        return;
    }
    bool closes = r->rest.n > 1 && r->rest.p[1] == '/';
    struct str name = { r->rest.p + (closes ? 2 : 1), 0 };
    size_t most = r->rest.n - (closes ? 2 : 1);
    while (name.n < most && ((name.p[name.n] | 32) >= 'a' && (name.p[name.n] | 32) <= 'z'))
        name.n++;
    if (name.n && name.n < most && name.p[name.n] >= '1' && name.p[name.n] <= '6')
        name.n++;
    bool tag = name.n || closes || (r->rest.n > 1 && (r->rest.p[1] == '!' || r->rest.p[1] == '?'));
    if (!tag) {
        put(r, STR("<")); /* a sign in a text */
        r->rest = str_skip(r->rest, 1);
        return;
    }
    skip_tag(r);
    if (is_among(blocks, BLOCKS, name))
        end_line(r, name.n == 2 && (name.p[0] | 32) == 'h' ? 2 : 1);
    if (str_eq_nocase(name, STR("p")))
        end_line(r, 2);
    if (closes)
        return;
    if (str_eq_nocase(name, STR("li")))
        put(r, STR("- "));
    if (str_eq_nocase(name, STR("td")) || str_eq_nocase(name, STR("th")))
        r->blank = true;
    if (str_eq_nocase(name, STR("title")) && title->n == 0)
        read_title(r, title);
    if (is_among(silent, SILENT, name)) {
        skip_to_end(r, name);
        skip_tag(r);
    }
}

static size_t character_length(struct str s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (str_is_utf8((struct str){ s.p, n }))
            return n;
    return 0;
}

void html_text(struct buf *out, struct buf *title, struct str page)
{
    struct reader r = { .rest = page, .out = out, .start = out->n };
    while (r.rest.n) {
        char c = r.rest.p[0];
        if (c == '<') {
            read_tag(&r, title);
        } else if (c == '&') {
            read_entity(&r);
        } else if (is_blank(c)) {
            r.blank = true;
            r.rest = str_skip(r.rest, 1);
        } else {
            size_t n = character_length(r.rest);
            put(&r, n ? (struct str){ r.rest.p, n } : STR("\xef\xbf\xbd"));
            r.rest = str_skip(r.rest, n ? n : 1);
        }
    }
}
