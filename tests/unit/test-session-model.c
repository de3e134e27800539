/* Model requests that fail, end oddly or cost too much (contract 3.9, 3.11, 8). */
#include "core/retry.h"
#include "desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define IDLE "t_idle usage idle"
#define BEGIN "running t_running message start"
#define LATER "end error retry t_rescheduled rescheduled"

static void expect(struct desk *k, const char *events, const char *effects)
{
    assert_string_equal(buf_text(&k->events), events);
    assert_string_equal(buf_text(&k->effects), effects);
}

static void begun(struct desk *k)
{
    desk_open(k);
    desk_message(k, "[1]");
}

static void a_passing_failure_is_retried_after_a_growing_wait(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    int64_t least = 0;
    for (unsigned i = 1; i < 8; i++) {
        desk_fail(&k, MODEL_OVERLOADED);
        expect(&k, LATER, "");
        const struct event *e = desk_last(&k, EVENT_SESSION_ERROR);
        assert_int_equal(e->error, ERROR_MODEL_OVERLOADED);
        assert_int_equal(e->retry, RETRY_RETRYING);
        assert_int_equal(k.s->status, SESSION_RESCHEDULING);
        int64_t wait = session_deadline(k.s) - (k.now - 1000);
        assert_in_range(wait, retry_delay(i) * 3 / 4, retry_delay(i));
        assert_true(wait > least);
        least = wait * 3 / 4;
        desk_clock(&k, 0);
        expect(&k, "", ""); /* not yet */
        desk_clock(&k, wait);
        expect(&k, "running t_running start", "ask");
        assert_int_equal(session_deadline(k.s), INT64_MAX);
    }
    desk_message(&k, "[2]");
    desk_fail(&k, MODEL_RATE_LIMITED); /* the eighth */
    expect(&k, "end error message " IDLE ":exhausted", "");
    assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->retry, RETRY_EXHAUSTED);
    assert_int_equal(k.s->queue_count, 0);
    desk_message(&k, "[3]");
    expect(&k, BEGIN, "ask");
    desk_fail(&k, MODEL_OVERLOADED);
    expect(&k, LATER, ""); /* counted anew */
}

static void what_the_provider_asks_for_is_waited_but_not_for_ever(void **state)
{
    (void)state;
    static const struct {
        int64_t wanted, waited;
    } rows[] = { { 90 * RETRY_SECOND, 90 * RETRY_SECOND },
                 { 100000 * (int64_t)RETRY_SECOND, 600 * (int64_t)RETRY_SECOND } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_DESK k;
        begun(&k);
        desk_fact(&k, &(struct fact){ .type = FACT_MODEL_FAILED,
                                      .failure = { .request = k.s->request,
                                                   .failure = MODEL_RATE_LIMITED,
                                                   .retry_after = rows[i].wanted } });
        assert_int_equal(session_deadline(k.s), k.now - 1000 + rows[i].waited);
    }
}

static void a_failure_that_would_come_again_is_not_retried(void **state)
{
    (void)state;
    static const struct {
        enum model_failure failure;
        enum session_error error;
    } rows[] = { { MODEL_REQUEST_REFUSED, ERROR_MODEL_REQUEST_FAILED },
                 { MODEL_BILLING, ERROR_BILLING },
                 { MODEL_UNKNOWN, ERROR_MODEL_REQUEST_FAILED } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_DESK k;
        begun(&k);
        desk_fail(&k, rows[i].failure);
        expect(&k, "end error " IDLE ":exhausted", "");
        assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->error, rows[i].error);
    }
}

static void an_interrupt_ends_the_wait_for_a_retry(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_fail(&k, MODEL_REQUEST_FAILED);
    desk_message(&k, "[2]");
    expect(&k, "queued", "");
    desk_interrupt(&k);
    expect(&k, "interrupt " IDLE ":end " BEGIN, "ask");
}

static void a_failure_while_an_interrupt_waits_is_not_retried(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_interrupt(&k);
    desk_fail(&k, MODEL_OVERLOADED);
    expect(&k, "end interrupt " IDLE ":end", "");
}

static void a_retry_goes_on_after_a_crash(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_fail(&k, MODEL_OVERLOADED);
    desk_crash(&k);
    expect(&k, "", "");
    desk_clock(&k, RETRY_SECOND);
    expect(&k, "running t_running start", "ask");
}

static void an_answer_to_a_request_that_is_over_is_ignored(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    struct id old = k.s->request;
    desk_fail(&k, MODEL_OVERLOADED);
    static const enum fact_type types[] = { FACT_MODEL_ENDED, FACT_MODEL_ABORTED };
    for (size_t i = 0; i < 2; i++) {
        desk_fact(&k, &(struct fact){ .type = types[i], .answer = { .request = old } });
        expect(&k, "", "");
    }
    desk_fact(&k, &(struct fact){ .type = FACT_MODEL_FAILED, .failure = { .request = old } });
    expect(&k, "", "");
}

static void a_refusal_ends_the_turn_with_its_reason(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_answer_stop(&k, "[]", MODEL_STOP_REFUSAL);
    expect(&k, "says end " IDLE ":refusal", "");
    assert_true(str_eq(desk_last(&k, EVENT_SESSION_STATUS_IDLE)->category, STR("harm")));
    desk_message(&k, "[2]");
    expect(&k, BEGIN, "ask");
}

static void an_answer_cut_by_its_length_ends_the_turn(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_answer_stop(&k, "[]", MODEL_STOP_LENGTH);
    expect(&k, "says end " IDLE ":end", "");
}

static void a_pause_asks_the_model_again(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_answer_stop(&k, "[]", MODEL_STOP_PAUSE);
    expect(&k, "says end start", "ask");
}

static void a_turn_has_so_many_rounds_and_no_more(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    k.rules.max_rounds = 3;
    desk_answer_stop(&k, "", MODEL_STOP_PAUSE);
    desk_answer_stop(&k, "", MODEL_STOP_PAUSE);
    expect(&k, "end start", "ask");
    desk_answer_stop(&k, "", MODEL_STOP_PAUSE);
    expect(&k, "end error " IDLE ":exhausted", "");
    assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->error, ERROR_TOOL_USE_LIMIT);
    desk_message(&k, "[2]");
    expect(&k, BEGIN, "ask");
}

static void a_full_context_is_summarised_before_the_next_request(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    struct answer_call c = desk_custom_call("crm");
    desk_answer_using(&k, 799, &c, 1);
    struct id id = desk_nth_id(&k, 0);
    desk_custom_result(&k, &id);
    assert_false(k.d.effects[0].compacts);
    desk_answer_using(&k, 800, &c, 1);
    id = desk_nth_id(&k, 1);
    desk_custom_result(&k, &id);
    expect(&k, "custom_result running t_running start", "ask");
    assert_true(k.d.effects[0].compacts);
    desk_crash(&k);
    assert_true(k.d.effects[0].compacts); /* it is still due */
    desk_summary(&k, "so far");
    expect(&k, "compacted end start", "ask");
    assert_false(k.d.effects[0].compacts);
}

static void a_context_that_does_not_shrink_is_given_up(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    for (int i = 0; i < 3; i++) {
        desk_fail(&k, MODEL_CONTEXT_TOO_LONG);
        expect(&k, "end start", "ask");
        assert_true(k.d.effects[0].compacts);
        desk_summary(&k, "so far");
        expect(&k, "compacted end start", "ask");
    }
    desk_fail(&k, MODEL_CONTEXT_TOO_LONG);
    expect(&k, "end error " IDLE ":exhausted", "");
    assert_int_equal(desk_last(&k, EVENT_SESSION_ERROR)->error, ERROR_COMPACTION_LIMIT);
    desk_message(&k, "[2]");
    expect(&k, BEGIN, "ask");
    assert_true(k.d.effects[0].compacts);
}

static void summaries_with_work_between_them_are_not_in_a_row(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    for (int i = 0; i < 6; i++) {
        desk_fail(&k, MODEL_CONTEXT_TOO_LONG);
        desk_summary(&k, "so far");
        desk_answer_stop(&k, "", MODEL_STOP_PAUSE);
        expect(&k, "end start", "ask");
    }
}

static void an_empty_summary_is_a_failure(void **state)
{
    (void)state;
    AUTO_DESK k;
    begun(&k);
    desk_fail(&k, MODEL_CONTEXT_TOO_LONG);
    desk_summary(&k, "");
    expect(&k, LATER, "");
    desk_clock(&k, RETRY_SECOND);
    assert_true(k.d.effects[0].compacts);
}

static void budget(struct desk *k, enum budget_change change, uint64_t cap, int expected)
{
    int rc = desk_fact(
        k, &(struct fact){
               .type = FACT_UPDATE,
               .update = { .members = STR("\"budget\":{}"), .budget = change, .cap = cap } });
    assert_int_equal(rc, expected);
}

static void open_with_budget(struct desk *k, uint64_t cap)
{
    desk_open(k);
    desk_fact(k,
              &(struct fact){ .type = FACT_CREATED, .created = { .budgeted = true, .cap = cap } });
}

static void a_spent_budget_stops_before_the_next_request_and_a_higher_one_goes_on(void **state)
{
    (void)state;
    AUTO_DESK k;
    open_with_budget(&k, 100);
    desk_message(&k, "[1]");
    desk_message(&k, "[2]");
    struct answer_call c = desk_custom_call("crm");
    desk_answer(&k, "", &c, 1);                       /* costs 100 */
    expect(&k, "custom_use end " IDLE ":action", ""); /* outranks the budget */
    assert_int_equal(desk_message(&k, "[3]"), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_non_null(strstr(k.d.refusal.message, "user.custom_tool_result"));
    struct id id = desk_nth_id(&k, 0);
    desk_custom_result(&k, &id);
    expect(&k, "custom_result running t_running " IDLE ":budget", "");
    desk_clock(&k, RETRY_SECOND);
    expect(&k, "", "");
    budget(&k, BUDGET_SET, 100, -1);
    assert_string_equal(k.d.refusal.code, "budget_not_raised");
    budget(&k, BUDGET_SET, 150, 0);
    expect(&k, "updated running t_running start", "ask");
    desk_answer(&k, "", NULL, 0);
    expect(&k, "end " IDLE ":end running t_running message " IDLE ":budget", "");
    budget(&k, BUDGET_REMOVED, 0, 0);
    expect(&k, "updated running t_running start", "ask");
    budget(&k, BUDGET_SET, 1000, -1);
    assert_string_equal(k.d.refusal.code, "budget_create_only");
}

static void a_budget_for_a_model_without_a_price_stops_at_once(void **state)
{
    (void)state;
    AUTO_DESK k;
    open_with_budget(&k, 100);
    k.rules.priced = false;
    desk_message(&k, "[1]");
    expect(&k, "running t_running message " IDLE ":budget", "");
    assert_int_equal(desk_message(&k, "[2]"), -1);
    desk_interrupt(&k);
    expect(&k, "interrupt " IDLE ":end", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_passing_failure_is_retried_after_a_growing_wait),
        cmocka_unit_test(what_the_provider_asks_for_is_waited_but_not_for_ever),
        cmocka_unit_test(a_failure_that_would_come_again_is_not_retried),
        cmocka_unit_test(an_interrupt_ends_the_wait_for_a_retry),
        cmocka_unit_test(a_failure_while_an_interrupt_waits_is_not_retried),
        cmocka_unit_test(a_retry_goes_on_after_a_crash),
        cmocka_unit_test(an_answer_to_a_request_that_is_over_is_ignored),
        cmocka_unit_test(a_refusal_ends_the_turn_with_its_reason),
        cmocka_unit_test(an_answer_cut_by_its_length_ends_the_turn),
        cmocka_unit_test(a_pause_asks_the_model_again),
        cmocka_unit_test(a_turn_has_so_many_rounds_and_no_more),
        cmocka_unit_test(a_full_context_is_summarised_before_the_next_request),
        cmocka_unit_test(a_context_that_does_not_shrink_is_given_up),
        cmocka_unit_test(summaries_with_work_between_them_are_not_in_a_row),
        cmocka_unit_test(an_empty_summary_is_a_failure),
        cmocka_unit_test(a_spent_budget_stops_before_the_next_request_and_a_higher_one_goes_on),
        cmocka_unit_test(a_budget_for_a_model_without_a_price_stops_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
