/* work.h - one work item: its states, who holds it, until when (API contract 4).
 *
 * Pure functions over a struct work that the caller keeps as a record: they change it, or refuse and
 * leave it as it was. No state without a timer: `work_deadline` says when `work_clock` wants to be
 * called; only `queued` waits for as long as no worker comes, and `stopped` is final.
 *
 * Fencing: a delivery by poll is a claim with a number that grows. Who speaks with the credential of
 * an earlier claim is `superseded` and can change nothing.
 */
#pragma once

#include "base/moment.h"
#include "core/refusal.h"
#include "postern/event.h"

enum work_state { WORK_QUEUED, WORK_STARTING, WORK_ACTIVE, WORK_STOPPING, WORK_STOPPED };

/* Who ended an item. */
enum work_ender { WORK_BY_NOBODY, WORK_BY_WORKER, WORK_BY_OPERATOR, WORK_BY_SERVER, WORK_BY_TIMER };

struct work {
    struct id id, environment;
    struct id session; /* none: a healthcheck */
    enum work_state state;
    int64_t created_at, acknowledged_at, started_at, latest_heartbeat_at, stop_requested_at,
        stopped_at;             /* contract 2.3; 0: null */
    int64_t not_before;         /* not handed out earlier */
    int64_t delivered_at;       /* of the claim that holds it; 0: handed out to nobody */
    int64_t previous_heartbeat; /* the one before latest_heartbeat_at, 0: there was none */
    int64_t lease_until, lease; /* active, stopping; microseconds */
    unsigned claim;             /* grows with every delivery */
    unsigned attempt;           /* how often it came back to the queue */
    bool dead_letter;           /* nobody could do it; waits for work_requeue */
    bool stop_wanted;           /* an operator asked for its end */
};

struct work_rules {
    int64_t lease, start_timeout, stop_timeout; /* microseconds */
    unsigned max_attempts;
};

/* Who asks. */
struct work_asker {
    enum work_ender kind; /* WORK_BY_WORKER or WORK_BY_OPERATOR */
    bool superseded;      /* a sessions token of an earlier claim */
    unsigned retry_count; /* x-stainless-retry-count */
};

/* What the session has to hear of: FACT_WORK of core/session.h. */
enum work_news {
    WORK_NO_NEWS,
    WORK_LOST,   /* back in the queue: its lease or its start timeout ran out */
    WORK_NACKED, /* back in the queue: its worker gave it back */
    WORK_ENDED,  /* stopped */
    WORK_DEAD    /* stopped, a dead letter: nobody could do it */
};
struct work_report {
    enum work_news news;
    enum work_ender by; /* WORK_ENDED, WORK_DEAD */
    int64_t held;       /* microseconds since its last delivery; -1: it was never handed out */
};

const char *work_state_name(enum work_state state);
bool work_is_live(const struct work *w);

/* A new item; `session` none: a healthcheck. */
void work_make(struct work *w, const struct id *id, const struct id *environment,
               const struct id *session, int64_t now, int64_t not_before);

/* Can a poll have it now? `reclaim`: microseconds after which an unacknowledged delivery counts as
 * lost (4.2). */
bool work_can_be_delivered(const struct work *w, int64_t now, int64_t reclaim);

/* From when on that will be so, if nothing else happens; INT64_MAX: it will not. */
int64_t work_deliverable_at(const struct work *w, int64_t reclaim);

/* A poll takes it: a new claim. */
void work_deliver(struct work *w, int64_t now);

/* 4.4. 0 (also for a repeat that changes nothing), -1 with *refusal. */
int work_ack(struct work *w, const struct work_asker *asker, int64_t now, struct refusal *refusal);

/* The answer to a heartbeat (4.5). */
struct heartbeat {
    char last_heartbeat[MOMENT_SIZE]; /* "" when there was none */
    bool lease_extended;
    enum work_state state;
    int64_t ttl; /* seconds */
};

/* 4.5, rows 2-10. `expected` empty: not given; `ttl` (seconds) 0: not given. 0; -1 with *refusal:
 * status 412; *out then is the current state. */
int work_heartbeat(struct work *w, const struct work_asker *asker, struct str expected, int64_t ttl,
                   int64_t now, const struct work_rules *rules, struct heartbeat *out,
                   struct refusal *refusal);

/* 4.2 and 4.6. 0 with *report, -1 with *refusal (409: it has stopped already). */
int work_stop(struct work *w, const struct work_asker *asker, bool force, int64_t now,
              struct work_report *report, struct refusal *refusal);

/* The session wants no work any more: archived, terminated, deleted, or EFFECT_WORK_STOP. */
void work_withdraw(struct work *w, int64_t now, struct work_report *report);

/* 13. Back to the queue, not before now + delay; at max_attempts a dead letter. */
int work_nack(struct work *w, const struct work_asker *asker, int64_t delay, int64_t now,
              const struct work_rules *rules, struct work_report *report, struct refusal *refusal);

/* May the asker mark calls as started under this item now (13)? 0, -1 with *refusal. */
int work_may_mark(const struct work *w, const struct work_asker *asker, struct refusal *refusal);

/* An operator makes a new item out of a dead letter: 0 when this may be done; the caller then makes
 * the new one (FACT_WORK_WANTED). -1 with *refusal. */
int work_requeue(struct work *w, struct refusal *refusal);

/* When work_clock has something to do; INT64_MAX: never. */
int64_t work_deadline(const struct work *w, const struct work_rules *rules);

/* Time has passed. Does nothing before the deadline. */
void work_clock(struct work *w, int64_t now, const struct work_rules *rules,
                struct work_report *report);
