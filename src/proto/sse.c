#include "proto/sse.h"

#include "base/check.h"

void sse_init(struct sse *s, size_t limit)
{
    CHECK(limit > 0);
    *s = (struct sse){ .limit = limit };
}

void sse_release(struct sse *s)
{
    buf_release(&s->line);
    buf_release(&s->data);
    buf_release(&s->name);
    buf_release(&s->id);
}

static void forget_event(struct sse *s)
{
    buf_empty(&s->data);
    buf_empty(&s->name);
    buf_empty(&s->id);
    s->told = false;
}

/* A value replaces the one before (of `data`: follows it). False when the event gets too long. */
static bool take_value(struct sse *s, struct buf *to, struct str value)
{
    bool data = to == &s->data;
    size_t others = s->data.n + s->name.n + s->id.n - (data ? 0 : to->n);
    if (value.n >= s->limit || others >= s->limit - value.n)
        return false;
    if (!data)
        buf_empty(to);
    buf_add(to, value);
    if (data)
        buf_add_byte(to, '\n');
    return true;
}

static bool read_field(struct sse *s, struct str line)
{
    struct str value = line, name = { 0 };
    str_cut(&value, ':', &name);
    if (value.n && value.p[0] == ' ')
        value = str_skip(value, 1);
    if (str_eq(name, STR("data")))
        return take_value(s, &s->data, value);
    if (str_eq(name, STR("event")))
        return take_value(s, &s->name, value);
    if (str_eq(name, STR("id")) && str_index(value, '\0') < 0)
        return take_value(s, &s->id, value);
    return true;
}

/* 1 when the line ends an event that is told, 0, or -1 beyond the limit. */
static int read_line(struct sse *s, struct str line)
{
    if (!s->begun && str_starts(line, STR("\xef\xbb\xbf")))
        line = str_skip(line, 3);
    s->begun = true;
    if (line.n)
        return read_field(s, line) ? 0 : -1;
    if (s->data.n < 2) { /* no data, or one empty line of it */
        forget_event(s);
        return 0;
    }
    s->event = (struct sse_event){ buf_str(&s->name), buf_str(&s->id), buf_str(&s->data) };
    s->event.data.n--;
    s->told = true;
    return 1;
}

static size_t line_length(struct str bytes)
{
    size_t n = 0;
    while (n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r')
        n++;
    return n;
}

/* Reads up to the end of one line, or all bytes. As read_line. */
static int step(struct sse *s, struct str bytes, size_t *used)
{
    if (s->after_cr && bytes.p[0] == '\n') {
        s->after_cr = false;
        *used = 1;
        return 0;
    }
    s->after_cr = false;
    struct str line = { bytes.p, line_length(bytes) };
    *used = line.n;
    if (line.n > s->limit - s->line.n)
        return -1;
    bool complete = line.n < bytes.n;
    if (!complete || s->line.n) {
        buf_add(&s->line, line);
        line = buf_str(&s->line);
    }
    if (!complete)
        return 0;
    s->after_cr = bytes.p[*used] == '\r';
    (*used)++;
    int found = read_line(s, line);
    buf_empty(&s->line);
    return found;
}

int sse_feed(struct sse *s, struct str bytes, size_t *used, struct err *e)
{
    *used = 0;
    if (s->told)
        forget_event(s);
    int found = s->dead ? -1 : 0;
    while (bytes.n && found == 0) {
        size_t n;
        found = step(s, bytes, &n);
        *used += n;
        bytes = str_skip(bytes, n);
    }
    if (found >= 0)
        return found ? SSE_EVENT : SSE_MORE;
    s->dead = true;
    return err_set(e, E_BUSY, 0, "a line or an event is longer than %zu bytes", s->limit);
}

static void write_field(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, value);
    buf_add_byte(out, '\n');
}

static bool is_line(struct str s)
{
    return line_length(s) == s.n;
}

void sse_write(struct buf *out, struct str name, struct str id, struct str data)
{
    CHECK(is_line(name) && is_line(id));
    if (name.n)
        write_field(out, STR("event: "), name);
    if (id.n)
        write_field(out, STR("id: "), id);
    for (bool more = true; more;) {
        struct str line = { data.p, line_length(data) };
        write_field(out, STR("data: "), line);
        more = line.n < data.n;
        bool pair = str_starts(str_skip(data, line.n), STR("\r\n"));
        data = str_skip(data, line.n + 1 + pair);
    }
    buf_add_byte(out, '\n');
}
