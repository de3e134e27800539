/* session.h - what a session is, and what happens to it (API contract 3; docs/design/session.md).
 *
 * A session is a fold over its log: `session_apply` for each event in turn. Whatever happens is a
 * fact; `session_decide` answers it with events, which are applied already, and with effects, which
 * the caller carries out once the events are durable. Nothing here reads a clock, JSON or the store.
 *
 * Several facts may be decided into one decision, in order; its events are then one transaction. When
 * that cannot be written, the session is thrown away and folded anew from the log.
 */
#pragma once

#include "base/arena.h"
#include "core/policy.h"
#include "core/refusal.h"
#include "core/work.h"
#include "postern/event.h"
#include "postern/model.h"
#include "postern/random.h"

enum session_status { SESSION_IDLE, SESSION_RUNNING, SESSION_RESCHEDULING, SESSION_TERMINATED };

enum {
    SESSION_QUEUED_MAX = 100,            /* inputs that wait for their turn */
    SESSION_QUEUED_BYTES_MAX = 64 << 20, /* of their contents */
    SESSION_CALLS_REMEMBERED = 1024      /* closed calls whose repeated answers are known */
};

enum call_state {
    CALL_ASKS,  /* waits for a person's confirmation */
    CALL_WAITS, /* may run; waits for the result of a worker or of the application */
    CALL_RUNS,  /* the server runs it: EFFECT_TOOL_RUN */
    CALL_CLOSED /* has its result */
};

/* A call of a tool. */
struct call {
    struct id id;
    enum event_type type; /* EVENT_AGENT_TOOL_USE, ..._MCP_TOOL_USE, ..._CUSTOM_TOOL_USE */
    enum tool_owner owner;
    enum call_state state;
    enum repeat repeat;
    enum permission permission;
    struct sha256 arguments; /* the intent: what was agreed to run */
    struct id confirmation;  /* the latest one that was accepted; none */
    bool allowed;            /* what it said */
    struct id result;        /* the event that closed it */
    struct id followed;      /* the system.message that came right behind the result */
    bool started;            /* a worker has marked it under the live work item */
    unsigned attempt;        /* of that mark */
    bool doubtful;           /* outcome unknown; a person is asked whether to run it again */
    struct str name, input;  /* owned; of calls that the server runs, until they are closed */
};

/* An input that waits for its turn. */
struct queued {
    struct event event; /* texts point into `texts` */
    char *texts;        /* owned */
    size_t size;
};

/* Read it, but change it only through the functions below. */
struct session {
    enum session_status status;
    enum stop_reason stop; /* why it is idle; STOP_NONE: it never ran, or runs */
    bool created, archived;

    /* The turn. */
    bool turn;             /* one is under way: running, blocked, rescheduling, or out of budget */
    struct id request;     /* the model request in flight (id of its start event); none */
    bool request_compacts; /* it asks for a summary */
    bool compaction_due;   /* the next request does */
    bool answered;         /* the last finished request was an answer, no summary */
    unsigned compactions;  /* in a row */
    unsigned rounds;       /* answers of this turn that ask to go on */
    unsigned attempts;     /* failed tries of the current request */
    bool unfinished;       /* the last answer asks to go on (calls, pause, or none yet) */
    int64_t retry_at;      /* while rescheduling */

    struct call *calls; /* in the order of the calls; the oldest closed ones are forgotten */
    size_t call_count, call_room;
    struct queued *queue;
    size_t queue_count, queue_room, queue_bytes;
    size_t named; /* how many ids the last idle of STOP_REQUIRES_ACTION named */

    /* Usage and budget. */
    struct usage usage;
    int64_t running_since; /* while running */
    bool budgeted;
    uint64_t cap;

    /* The work item. */
    struct id work; /* the latest one; none */
    bool work_live;
    bool work_held;         /* none is made until a client speaks */
    bool work_fruitful;     /* a result was posted under it since it was made */
    unsigned work_failures; /* items in a row that ended at once */

    struct id last_result;       /* the call whose result ends the log; none */
    int64_t created_at, last_at; /* of the log's first and last entry */
};

/* What the session's configuration and surroundings say at this moment; control looks it up for
 * every decision. */
struct session_rules {
    unsigned max_rounds;       /* of a turn: 500 */
    unsigned max_retries;      /* tries of a model request: 8 */
    uint64_t context_window;   /* tokens of the model; 0: not known */
    bool priced;               /* the model has a price */
    bool system_messages;      /* the model takes system messages among others (3.2) */
    bool update_while_running; /* 3.8 */
    bool parked;               /* the process stops: no new model request is begun */
};

/* A tool call in a model's answer. Texts as in struct event. */
struct answer_call {
    enum event_type type; /* as of struct call */
    struct str name, server, input, model_id;
    struct sha256 arguments; /* of the exact input */
    enum tool_owner owner;
    enum repeat repeat;
    struct tool_grant grant;
};

enum fact_type {
    FACT_CREATED,       /* created */
    FACT_CLIENT,        /* client: events of a POST, all or none */
    FACT_MODEL_ENDED,   /* answer */
    FACT_MODEL_ABORTED, /* answer: what was complete; follows EFFECT_MODEL_ABORT */
    FACT_MODEL_FAILED,  /* failure */
    FACT_TOOL_ENDED,    /* tool: the server has run a call */
    FACT_CLOCK,         /* time has passed: session_deadline */
    FACT_WORK,          /* work: what work.h reported */
    FACT_WORK_WANTED,   /* an operator wants a work item (requeue) */
    FACT_CALLS_STARTED, /* marks */
    FACT_UPDATE,        /* update */
    FACT_ARCHIVE,
    FACT_DELETE,
    FACT_RECOVERED, /* this process has just read the session from its log */
    FACT_PARK       /* the process stops; rules.parked is set from now on */
};

struct fact {
    enum fact_type type;
    union {
        struct {
            struct str members; /* of the session object, for EVENT_INTERNAL_CREATED */
            bool budgeted;
            uint64_t cap;
            const struct event *events; /* initial_events: user.message only */
            size_t count;
        } created;
        struct {
            bool worker;                /* an environment's credential, not an API key */
            struct id work;             /* of a sessions token; may be none */
            const struct event *events; /* type and the fields that clients send; no id */
            size_t count;
        } client;
        struct {
            struct id request;           /* id of the request's start event */
            struct id message, thinking; /* announced ids of the events; none: made here */
            struct str thinking_blocks;  /* JSON array as the model gave them; empty: none */
            struct str content;          /* JSON array of text blocks; empty: none */
            struct str summary;          /* plain text: the answer to a compaction */
            const struct answer_call *calls;
            size_t call_count;
            enum model_stop stop;
            struct str category, explanation; /* of MODEL_STOP_REFUSAL */
            struct usage usage;               /* of this request; `active` is 0 */
        } answer;
        struct {
            struct id request;
            enum model_failure failure;
            struct str message;
            int64_t retry_after; /* microseconds; 0: not said */
            struct usage usage;
        } failure;
        struct {
            struct id call;
            struct str content; /* JSON array of blocks */
            bool is_error;
        } tool;
        struct {
            struct id work;
            struct work_report report;
            unsigned attempt;
            struct str reason; /* of a nack; plain text */
        } work;
        struct {
            struct id work; /* work_may_mark has been asked */
            const struct call_mark *marks;
            size_t count;
        } marks;
        struct {
            struct str members; /* the changed members of the session object; empty: none changed */
            bool agent;         /* one of them is `agent` */
            enum budget_change budget;
            uint64_t cap;
        } update;
    };
};

/* A worker is about to run this call (contract 13, `calls`). */
struct call_mark {
    struct id call;
    struct sha256 arguments;
    unsigned attempt;
};

enum effect_type {
    EFFECT_MODEL_START, /* id: of the request; `compacts` */
    EFFECT_MODEL_ABORT, /* id: of the request. FACT_MODEL_ABORTED follows; a request that ended
                           meanwhile says so itself */
    EFFECT_TOOL_RUN,    /* id: of the call; FACT_TOOL_ENDED follows */
    EFFECT_TOOL_CANCEL, /* id: of the call; nothing follows */
    EFFECT_WORK_MAKE,   /* id: of the new item, put into the same transaction; `not_before` */
    EFFECT_WORK_STOP    /* id: of the live item: work_withdraw, in the same transaction */
};
struct effect {
    enum effect_type type;
    struct id id;
    bool compacts;
    struct str name, input; /* EFFECT_TOOL_RUN */
    int64_t not_before;     /* EFFECT_WORK_MAKE */
};

/* What was decided. Texts are borrowed: from the facts, which must live as long, from the session,
 * or from the decision itself. EVENT_SESSION_DELETED among the events means: remove the session. */
struct decision {
    struct event *events; /* in order, applied already */
    size_t event_count, event_room;
    struct effect *effects; /* in the order in which they are to be carried out */
    size_t effect_count, effect_room;
    /* Of the last FACT_CLIENT: per event of it the id of what is stored. It stands in `events` (as
     * EVENT_INTERNAL_QUEUED while it waits), in the session's queue, or further up in the log. */
    struct id *answers;
    size_t answer_count;
    char **owned; /* texts that a session has handed over */
    size_t owned_count, owned_room;
    struct refusal refusal; /* of the last fact that was refused */
    struct arena arena;     /* texts and lists made for this decision */
};

/* Allocates nothing. */
void decision_init(struct decision *d);
void decision_release(struct decision *d);

struct session *session_new(void);
void session_free(struct session *s); /* NULL is fine */

/* The next event of the log. Texts are copied if they have to be remembered. */
void session_apply(struct session *s, const struct event *event);

/* Adds to `d` what follows from the fact; what does not fit the state any more (an answer to a
 * request that is over, a second result) adds nothing. 0; -1: refused, d->refusal says why and
 * nothing was added. Facts that no client sent are never refused, except FACT_CALLS_STARTED. */
int session_decide(struct session *s, const struct fact *fact, const struct session_rules *rules,
                   int64_t now, const struct random_source *random, struct decision *d);

/* When FACT_CLOCK has something to do; INT64_MAX: never. */
int64_t session_deadline(const struct session *s);

/* The ids that stop_reason.event_ids names now: at most `room` of them. Returns how many there
 * are. */
size_t session_waiting(const struct session *s, struct id *out, size_t room);

/* The call of this id while it is remembered, or NULL. */
const struct call *session_call(const struct session *s, const struct id *id);

/* Usage so far, seconds of the running turn included. */
struct usage session_usage(const struct session *s, int64_t now);

/* Does any model request, server tool or open interrupt need this process to go on by itself, or
 * does the session only wait for others? */
bool session_is_busy(const struct session *s);

const char *session_status_name(enum session_status status);

/* Same state. NULL or, for people, the name of the first member that differs. */
const char *session_difference(const struct session *a, const struct session *b);
