/* Turns: their order, what waits, interrupts (contract 3.1-3.4, 3.6). */
#include "desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BEGIN "running t_running message start"
#define IDLE "t_idle usage idle"

static void expect(struct desk *k, const char *events, const char *effects)
{
    assert_string_equal(buf_text(&k->events), events);
    assert_string_equal(buf_text(&k->effects), effects);
}

static void a_message_starts_a_turn_in_the_order_of_the_contract(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    assert_int_equal(k.s->status, SESSION_IDLE);
    assert_int_equal(desk_message(&k, "[1]"), 0);
    expect(&k, BEGIN " work", "ask make");
    assert_true(desk_last(&k, EVENT_USER_MESSAGE)->at > 0);
    assert_int_equal(k.s->status, SESSION_RUNNING);
    desk_answer(&k, "[2]", NULL, 0);
    expect(&k, "says end " IDLE ":end", "");
    assert_int_equal(k.s->status, SESSION_IDLE);
}

static void initial_events_start_a_turn(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    session_free(k.s);
    session_free(k.shadow);
    k.s = session_new();
    k.shadow = session_new();
    struct event e[2] = { { .type = EVENT_USER_MESSAGE }, { .type = EVENT_USER_MESSAGE } };
    desk_fact(&k, &(struct fact){ .type = FACT_CREATED, .created = { .events = e, .count = 2 } });
    expect(&k, "created running t_running message message start work", "ask make");
}

static void times_ascend_even_when_the_clock_goes_back(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    int64_t before = k.s->last_at;
    k.now -= 500000000;
    desk_answer(&k, "[2]", NULL, 0);
    for (size_t i = 0; i < k.d.event_count; i++) {
        assert_true(k.d.events[i].at > before);
        before = k.d.events[i].at;
    }
}

static void messages_of_one_request_start_one_turn(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct event e[3] = { { .type = EVENT_USER_MESSAGE },
                          { .type = EVENT_USER_MESSAGE },
                          { .type = EVENT_SYSTEM_MESSAGE } };
    assert_int_equal(desk_send(&k, e, 3), 0);
    expect(&k, "running t_running message message system start work", "ask make");
    assert_int_equal(k.d.answer_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(id_eq(&k.d.answers[i], &k.d.events[2 + i].id));
}

static void messages_while_running_wait_and_start_the_next_turn_together(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    desk_message(&k, "[2]");
    expect(&k, "queued", "");
    struct id second = k.d.answers[0];
    assert_true(id_eq(&second, &k.d.events[0].id));
    desk_message(&k, "[3]");
    expect(&k, "queued", "");
    desk_answer(&k, "[]", NULL, 0);
    expect(&k, "says end " IDLE ":end running t_running message message start", "ask");
    assert_true(id_eq(&second, &k.d.events[7].id));
    assert_true(str_eq(k.d.events[7].content, STR("[2]")));
    assert_true(str_eq(k.d.events[8].content, STR("[3]")));
}

static void more_than_a_hundred_waiting_inputs_are_refused(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    for (int i = 0; i < SESSION_QUEUED_MAX; i++)
        assert_int_equal(desk_message(&k, "[2]"), 0);
    assert_int_equal(desk_message(&k, "[2]"), -1);
    assert_int_equal(k.d.refusal.status, 429);
    assert_int_equal(desk_interrupt(&k), 0); /* there is always room for this one */
}

static void a_request_is_taken_whole_or_not_at_all(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct event e[2] = { { .type = EVENT_USER_MESSAGE },
                          { .type = EVENT_USER_TOOL_RESULT, .about = { "sevt_nobody" } } };
    assert_int_equal(desk_send(&k, e, 2), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_non_null(strstr(k.d.refusal.message, "events[1]"));
    assert_int_equal(k.s->status, SESSION_IDLE);
    assert_false(k.s->turn);
}

static void an_interrupt_waits_until_the_model_lets_go(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    desk_interrupt(&k);
    expect(&k, "queued", "abort");
    desk_message(&k, "[2]");
    expect(&k, "queued", "");
    desk_interrupt(&k);
    expect(&k, "queued", ""); /* aborted once */
    desk_aborted(&k, "[text]");
    expect(&k, "says end interrupt " IDLE ":end interrupt running t_running message start", "ask");
    assert_true(desk_last(&k, EVENT_MODEL_REQUEST_END)->is_error);
}

static void an_interrupted_answer_without_a_whole_block_leaves_nothing(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    desk_interrupt(&k);
    desk_aborted(&k, "");
    expect(&k, "end interrupt " IDLE ":end", "");
}

static void calls_of_an_answer_that_an_interrupt_overtook_are_dropped(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    desk_interrupt(&k);
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "[text]", &c, 1);
    expect(&k, "says end interrupt " IDLE ":end", "");
}

static void an_interrupt_at_rest_is_only_noted(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_interrupt(&k);
    expect(&k, "interrupt", "");
    assert_int_equal(k.s->status, SESSION_IDLE);
}

static void
an_interrupt_behind_a_message_stops_its_turn_and_the_next_message_starts_one(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct event e[3] = { { .type = EVENT_USER_MESSAGE },
                          { .type = EVENT_USER_INTERRUPT },
                          { .type = EVENT_USER_MESSAGE } };
    desk_send(&k, e, 3);
    expect(&k,
           "running t_running message interrupt " IDLE ":end running t_running message start work",
           "ask make");
}

static void a_blocked_turn_that_is_interrupted_closes_its_calls_by_their_owners(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ALLOW),
                               desk_call("bash", POLICY_ALWAYS_ASK), desk_custom_call("crm"),
                               desk_call("web_fetch", POLICY_ALWAYS_ASK) };
    desk_answer(&k, "", c, 4);
    desk_message(&k, "[2]");
    expect(&k, "queued", "");
    desk_interrupt(&k);
    expect(&k,
           "interrupt result result custom_result agent_result " IDLE
           ":end running t_running message start",
           "ask");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(desk_nth(&k, i)->state, CALL_CLOSED);
}

static void a_server_tool_that_runs_is_cancelled_by_an_interrupt_and_its_end_ignored(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    struct answer_call c = desk_call("web_fetch", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "", &c, 1);
    expect(&k, "use end", "run");
    assert_int_equal(k.s->status, SESSION_RUNNING);
    desk_interrupt(&k);
    expect(&k, "interrupt agent_result " IDLE ":end", "cancel");
    struct id id = desk_nth_id(&k, 0);
    desk_tool_ended(&k, &id);
    expect(&k, "", "");
}

static void a_system_message_stands_behind_a_message_or_a_result(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct event alone = { .type = EVENT_SYSTEM_MESSAGE };
    assert_int_equal(desk_send(&k, &alone, 1), -1);
    struct event first[2] = { { .type = EVENT_SYSTEM_MESSAGE }, { .type = EVENT_USER_MESSAGE } };
    assert_int_equal(desk_send(&k, first, 2), -1);
    struct event good[2] = { { .type = EVENT_USER_MESSAGE }, { .type = EVENT_SYSTEM_MESSAGE } };
    k.rules.system_messages = false;
    assert_int_equal(desk_send(&k, good, 2), -1);
    assert_string_equal(k.d.refusal.code, "model_does_not_support_mid_conversation_system");
    k.rules.system_messages = true;
    assert_int_equal(desk_send(&k, good, 2), 0);
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "", &c, 1);
    assert_int_equal(desk_send(&k, good, 2), -1); /* blocked */
    struct event result[2] = { { .type = EVENT_USER_TOOL_RESULT, .about = desk_nth_id(&k, 0) },
                               { .type = EVENT_SYSTEM_MESSAGE } };
    assert_int_equal(desk_post(&k, result, 2), 0);
    expect(&k, "result system running t_running start", "ask");
    struct id system = k.d.answers[1];
    assert_int_equal(desk_post(&k, result, 2), 0); /* repeated whole */
    expect(&k, "", "");
    assert_true(id_eq(&system, &k.d.answers[1]));
}

static void an_archived_session_takes_nothing_any_more(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct fact archive = { .type = FACT_ARCHIVE }, delete = { .type = FACT_DELETE };
    desk_message(&k, "[1]");
    assert_int_equal(desk_fact(&k, &archive), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_int_equal(desk_fact(&k, &delete), -1);
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "", &c, 1);
    desk_message(&k, "[2]");
    assert_int_equal(desk_fact(&k, &archive), 0); /* blocked counts as idle */
    expect(&k, "message t_terminated terminated closed", "stop");
    assert_int_equal(k.s->status, SESSION_TERMINATED);
    assert_int_equal(desk_fact(&k, &archive), 0);
    expect(&k, "", "");
    assert_int_equal(desk_message(&k, "[3]"), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_int_equal(desk_fact(&k, &delete), 0);
    expect(&k, "deleted", "stop");
}

static void a_request_that_a_crash_cut_off_is_made_again(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    desk_crash(&k);
    expect(&k, "end start", "ask");
    assert_true(k.d.events[0].is_error);
    desk_interrupt(&k);
    desk_crash(&k);
    expect(&k, "end interrupt " IDLE ":end", "");
    desk_crash(&k);
    expect(&k, "", "");
}

static void server_tools_that_a_crash_cut_off_run_again_only_when_that_is_safe(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    struct answer_call c[] = { desk_call("web_fetch", POLICY_ALWAYS_ALLOW),
                               desk_call("web_post", POLICY_ALWAYS_ALLOW) };
    desk_answer(&k, "", c, 2);
    expect(&k, "use use end", "run run");
    desk_crash(&k);
    expect(&k, "agent_result unknown", "run");
    struct id id = desk_nth_id(&k, 0);
    desk_tool_ended(&k, &id);
    expect(&k, "agent_result start", "ask");
    assert_int_equal(k.s->usage.web_fetch_requests, 1);
}

static void a_parked_session_goes_on_in_the_next_process(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    k.rules.parked = true;
    desk_fact(&k, &(struct fact){ .type = FACT_PARK });
    expect(&k, "end", "abort");
    desk_message(&k, "[2]");
    expect(&k, "queued", "");
    k.rules.parked = false;
    desk_crash(&k);
    expect(&k, "start", "ask");
}

static void a_turn_that_could_go_on_while_the_process_stops_is_left_running(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "", &c, 1);
    k.rules.parked = true;
    struct id id = desk_nth_id(&k, 0);
    desk_result(&k, &id);
    expect(&k, "result running t_running", "");
    k.rules.parked = false;
    desk_crash(&k);
    expect(&k, "start", "ask");
}

static void seconds_count_while_running_only(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    desk_message(&k, "[1]");
    k.now += 5000000;
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    desk_answer(&k, "", &c, 1);
    int64_t active = desk_last(&k, EVENT_SESSION_USAGE)->usage.active;
    assert_in_range(active, 5000000, 5002000);
    k.now += 60000000;
    assert_in_range(session_usage(k.s, k.now).active, active, active + 10);
    struct id id = desk_nth_id(&k, 0);
    desk_result(&k, &id);
    k.now += 1000000;
    assert_in_range(session_usage(k.s, k.now).active, active + 1000000, active + 1002000);
}

static void an_update_says_only_what_changed(void **state)
{
    (void)state;
    AUTO_DESK k;
    desk_open(&k);
    struct fact nothing = { .type = FACT_UPDATE };
    struct fact title = { .type = FACT_UPDATE, .update = { .members = STR("\"title\":\"x\"") } };
    struct fact agent = { .type = FACT_UPDATE,
                          .update = { .members = STR("\"agent\":{}"), .agent = true } };
    assert_int_equal(desk_fact(&k, &nothing), 0);
    expect(&k, "", "");
    assert_int_equal(desk_fact(&k, &agent), 0);
    expect(&k, "updated", "");
    desk_message(&k, "[1]");
    assert_int_equal(desk_fact(&k, &title), 0);
    assert_int_equal(desk_fact(&k, &agent), -1);
    assert_int_equal(k.d.refusal.status, 400);
    assert_non_null(strstr(k.d.refusal.message, "PATCH"));
    k.rules.update_while_running = true;
    assert_int_equal(desk_fact(&k, &agent), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_starts_a_turn_in_the_order_of_the_contract),
        cmocka_unit_test(initial_events_start_a_turn),
        cmocka_unit_test(times_ascend_even_when_the_clock_goes_back),
        cmocka_unit_test(messages_of_one_request_start_one_turn),
        cmocka_unit_test(messages_while_running_wait_and_start_the_next_turn_together),
        cmocka_unit_test(more_than_a_hundred_waiting_inputs_are_refused),
        cmocka_unit_test(a_request_is_taken_whole_or_not_at_all),
        cmocka_unit_test(an_interrupt_waits_until_the_model_lets_go),
        cmocka_unit_test(an_interrupted_answer_without_a_whole_block_leaves_nothing),
        cmocka_unit_test(calls_of_an_answer_that_an_interrupt_overtook_are_dropped),
        cmocka_unit_test(an_interrupt_at_rest_is_only_noted),
        cmocka_unit_test(
            an_interrupt_behind_a_message_stops_its_turn_and_the_next_message_starts_one),
        cmocka_unit_test(a_blocked_turn_that_is_interrupted_closes_its_calls_by_their_owners),
        cmocka_unit_test(a_server_tool_that_runs_is_cancelled_by_an_interrupt_and_its_end_ignored),
        cmocka_unit_test(a_system_message_stands_behind_a_message_or_a_result),
        cmocka_unit_test(an_archived_session_takes_nothing_any_more),
        cmocka_unit_test(a_request_that_a_crash_cut_off_is_made_again),
        cmocka_unit_test(server_tools_that_a_crash_cut_off_run_again_only_when_that_is_safe),
        cmocka_unit_test(a_parked_session_goes_on_in_the_next_process),
        cmocka_unit_test(a_turn_that_could_go_on_while_the_process_stops_is_left_running),
        cmocka_unit_test(seconds_count_while_running_only),
        cmocka_unit_test(an_update_says_only_what_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
