#include "proto/json_write.h"

#include <stdio.h>
#include <stdlib.h>

/* A value or key needs a comma in front unless it is the first of what is open. */
static void separate(struct buf *b)
{
    char last = b->n ? b->p[b->n - 1] : '\n';
    if (last != '{' && last != '[' && last != ':' && last != '\n')
        buf_add_byte(b, ',');
}

void json_write_object(struct buf *b)
{
    separate(b);
    buf_add_byte(b, '{');
}

void json_write_object_end(struct buf *b)
{
    buf_add_byte(b, '}');
}

void json_write_array(struct buf *b)
{
    separate(b);
    buf_add_byte(b, '[');
}

void json_write_array_end(struct buf *b)
{
    buf_add_byte(b, ']');
}

void json_write_key(struct buf *b, struct str key)
{
    json_write_str(b, key);
    buf_add_byte(b, ':');
}

/* The length of the well-formed UTF-8 character at the start of `s`, or 0. */
static size_t character_length(struct str s)
{
    for (size_t n = 1; n <= 4 && n <= s.n; n++)
        if (str_is_utf8((struct str){ s.p, n }))
            return n;
    return 0;
}

static void escape_ascii(struct buf *b, unsigned char c)
{
    static const char named[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *at = memchr(named, c, sizeof named - 1);
    if (at) {
        buf_add_byte(b, '\\');
        buf_add_byte(b, letters[at - named]);
    } else {
        buf_addf(b, "\\u%04x", c);
    }
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* U+0080-U+009F drive terminals; U+2028 and U+2029 end a line for some readers. */
static bool is_escaped_character(struct str c)
{
    if (c.n == 2)
        return c.p[0] == '\xc2' && (unsigned char)c.p[1] < 0xa0;
    return str_eq(c, STR("\xe2\x80\xa8")) || str_eq(c, STR("\xe2\x80\xa9"));
}

static void escape_character(struct buf *b, struct str c)
{
    if (c.n == 2)
        buf_addf(b, "\\u%04x", (unsigned char)c.p[1]);
    else
        buf_add(b, c.p[2] == '\xa8' ? STR("\\u2028") : STR("\\u2029"));
}

void json_escape(struct buf *b, struct str bytes)
{
    while (bytes.n) {
        size_t run = 0;
        while (run < bytes.n && is_plain((unsigned char)bytes.p[run]))
            run++;
        if (run) {
            buf_add(b, (struct str){ bytes.p, run });
            bytes = str_skip(bytes, run);
            continue;
        }
        struct str c = { bytes.p, character_length(bytes) };
        if (c.n == 0)
            buf_add(b, STR("\xef\xbf\xbd"));
        else if (c.n == 1)
            escape_ascii(b, (unsigned char)c.p[0]);
        else if (is_escaped_character(c))
            escape_character(b, c);
        else
            buf_add(b, c);
        bytes = str_skip(bytes, c.n ? c.n : 1);
    }
}

void json_write_str(struct buf *b, struct str bytes)
{
    separate(b);
    buf_add_byte(b, '"');
    json_escape(b, bytes);
    buf_add_byte(b, '"');
}

void json_write_text(struct buf *b, const char *text)
{
    if (text)
        json_write_str(b, str_of(text));
    else
        json_write_null(b);
}

void json_write_u64(struct buf *b, uint64_t value)
{
    separate(b);
    buf_add_number(b, value);
}

void json_write_i64(struct buf *b, int64_t value)
{
    separate(b);
    if (value < 0)
        buf_add_byte(b, '-');
    buf_add_number(b, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_write_bool(struct buf *b, bool value)
{
    separate(b);
    buf_add(b, value ? STR("true") : STR("false"));
}

void json_write_null(struct buf *b)
{
    separate(b);
    buf_add(b, STR("null"));
}

void json_write_raw(struct buf *b, struct str json)
{
    if (json.n == 0)
        return;
    separate(b);
    buf_add(b, json);
}

static void write_real(struct buf *b, double value)
{
    char text[32];
    /* The fewest digits that give the same value again. */
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buf_add(b, str_of(text));
    if (!strpbrk(text, ".e"))
        buf_add(b, STR(".0"));
}

/* Recursion is bounded: json_parse lets at most JSON_DEPTH_MAX levels through. */
void json_write_value(struct buf *b, const struct json *v)
{
    struct str text = { 0 };
    bool truth = false;
    int64_t integer = 0;
    double real = 0;
    switch (json_kind_of(v)) {
    case JSON_IS_NULL:
        json_write_null(b);
        return;
    case JSON_IS_BOOL:
        json_to_bool(v, &truth);
        json_write_bool(b, truth);
        return;
    case JSON_IS_INTEGER:
        json_to_i64(v, &integer);
        json_write_i64(b, integer);
        return;
    case JSON_IS_REAL:
        json_to_real(v, &real);
        separate(b);
        write_real(b, real);
        return;
    case JSON_IS_STRING:
        json_to_str(v, &text);
        json_write_str(b, text);
        return;
    case JSON_IS_ARRAY:
        json_write_array(b);
        for (size_t i = 0; i < json_count(v); i++)
            json_write_value(b, json_at(v, i));
        json_write_array_end(b);
        return;
    case JSON_IS_OBJECT:
        json_write_object(b);
        for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
            json_write_key(b, m.key);
            json_write_value(b, m.value);
        }
        json_write_object_end(b);
        return;
    }
}

void json_member_str(struct buf *b, const char *key, struct str bytes)
{
    json_write_key(b, str_of(key));
    json_write_str(b, bytes);
}

void json_member_text(struct buf *b, const char *key, const char *text)
{
    json_write_key(b, str_of(key));
    json_write_text(b, text);
}

void json_member_u64(struct buf *b, const char *key, uint64_t value)
{
    json_write_key(b, str_of(key));
    json_write_u64(b, value);
}

void json_member_i64(struct buf *b, const char *key, int64_t value)
{
    json_write_key(b, str_of(key));
    json_write_i64(b, value);
}

void json_member_bool(struct buf *b, const char *key, bool value)
{
    json_write_key(b, str_of(key));
    json_write_bool(b, value);
}

void json_member_value(struct buf *b, const char *key, const struct json *v)
{
    json_write_key(b, str_of(key));
    json_write_value(b, v);
}
