/* pty.h - the relay between the caller's terminal and the sandbox's own (contract 2.3).
 *
 * Init makes a pty pair inside, hands the master out and keeps the other end open for as long as it
 * lives, so that the master's end means the end of the sandbox. What a person types goes in byte for
 * byte (the caller's terminal is raw meanwhile), what the command prints comes out. Both queues are
 * bounded: a slow terminal slows the command, nothing is lost.
 *
 * The supervisor's loop drives it: pty_polls fills three entries for poll, pty_ready takes them back.
 * SIGWINCH: pty_resize. SIGTSTP: pty_suspend, stop, then pty_resume on SIGCONT. On every way out:
 * pty_free, which puts the terminal's modes back. SIGTTOU and SIGTTIN are not blocked by us: in the
 * background the terminal is left alone.
 */
#pragma once

#include "base/err.h"

#include <poll.h>
#include <stdbool.h>
#include <sys/types.h>

struct pty;

enum { PTY_POLLS = 3 };

/* `in` and `out` are the caller's (borrowed; as a rule 0 and 1, a terminal each, but pipes work: the
 * end of `in` then is Ctrl-D inside). `master` is taken on success. The modes and the window size of
 * the caller's terminal are copied to the master, then that terminal goes raw; call it before the
 * command starts, so that the command sees the size from its first instruction. */
int pty_new(int in, int out, int master, struct pty **result, struct err *e);

/* Restores the terminal, closes the master. NULL is fine. */
void pty_free(struct pty *p);

/* Entries with fd -1 have nothing to wait for. */
void pty_polls(const struct pty *p, struct pollfd polls[PTY_POLLS]);

enum pty_state {
    PTY_ON,
    PTY_HUNG_UP, /* the caller's terminal is gone, said once: treat it as SIGHUP */
    PTY_DONE     /* the master has ended and everything is written out */
};
enum pty_state pty_ready(struct pty *p, const struct pollfd polls[PTY_POLLS]);

/* How often the interrupt character was typed since the last call, counted only where the inner terminal
 * would make a signal of it and takes whole lines: whoever reads single keys (an editor, a shell at its
 * prompt) has his own use for it. *group is the process group that has the inner terminal, as a pid of
 * the host. */
unsigned pty_interrupts(struct pty *p, pid_t *group);

/* After the command's end, when no process has the other side any more: true once nothing is left to
 * be written. Keep polling until then (or until a deadline of the caller's, for a stuck terminal). */
bool pty_drained(struct pty *p);

/* The window of the caller's terminal has a new size. */
void pty_resize(struct pty *p);

/* While a question is on the terminal: neither reads nor writes it. */
void pty_hold(struct pty *p, bool hold);

/* The modes as before; and raw again. In the background nothing is touched. */
void pty_suspend(struct pty *p);
void pty_resume(struct pty *p);
