#include "proto/problems.h"

#include <stdarg.h>
#include <stdio.h>

enum { KEY_SHOWN = 64 };

void problems_release(struct problems *p)
{
    buf_release(&p->text);
    buf_release(&p->path);
}

size_t problems_enter_key(struct problems *p, struct str key)
{
    size_t was = p->path.n;
    if (was)
        buf_add_byte(&p->path, '.');
    struct str shown = { key.p, key.n < KEY_SHOWN ? key.n : KEY_SHOWN };
    while (shown.n < key.n && shown.n && ((unsigned char)key.p[shown.n] & 0xc0) == 0x80)
        shown.n--; /* not in the middle of a character */
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char byte = (unsigned char)shown.p[i];
        buf_add_byte(&p->path, byte < 0x20 || byte == 0x7f ? '?' : shown.p[i]);
    }
    if (shown.n < key.n)
        buf_add(&p->path, STR("..."));
    return was;
}

size_t problems_enter_index(struct problems *p, size_t i)
{
    size_t was = p->path.n;
    buf_addf(&p->path, "[%zu]", i);
    return was;
}

void problems_leave(struct problems *p, size_t was)
{
    p->path.n = was;
    if (p->path.p)
        p->path.p[was] = '\0';
}

__attribute__((format(printf, 2, 0))) static void add(struct problems *p, const char *fmt,
                                                      va_list ap)
{
    if (p->count++ >= PROBLEMS_SHOWN)
        return;
    char message[600];
    vsnprintf(message, sizeof message, fmt, ap);
    if (p->text.n)
        buf_add(&p->text, STR("; "));
    if (p->path.n)
        buf_addf(&p->text, "%s: ", buf_text(&p->path));
    buf_add(&p->text, str_of(message));
}

void problems_add(struct problems *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add(p, fmt, ap);
    va_end(ap);
}

void problems_add_at(struct problems *p, const char *key, const char *fmt, ...)
{
    size_t was = problems_enter_key(p, str_of(key));
    va_list ap;
    va_start(ap, fmt);
    add(p, fmt, ap);
    va_end(ap);
    problems_leave(p, was);
}

void problems_finish(struct problems *p)
{
    if (p->count > PROBLEMS_SHOWN)
        buf_addf(&p->text, "; and %zu more", p->count - PROBLEMS_SHOWN);
}

int problems_fail(struct problems *p, struct err *e)
{
    if (p->count == 0)
        return 0;
    problems_finish(p);
    return err_set(e, E_INPUT, 0, "%s", buf_text(&p->text));
}
