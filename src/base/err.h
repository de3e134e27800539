/* err.h - one error object, filled only on failure.
 *
 * A function that can fail returns 0 or -1 (or a count or -1) and takes a struct err * last. The
 * lowest function says what went wrong, each caller puts in front what it was trying to do, and the
 * command prints the one line once.
 */
#pragma once

#include <stddef.h>

enum err_kind {
    E_NONE,
    E_INPUT,    /* the caller gave something that cannot be used */
    E_DENIED,   /* a rule forbids it */
    E_MISSING,  /* the thing does not exist */
    E_CONFLICT, /* somebody else changed or holds it */
    E_BUSY,     /* a bound is reached; later may work */
    E_IO,       /* the operating system or a peer failed */
    E_SANDBOX,  /* a layer of the sandbox cannot be built (exit 125, sandbox contract 1.2) */
    E_BUG,      /* our own mistake that could be caught */
    E_KINDS
};

struct err {
    enum err_kind kind;
    int os; /* errno, or 0 */
    char text[512];
};

/* Fills *e and always returns -1, so that `return err_set(...)` reads as "fail with".
 * With `os` not 0, ": <what errno means>" is added. A cut text ends in "...". */
__attribute__((cold, format(printf, 4, 5))) int err_set(struct err *e, enum err_kind kind, int os,
                                                        const char *fmt, ...);

/* Puts what the caller was doing in front of what went wrong: "start sandbox: mount '/src': ...".
 * Always returns -1. */
__attribute__((cold, format(printf, 2, 3))) int err_while(struct err *e, const char *fmt, ...);

/* The stable machine-readable name, the HTTP status and the exit code of a kind. */
const char *err_name(enum err_kind kind);
int err_http(enum err_kind kind);
int err_exit_code(enum err_kind kind);
