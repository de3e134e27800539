/* control.h - live settings from the caller: --control-fd N (contract 6).
 *
 * One whole settings object per line. A line that is valid is handed to the callback; a line that is
 * not is said on stderr and the settings in force stay. The supervisor's loop drives it: poll
 * control_fd for POLLIN, then control_ready. The descriptor belongs to an open file that the caller
 * shares, so its flags are not touched: it is read only when poll says so.
 */
#pragma once

#include "base/err.h"
#include "sandbox/settings.h"

/* Reads N (digits only, from 3 on) and checks that it is open and readable. Before anything is built. */
int control_parse(const char *text, int *fd, struct err *e);

struct control_options {
    int fd;                       /* taken: closed by control_free; gets close-on-exec */
    const struct settings *start; /* of the run; borrowed: fixed keys are compared with it */
    /* Borrowed; as the start settings were read. Its warning is not used: unknown keys are said on
     * stderr with the descriptor's number. */
    const struct settings_options *parse;
    /* Settings that hold from the next connection on. `text` is the line, borrowed like `s`. -1 when
     * they could not be put in force: said like a bad line. */
    int (*apply)(void *ctx, struct str text, const struct settings *s, struct err *e);
    void *ctx;
};

enum control_state {
    CONTROL_ON,
    CONTROL_ENDED,       /* end of file: the command goes on with the last settings */
    CONTROL_FAILED,      /* read error after a line: likewise; it has been said */
    CONTROL_FAILED_FIRST /* read error before the first line: end the command, exit 1 */
};

struct control;
struct control *control_new(const struct control_options *options);
void control_free(struct control *c);

/* -1 when there is nothing more to read. */
int control_fd(const struct control *c);

/* After poll has set any event. Reads once and takes the whole lines. */
enum control_state control_ready(struct control *c);
