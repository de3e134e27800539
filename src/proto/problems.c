#include "proto/problems.h"

#include "proto/dotted.h"

#include <stdarg.h>
#include <stdio.h>

void problems_release(struct problems *p)
{
    buf_release(&p->text);
    buf_release(&p->path);
}

size_t problems_enter_key(struct problems *p, struct str key)
{
    return dotted_key(&p->path, key);
}

size_t problems_enter_index(struct problems *p, size_t i)
{
    return dotted_index(&p->path, i);
}

void problems_leave(struct problems *p, size_t was)
{
    dotted_leave(&p->path, was);
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
    size_t line = p->places ? places_line(p->places, buf_str(&p->path)) : 0;
    if (line)
        buf_addf(&p->text, "line %zu: ", line);
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
