/* The session's work item: when there has to be one, and what its end means for the calls that were
 * under way (API contract 4.7, 13; architecture 5). */
#include "core/retry.h"
#include "core/session-int.h"

enum { QUICK = 15 * RETRY_SECOND, FAILURES_MAX = 8 /* 4.7 */ };

/* 4.7: the session runs, or a call that may run waits for somebody outside. While a person is asked
 * whether a call may be repeated there must be no worker: one that knows nothing of our marks would
 * run it again (architecture 5). */
static bool is_wanted(const struct session *s)
{
    bool wanted = s->status == SESSION_RUNNING;
    for (size_t i = 0; i < s->call_count; i++) {
        const struct call *c = &s->calls[i];
        if (c->doubtful)
            return false;
        wanted |= c->state == CALL_WAITS;
    }
    return wanted;
}

void work_ensure(struct deciding *x)
{
    struct session *s = x->s;
    if (s->work_live || s->status == SESSION_TERMINATED)
        return;
    if (!x->called && (s->work_held || !is_wanted(s)))
        return;
    int64_t not_before = x->now + retry_delay(s->work_failures);
    struct id id = id_make("work_", x->random);
    say(x,
        (struct event){
            .type = EVENT_INTERNAL_WORK, .work = id, .step = WORK_STEP_MADE, .until = not_before });
    want(x, (struct effect){ .type = EFFECT_WORK_MAKE, .id = id, .not_before = not_before });
}

/* --- the end of a claim --- */

/* Calls that were begun and have no result: nobody knows whether they happened. Returns whether a
 * person is asked about one. */
static bool settle_marks(struct deciding *x)
{
    struct session *s = x->s;
    bool asked = false;
    for (size_t i = 0; i < s->call_count; i++) {
        const struct call *c = &s->calls[i];
        if (!c->started || !call_is_open(c) || c->repeat == REPEAT_SAFE ||
            c->repeat == REPEAT_WITH_KEY)
            continue;
        struct event unknown = { .type = EVENT_POSTERN_CALL_UNKNOWN,
                                 .about = c->id,
                                 .arguments = c->arguments,
                                 .attempt = c->attempt,
                                 .work = s->work };
        if (c->repeat == REPEAT_ASK)
            asked = true;
        else
            call_close(
                x, &unknown.about,
                STR("The worker was lost while this call ran. Its outcome is unknown: it may "
                    "have happened in full, in part or not at all. It was not repeated."));
        say(x, unknown);
    }
    x->again |= asked;
    return asked;
}

static void step(struct deciding *x, enum work_step step, unsigned attempt)
{
    say(x, (struct event){
               .type = EVENT_INTERNAL_WORK, .work = x->s->work, .step = step, .attempt = attempt });
}

static void work_error(struct deciding *x, struct str message)
{
    say(x, (struct event){ .type = EVENT_SESSION_ERROR,
                           .error = ERROR_UNKNOWN,
                           .retry = RETRY_EXHAUSTED,
                           .text = message });
}

static void back_in_queue(struct deciding *x, bool asked, unsigned attempt)
{
    step(x, WORK_STEP_LOST, attempt);
    if (!asked)
        return;
    want(x, (struct effect){ .type = EFFECT_WORK_STOP, .id = x->s->work });
    step(x, WORK_STEP_ENDED, x->s->work_failures);
}

static void ended(struct deciding *x, const struct work_report *report)
{
    struct session *s = x->s;
    bool quick = report->held >= 0 && report->held < QUICK && !s->work_fruitful;
    unsigned failures = report->by == WORK_BY_SERVER ? s->work_failures
                        : quick                      ? s->work_failures + 1
                                                     : 0;
    if (report->by == WORK_BY_OPERATOR) {
        step(x, WORK_STEP_HELD, 0);
    } else if (failures >= FAILURES_MAX) {
        work_error(x, text(x,
                           "%u work items in a row ended at once without a result: the worker of "
                           "this environment fails",
                           failures));
        step(x, WORK_STEP_HELD, failures);
    } else {
        step(x, WORK_STEP_ENDED, failures);
    }
}

void work_reported(struct deciding *x, const struct fact *fact)
{
    struct session *s = x->s;
    const struct work_report *report = &fact->work.report;
    unsigned attempt = fact->work.attempt;
    if (report->news == WORK_NO_NEWS || s->status == SESSION_TERMINATED || !s->work_live ||
        !id_eq(&s->work, &fact->work.work))
        return;
    bool asked = settle_marks(x);
    if (report->news == WORK_NACKED || report->news == WORK_DEAD)
        say(x, (struct event){ .type = EVENT_POSTERN_WORK_FAILED,
                               .work = s->work,
                               .text = fact->work.reason,
                               .attempt = attempt });
    if (report->news == WORK_LOST || report->news == WORK_NACKED) {
        back_in_queue(x, asked, attempt);
    } else if (report->news == WORK_DEAD) {
        work_error(x, text(x, "the work item was given back %u times: %.*s", attempt,
                           STR_ARGS(fact->work.reason)));
        step(x, WORK_STEP_HELD, s->work_failures);
    } else {
        ended(x, report);
    }
}

/* --- marks --- */

static int check_mark(const struct session *s, const struct call_mark *mark,
                      struct refusal *refusal)
{
    const struct call *c = call_find(s, &mark->call);
    if (!c || c->owner == OWNER_SERVER)
        return refusal_set(refusal, 400, NULL, "calls: %s is no call for a worker",
                           mark->call.text);
    if (c->state == CALL_CLOSED)
        return refusal_set(refusal, 409, NULL, "calls: %s is closed", mark->call.text);
    if (c->state == CALL_ASKS)
        return refusal_set(refusal, 409, NULL, "calls: %s is not confirmed", mark->call.text);
    if (memcmp(&c->arguments, &mark->arguments, sizeof c->arguments) != 0)
        return refusal_set(refusal, 409, NULL,
                           "calls: %s was agreed to with other arguments (arguments_sha256)",
                           mark->call.text);
    return 0;
}

int work_marks(struct deciding *x, const struct fact *fact, struct refusal *refusal)
{
    struct session *s = x->s;
    if (s->status == SESSION_TERMINATED || !s->work_live || !id_eq(&s->work, &fact->marks.work))
        return refusal_set(refusal, 409, NULL, "the lease of the work item is lost");
    for (size_t i = 0; i < fact->marks.count; i++)
        if (check_mark(s, &fact->marks.marks[i], refusal) < 0)
            return -1;
    for (size_t i = 0; i < fact->marks.count; i++) {
        const struct call_mark *mark = &fact->marks.marks[i];
        if (!call_of(s, &mark->call)->started)
            say(x, (struct event){ .type = EVENT_POSTERN_CALL_STARTED,
                                   .about = mark->call,
                                   .arguments = mark->arguments,
                                   .attempt = mark->attempt,
                                   .work = s->work });
    }
    return 0;
}
