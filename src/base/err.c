#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One table, so that the API, the command line and the log never disagree. */
static const struct {
    const char *name;
    int http, exit_code;
} err_faces[E_KINDS] = {
    [E_NONE] = { "none", 200, 0 },         [E_INPUT] = { "invalid_request", 400, 1 },
    [E_DENIED] = { "forbidden", 403, 3 },  [E_MISSING] = { "not_found", 404, 4 },
    [E_CONFLICT] = { "conflict", 409, 5 }, [E_BUSY] = { "overloaded", 503, 6 },
    [E_IO] = { "io_error", 502, 7 },       [E_SANDBOX] = { "sandbox", 500, 125 },
    [E_BUG] = { "internal", 500, 70 },
};

static void mark_cut(struct err *e)
{
    memcpy(e->text + sizeof e->text - 4, "...", 4);
}

int err_set(struct err *e, enum err_kind kind, int os, const char *fmt, ...)
{
    e->kind = kind;
    e->os = os;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof e->text && os) {
        const char *meaning = strerrordesc_np(os);
        n = snprintf(e->text + used, sizeof e->text - used, ": %s", meaning ? meaning : "unknown");
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used >= sizeof e->text)
        mark_cut(e);
    return -1;
}

int err_while(struct err *e, const char *fmt, ...)
{
    char was[sizeof e->text];
    memcpy(was, e->text, sizeof was);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof e->text) {
        n = snprintf(e->text + used, sizeof e->text - used, ": %s", was);
        used += n < 0 ? 0 : (size_t)n;
    }
    if (used >= sizeof e->text)
        mark_cut(e);
    return -1;
}

const char *err_name(enum err_kind kind)
{
    return err_faces[kind].name;
}

int err_http(enum err_kind kind)
{
    return err_faces[kind].http;
}

int err_exit_code(enum err_kind kind)
{
    return err_faces[kind].exit_code;
}
