/* option_rows.h - the options of a command as rows of a table: parsing and --help follow from it.
 *
 *     static const struct option_row rows[] = {
 *         { "state", "DIR", "where the state lies", OPTION_TEXT, offsetof(struct options, state) },
 *         { "json", NULL, "print JSON", OPTION_FLAG, offsetof(struct options, json) },
 *     };
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum option_takes {
    OPTION_FLAG, /* bool */
    OPTION_TEXT, /* const char *; the last one counts */
    OPTION_TEXTS /* struct option_texts */
};

enum { OPTION_TEXTS_MAX = 16 };
struct option_texts {
    const char *items[OPTION_TEXTS_MAX];
    size_t count;
};

struct option_row {
    const char *name;  /* without "--" */
    const char *value; /* as --help calls it; NULL: a flag */
    const char *help;
    enum option_takes takes;
    size_t offset;
};

/* Reads argv[1] and on: "--name VALUE", "--name=VALUE", "--flag"; "-h" is "--help", a row of every
 * table. Words that are no options are put to the front of argv, from argv[1], in their order. Returns how many of
 * those there are, or -1 with *e (E_INPUT). Texts are borrowed from argv. */
int options_read(const struct option_row *rows, size_t count, int argc, char **argv, void *into,
                 struct err *e);

/* "  --state DIR   where the state lies" for each row. */
void options_print(FILE *out, const struct option_row *rows, size_t count);
