/* judge.h - reads every log as it grows and says what is not as it has to be.
 *
 * The judge folds each log by itself, from the text in the store, and compares: order of events
 * (contract 3.4), what was acknowledged, the record beside the log, the live work item, the engine's
 * own state, times in which a state has to be left, and how often a call was carried out.
 */
#pragma once

#include "rpc.h"

/* An event as peers see it when they list a session. */
struct logged {
    enum event_type type;
    struct id id, about;
    struct str name; /* owned */
    enum permission permission;
    enum tool_owner owner;
    enum stop_reason stop;
    bool allow;
    bool shown; /* to readers without extensions */
    struct sha256 arguments;
};

/* What was done about a call in the world outside. */
struct deed {
    struct id call;
    bool safe; /* to repeat */
    bool custom;
    bool marked;                    /* ever */
    unsigned by_marking, by_others; /* how often it was carried out, by whom */
};

struct view {
    struct id session;
    struct session *s; /* folded from the log */
    int64_t seq, moved_at;
    struct logged *log;
    size_t log_count, log_room;
    struct table ids; /* every id in the log: its own struct id */
    struct deed *deeds;
    size_t deed_count, deed_room;
    enum event_type before; /* the last event that readers see */
    unsigned stage;         /* within an answer: thinking, text, calls */
    struct id work;         /* the latest item, and when it may be handed out */
    int64_t not_before;
    bool deleted;
    bool owned; /* by a client */
};

struct judge *judge_new(struct world *w);
void judge_free(struct judge *j);

/* After each step. */
void judge_step(struct judge *j);

/* Reads what is new in all logs. */
void judge_read(struct judge *j);

/* The server has answered with 200. */
void judge_acknowledged(struct judge *j, const struct rpc *r);

/* A worker carries this call out now. */
void judge_executed(struct judge *j, const struct id *session, const struct id *call, bool marking);

/* NULL: there is no such session. */
struct view *judge_view(struct judge *j, const struct id *session);
/* A session that no client owns, or NULL. */
struct view *judge_orphan(struct judge *j);

/* Is every session where it may stay, and no work item live? */
bool judge_is_at_rest(struct judge *j);

/* The run is over. */
void judge_end(struct judge *j);
