/* Work items (contract 4). */
#include "core/work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND ((int64_t)1000000)

static const struct work_rules rules = { .lease = 90 * SECOND,
                                         .start_timeout = 300 * SECOND,
                                         .stop_timeout = 60 * SECOND,
                                         .max_attempts = 3 };
static const struct work_asker worker = { .kind = WORK_BY_WORKER };
static const struct work_asker again = { .kind = WORK_BY_WORKER, .retry_count = 1 };
static const struct work_asker old = { .kind = WORK_BY_WORKER, .superseded = true };
static const struct work_asker operator= { .kind = WORK_BY_OPERATOR };

enum { RECLAIM = 5000000 };

/* An item that went this far, by time 1000 s, the last step at that time. */
static struct work item(enum work_state state)
{
    struct id id = { "work_1" }, env = { "env_1" }, session = { "sesn_1" };
    struct refusal refusal;
    struct heartbeat beat;
    struct work_report report;
    struct work w;
    int64_t now = 1000 * SECOND;
    work_make(&w, &id, &env, &session, now, 0);
    if (state == WORK_QUEUED)
        return w;
    work_deliver(&w, now);
    assert_int_equal(work_ack(&w, &worker, now, &refusal), 0);
    if (state == WORK_STARTING)
        return w;
    if (state == WORK_STOPPED) {
        assert_int_equal(work_stop(&w, &worker, true, now, &report, &refusal), 0);
        return w;
    }
    assert_int_equal(
        work_heartbeat(&w, &worker, STR("NO_HEARTBEAT"), 0, now, &rules, &beat, &refusal), 0);
    if (state == WORK_STOPPING)
        assert_int_equal(work_stop(&w, &worker, false, now, &report, &refusal), 0);
    assert_int_equal(w.state, state);
    return w;
}

static const int64_t t0 = 1000 * SECOND;

static void an_item_is_handed_out_once_within_the_reclaim_time(void **state)
{
    (void)state;
    struct work w = item(WORK_QUEUED);
    assert_true(work_can_be_delivered(&w, t0, RECLAIM));
    work_deliver(&w, t0);
    assert_int_equal(w.claim, 1);
    assert_int_equal(w.state, WORK_QUEUED);
    assert_false(work_can_be_delivered(&w, t0 + RECLAIM - 1, RECLAIM));
    assert_int_equal(work_deliverable_at(&w, RECLAIM), t0 + RECLAIM);
    assert_true(work_can_be_delivered(&w, t0 + RECLAIM, RECLAIM));
    work_deliver(&w, t0 + RECLAIM);
    assert_int_equal(w.claim, 2);
    struct work later = item(WORK_QUEUED);
    later.not_before = t0 + SECOND;
    assert_false(work_can_be_delivered(&later, t0, RECLAIM));
    static const enum work_state others[] = { WORK_STARTING, WORK_ACTIVE, WORK_STOPPING,
                                              WORK_STOPPED };
    for (size_t i = 0; i < 4; i++) {
        w = item(others[i]);
        assert_false(work_can_be_delivered(&w, INT64_MAX - 1, RECLAIM));
    }
}

static void an_ack_is_taken_once_and_its_repetition_for_ten_seconds(void **state)
{
    (void)state;
    static const struct {
        enum work_state state;
        const struct work_asker *asker;
        int64_t later;
        int status;
    } rows[] = {
        { WORK_STARTING, &worker, 0, 409 },
        { WORK_STARTING, &again, 10 * SECOND, 0 },
        { WORK_STARTING, &again, 11 * SECOND, 409 },
        { WORK_ACTIVE, &again, 0, 409 },
        { WORK_STOPPING, &worker, 0, 409 },
        { WORK_STOPPED, &worker, 0, 409 },
        { WORK_QUEUED, &worker, 0, 409 }, /* nobody was given it */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(rows[i].state);
        struct refusal r = { 0 };
        work_ack(&w, rows[i].asker, t0 + rows[i].later, &r);
        assert_int_equal(r.status, rows[i].status);
        assert_int_equal(r.no_retry, rows[i].status == 409);
        assert_int_equal(w.state, rows[i].state);
    }
    struct work w = item(WORK_QUEUED);
    struct refusal r;
    work_deliver(&w, t0);
    assert_int_equal(work_ack(&w, &old, t0, &r), -1);
    assert_int_equal(work_ack(&w, &worker, t0, &r), 0);
    assert_int_equal(w.state, WORK_STARTING);
    assert_int_equal(w.acknowledged_at, t0);
}

/* Rows 2-10 of contract 4.5. `expected`: "" absent, "-" NO_HEARTBEAT, "=" the stored one, "<" the one
 * before, other: as it is. */
static const struct {
    enum work_state state;
    const char *expected;
    const struct work_asker *asker;
    int64_t later;
    int status;
    bool extended, accepted;
} beats[] = {
    { WORK_STOPPED, "=", &worker, 0, 0, false, false },
    { WORK_STOPPED, "x", &old, 0, 0, false, false },
    { WORK_STOPPING, "x", &worker, SECOND, 0, true, false },
    { WORK_STOPPING, "=", &old, SECOND, 412, false, false },
    { WORK_QUEUED, "-", &worker, 0, 412, false, false },
    { WORK_QUEUED, "", &worker, 0, 412, false, false },
    { WORK_STARTING, "-", &worker, SECOND, 0, true, true },
    { WORK_STARTING, "", &worker, SECOND, 0, true, true },
    { WORK_STARTING, "x", &worker, SECOND, 412, false, false },
    { WORK_STARTING, "-", &old, SECOND, 412, false, false },
    { WORK_ACTIVE, "=", &worker, SECOND, 0, true, true },
    { WORK_ACTIVE, "", &worker, SECOND, 0, true, true },
    { WORK_ACTIVE, "=", &old, SECOND, 412, false, false },
    { WORK_ACTIVE, "-", &worker, SECOND, 412, false, false },
    { WORK_ACTIVE, "-", &again, 30 * SECOND, 0, true, false }, /* the answer was lost */
    { WORK_ACTIVE, "-", &again, 31 * SECOND, 412, false, false },
    { WORK_ACTIVE, "x", &again, SECOND, 412, false, false },
};

static void heartbeats_are_taken_by_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof beats / sizeof *beats; i++) {
        struct work w = item(beats[i].state), before = w;
        char stored[MOMENT_SIZE];
        moment_write(stored, w.latest_heartbeat_at);
        struct str expected = strcmp(beats[i].expected, "-") == 0   ? STR("NO_HEARTBEAT")
                              : strcmp(beats[i].expected, "=") == 0 ? str_of(stored)
                                                                    : str_of(beats[i].expected);
        struct heartbeat out;
        struct refusal r = { 0 };
        int64_t now = t0 + beats[i].later;
        work_heartbeat(&w, beats[i].asker, expected, 0, now, &rules, &out, &r);
        assert_int_equal(r.status, beats[i].status);
        if (r.status)
            assert_string_equal(r.code, "heartbeat_precondition_failed");
        assert_int_equal(out.lease_extended, beats[i].extended);
        assert_int_equal(out.state, w.state);
        assert_int_equal(out.ttl, 90);
        assert_int_equal(w.latest_heartbeat_at,
                         beats[i].accepted ? now : before.latest_heartbeat_at);
        if (beats[i].accepted) {
            assert_int_equal(w.state, WORK_ACTIVE);
            assert_int_equal(w.lease_until, now + rules.lease);
        }
        if (beats[i].state == WORK_STOPPING)
            assert_int_equal(w.lease_until,
                             beats[i].extended ? now + rules.lease : before.lease_until);
    }
}

static void a_repeated_heartbeat_finds_its_first_one_taken(void **state)
{
    (void)state;
    struct work w = item(WORK_ACTIVE);
    struct heartbeat first, second, third;
    struct refusal r;
    char stored[MOMENT_SIZE];
    moment_write(stored, w.latest_heartbeat_at);
    int64_t now = t0 + SECOND;
    assert_int_equal(work_heartbeat(&w, &worker, str_of(stored), 0, now, &rules, &first, &r), 0);
    assert_int_equal(work_heartbeat(&w, &again, str_of(stored), 0, now + 1, &rules, &second, &r),
                     0);
    assert_string_equal(first.last_heartbeat, second.last_heartbeat);
    assert_int_equal(
        work_heartbeat(&w, &worker, str_of(second.last_heartbeat), 0, now - 5, &rules, &third, &r),
        0);
    assert_true(strcmp(third.last_heartbeat, second.last_heartbeat) > 0); /* always later */
}

static void the_lease_is_as_long_as_asked_within_bounds(void **state)
{
    (void)state;
    static const struct {
        int64_t asked, given;
    } rows[] = { { 0, 90 }, { 1, 10 }, { 30, 30 }, { 100000, 600 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(WORK_STARTING);
        struct heartbeat out;
        struct refusal r;
        work_heartbeat(&w, &worker, STR(""), rows[i].asked, t0, &rules, &out, &r);
        assert_int_equal(out.ttl, rows[i].given);
        assert_int_equal(w.lease_until, t0 + rows[i].given * SECOND);
    }
}

static void stops_follow_the_table(void **state)
{
    (void)state;
    static const struct {
        enum work_state from;
        bool force;
        enum work_state to;
        int status;
    } rows[] = {
        { WORK_QUEUED, false, WORK_STOPPED, 0 },    { WORK_STARTING, false, WORK_STOPPED, 0 },
        { WORK_ACTIVE, false, WORK_STOPPING, 0 },   { WORK_ACTIVE, true, WORK_STOPPED, 0 },
        { WORK_STOPPING, false, WORK_STOPPING, 0 }, { WORK_STOPPING, true, WORK_STOPPED, 0 },
        { WORK_STOPPED, false, WORK_STOPPED, 409 }, { WORK_STOPPED, true, WORK_STOPPED, 409 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(rows[i].from);
        struct work_report report;
        struct refusal r = { 0 };
        work_stop(&w, &worker, rows[i].force, t0 + SECOND, &report, &r);
        assert_int_equal(r.status, rows[i].status);
        assert_int_equal(w.state, rows[i].to);
        bool ended = rows[i].from != WORK_STOPPED && rows[i].to == WORK_STOPPED;
        assert_int_equal(report.news, ended ? WORK_ENDED : WORK_NO_NEWS);
        if (w.state == WORK_STOPPED)
            assert_true(w.stop_requested_at > 0 && w.stopped_at > 0);
    }
}

static void an_operators_stop_is_remembered_to_the_end(void **state)
{
    (void)state;
    struct work w = item(WORK_ACTIVE);
    struct work_report report;
    struct refusal r;
    work_stop(&w, &operator, false, t0, &report, &r);
    assert_int_equal(report.news, WORK_NO_NEWS);
    work_stop(&w, &worker, true, t0 + SECOND, &report, &r);
    assert_int_equal(report.by, WORK_BY_OPERATOR);
    assert_int_equal(report.held, SECOND);
}

static void whoever_lost_the_item_cannot_stop_it(void **state)
{
    (void)state;
    struct work w = item(WORK_ACTIVE);
    struct work_report report;
    struct refusal r;
    assert_int_equal(work_stop(&w, &old, true, t0, &report, &r), -1);
    assert_int_equal(w.state, WORK_ACTIVE);
}

static void every_state_that_somebody_holds_has_a_timer(void **state)
{
    (void)state;
    static const struct {
        enum work_state from;
        int64_t after; /* seconds; 0: none */
        enum work_state to;
        enum work_news news;
    } rows[] = {
        { WORK_QUEUED, 0, WORK_QUEUED, WORK_NO_NEWS },
        { WORK_STARTING, 300, WORK_QUEUED, WORK_LOST },
        { WORK_ACTIVE, 90, WORK_QUEUED, WORK_LOST },
        { WORK_STOPPING, 60, WORK_STOPPED, WORK_ENDED },
        { WORK_STOPPED, 0, WORK_STOPPED, WORK_NO_NEWS },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(rows[i].from);
        struct work_report report;
        int64_t deadline = work_deadline(&w, &rules);
        assert_int_equal(deadline, rows[i].after ? t0 + rows[i].after * SECOND : INT64_MAX);
        if (!rows[i].after)
            continue;
        work_clock(&w, deadline - 1, &rules, &report);
        assert_int_equal(w.state, rows[i].from);
        assert_int_equal(report.news, WORK_NO_NEWS);
        work_clock(&w, deadline, &rules, &report);
        assert_int_equal(w.state, rows[i].to);
        assert_int_equal(report.news, rows[i].news);
    }
}

static void a_lost_item_forgets_who_held_it(void **state)
{
    (void)state;
    struct work w = item(WORK_ACTIVE);
    struct work_report report;
    work_clock(&w, t0 + 90 * SECOND, &rules, &report);
    assert_int_equal(w.acknowledged_at, 0);
    assert_int_equal(w.started_at, 0);
    assert_int_equal(w.latest_heartbeat_at, 0);
    assert_int_equal(w.attempt, 1);
    assert_true(work_can_be_delivered(&w, t0 + 90 * SECOND, RECLAIM));
}

static void an_item_given_back_waits_and_dies_in_the_end(void **state)
{
    (void)state;
    struct work w = item(WORK_ACTIVE);
    struct work_report report;
    struct refusal r;
    for (unsigned i = 1; i < rules.max_attempts; i++) {
        assert_int_equal(work_nack(&w, &worker, SECOND, t0, &rules, &report, &r), 0);
        assert_int_equal(report.news, WORK_NACKED);
        assert_int_equal(w.attempt, i);
        assert_false(work_can_be_delivered(&w, t0 + SECOND - 1, RECLAIM));
        assert_int_equal(work_nack(&w, &worker, 0, t0, &rules, &report, &r), -1); /* not held */
        work_deliver(&w, t0 + SECOND);
    }
    assert_int_equal(work_requeue(&w, &r), -1);
    assert_int_equal(work_nack(&w, &old, 0, t0, &rules, &report, &r), -1);
    assert_int_equal(work_nack(&w, &worker, 0, t0, &rules, &report, &r), 0);
    assert_int_equal(report.news, WORK_DEAD);
    assert_int_equal(w.state, WORK_STOPPED);
    assert_true(w.dead_letter);
    assert_int_equal(work_requeue(&w, &r), 0);
    assert_int_equal(work_requeue(&w, &r), -1); /* once */
}

static void calls_are_marked_only_under_a_lease(void **state)
{
    (void)state;
    static const struct {
        enum work_state state;
        const struct work_asker *asker;
        int status;
    } rows[] = {
        { WORK_QUEUED, &worker, 409 },  { WORK_STARTING, &worker, 0 },
        { WORK_ACTIVE, &worker, 0 },    { WORK_STOPPING, &worker, 409 },
        { WORK_STOPPED, &worker, 409 }, { WORK_ACTIVE, &old, 409 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(rows[i].state);
        struct refusal r = { 0 };
        work_may_mark(&w, rows[i].asker, &r);
        assert_int_equal(r.status, rows[i].status);
    }
}

static void a_withdrawn_item_stops_at_once_unless_somebody_runs_it(void **state)
{
    (void)state;
    static const struct {
        enum work_state from, to;
    } rows[] = { { WORK_QUEUED, WORK_STOPPED },
                 { WORK_STARTING, WORK_STOPPED },
                 { WORK_ACTIVE, WORK_STOPPING },
                 { WORK_STOPPING, WORK_STOPPING },
                 { WORK_STOPPED, WORK_STOPPED } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct work w = item(rows[i].from);
        struct work_report report;
        work_withdraw(&w, t0, &report);
        assert_int_equal(w.state, rows[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_item_is_handed_out_once_within_the_reclaim_time),
        cmocka_unit_test(an_ack_is_taken_once_and_its_repetition_for_ten_seconds),
        cmocka_unit_test(heartbeats_are_taken_by_the_table),
        cmocka_unit_test(a_repeated_heartbeat_finds_its_first_one_taken),
        cmocka_unit_test(the_lease_is_as_long_as_asked_within_bounds),
        cmocka_unit_test(stops_follow_the_table),
        cmocka_unit_test(an_operators_stop_is_remembered_to_the_end),
        cmocka_unit_test(whoever_lost_the_item_cannot_stop_it),
        cmocka_unit_test(every_state_that_somebody_holds_has_a_timer),
        cmocka_unit_test(a_lost_item_forgets_who_held_it),
        cmocka_unit_test(an_item_given_back_waits_and_dies_in_the_end),
        cmocka_unit_test(calls_are_marked_only_under_a_lease),
        cmocka_unit_test(a_withdrawn_item_stops_at_once_unless_somebody_runs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
