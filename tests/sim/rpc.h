/* rpc.h - a call of the API over a network that loses requests and answers.
 *
 * As the SDK does it: a call that gets no answer, or 409 without x-should-retry, 429 or 5xx, is tried
 * twice more with x-stainless-retry-count (contract 1.6). Whoever asked has a life; when that is over
 * nobody is told.
 */
#pragma once

#include "world.h"

enum rpc_kind {
    RPC_CREATE,
    RPC_SEND,
    RPC_UPDATE,
    RPC_ARCHIVE,
    RPC_DELETE,
    RPC_POLL,
    RPC_ACK,
    RPC_HEARTBEAT,
    RPC_STOP,
    RPC_NACK,
    RPC_REQUEUE,
    RPC_CALLS
};

enum { RPC_EVENTS_MAX = 4 };

struct rpc {
    struct world *w;
    enum rpc_kind kind;
    struct id session, work;
    enum asker_kind as;
    struct sha256 token; /* ASKER_SESSIONS_TOKEN */
    struct event events[RPC_EVENTS_MAX];
    size_t count;
    char content[RPC_EVENTS_MAX][80]; /* of the events; their texts point here */
    struct session_draft draft;       /* RPC_CREATE */
    struct session_patch patch;       /* RPC_UPDATE */
    struct buf long_text;             /* of draft and patch */
    char text[60];                    /* reason, expected heartbeat, worker's name */
    bool force;
    unsigned stint; /* the asker's own */
    struct call_mark mark;

    /* The answer: status 0 when there was none. */
    int status;
    char code[48];
    struct buf json;
    void (*done)(void *peer, struct rpc *r);
    void *peer;
    struct life *life;

    /* private */
    unsigned attempt;
    bool at_server;
    struct rpc *before, *next; /* those that the server has */
};

/* A call of nobody yet; fill it in and send it. */
struct rpc *rpc_new(struct world *w, enum rpc_kind kind);

/* `done` comes once, later, unless `life` (may be NULL) is over by then; *r is freed behind it. */
void rpc_send(struct rpc *r, struct life *life, void (*done)(void *peer, struct rpc *r),
              void *peer);

/* Instead of sending it. */
void rpc_discard(struct rpc *r);

/* One more event in it; `content` is made a JSON array with one text block. */
struct event *rpc_event(struct rpc *r, enum event_type type, const char *content);

/* A member of an answer that is a text: what stands between its quotes. */
struct str rpc_member(struct str json, const char *key);

/* The hash of the sessions token in an item that a poll was given (4.9). */
void rpc_token(struct str item, struct sha256 *out);

/* The server has died: all that it had get no answer. */
void rpcs_cut(struct world *w);
