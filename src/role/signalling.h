/* signalling.h - signals to us: they go on to the command once each, and the second wish to end ends all
 * (contract 1.3).
 *
 * They stay blocked and are taken by the supervisor's loop. SIGTSTP is never taken out of the pending ones: the kernel
 * weighs it against a SIGCONT that comes later.
 */
#pragma once

#include "base/err.h"
#include "role/asking.h"
#include "sandbox/launch.h"
#include "sandbox/pty.h"
#include "sandbox/watch.h"

struct signalling {
    struct launch *launch; /* borrowed, like the next three */
    struct asking *asking;
    struct pty *pty; /* NULL: the command has none of its own */
    struct watch *watch;
    int fd;           /* of signalling_open; only polled: reading would take SIGTSTP */
    int64_t first_ms; /* of the last SIGINT or SIGTERM, 0 = none yet */
    int last;         /* the last of these two */
    bool killed;      /* the second one has ended everything */
};

/* From here on nothing interrupts us; the command starts with none blocked. */
void signalling_block(void);

/* Makes the descriptor that is readable when a signal is there; owned by `s`. */
int signalling_open(struct signalling *s, struct err *e);

/* Takes what is there. Stops us with the command, and goes on with it. */
void signalling_take(struct signalling *s, int64_t now_ms);

/* Ctrl-C typed into the pty: the inner terminal has made a signal of it already. */
void signalling_typed(struct signalling *s, int64_t now_ms);

/* To the command's process group. */
void signalling_send(struct signalling *s, int number);

/* Did somebody want us to end? */
bool signalling_wants_end(const struct signalling *s);
