/* asking.h - brings the proxy's questions to a person and the answers back (sandbox contract 8).
 *
 * Glue between the proxy's frames, the questions that are open (sandbox/questions.h) and the one front
 * that this run has: a descriptor, a unix socket, or the caller's terminal. Without a front nobody is
 * asked and everything asked is denied.
 */
#pragma once

#include "base/err.h"
#include "proto/json.h"
#include "role/record.h"
#include "role/supervisor.h"
#include "sandbox/egress_process.h"
#include "sandbox/questions.h"
#include "sandbox/watch.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct asking;

/* Opens the front. Fails with E_INPUT when it cannot be used (no terminal, no socket there), or when
 * the kept answers of the project are malformed. `record` and `proxy` are borrowed for the life. */
int asking_new(const struct supervision *s, const char *run_id, struct record *record,
               struct egress_process *proxy, struct asking **out, struct err *e);

/* Gives the terminal back. NULL is fine. */
void asking_free(struct asking *a);

/* True when there is somebody to ask. */
bool asking_is_possible(const struct asking *a);

/* An "ask" or "cancel" frame of the proxy; `watch` finds who asks. */
void asking_frame(struct asking *a, const struct json *frame, struct watch *watch, int64_t now_ms);

/* Who waits for the answer to a question about a file: `decided` comes later, never from within
 * asking_file. Ids are the caller's own; they fit 32 bits. */
struct asking_waiter {
    uint32_t id;
    void (*decided)(void *ctx, uint64_t id, bool allow, const char *reason);
    void *ctx; /* the same for all questions about files */
};

/* Asks about a file. QUESTIONS_WAIT: see above; else the answer, with *reason for a denial. */
enum questions_result asking_file(struct asking *a, const struct question *question,
                                  const struct asking_waiter *waiter, int64_t now_ms,
                                  const char **reason);

/* Nobody waits for the question about a file with that id any more. */
void asking_cancel(struct asking *a, uint32_t id);

/* The channel of the front, for poll; -1 = none now. */
int asking_fd(const struct asking *a);
short asking_events(const struct asking *a);
void asking_ready(struct asking *a, short revents, int64_t now_ms);

/* When asking_tick has something to do; -1 = never. */
int64_t asking_deadline(const struct asking *a);
void asking_tick(struct asking *a, int64_t now_ms);

/* True while a question holds the caller's terminal. */
bool asking_has_terminal(const struct asking *a);

/* Around a stop of ours. */
void asking_suspend(struct asking *a);
void asking_resume(struct asking *a, int64_t now_ms);

/* The rules that questions are judged by from now on (live updates). Borrowed. */
void asking_set_policy(struct asking *a, const struct egress_policy *policy);
