/* engine-int.h - what the files of the engine share.
 *
 * engine.c       life of the engine, the round that decides what waits
 * actor.c        one lane: a session (or a healthcheck item), its queue of jobs, loading, resting
 * batch.c        one transaction of a lane: decided, written, published, carried out
 * session_job.c  what the API asks of sessions          work_job.c  what it asks of work items
 * work_queue.c   live work items of all environments    poll.c      workers that wait for one
 * model_turn.c   a model request and its answer         tool_run.c  tools that the server runs
 * reader.c       streams                                approval.c  questions to people
 */
#pragma once

#include "base/table.h"
#include "control/catalogue.h"
#include "control/engine.h"
#include "control/history.h"
#include "control/session_record.h"
#include "control/alarms.h"
#include "control/work_record.h"

enum {
    LANES_A_ROUND = 64,            /* decided before the loop gets its turn again */
    LANES_RESTING_MAX = 1024,      /* loaded sessions in which nothing happens */
    RESTING_BYTES_MAX = 128 << 20, /* of their histories and calls */
};
#define RETRY_AFTER_FAILURE INT64_C(1000000) /* microseconds */

struct actor;
struct batch;

struct engine {
    struct engine_parts parts;
    struct engine_settings settings;
    struct alarms alarms;
    int64_t woken_at; /* what wake_at was told last */

    struct table actors;
    struct actor *ready_first, *ready_last; /* lanes with something to decide */
    bool round_asked;
    struct actor *resting_first, *resting_last; /* loaded, idle; the longest rest first */
    size_t resting, resting_bytes;

    struct table items;  /* live work items by id */
    struct table queues; /* struct work_queue by environment */
    struct table tokens; /* superseded ones by hash: struct work_item */
    struct table hubs;
    size_t held_bytes; /* of events that readers take in pieces */

    size_t writing; /* transactions under way */
    bool failing;   /* the last one could not be written */
    bool stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    struct engine_counters counters;
};

/* --- engine.c --- */

int64_t engine_now(const struct engine *g);
void engine_alarm(struct engine *g, struct alarm *deadline, int64_t at);
void engine_round_ask(struct engine *g);

/* What a caller is told when the store could not be read or written. */
void refuse_store(struct refusal *r, const struct err *e);

/* --- jobs: one thing that a lane has to decide --- */

struct job;
typedef void job_decide(struct batch *b, struct job *j);
struct job {
    struct job *next;
    job_decide *decide;
    /* Before the answer; `durable` false: the batch came to nothing. May be NULL. */
    void (*done)(struct actor *a, struct job *j, bool durable);
    void (*release)(struct job *j); /* what it owns beside the arena; may be NULL */
    engine_answer *answer;          /* NULL: nobody waits */
    void *ctx;
    struct asker asker;
    struct arena arena; /* copies of what the caller lent */
    struct refusal refusal;
    bool wants_session; /* the answer is the session as it is then */
    struct buf json;    /* the answer */
};

/* Zeroed memory of `size` bytes that begins with a struct job. */
void *job_new(size_t size, job_decide *decide);
void job_free(struct job *j);
void job_answer_to(struct job *j, const struct asker *asker, engine_answer *answer, void *ctx);

/* Copies live as long as the job. JSON text comes to stand on one line. */
struct str job_text(struct job *j, struct str text);
struct str job_json(struct job *j, struct str json);
struct event *job_events(struct job *j, const struct event *events, size_t count);

/* --- actor.c --- */

struct model_turn;
struct tool_run;
struct approval;
struct approval_wait;

struct actor {
    struct engine *g;
    struct id name; /* of the session, or of a healthcheck item */
    struct job *first, *last;
    struct batch *writing; /* the transaction under way */
    bool ready;
    struct actor *ready_next;

    /* A session that is loaded. */
    struct session *s;
    struct session_record record;
    int64_t seq; /* of the last durable entry */
    struct catalogue *catalogue;
    struct history *history; /* NULL: not built */
    struct model_turn *turn;
    struct tool_run *runs;
    struct approval *approvals;
    struct approval_wait *approval_waits;

    struct alarm deadline;
    bool resting;
    struct actor *resting_before, *resting_next;
    size_t resting_bytes;
};

/* Finds or makes the lane. */
struct actor *actor_of(struct engine *g, const struct id *name);

/* Queues a job, which is the lane's from now on. */
void actor_push(struct actor *a, struct job *j);

/* Takes the queued jobs and decides them. */
void actor_run(struct actor *a);

/* After a transaction: rests, goes away, or has more to do. */
void actor_settle(struct actor *a);

/* Forgets the session; what runs for it is cut off. */
void actor_unload(struct actor *a);

/* Tries again in a while what a failure has left undone. */
void actor_try_later(struct actor *a);

/* Reads the session from its log unless it is there. -1 with *r. */
int actor_load(struct batch *b, struct refusal *r);

/* The same, and the asker may see it. */
int actor_load_for(struct batch *b, const struct asker *asker, struct refusal *r);

/* The actor's session at `now`, as far as a decision has to know its surroundings. */
struct session_rules actor_rules(const struct actor *a);

/* Reads the snapshot of the record anew. -1 with *e; then the old one stays. */
int actor_catalogue(struct actor *a, struct err *e);

/* Builds the history if there is none. -1 with *e. */
int actor_history(struct actor *a, struct err *e);

/* One that is the caller's own. NULL with *e. */
struct history *actor_history_read(const struct actor *a, size_t result_characters, struct err *e);

void actor_free(struct actor *a);

/* --- batch.c --- */

/* An event of the batch as it is written. */
struct note {
    enum event_type type;
    struct id id;
    int64_t at;
    size_t body, body_size, inner, inner_size; /* in `texts` */
};

struct work_item;

struct batch {
    struct engine *g;
    struct actor *a;
    struct job *jobs;
    int64_t now;
    struct decision d;
    size_t events_seen, effects_seen;
    struct note *notes;
    size_t note_count, note_room;
    struct buf texts;
    struct work_item **items; /* changed in it */
    size_t item_count, item_room;
    bool created;      /* the session is new */
    bool changed;      /* its record is to be written */
    bool removed;      /* the session goes away; the last note is session.deleted */
    bool broken;       /* something could not be decided: nothing of it may be written */
    struct buf record; /* body of the record */
};

struct batch *batch_new(struct actor *a, struct job *jobs);
void batch_free(struct batch *b);

/* Decides and notes. -1: refused. */
int batch_fact(struct batch *b, const struct fact *fact, struct refusal *r);

/* Notes an event that the engine makes itself; its id and time are set here. */
void batch_event(struct batch *b, struct event *event);

/* The text of an event noted here; empty: there is none. The latest one of that id. */
struct str batch_text(const struct batch *b, const struct id *event);

/* The item is written with this batch. */
void batch_touch(struct batch *b, struct work_item *item);

/* What a change of a work item means for its session. */
void batch_report(struct batch *b, struct work_item *item, const struct work_report *report,
                  struct str reason);

/* Everything is decided: writes it, or ends at once when nothing has changed. */
void batch_submit(struct batch *b);

/* --- work_queue.c --- */

struct poll;

struct work_item {
    struct work_record r;
    struct engine *g;
    bool live;  /* in the tables */
    bool busy;  /* changed by a transaction under way */
    bool taken; /* a poll is about to get it */
    struct alarm deadline;
    struct sha256 tokens[SUPERSEDED_MAX]; /* as they stand in the table */
    size_t token_count;
    struct work_queue *queue;
    bool listed;
    struct work_item *before, *next; /* of the queued ones, the oldest first */
};

struct work_queue {
    struct id environment;
    struct work_item *first, *last;
    struct poll *poll_first, *poll_last;
    struct table workers; /* struct worker by its name: when it polled last */
    bool worker_seen;
};

int work_queue_load(struct engine *g, struct err *e);
void work_queue_free(struct engine *g);
struct work_queue *work_queue_of(struct engine *g, const struct id *environment);

/* NULL: there is no live one. */
struct work_item *work_item_find(struct engine *g, const struct id *work);

/* A live one, one of this batch, or from the store one that has stopped. -1 with *r. Whoever does not
 * batch_touch it says work_item_leave. */
int work_item_get(struct batch *b, const struct id *work, struct work_item **out,
                  struct refusal *r);
void work_item_leave(struct work_item *item);

struct work_item *work_item_make(struct engine *g, const struct work *work,
                                 const struct id *workspace);

/* Brings index, timers and waiting polls up to date with what the item is now. */
void work_item_settle(struct work_item *item);

/* Its transaction has failed: as it is in the store. */
void work_item_refresh(struct work_item *item);

/* The lane that decides about it. */
const struct id *work_item_lane(const struct work_item *item);
struct work_rules work_rules_of(const struct engine *g);

/* --- poll.c --- */

/* Something may be there for those that wait. */
void polls_offer(struct engine *g, struct work_queue *q);
void polls_stop(struct engine *g, struct work_queue *q);
void polls_free(struct work_queue *q);
void workers_free(struct work_queue *q);

/* --- model_turn.c --- */

void model_turn_start(struct actor *a, const struct effect *effect);
void model_turn_abort(struct actor *a, const struct effect *effect);
void model_turn_cancel(struct actor *a); /* nothing follows */

/* --- tool_run.c --- */

void tool_run_start(struct actor *a, const struct effect *effect);
void tool_run_cancel(struct actor *a, const struct id *call);
void tool_runs_cancel(struct actor *a);

/* --- reader.c --- */

struct hub;

struct hub *hub_find(const struct engine *g, const struct id *session);
/* The batch is durable; `seq` is the number of its first entry. */
void hub_publish(struct hub *h, const struct batch *b, int64_t seq);
void hub_preview_begin(struct hub *h);
void hub_preview_thinking(struct hub *h, const struct id *event);
void hub_preview_text(struct hub *h, const struct id *event, size_t block, struct str part);
void hub_preview_end(struct hub *h);
void hubs_stop(struct engine *g);
void hubs_free(struct engine *g);

/* --- approval.c --- */

/* An event of the log about an approval. False: it cannot be understood. */
bool approvals_apply(struct actor *a, const struct event *event);
int64_t approvals_deadline(const struct actor *a);
void approvals_expire(struct batch *b);
void approvals_tell(struct actor *a); /* a transaction is durable */
void approvals_free(struct actor *a);
void approval_waits_refuse(struct actor *a);
void approval_waits_free(struct actor *a);
