/* wardbox.h - a directory, a ward whose write root it is, and words for what is tried in it.
 *
 * One at a time: each test makes its own with box_set_up, and box_tear_down takes it away.
 */
#pragma once

#include "ward.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* In work that runs behind the warden: says what was not so, and ends the work with 1. */
#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition, strerror(errno));  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
#define WANT_ERRNO(call, os)                                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        WANT((call) == -1 && errno == (os));                                                       \
    } while (0)

extern char box[64]; /* the directory */
extern struct file_rule_path root;
extern struct ward ward;

int box_set_up(void **state);
int box_tear_down(void **state);

/* A script of the host's in the directory, outside any filter; it must end with 0. */
void host(const char *script);

/* The same behind the warden, and a function. */
void inside(const char *script);
void inside_work(int (*work)(void *ctx), void *ctx);
