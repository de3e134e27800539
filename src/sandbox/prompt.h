/* prompt.h - asks a person whether the command may do something (contract 8).
 *
 * One set of questions (questions.h), one front that shows them: a descriptor with JSON lines
 * (--ask-fd), a unix socket with the same lines (--ask=PATH), or the caller's own terminal (--ask=tty),
 * never the sandbox's. Only a clear yes allows; no answer in time, a closed channel and anything
 * malformed is a no. The supervisor's loop drives it: prompt_fd, prompt_events and prompt_ready for the
 * channel, prompt_deadline and prompt_tick for time. Times are CLOCK_MONOTONIC in ms.
 *
 * SIGPIPE is blocked or ignored by the caller.
 */
#pragma once

#include "base/err.h"
#include "sandbox/project_rules.h"
#include "sandbox/questions.h"

struct prompt;

struct prompt_hooks {
    /* The answer for one waiter. Never called from within prompt_ask. `reason` is borrowed. */
    void (*decided)(void *ctx, uint64_t waiter, bool allow, const char *reason);
    /* Once per question that was shown, for the audit log; `reason` is "" for a yes. */
    void (*answered)(void *ctx, const struct question *question, bool allow,
                     enum question_scope scope, const char *reason);
    void *ctx;
};

struct prompt_options {
    const char *run_id;
    int64_t patience_ms;         /* 0 = 120 s */
    struct project_rules *rules; /* borrowed; NULL: an answer for the project holds for the run */
    struct prompt_hooks hooks;
};

/* Without a front everything is denied. */
struct prompt *prompt_new(const struct prompt_options *options);

/* Puts the caller's terminal back. Calls no hook. NULL is fine. */
void prompt_free(struct prompt *p);

/* Exactly one front; each fails with E_INPUT. `fd` must be open for reading and writing (a socket as a
 * rule); it is taken on success and gets close-on-exec. */
int prompt_use_fd(struct prompt *p, int fd, struct err *e);

/* Connects to the socket of a user interface, which must belong to the caller or to root. */
int prompt_use_socket(struct prompt *p, const char *path, struct err *e);

/* The caller's terminal: /dev/tty, or `fd` (taken on success) when it is not -1. */
int prompt_use_tty(struct prompt *p, int fd, struct err *e);

/* Asks. QUESTIONS_ALLOWED and QUESTIONS_DENIED are answers at once (with *reason for a denial, borrowed
 * until the next call); QUESTIONS_WAIT: `decided` comes later. `policy` is today's: what it denies or
 * allows is never asked. `waiter` is the caller's own number for this wish. */
enum questions_result prompt_ask(struct prompt *p, const struct question *question,
                                 const struct egress_policy *policy, uint64_t waiter,
                                 int64_t now_ms, const char **reason);

/* Nobody waits for that any more. */
void prompt_cancel(struct prompt *p, uint64_t waiter);

/* For poll: the descriptor (-1 = none now) and the events wanted. */
int prompt_fd(const struct prompt *p);
short prompt_events(const struct prompt *p);
void prompt_ready(struct prompt *p, short revents, int64_t now_ms);

/* When prompt_tick is due, -1 = never. */
int64_t prompt_deadline(const struct prompt *p);
void prompt_tick(struct prompt *p, int64_t now_ms);

/* True while a question holds the caller's terminal: the pty relay keeps off it (pty_hold). */
bool prompt_has_terminal(const struct prompt *p);

/* Around a stop of ours (SIGTSTP): gives the terminal back as it was; shows the question again. */
void prompt_suspend(struct prompt *p);
void prompt_resume(struct prompt *p, int64_t now_ms);
