/* questions.h - which permission questions are open, and what has been answered (contract 8).
 *
 * Pure: no channel, no clock. Identical open questions share one answer; answers are kept as long as
 * their scope says; a denial is kept for 30 s, so that a retry loop cannot flood; at most 8 are open and
 * 60 are asked in a minute, what is beyond is denied. All memory is bounded, whatever the command asks.
 */
#pragma once

#include "base/buf.h"
#include "egress/policy.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    QUESTIONS_OPEN_MAX = 8,
    QUESTIONS_PER_MINUTE = 60,
    QUESTIONS_PATIENCE_MS = 120000, /* how long an answer may take */
    QUESTIONS_DENIAL_MS = 30000,    /* how long a denial "once" is kept */
    QUESTIONS_WAITERS_MAX = 1024,   /* that wait for all open questions together */
    QUESTIONS_KEPT_MAX = 1024,      /* answers that are remembered */
};

enum question_kind {
    QUESTION_NETWORK,
    QUESTION_FILE_READ,
    QUESTION_FILE_WRITE,
    QUESTION_UNIX_SOCKET,
    QUESTION_REQUEST,
    QUESTION_LIMIT,
    QUESTION_KINDS
};
enum question_scope { QUESTION_ONCE, QUESTION_RUN, QUESTION_PROJECT, QUESTION_SCOPES };

/* "network", "file-read" ...; "once", "run", "project". The find functions give -1 for another word. */
const char *question_kind_name(enum question_kind kind);
int question_kind_find(struct str name);
const char *question_scope_name(enum question_scope scope);
int question_scope_find(struct str name);

/* What is asked. All texts may be NULL; those that come from inside are cleaned already (watch.h,
 * egress/clean.h). Borrowed for a call; kept questions hold copies. */
struct question {
    enum question_kind kind;
    const char *host; /* network, request: canonical */
    uint16_t port;
    const char *path;                /* files, unix sockets, the target of a request */
    const char *access;              /* "read", "write", "connect", the name of a limit */
    const char *method;              /* how: "connect", "socks", "GET" ... */
    int pid;                         /* inside; 0 = unknown */
    const char *argv0, *text, *tree; /* who asks */
    const char *reason;              /* why it is asked: "host is not on the allow list" */
    bool denied;                     /* a deny list or a mandatory deny covers it: never asked */
};

/* What the question is about, in one run of text: "example.com:443", "/etc/x". */
void question_object(struct buf *out, const struct question *q);

/* NULL when a person may be asked, else the reason of the denial (contract 8: never asked for what a
 * deny list or mandatory deny covers, deny-listed addresses, anything under strictAllowlist). `policy`
 * is looked at for network and request questions. *allowed is set when the policy allows it by now:
 * then nobody need be asked either. */
const char *question_forbidden(const struct question *q, const struct egress_policy *policy,
                               bool *allowed);

/* An open question. */
struct open_question {
    char id[48];
    struct question question; /* texts owned */
    int64_t asked_ms, deadline_ms;
    size_t waiting; /* how many share the answer */
};

struct questions_hooks {
    /* A new open question for the front. Comes from questions_ask. */
    void (*show)(void *ctx, const struct open_question *q);
    /* The question is no longer open, for whatever reason. */
    void (*close)(void *ctx, const struct open_question *q);
    /* One waiter's answer; never from within questions_ask. `reason` is borrowed. */
    void (*decided)(void *ctx, uint64_t waiter, bool allow, const char *reason);
    void *ctx;
};

struct questions;

/* `run_id` makes ids unlike those of other runs. `patience_ms` 0 = QUESTIONS_PATIENCE_MS. */
struct questions *questions_new(const char *run_id, int64_t patience_ms,
                                const struct questions_hooks *hooks);
/* Calls no hook. */
void questions_free(struct questions *q);

enum questions_result { QUESTIONS_ALLOWED, QUESTIONS_DENIED, QUESTIONS_WAIT };

/* Asks on behalf of `waiter` (any number the caller likes, once per question). QUESTIONS_WAIT: `decided`
 * comes later. Otherwise *reason says why it was denied, valid until the next call. */
enum questions_result questions_ask(struct questions *q, const struct question *question,
                                    uint64_t waiter, int64_t now_ms, const char **reason);

/* Nobody waits for that any more; `decided` will not come. A question without waiters is closed. */
void questions_cancel(struct questions *q, uint64_t waiter);

/* The open question with that id, or NULL. */
const struct open_question *questions_find(const struct questions *q, struct str id);

/* Has a question had that id, open or not? Not when somebody made the id up. */
bool questions_was_asked(const struct questions *q, struct str id);

/* A person's answer. False when no question with that id is open: then nothing happens. */
bool questions_answer(struct questions *q, struct str id, bool allow, enum question_scope scope,
                      struct str reason, int64_t now_ms);

/* Denies every open question, because the channel said something that is no answer. */
void questions_fail(struct questions *q, int64_t now_ms);

/* The channel is gone: every open question is denied, and every later one at once. */
void questions_shut(struct questions *q, int64_t now_ms);

/* Puts a kept answer (of the project's file) in place; lasts for the run. */
void questions_remember(struct questions *q, const struct question *question, bool allow);

/* When questions_tick has something to deny; -1 = never. */
int64_t questions_deadline(const struct questions *q);
void questions_tick(struct questions *q, int64_t now_ms);

/* Open questions, oldest first; NULL beyond the last. */
const struct open_question *questions_at(const struct questions *q, size_t i);
