/* engine.h - the sessions of this process: what the API asks of them, and what runs them.
 *
 * One actor per session that something happens in. Facts (client events, answers of models, results,
 * timers) queue at the actor; when no transaction of it is under way all of them are decided together
 * by core/session and written as one transaction. Only when that is durable are events published,
 * calls answered and effects carried out (architecture 1 and 5, contract 3.12). When a write fails
 * the actor is dropped and read anew from its log.
 *
 * The engine touches no socket, no clock and no thread: everything comes through struct
 * engine_parts, so that tests/sim runs it as it is. All calls come from the loop thread; no callback
 * comes before the function that was given it has returned.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "core/refusal.h"
#include "core/session.h"
#include "postern/clock.h"
#include "postern/event.h"
#include "postern/model.h"
#include "postern/random.h"
#include "postern/store.h"

/* Tools that the server runs itself (contract 6.8). */
struct web_call;
struct web_tools {
    bool can_search; /* a provider is configured: web_search is offered to models */
    /* `options` is the resolved configuration of the tool, JSON text; `content` of the answer is a
     * JSON array of blocks. `done` comes later, exactly once unless cancelled. */
    struct web_call *(*start)(void *ctx, struct str tool, struct str input, struct str options,
                              void (*done)(void *arg, struct str content, bool is_error),
                              void *arg);
    void (*cancel)(struct web_call *call);
    void *ctx;
};

/* What surrounds the engine. Borrowed for its life. */
struct engine_parts {
    struct store *store;
    struct model_set *models;
    struct clock clock;
    struct random_source random;
    /* Calls fn(arg) from the loop, later; not after engine_free. */
    void (*later)(void *ctx, void (*fn)(void *arg), void *arg);
    /* The engine has one deadline: engine_wake is called at `when` (microseconds) or soon after; a
     * new one replaces it; INT64_MAX: none. */
    void (*wake_at)(void *ctx, int64_t when);
    const struct web_tools *web; /* NULL: there are none */
    void *ctx;
};

struct engine_settings {                        /* contract 11, rows 3 and 8; 4.7, 8, 13 */
    int64_t lease, start_timeout, stop_timeout; /* microseconds: 90 s, 300 s, 60 s */
    unsigned max_attempts;                      /* of a work item by nack: 8 */
    unsigned max_rounds;                        /* of tools in a turn: 500 */
    unsigned max_retries;                       /* of a model request: 8 */
    bool update_while_running;                  /* contract 3.8 */
};

extern const struct engine_settings engine_settings_default;

struct engine;

/* Reads what wants to go on (running sessions, live work items) from the store and goes on with
 * it. */
int engine_new(const struct engine_parts *parts, const struct engine_settings *settings,
               struct engine **out, struct err *e);

/* Cancels model requests; nothing more is written, no callback comes any more. Also what the
 * simulator calls a crash. What was asked of the store and of `later` must not come back to it: the
 * store is freed next, before the loop turns. */
void engine_free(struct engine *g);

void engine_wake(struct engine *g);

/* Turns that run are parked: no new model request is begun, running ones are cut off, readers are
 * told. `stopped` comes when everything that was accepted is durable. */
void engine_stop(struct engine *g, void (*stopped)(void *ctx), void *ctx);

/* Who asks. `workspace` decides what exists; with a worker's credential, `environment`, `session`
 * and `work` narrow it (contract 1.2). */
enum asker_kind { ASKER_API_KEY, ASKER_ENVIRONMENT_KEY, ASKER_SESSIONS_TOKEN };
struct asker {
    enum asker_kind kind;
    struct id key; /* of the credential's record */
    struct id workspace;
    struct id environment, session, work; /* none where the kind has none */
    bool superseded; /* a sessions token of an earlier claim: heartbeats get 412 (4.5, row 9) */
    unsigned retry_count; /* x-stainless-retry-count */
};

/* Who holds the sessions token with this SHA-256 (32 bytes): fills *out, where `key` is the work item.
 * A token of an earlier claim is `superseded`: only a heartbeat may still be asked with it (contract
 * 4.5 row 9), everything else is a 401. 1; 0: not known, or its time is over (11, row 2); -1 with
 * *e. */
int engine_token(struct engine *g, struct str sha256, struct asker *out, struct err *e);

/* `json` is the answer's text when all went well, borrowed for the call. */
typedef void engine_answer(void *ctx, const struct refusal *refusal, struct str json);

/* --- sessions --- */

/* A new session. The caller has checked and resolved everything: `members` are those of the session
 * object that do not change by themselves (agent, title, metadata, resources, vault_ids, budget,
 * deployment_id) as JSON text; `agent` and `agent_version` name the base. */
struct session_draft {
    struct id workspace, environment, agent;
    int64_t agent_version;
    struct str members;
    const struct event *events; /* initial_events, checked for shape */
    size_t event_count;
};
/* The answer is the session. */
void engine_session_create(struct engine *g, const struct session_draft *draft,
                           engine_answer *answer, void *ctx);

/* Client events, checked for shape (contract 3.2); all or none (2.5). The answer is
 * {"data":[...]}. */
void engine_session_send(struct engine *g, const struct asker *asker, const struct id *session,
                         const struct event *events, size_t count, engine_answer *answer,
                         void *ctx);

/* What is replaced, already resolved and whole; an empty text keeps what is there (3.8). */
struct session_patch {
    struct str title;    /* JSON string or null */
    struct str metadata; /* JSON object */
    struct str budget;   /* JSON object or null */
    struct str agent;    /* JSON object: the whole snapshot with other tools and mcp_servers */
};
/* The answer is the session. */
void engine_session_update(struct engine *g, const struct asker *asker, const struct id *session,
                           const struct session_patch *patch, engine_answer *answer, void *ctx);
void engine_session_archive(struct engine *g, const struct asker *asker, const struct id *session,
                            engine_answer *answer, void *ctx);
void engine_session_delete(struct engine *g, const struct asker *asker, const struct id *session,
                           engine_answer *answer, void *ctx);

/* A session's record as the API shows it, appended to `out`. */
int session_json(const struct record *session, int64_t now, struct buf *out, struct err *e);

/* The primary thread of a session as the API shows it (2.7). */
int thread_json(const struct record *session, int64_t now, struct buf *out, struct err *e);

/* Whoever reads the log and the inputs that wait must see both at one moment: an input that a
 * transaction under way takes into the log is in neither. True: there is such a transaction, `answer`
 * comes when it is over, well or not; read then. False: read now, `answer` will not come. */
bool engine_session_settle(struct engine *g, const struct id *session, engine_answer *answer,
                           void *ctx);

/* Inputs that were accepted and wait for their turn, as JSON objects with processed_at null, comma
 * separated, in order; lists show them behind the log (3.4). Returns how many. Only while nothing is
 * under way: engine_session_settle. */
size_t engine_session_queued(struct engine *g, const struct id *session, const struct str *types,
                             size_t type_count, struct buf *out);

/* --- streams: readers of one session, from now on (3.12) --- */

struct reader;
struct reader_events {
    /* Something may be there: call reader_next until it gives nothing. */
    void (*ready)(void *ctx);
};
struct reader_options {
    bool extensions;                      /* contract 13 */
    bool message_deltas, thinking_deltas; /* contract 3.7 */
    struct id last_event;                 /* begin behind it; none: from now on */
};

/* NULL with *e: E_MISSING when there is no such session or last_event. */
struct reader *reader_open(struct engine *g, const struct id *session,
                           const struct reader_options *options, const struct reader_events *events,
                           void *ctx, struct err *e);

enum reader_state { READER_MORE, READER_EMPTY, READER_OVER };

/* Appends what comes next, server-sent events, to `out`, until it holds `room` bytes: an event of the
 * log is cut there and goes on with the next call. (Deltas are not cut: up to 17 KiB more.) A reader is a
 * cursor: what it has not taken is read from the log again, so a slow one costs nothing. READER_OVER:
 * what is in `out` is the last, close after it. */
enum reader_state reader_next(struct reader *r, struct buf *out, size_t room);

/* Whether what was taken ends within an event. */
bool reader_in_event(const struct reader *r);
void reader_close(struct reader *r); /* NULL is fine */

/* --- work (contract 4) --- */

/* The oldest item that may be handed out, with a fresh secret, or "null" (4.3). Waits up to `block`
 * microseconds. `worker` may be empty. The handle cancels the wait; it is dead once `answer` has
 * come. */
struct poll;
struct poll *engine_work_poll(struct engine *g, const struct asker *asker,
                              const struct id *environment, struct str worker, int64_t block,
                              int64_t reclaim, engine_answer *answer, void *ctx);
void engine_work_poll_cancel(struct poll *p);

/* The answers of these are the work item, if nothing else is said. `environment` is that of the
 * path: an item of another one does not exist. */
void engine_work_ack(struct engine *g, const struct asker *asker, const struct id *environment,
                     const struct id *work, engine_answer *answer, void *ctx);
/* `expected` empty: not given; `ttl` (seconds) 0: not given (4.5). */
void engine_work_heartbeat(struct engine *g, const struct asker *asker,
                           const struct id *environment, const struct id *work, struct str expected,
                           int64_t ttl, engine_answer *answer, void *ctx);
void engine_work_stop(struct engine *g, const struct asker *asker, const struct id *environment,
                      const struct id *work, bool force, engine_answer *answer, void *ctx);
/* `delay` in microseconds. */
void engine_work_nack(struct engine *g, const struct asker *asker, const struct id *environment,
                      const struct id *work, struct str reason, int64_t delay,
                      engine_answer *answer, void *ctx);
void engine_work_requeue(struct engine *g, const struct asker *asker, const struct id *environment,
                         const struct id *work, engine_answer *answer, void *ctx);

/* Marks calls as started before they run (13). The answer is {"data":[...]}. */
void engine_work_calls(struct engine *g, const struct asker *asker, const struct id *environment,
                       const struct id *work, const struct call_mark *marks, size_t count,
                       engine_answer *answer, void *ctx);

/* Operator data, whole, a JSON object. */
void engine_work_update(struct engine *g, const struct asker *asker, const struct id *environment,
                        const struct id *work, struct str metadata, engine_answer *answer,
                        void *ctx);

/* A new item that only asks whether a worker is there (4.7). */
void engine_work_healthcheck(struct engine *g, const struct asker *asker,
                             const struct id *environment, engine_answer *answer, void *ctx);

/* A work record as the API shows it, `secret` null. */
int work_json(const struct record *work, struct buf *out, struct err *e);
int engine_work_stats(struct engine *g, const struct id *environment, struct buf *out,
                      struct err *e);

/* --- approvals (13) --- */

/* `request` is the request object of the sandbox contract, JSON text. The answers are the
 * approval. */
void engine_approval_request(struct engine *g, const struct asker *asker, const struct id *session,
                             struct str request, engine_answer *answer, void *ctx);
struct approval_verdict {
    bool allow;
    struct str scope, reason; /* "once", "run", "project"; a text or empty */
    int64_t expires_at;       /* 0: none */
};
void engine_approval_answer(struct engine *g, const struct asker *asker, const struct id *session,
                            const struct id *approval, const struct approval_verdict *verdict,
                            engine_answer *answer, void *ctx);
/* Waits up to `wait` microseconds for an answer; none `approval`: all of the session at once as
 * {"data":[...]}. */
void engine_approval_get(struct engine *g, const struct asker *asker, const struct id *session,
                         const struct id *approval, int64_t wait, engine_answer *answer, void *ctx);

/* For /metrics. */
struct engine_counters {
    uint64_t sessions_loaded, readers, polls_waiting, events_appended, commits_failed;
    uint64_t model_requests, model_failures, work_items_made;
};
void engine_count(const struct engine *g, struct engine_counters *out);
