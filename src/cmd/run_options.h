/* run_options.h - the command line of `postern run` (sandbox contract section 1). */
#pragma once

#include "base/err.h"
#include "sandbox/layers.h"
#include "sandbox/violations.h"

#include <stdbool.h>

enum explain { EXPLAIN_NO, EXPLAIN_TEXT, EXPLAIN_JSON, EXPLAIN_SEATBELT };
enum backend { BACKEND_NATIVE, BACKEND_BWRAP };
enum tty_choice { TTY_AUTO, TTY_YES, TTY_NO };

struct run_options {
    const char *settings; /* NULL = default file */
    const char *shell;    /* -c STRING, or NULL */
    char **command;       /* NULL-terminated operands, may be empty */
    bool debug, strict, help, version;
    int control_fd, ask_fd, audit_fd; /* -1 = none */
    const char *audit_file, *profile;
    const char *ask; /* "tty", "none", a path, or NULL for the default */
    enum explain explain;
    enum backend backend;
    enum tty_choice tty;
    struct violations_target violations;
    bool accepted[LAYERS], required[LAYERS];
    bool disabled[LAYERS]; /* --disable-layer, debug builds only */
};

/* Reads argv[1..]. E_INPUT with the option's name: the caller prints it and exits with
 * *exit_status (2 for usage, 1 for a bad --control-fd, contract 1.2). */
int run_options_parse(int argc, char **argv, struct run_options *out, int *exit_status,
                      struct err *e);

/* The help text, from the same table. */
void run_options_help(void);
