#include "core/work.h"

#include "base/check.h"

#define SECOND 1000000

enum {
    ACK_REPLAY = 10 * SECOND,       /* 4.4 */
    HEARTBEAT_REPLAY = 30 * SECOND, /* 4.5, row 8 */
    TTL_LEAST = 10,                 /* 4.5, seconds */
    TTL_MOST = 600
};

const char *work_state_name(enum work_state state)
{
    static const char *const names[] = {
        [WORK_QUEUED] = "queued",     [WORK_STARTING] = "starting", [WORK_ACTIVE] = "active",
        [WORK_STOPPING] = "stopping", [WORK_STOPPED] = "stopped",
    };
    return names[state];
}

bool work_is_live(const struct work *w)
{
    return w->state != WORK_STOPPED;
}

void work_make(struct work *w, const struct id *id, const struct id *environment,
               const struct id *session, int64_t now, int64_t not_before)
{
    *w = (struct work){ .id = *id,
                        .environment = *environment,
                        .session = *session,
                        .state = WORK_QUEUED,
                        .created_at = now,
                        .not_before = not_before };
}

int64_t work_deliverable_at(const struct work *w, int64_t reclaim)
{
    if (w->state != WORK_QUEUED)
        return INT64_MAX;
    int64_t free_at = w->delivered_at ? w->delivered_at + reclaim : 0;
    return free_at > w->not_before ? free_at : w->not_before;
}

bool work_can_be_delivered(const struct work *w, int64_t now, int64_t reclaim)
{
    return now >= work_deliverable_at(w, reclaim);
}

void work_deliver(struct work *w, int64_t now)
{
    CHECK(w->state == WORK_QUEUED);
    w->claim++;
    w->delivered_at = now;
}

int work_ack(struct work *w, const struct work_asker *asker, int64_t now, struct refusal *refusal)
{
    if (asker->superseded)
        return refusal_set(refusal, 409, NULL, "the work item has been handed out again");
    if (w->state == WORK_STARTING && asker->retry_count > 0 &&
        now - w->acknowledged_at <= ACK_REPLAY)
        return 0;
    if (w->state != WORK_QUEUED)
        return refusal_set(refusal, 409, NULL, "the work item is %s, not queued",
                           work_state_name(w->state));
    if (!w->delivered_at)
        return refusal_set(refusal, 409, NULL, "the work item is not handed out");
    w->state = WORK_STARTING;
    w->acknowledged_at = now;
    return 0;
}

/* --- ends --- */

static void stopped(struct work *w, enum work_ender by, int64_t now, struct work_report *report)
{
    *report = (struct work_report){
        .news = w->dead_letter ? WORK_DEAD : WORK_ENDED,
        .by = w->stop_wanted ? WORK_BY_OPERATOR : by,
        .held = w->delivered_at ? now - w->delivered_at : -1,
    };
    w->state = WORK_STOPPED;
    w->stopped_at = now;
    if (!w->stop_requested_at)
        w->stop_requested_at = now;
}

static void stopping(struct work *w, int64_t now)
{
    w->state = WORK_STOPPING;
    w->stop_requested_at = now;
}

/* Whoever held it holds it no more; the credential of that claim ends with the next delivery. */
static void requeued(struct work *w, enum work_news news, int64_t now, struct work_report *report)
{
    *report =
        (struct work_report){ .news = news, .held = w->delivered_at ? now - w->delivered_at : -1 };
    w->state = WORK_QUEUED;
    w->acknowledged_at = w->started_at = 0;
    w->latest_heartbeat_at = w->previous_heartbeat = 0;
    w->delivered_at = w->lease_until = w->lease = 0;
    w->attempt++;
}

int work_stop(struct work *w, const struct work_asker *asker, bool force, int64_t now,
              struct work_report *report, struct refusal *refusal)
{
    *report = (struct work_report){ 0 };
    if (w->state == WORK_STOPPED)
        return refusal_set(refusal, 409, NULL, "the work item has stopped already");
    if (asker->superseded)
        return refusal_set(refusal, 409, NULL, "the work item is in other hands");
    if (asker->kind == WORK_BY_OPERATOR)
        w->stop_wanted = true;
    if (force || w->state == WORK_QUEUED || w->state == WORK_STARTING)
        stopped(w, asker->kind, now, report);
    else if (w->state == WORK_ACTIVE)
        stopping(w, now);
    return 0;
}

void work_withdraw(struct work *w, int64_t now, struct work_report *report)
{
    *report = (struct work_report){ 0 };
    if (w->state == WORK_QUEUED || w->state == WORK_STARTING)
        stopped(w, WORK_BY_SERVER, now, report);
    else if (w->state == WORK_ACTIVE)
        stopping(w, now);
}

int work_nack(struct work *w, const struct work_asker *asker, int64_t delay, int64_t now,
              const struct work_rules *rules, struct work_report *report, struct refusal *refusal)
{
    *report = (struct work_report){ 0 };
    if (asker->superseded)
        return refusal_set(refusal, 409, NULL, "the work item is in other hands");
    if (w->state == WORK_STOPPED || !w->delivered_at)
        return refusal_set(refusal, 409, NULL, "nobody holds the work item: it is %s",
                           work_state_name(w->state));
    if (w->state == WORK_STOPPING) {
        stopped(w, asker->kind, now, report);
        return 0;
    }
    if (w->attempt + 1 >= rules->max_attempts) {
        w->attempt++;
        w->dead_letter = true;
        stopped(w, asker->kind, now, report);
        return 0;
    }
    requeued(w, WORK_NACKED, now, report);
    w->not_before = now + delay;
    return 0;
}

int work_may_mark(const struct work *w, const struct work_asker *asker, struct refusal *refusal)
{
    if (asker->superseded || w->state == WORK_QUEUED || w->state == WORK_STOPPED)
        return refusal_set(refusal, 409, NULL, "the lease of the work item is lost");
    if (w->state == WORK_STOPPING)
        return refusal_set(refusal, 409, NULL, "the work item is being stopped");
    return 0;
}

int work_requeue(struct work *w, struct refusal *refusal)
{
    if (!w->dead_letter)
        return refusal_set(refusal, 409, NULL, "the work item is not a dead letter");
    w->dead_letter = false;
    return 0;
}

/* --- heartbeats --- */

static void current(const struct work *w, const struct work_rules *rules, bool extended,
                    struct heartbeat *out)
{
    *out = (struct heartbeat){ .lease_extended = extended,
                               .state = w->state,
                               .ttl = (w->lease ? w->lease : rules->lease) / SECOND };
    if (w->latest_heartbeat_at)
        moment_write(out->last_heartbeat, w->latest_heartbeat_at);
}

/* Does E name this heartbeat (0: none has been)? */
static bool names(struct str expected, int64_t heartbeat)
{
    if (!heartbeat)
        return str_eq(expected, STR("NO_HEARTBEAT"));
    char text[MOMENT_SIZE];
    moment_write(text, heartbeat);
    return str_eq(expected, str_of(text));
}

static void accept_heartbeat(struct work *w, int64_t ttl, int64_t now,
                             const struct work_rules *rules)
{
    w->previous_heartbeat = w->latest_heartbeat_at;
    /* Strictly increasing, whatever the clock does: workers compare it as a text. */
    w->latest_heartbeat_at = now > w->latest_heartbeat_at ? now : w->latest_heartbeat_at + 1;
    if (ttl)
        ttl = ttl < TTL_LEAST ? TTL_LEAST : ttl > TTL_MOST ? TTL_MOST : ttl;
    w->lease = ttl ? ttl * SECOND : rules->lease;
    w->lease_until = now + w->lease;
    w->state = WORK_ACTIVE;
    if (!w->started_at)
        w->started_at = now;
}

int work_heartbeat(struct work *w, const struct work_asker *asker, struct str expected, int64_t ttl,
                   int64_t now, const struct work_rules *rules, struct heartbeat *out,
                   struct refusal *refusal)
{
    bool live = w->state == WORK_STARTING || w->state == WORK_ACTIVE;
    if (w->state == WORK_STOPPED) {
        current(w, rules, false, out);
        return 0;
    }
    if (w->state == WORK_STOPPING && !asker->superseded) {
        w->lease_until = now + w->lease;
        current(w, rules, true, out);
        return 0;
    }
    bool matches = expected.n == 0 || names(expected, w->latest_heartbeat_at);
    if (live && !asker->superseded && matches) {
        accept_heartbeat(w, ttl, now, rules);
        current(w, rules, true, out);
        return 0;
    }
    if (live && !asker->superseded && asker->retry_count > 0 && w->latest_heartbeat_at &&
        names(expected, w->previous_heartbeat) &&
        now - w->latest_heartbeat_at <= HEARTBEAT_REPLAY) {
        current(w, rules, true, out);
        return 0;
    }
    current(w, rules, false, out);
    return refusal_set(refusal, 412, "heartbeat_precondition_failed", "%s",
                       !live || asker->superseded ? "the lease of the work item is lost"
                                                  : "another heartbeat has come in between");
}

/* --- time --- */

int64_t work_deadline(const struct work *w, const struct work_rules *rules)
{
    int64_t stop = w->stop_requested_at + rules->stop_timeout;
    switch (w->state) {
    case WORK_STARTING:
        return w->acknowledged_at + rules->start_timeout;
    case WORK_ACTIVE:
        return w->lease_until;
    case WORK_STOPPING:
        return stop < w->lease_until ? stop : w->lease_until;
    case WORK_QUEUED:
    case WORK_STOPPED:
        break;
    }
    return INT64_MAX;
}

void work_clock(struct work *w, int64_t now, const struct work_rules *rules,
                struct work_report *report)
{
    *report = (struct work_report){ 0 };
    if (now < work_deadline(w, rules))
        return;
    if (w->state == WORK_STOPPING)
        stopped(w, WORK_BY_TIMER, now, report);
    else
        requeued(w, WORK_LOST, now, report);
}
