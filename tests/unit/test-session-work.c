/* Work items of a session, and calls whose outcome nobody knows (contract 4.7, 13; architecture 5).
 */
#include "core/retry.h"
#include "desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define IDLE "t_idle usage idle"
#define GO "running t_running start"
#define LONG (100 * (int64_t)RETRY_SECOND)

static void expect(struct desk *k, const char *events, const char *effects)
{
    assert_string_equal(buf_text(&k->events), events);
    assert_string_equal(buf_text(&k->effects), effects);
}

static void open_with(struct desk *k, const struct answer_call *calls, size_t count)
{
    desk_open(k);
    desk_message(k, "[1]");
    desk_answer(k, "", calls, count);
}

static struct answer_call bash(void)
{
    return desk_call("bash", POLICY_ALWAYS_ALLOW);
}

static void no_session_has_two_live_items(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    struct id first = k.s->work;
    assert_true(k.s->work_live);
    desk_answer(&k, "", NULL, 0);
    desk_message(&k, "[2]");
    expect(&k, "running t_running message start", "ask"); /* the item is still there */
    desk_answer(&k, "", NULL, 0);
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, LONG);
    expect(&k, "work", ""); /* nothing to do */
    desk_message(&k, "[3]");
    expect(&k, "running t_running message start work", "ask make");
    assert_false(id_eq(&first, &k.s->work));
    struct fact wanted = { .type = FACT_WORK_WANTED };
    assert_int_equal(desk_fact(&k, &wanted), -1);
    assert_int_equal(k.d.refusal.status, 409);
    assert_true(k.d.refusal.no_retry);
}

static void an_item_that_ends_while_there_is_work_is_followed_by_another(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, LONG);
    expect(&k, "work work", "make");
    assert_int_equal(k.d.effects[0].not_before, k.now - 1000);
}

static void items_that_end_at_once_are_made_more_and_more_slowly_and_then_no_more(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    for (unsigned i = 1; i < 8; i++) {
        desk_work(&k, WORK_ENDED, WORK_BY_WORKER, RETRY_SECOND);
        expect(&k, "work work", "make");
        assert_int_equal(k.d.effects[0].not_before - (k.now - 1000), retry_delay(i));
    }
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, RETRY_SECOND);
    expect(&k, "error work", "");
    assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->error, ERROR_UNKNOWN);
    assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->retry, RETRY_EXHAUSTED);
    desk_message(&k, "[2]"); /* a client speaks */
    expect(&k, "queued work", "make");
    assert_int_equal(k.d.effects[0].not_before, k.now - 1000);
}

static void an_item_under_which_a_result_came_has_not_failed(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { bash(), bash() };
    open_with(&k, c, 2);
    struct id id = desk_nth_id(&k, 0);
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, RETRY_SECOND);
    assert_int_equal(k.s->work_failures, 1);
    desk_result(&k, &id);
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, RETRY_SECOND);
    assert_int_equal(k.s->work_failures, 0);
}

static void an_operators_stop_holds_until_a_client_speaks(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { bash(), bash() };
    open_with(&k, c, 2);
    struct id id = desk_nth_id(&k, 0);
    desk_work(&k, WORK_ENDED, WORK_BY_OPERATOR, LONG);
    expect(&k, "work", "");
    desk_result(&k, &id); /* a worker's word is not a client's */
    expect(&k, "result " IDLE ":action", "");
    desk_message(&k, "[2]");
    expect(&k, "queued work", "make");
}

static void an_interrupt_makes_an_item_when_the_last_one_failed(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    desk_work(&k, WORK_DEAD, WORK_BY_WORKER, LONG);
    expect(&k, "work_failed error work", "");
    desk_interrupt(&k);
    expect(&k, "interrupt result " IDLE ":end work", "make");
}

static void a_dead_letter_can_be_requeued_by_an_operator(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    desk_work(&k, WORK_DEAD, WORK_BY_WORKER, LONG);
    assert_int_equal(desk_fact(&k, &(struct fact){ .type = FACT_WORK_WANTED }), 0);
    expect(&k, "work", "make");
}

static void unmarked_calls_of_a_lost_worker_are_left_to_the_next_one(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    desk_work(&k, WORK_LOST, WORK_BY_NOBODY, LONG);
    expect(&k, "work", "");
    assert_int_equal(desk_nth(&k, 0)->state, CALL_WAITS);
    assert_true(k.s->work_live);
}

static void a_marked_call_of_a_lost_worker_is_closed_as_unknown(void **state)
{
    (void)state;
    static const struct {
        enum work_news news;
        const char *events, *effects;
    } rows[] = {
        { WORK_LOST, "result unknown work " GO, "ask" },
        { WORK_NACKED, "result unknown work_failed work " GO, "ask" },
        { WORK_ENDED, "result unknown work " GO " work", "ask make" },
        { WORK_DEAD, "result unknown work_failed error work " GO, "ask" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_DESK k;
        struct answer_call c = bash();
        open_with(&k, &c, 1);
        struct id id = desk_nth_id(&k, 0);
        assert_int_equal(desk_mark(&k, &id), 0);
        expect(&k, "started", "");
        desk_work(&k, rows[i].news, WORK_BY_WORKER, LONG);
        expect(&k, rows[i].events, rows[i].effects);
        const struct event *result = desk_last(&k, EVENT_USER_TOOL_RESULT);
        assert_true(result->is_error);
        assert_true(str_has(result->text, STR("unknown")));
    }
}

static void marked_calls_that_are_safe_to_repeat_stay_open(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = desk_call("read", POLICY_ALWAYS_ALLOW);
    open_with(&k, &c, 1);
    struct id id = desk_nth_id(&k, 0);
    desk_mark(&k, &id);
    desk_work(&k, WORK_LOST, WORK_BY_NOBODY, LONG);
    expect(&k, "work", "");
    assert_false(desk_nth(&k, 0)->started);
    desk_mark(&k, &id); /* the next claim marks it anew */
    expect(&k, "started", "");
}

static void a_person_is_asked_before_a_doubtful_call_runs_again(void **state)
{
    (void)state;
    for (int allow = 0; allow < 2; allow++) {
        AUTO_DESK k;
        struct answer_call c[] = { bash(), bash() };
        c[0].repeat = REPEAT_ASK;
        open_with(&k, c, 2);
        struct id id = desk_nth_id(&k, 0);
        desk_mark(&k, &id);
        desk_work(&k, WORK_LOST, WORK_BY_NOBODY, LONG);
        /* No worker meanwhile: it would run the call. */
        expect(&k, "unknown work work " IDLE ":action", "stop");
        assert_int_equal(desk_nth(&k, 0)->state, CALL_ASKS);
        assert_false(k.s->work_live);
        assert_int_equal(desk_confirm(&k, &id, allow), 0);
        if (allow)
            expect(&k, "confirmation running t_running " IDLE ":action work", "make");
        else
            expect(&k, "confirmation result " IDLE ":action work", "make");
    }
}

static void a_late_result_of_a_doubtful_call_is_better_than_none(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    c.repeat = REPEAT_ASK;
    open_with(&k, &c, 1);
    struct id id = desk_nth_id(&k, 0);
    desk_mark(&k, &id);
    desk_work(&k, WORK_LOST, WORK_BY_NOBODY, LONG);
    assert_int_equal(desk_result(&k, &id), 0);
    expect(&k, "result " GO " work", "ask make");
}

static void marks_are_refused_for_calls_that_must_not_start(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { bash(), desk_call("bash", POLICY_ALWAYS_ASK), bash(),
                               desk_call("web_fetch", POLICY_ALWAYS_ASK) };
    c[2].arguments = (struct sha256){ "other" };
    open_with(&k, c, 4);
    struct id open = desk_nth_id(&k, 0), asks = desk_nth_id(&k, 1), other = desk_nth_id(&k, 2),
              web = desk_nth_id(&k, 3);
    struct id nobody = { "sevt_nobody" };
    assert_int_equal(desk_mark(&k, &nobody), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_int_equal(desk_mark(&k, &web), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_int_equal(desk_mark(&k, &asks), -1);
    assert_int_equal(k.d.refusal.status, 409);
    assert_int_equal(desk_mark(&k, &other), -1);
    assert_int_equal(k.d.refusal.status, 409);
    assert_int_equal(desk_mark(&k, &open), 0);
    expect(&k, "started", "");
    assert_int_equal(desk_mark(&k, &open), 0); /* repeated under the same claim */
    expect(&k, "", "");
    desk_result(&k, &open);
    assert_int_equal(desk_mark(&k, &open), -1); /* closed */
    assert_int_equal(k.d.refusal.status, 409);
    desk_work(&k, WORK_ENDED, WORK_BY_OPERATOR, LONG);
    assert_int_equal(desk_mark(&k, &asks), -1); /* the lease is lost */
    assert_int_equal(k.d.refusal.status, 409);
}

static void news_of_an_item_that_is_over_changes_nothing(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = bash();
    open_with(&k, &c, 1);
    desk_work(&k, WORK_ENDED, WORK_BY_OPERATOR, LONG);
    desk_work(&k, WORK_ENDED, WORK_BY_WORKER, LONG);
    expect(&k, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_session_has_two_live_items),
        cmocka_unit_test(an_item_that_ends_while_there_is_work_is_followed_by_another),
        cmocka_unit_test(items_that_end_at_once_are_made_more_and_more_slowly_and_then_no_more),
        cmocka_unit_test(an_item_under_which_a_result_came_has_not_failed),
        cmocka_unit_test(an_operators_stop_holds_until_a_client_speaks),
        cmocka_unit_test(an_interrupt_makes_an_item_when_the_last_one_failed),
        cmocka_unit_test(a_dead_letter_can_be_requeued_by_an_operator),
        cmocka_unit_test(unmarked_calls_of_a_lost_worker_are_left_to_the_next_one),
        cmocka_unit_test(a_marked_call_of_a_lost_worker_is_closed_as_unknown),
        cmocka_unit_test(marked_calls_that_are_safe_to_repeat_stay_open),
        cmocka_unit_test(a_person_is_asked_before_a_doubtful_call_runs_again),
        cmocka_unit_test(a_late_result_of_a_doubtful_call_is_better_than_none),
        cmocka_unit_test(marks_are_refused_for_calls_that_must_not_start),
        cmocka_unit_test(news_of_an_item_that_is_over_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
