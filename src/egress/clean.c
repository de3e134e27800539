#include "egress/clean.h"

enum { PHRASE_MAX = 200, TARGET_MAX = 500 };

/* One code point from the front of *s, or -1 and one byte further when it is not UTF-8. */
static int32_t next_point(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n > s->n || !str_is_utf8((struct str){ s->p, n })) {
        *s = str_skip(*s, 1);
        return -1;
    }
    int32_t point = n == 1 ? p[0] : p[0] & (0xff >> (n + 1));
    for (size_t i = 1; i < n; i++)
        point = point << 6 | (p[i] & 0x3f);
    *s = str_skip(*s, n);
    return point;
}

/* Characters that could move, hide or reorder what stands around them. */
static bool is_unsafe(int32_t c)
{
    static const struct {
        int32_t first, last;
    } ranges[] = {
        { 0x00, 0x1f },     { 0x7f, 0x9f },     { 0xad, 0xad },     { 0x34f, 0x34f },
        { 0x61c, 0x61c },   { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
        { 0x200b, 0x200f }, { 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0x3164, 0x3164 },
        { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0xe0000, 0xe0fff },
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

static void clean(struct buf *out, struct str text, size_t max, bool angles)
{
    bool was_unsafe = false;
    for (size_t units = 0; text.n;) {
        struct str before = text;
        int32_t c = next_point(&text);
        bool unsafe = c >= 0 && is_unsafe(c);
        if ((!angles && (c == '<' || c == '>')) || (unsafe && was_unsafe))
            continue;
        was_unsafe = unsafe;
        units += c > 0xffff ? 2 : 1;
        if (units > max)
            return;
        if (c < 0)
            buf_add_byte(out, '?');
        else if (unsafe)
            buf_add_byte(out, ' ');
        else
            buf_add(out, (struct str){ before.p, before.n - text.n });
    }
}

void clean_shown(struct buf *out, struct str text, size_t max)
{
    clean(out, text, max, true);
}

void clean_text(struct buf *out, struct str text, size_t max)
{
    clean(out, text, max, false);
}

void clean_phrase(struct buf *out, struct str text)
{
    AUTO_BUF cleaned = { 0 };
    clean_text(&cleaned, text, PHRASE_MAX);
    for (size_t i = 0; i < cleaned.n; i++) {
        unsigned char byte = (unsigned char)cleaned.p[i];
        if (byte >= 0x80 && byte < 0xc0)
            continue; /* one "?" for each character, not for each byte */
        buf_add_byte(out, byte < 0x80 ? (char)byte : '?');
    }
}

void clean_target(struct buf *out, struct str target)
{
    size_t cut = 0;
    while (cut < target.n && target.p[cut] != '?' && target.p[cut] != '#')
        cut++;
    clean_text(out, (struct str){ target.p, cut }, TARGET_MAX);
    if (cut < target.n) {
        buf_add_byte(out, target.p[cut]);
        buf_add(out, STR("\xe2\x80\xa6"));
    }
}
