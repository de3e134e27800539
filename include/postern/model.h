/* model.h - what the agent loop asks of a model, whoever serves it.
 *
 * A request carries its parts as JSON text in the shape of the Messages API (system text, tool
 * definitions, messages with content blocks); a dialect passes them on as they are or translates.
 * The answer comes as a stream of callbacks on the loop thread. Keys of providers stay in the
 * dialects: they are never in a request, an outcome or an error text.
 */
#pragma once

#include "base/err.h"
#include "base/id.h"

#include <stdbool.h>
#include <stdint.h>

/* A configured model. All texts live as long as the set of models. */
struct model_info {
    struct str id;           /* what an agent's model.id says */
    struct str display_name; /* for GET /v1/models */
    struct str dialect;      /* "messages", "chat" or "scripted" */
    int64_t created_at;      /* microseconds, for GET /v1/models */
    uint64_t context_window; /* tokens; the agent loop compacts before it is full */
    uint64_t max_output;     /* tokens of one answer */
    bool priced;             /* the four below are known (contract 3.9) */
    /* Millionths of a US cent per token. */
    uint64_t price_input, price_output, price_cache_read, price_cache_write;
};

struct model_usage {
    uint64_t input_tokens, output_tokens, cache_read_input_tokens;
    uint64_t cache_creation_5m_input_tokens, cache_creation_1h_input_tokens;
};

/* Texts are borrowed until model_start has returned. */
struct model_request {
    struct str model;  /* model_info.id */
    struct str system; /* text, may be empty */
    struct str tools;  /* JSON array of {name, description, input_schema}, stable order; or "[]" */
    struct str messages; /* JSON array of {role:"user"|"assistant"|"system", content:[...]} */
    struct str effort;   /* "low" ... "max", or empty */
    struct str speed;    /* "standard", "fast", or empty */
    struct id session;   /* for logs, and for scripts that tell sessions apart */
    unsigned attempt;    /* how often this request has failed before; scripts count their faults */
    bool no_tools;       /* the definitions are sent, but no call is wanted (compaction) */
};

enum model_block_kind { MODEL_TEXT, MODEL_THINKING, MODEL_TOOL_USE };

struct model_block {
    enum model_block_kind kind;
    struct str text;    /* MODEL_TEXT: UTF-8 */
    struct str raw;     /* MODEL_THINKING: the block as JSON, to be replayed unchanged */
    struct str tool_id; /* MODEL_TOOL_USE: the model's own name of the call */
    struct str tool;    /* its tool */
    struct str input;   /* its arguments, a JSON object, checked to be one */
};

enum model_stop {
    MODEL_STOP_END,     /* nothing more to say */
    MODEL_STOP_TOOLS,   /* waits for its calls */
    MODEL_STOP_LENGTH,  /* max_tokens, or the end of the window, reached */
    MODEL_STOP_REFUSAL, /* declined; `category` and `explanation` may say why */
    MODEL_STOP_PAUSE    /* wants to be asked again with its own answer at the end */
};

enum model_failure {
    MODEL_OK,
    MODEL_OVERLOADED,       /* 529, 503: contract 3.11 model_overloaded_error */
    MODEL_RATE_LIMITED,     /* 429 */
    MODEL_REQUEST_FAILED,   /* connection, 5xx, cut or malformed stream; worth another try */
    MODEL_REQUEST_REFUSED,  /* 4xx: another try gives the same */
    MODEL_BILLING,          /* 402 and provider-specific words for it */
    MODEL_CONTEXT_TOO_LONG, /* the provider says that the messages do not fit */
    MODEL_UNKNOWN           /* no such model is configured */
};

struct model_outcome {
    enum model_failure failure;
    struct str message;  /* of a failure: for people, without secrets */
    int64_t retry_after; /* microseconds the provider asked for, or 0 */
    enum model_stop stop;
    struct str category, explanation; /* of a refusal; may be empty */
    struct model_usage usage;         /* what is known, also after a failure */
};

/* Called from the loop, never from inside model_start. Texts are borrowed for the call. Blocks come
 * in order; `index` counts blocks of the answer from 0. */
struct model_events {
    void (*thinking)(void *ctx);                              /* a thinking block has begun */
    void (*text)(void *ctx, unsigned index, struct str part); /* whole UTF-8 characters */
    void (*block)(void *ctx, unsigned index, const struct model_block *block);
    void (*done)(void *ctx, const struct model_outcome *outcome); /* exactly once, last */
};

struct model_set;
struct model_call;

struct model_ops {
    /* NULL when there is no such model. */
    const struct model_info *(*find)(struct model_set *set, struct str id);
    /* The i-th configured model, NULL beyond the end. */
    const struct model_info *(*at)(struct model_set *set, size_t i);
    /* Never fails at once: every trouble comes through `done`. */
    struct model_call *(*start)(struct model_set *set, const struct model_request *request,
                                const struct model_events *events, void *ctx);
    /* No callback comes any more, `done` neither; not after `done`. */
    void (*cancel)(struct model_call *call);
};

/* Implementations begin with this. */
struct model_set {
    const struct model_ops *ops;
};
