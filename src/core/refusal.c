#include "core/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refusal_set(struct refusal *r, int status, const char *code, const char *fmt, ...)
{
    *r = (struct refusal){ .status = status, .code = code, .no_retry = status == 409 };
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->message, sizeof r->message, fmt, ap);
    va_end(ap);
    return -1;
}
