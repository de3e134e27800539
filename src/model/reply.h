/* reply.h - one answer of a provider while it comes in.
 *
 * Bytes of an event stream in, callbacks of model.h out, and at the end an outcome. No I/O: a dialect
 * gives its meaning to the events, reply_feed and reply_end are called with what the network gave,
 * in any cut.
 */
#pragma once

#include "base/buf.h"
#include "model/failure.h"
#include "postern/model.h"
#include "proto/json.h"
#include "proto/sse.h"

enum {
    REPLY_EVENT_MAX = 4 << 20, /* bytes of one event */
    REPLY_MAX = 16 << 20,      /* bytes of the texts of one answer together */
    TOOL_INPUT_MAX = 1 << 20,  /* bytes of the arguments of one call */
    TOOL_INPUT_DEPTH_MAX = 32, /* so that they fit into messages, whose depth is bounded, too */
};

struct reply;

/* How a dialect's stream is read. */
struct reply_reader {
    /* One event: `name` of its event line, `data` as it came. */
    void (*event)(struct reply *r, struct str name, struct str data);
    /* Nothing more comes. Either reply_fail, or `outcome.stop` is set and all blocks are told. */
    void (*end)(struct reply *r);
};

struct reply {
    const struct reply_reader *reader;
    const struct model_events *events; /* borrowed */
    void *ctx;
    struct hidden secrets; /* never in a message */
    struct sse sse;
    bool over;        /* complete or failed: what still comes is not looked at */
    bool cancelled;   /* nothing may be told any more */
    bool called;      /* a call was told */
    bool broken_call; /* a call could not be read; only an answer that was cut short may hold one */
    unsigned index;   /* of the block that is open, or comes next */
    size_t taken;     /* bytes of REPLY_MAX */
    struct buf text;  /* of the text block that is open */
    struct model_outcome outcome;
    struct buf message, category, explanation; /* what the outcome borrows */
};

/* All memory of the answer is zeroed or this has been called. */
void reply_init(struct reply *r, const struct reply_reader *reader,
                const struct model_events *events, void *ctx, struct hidden secrets);
void reply_release(struct reply *r);

/* Takes bytes of the stream. Afterwards r->over may be true. */
void reply_feed(struct reply *r, struct str bytes);

/* The stream has ended. Afterwards the outcome is whole; `done` is the caller's to call. */
void reply_end(struct reply *r);

/* --- for the readers --- */

/* The answer has failed; the first failure counts. */
__attribute__((format(printf, 3, 4))) void reply_fail(struct reply *r, enum model_failure kind,
                                                      const char *fmt, ...);

/* The provider has sent an error in the stream. */
void reply_complain(struct reply *r, const struct json *body);

/* Counts bytes that are kept; false, and the answer has failed, beyond REPLY_MAX. */
bool reply_take(struct reply *r, size_t n);

/* Reads the event's JSON object; NULL, and the answer has failed, when it is none. The caller frees. */
struct json *reply_json(struct reply *r, struct str data);

/* A text member of an object that may be missing or null: empty then. */
struct str reply_text(const struct json *object, const char *key);

void reply_tell_thinking(struct reply *r);
void reply_tell_text(struct reply *r, struct str part); /* and keeps it in r->text */
void reply_close_text(struct reply *r);                /* tells the block, when it holds any text */
void reply_tell_raw(struct reply *r, struct str json); /* a thinking block */

/* Tells a call; `arguments` is the model's own text of them. A call that is none is left out and
 * sets broken_call. */
void reply_tell_call(struct reply *r, struct str id, struct str tool, struct str arguments);

/* The answer is whole, and why it stopped. A stop for calls without a call is an end, and the
 * reverse. */
void reply_stop(struct reply *r, enum model_stop stop);
