/* event.h - what stands in a session's log, as core sees it.
 *
 * An event is a fact that has happened; the state of a session is a fold over its events (API
 * contract 3.3, architecture 5). core reads and makes these structures and knows no JSON: control
 * writes each as the text that the API shows (src/control/event_json.h) and reads it back from the
 * log. Parts that nobody here has to understand (content blocks, tool input) are carried as the JSON
 * text that came in.
 */
#pragma once

#include "base/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_type {
    EVENT_NONE,
    /* What clients send. */
    EVENT_USER_MESSAGE,
    EVENT_USER_INTERRUPT,
    EVENT_USER_TOOL_CONFIRMATION,
    EVENT_USER_TOOL_RESULT,
    EVENT_USER_CUSTOM_TOOL_RESULT,
    EVENT_SYSTEM_MESSAGE,
    /* The session. */
    EVENT_SESSION_STATUS_RUNNING,
    EVENT_SESSION_STATUS_IDLE,
    EVENT_SESSION_STATUS_RESCHEDULED,
    EVENT_SESSION_STATUS_TERMINATED,
    EVENT_SESSION_DELETED, /* streamed only, never in a log */
    EVENT_SESSION_UPDATED,
    EVENT_SESSION_USAGE,
    EVENT_SESSION_ERROR,
    EVENT_THREAD_CREATED,
    EVENT_THREAD_STATUS_RUNNING,
    EVENT_THREAD_STATUS_IDLE,
    EVENT_THREAD_STATUS_RESCHEDULED,
    EVENT_THREAD_STATUS_TERMINATED,
    /* The agent. */
    EVENT_AGENT_MESSAGE,
    EVENT_AGENT_THINKING,
    EVENT_AGENT_TOOL_USE,
    EVENT_AGENT_TOOL_RESULT,
    EVENT_AGENT_MCP_TOOL_USE,
    EVENT_AGENT_MCP_TOOL_RESULT,
    EVENT_AGENT_CUSTOM_TOOL_USE,
    EVENT_AGENT_CONTEXT_COMPACTED,
    EVENT_MODEL_REQUEST_START,
    EVENT_MODEL_REQUEST_END,
    /* Ours, for readers that ask for extensions (contract 13). */
    EVENT_POSTERN_CALL_STARTED,
    EVENT_POSTERN_CALL_UNKNOWN,
    EVENT_POSTERN_WORK_FAILED,
    EVENT_POSTERN_APPROVAL_REQUESTED,
    EVENT_POSTERN_APPROVAL_RESOLVED,
    /* Ours alone; no reader ever sees them. */
    EVENT_INTERNAL_CREATED, /* first entry: json = what the session was created with */
    EVENT_INTERNAL_QUEUED, /* an input was accepted that is processed later: inner type and fields */
    EVENT_INTERNAL_RETRY,  /* the next model request is made at `until` */
    EVENT_INTERNAL_WORK,   /* a work item of this session was made, ended or failed */
    EVENT_INTERNAL_CLOSED, /* what is left of the log is history: archived */
    EVENT_TYPES
};

/* How a call of a tool was judged (contract 7). */
enum permission { PERMISSION_NONE, PERMISSION_ALLOW, PERMISSION_ASK, PERMISSION_DENY };
enum policy { POLICY_NONE, POLICY_ALWAYS_ALLOW, POLICY_ALWAYS_ASK, POLICY_AUTO };

/* What may be done with a call whose outcome is unknown (architecture 5). */
enum repeat { REPEAT_NEVER, REPEAT_SAFE, REPEAT_WITH_KEY, REPEAT_ASK };

/* Who carries a call out (contract 3.5). */
enum tool_owner { OWNER_NONE, OWNER_WORKER, OWNER_SERVER, OWNER_APPLICATION };

enum stop_reason {
    STOP_NONE,
    STOP_END_TURN,
    STOP_REQUIRES_ACTION,
    STOP_RETRIES_EXHAUSTED,
    STOP_BUDGET_REACHED,
    STOP_REFUSAL
};

enum session_error { /* contract 3.11 */
                     ERROR_NONE,
                     ERROR_MODEL_OVERLOADED,
                     ERROR_MODEL_RATE_LIMITED,
                     ERROR_MODEL_REQUEST_FAILED,
                     ERROR_BILLING,
                     ERROR_TOOL_USE_LIMIT,
                     ERROR_COMPACTION_LIMIT,
                     ERROR_MCP_CONNECTION_FAILED,
                     ERROR_MCP_AUTHENTICATION_FAILED,
                     ERROR_UNKNOWN
};

enum retry_status { RETRY_RETRYING, RETRY_EXHAUSTED, RETRY_TERMINAL };

/* What became of a session's work item: EVENT_INTERNAL_WORK. */
enum work_step {
    WORK_STEP_NONE,
    WORK_STEP_MADE,  /* `work` exists and waits for a worker, not before `until` */
    WORK_STEP_LOST,  /* its worker is gone, it is queued again: `attempt` */
    WORK_STEP_ENDED, /* no more; `attempt` of them in a row have ended at once (contract 4.7) */
    WORK_STEP_HELD   /* the same, and none is made until a client speaks */
};

/* What an event says of the session's budget. */
enum budget_change { BUDGET_KEPT, BUDGET_SET, BUDGET_REMOVED };

struct usage {
    uint64_t input_tokens, output_tokens, cache_read_input_tokens;
    uint64_t cache_creation_5m_input_tokens, cache_creation_1h_input_tokens;
    uint64_t web_search_requests, web_fetch_requests;
    uint64_t list_cost; /* millionths of a US cent; with `priced` */
    bool priced;
    int64_t active; /* microseconds spent running */
};

struct sha256 {
    unsigned char bytes[32];
};

/* One event. Which fields mean something is said by its type; all others are zero. Texts are
 * borrowed. */
struct event {
    enum event_type type;
    struct id id;
    int64_t at; /* processed_at; 0 while queued */

    /* Calls: EVENT_AGENT_*TOOL_USE. */
    struct str name;   /* the tool; of an MCP call its bare name */
    struct str server; /* of an MCP call */
    struct str input;  /* JSON object */
    enum permission permission;
    enum policy policy;
    struct str reason;       /* of POLICY_AUTO: reason_code, may be empty */
    enum tool_owner owner;   /* inner */
    enum repeat repeat;      /* inner */
    struct str model_id;     /* inner: the model's own name of the call */
    struct sha256 arguments; /* inner, and of EVENT_POSTERN_CALL_STARTED */

    /* Results, confirmations, spans: what they belong to. */
    struct id about;
    bool is_error; /* results; EVENT_MODEL_REQUEST_END */
    bool allow;    /* confirmations */

    struct str content; /* JSON array of content blocks */
    /* deny_message; message of an error; reason of a failed work item; of a result with empty
     * `content` that the server wrote itself: its one text block; inner of
     * EVENT_AGENT_CONTEXT_COMPACTED: the summary. Plain text, not JSON. */
    struct str text;
    struct str replay; /* inner of EVENT_AGENT_THINKING: JSON array of the blocks as the model gave
                           them */

    /* EVENT_SESSION_STATUS_IDLE, EVENT_THREAD_STATUS_IDLE. */
    enum stop_reason stop;
    const struct id *waiting; /* of STOP_REQUIRES_ACTION, in the order of the calls */
    size_t waiting_count;
    struct str category, explanation; /* of STOP_REFUSAL; may be empty */

    /* EVENT_SESSION_ERROR. */
    enum session_error error;
    enum retry_status retry;

    /* EVENT_SESSION_USAGE (cumulative) and EVENT_MODEL_REQUEST_END (of this request). */
    struct usage usage;

    /* EVENT_SESSION_UPDATED: the changed members; EVENT_INTERNAL_CREATED: the session;
     * approvals: the approval. Members without braces, JSON text. */
    struct str members;
    enum budget_change budget; /* inner: what the members say of the budget, for core */
    uint64_t cap;              /* inner, of BUDGET_SET: millionths of a US cent */

    /* inner of EVENT_MODEL_REQUEST_START: a summary is asked for; of EVENT_MODEL_REQUEST_END: the
     * context is nearly full, the next request asks for one */
    bool compaction;

    enum event_type queued; /* EVENT_INTERNAL_QUEUED: the type of the input */
    int64_t until;          /* EVENT_INTERNAL_RETRY, EVENT_INTERNAL_WORK: not before */
    /* EVENT_POSTERN_CALL_*, EVENT_POSTERN_WORK_FAILED, EVENT_INTERNAL_WORK; inner of results: the
     * item under which a worker posted it */
    struct id work;
    enum work_step step; /* EVENT_INTERNAL_WORK */
    unsigned attempt;    /* of a call, a retry, a work item */
};

/* Who may read it: enum entry_shows of store.h follows from the type. */
bool event_is_internal(enum event_type type);
bool event_is_extension(enum event_type type);
