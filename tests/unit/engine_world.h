/* engine_world.h - an engine in a world that tests turn by hand: memory store, clock, models that
 * answer what the test says.
 */
#pragma once

#include "control/engine.h"
#include "store/memory.h"

enum { WORLD_CALLS_MAX = 64 };

/* A call of the API and how it ended. */
struct answer {
    bool came;
    int status;
    char code[64], message[512], details[512];
    struct buf json;
};

/* A model request that the test has to answer. */
struct model_call {
    struct world *world;
    bool open;
    const struct model_events *events;
    void *ctx;
    struct buf messages, tools, system;
    bool no_tools;
};

struct later {
    struct later *next;
    void (*fn)(void *arg);
    void *arg;
};

struct world {
    int64_t now, wake;
    uint64_t seed;
    struct later *first, **last;
    struct memory_disk *disk;
    struct store *store;
    struct engine *engine;
    struct engine_settings settings;
    struct model_set models;
    struct model_info model;
    struct model_call calls[WORLD_CALLS_MAX]; /* all so far */
    size_t call_count;
    size_t cancelled;
    size_t dies_in; /* steps from now the process dies and a new one starts; 0: never */
    size_t deaths;
    void (*before_step)(struct world *w); /* NULL: nobody looks */
    const struct web_tools *web;
    struct id workspace, environment, agent;
};

void world_begin(struct world *w);
void world_end(struct world *w);

/* The process dies here and a new one starts on the same disk. */
void world_restart(struct world *w);

/* Lets everything happen that needs no time to pass. */
void world_settle(struct world *w);

/* Time passes; deadlines on the way are kept. */
void world_pass(struct world *w, int64_t microseconds);

void answer_take(void *ctx, const struct refusal *refusal, struct str json);
void answer_clear(struct answer *a);

struct asker world_api_key(const struct world *w);
struct asker world_environment_key(const struct world *w);

/* Creates a session with these tools (JSON array); its id. */
struct id world_session(struct world *w, const char *tools);

/* Sends one event and settles. */
void world_send(struct world *w, const struct id *session, const struct asker *asker,
                const struct event *event, struct answer *answer);
void world_say(struct world *w, const struct id *session, const char *text);

/* The open model request; fails the test when there is not exactly one. */
struct model_call *world_call(struct world *w);
void call_text(struct model_call *c, unsigned index, const char *text);
void call_block_text(struct model_call *c, unsigned index, const char *text);
void call_block_tool(struct model_call *c, unsigned index, const char *id, const char *tool,
                     const char *input);
void call_done(struct model_call *c, enum model_stop stop);
void call_failed(struct model_call *c, enum model_failure failure, int64_t retry_after);

/* Types of the session's public log, blank separated: "session.status_running ...". */
void world_log(struct world *w, const struct id *session, enum entry_shows shows, struct buf *out);
void assert_log(struct world *w, const struct id *session, const char *want);

/* The body of the last event of this type. */
void world_last(struct world *w, const struct id *session, const char *type, struct buf *out);

/* The id in the last event of this type. */
struct id world_last_id(struct world *w, const struct id *session, const char *type);
