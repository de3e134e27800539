/* Calls of tools: who may run them, who answers them, and answers that come twice (contract 3.5, 7,
 * 11). */
#include "desk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define IDLE "t_idle usage idle"
#define GO "running t_running start"

static void expect(struct desk *k, const char *events, const char *effects)
{
    assert_string_equal(buf_text(&k->events), events);
    assert_string_equal(buf_text(&k->effects), effects);
}

/* A turn whose model asked for these. */
static void open_with(struct desk *k, const struct answer_call *calls, size_t count)
{
    desk_open(k);
    desk_message(k, "[1]");
    desk_answer(k, "", calls, count);
}

static void expect_waiting(const struct desk *k, size_t count, ...)
{
    va_list ap;
    va_start(ap, count);
    assert_int_equal(k->waiting_count, count);
    for (size_t i = 0; i < count; i++) {
        struct id id = desk_nth_id(k, va_arg(ap, size_t));
        assert_true(id_eq(&k->waiting[i], &id));
    }
    va_end(ap);
}

static void a_call_is_judged_by_its_policy(void **state)
{
    (void)state;
    static const struct {
        struct tool_grant grant;
        enum permission permission;
        enum policy policy;
        const char *reason;
    } rows[] = {
        { { .offered = true, .policy = POLICY_ALWAYS_ALLOW },
          PERMISSION_ALLOW,
          POLICY_ALWAYS_ALLOW,
          "" },
        { { .offered = true, .policy = POLICY_ALWAYS_ASK }, PERMISSION_ASK, POLICY_ALWAYS_ASK, "" },
        { { .offered = true, .policy = POLICY_AUTO },
          PERMISSION_ASK,
          POLICY_AUTO,
          "indeterminate" },
        { { .offered = true, .policy = POLICY_NONE }, PERMISSION_DENY, POLICY_NONE, "" },
        { { .offered = false, .policy = POLICY_ALWAYS_ALLOW }, PERMISSION_DENY, POLICY_NONE, "" },
        { { .offered = true, .custom = true }, PERMISSION_NONE, POLICY_NONE, "" },
        { { .offered = false, .custom = true }, PERMISSION_DENY, POLICY_NONE, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct judgement j = policy_judge(&rows[i].grant);
        assert_int_equal(j.permission, rows[i].permission);
        assert_int_equal(j.policy, rows[i].policy);
        assert_true(str_eq(j.reason, str_of(rows[i].reason)));
    }
}

static void only_tools_that_look_are_safe_to_repeat(void **state)
{
    (void)state;
    static const char *const safe[] = { "read",       "glob",       "grep",       "web_fetch",
                                        "web_search", "result_get", "result_grep" };
    static const char *const unsafe[] = { "bash", "write", "edit", "", "reader", "crm" };
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        assert_int_equal(policy_repeat(str_of(safe[i])), REPEAT_SAFE);
    for (size_t i = 0; i < sizeof unsafe / sizeof *unsafe; i++)
        assert_int_equal(policy_repeat(str_of(unsafe[i])), REPEAT_NEVER);
}

static void calls_for_others_block_the_turn_until_all_are_answered(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ALLOW), desk_custom_call("crm") };
    open_with(&k, c, 2);
    expect(&k, "use custom_use end " IDLE ":action", "");
    expect_waiting(&k, 2, (size_t)0, (size_t)1);
    struct id bash = desk_nth_id(&k, 0), crm = desk_nth_id(&k, 1);
    desk_result(&k, &bash);
    expect(&k, "result " IDLE ":action", "");
    expect_waiting(&k, 1, (size_t)1);
    desk_custom_result(&k, &crm);
    expect(&k, "custom_result " GO, "ask");
}

static void server_tools_run_at_once_and_idle_names_the_rest(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("web_fetch", POLICY_ALWAYS_ALLOW),
                               desk_call("bash", POLICY_ALWAYS_ALLOW) };
    open_with(&k, c, 2);
    expect(&k, "use use end", "run");
    assert_true(str_eq(k.d.effects[0].name, STR("web_fetch")));
    assert_true(str_eq(k.d.effects[0].input, STR("{}")));
    struct id web = desk_nth_id(&k, 0), bash = desk_nth_id(&k, 1);
    desk_tool_ended(&k, &web);
    expect(&k, "agent_result " IDLE ":action", "");
    expect_waiting(&k, 1, (size_t)1);
    desk_tool_ended(&k, &web); /* twice */
    expect(&k, "", "");
    desk_result(&k, &bash);
    expect(&k, "result " GO, "ask");
}

static void a_result_that_comes_before_the_idle_is_not_named_by_it(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("web_fetch", POLICY_ALWAYS_ALLOW),
                               desk_call("bash", POLICY_ALWAYS_ALLOW) };
    open_with(&k, c, 2);
    struct id web = desk_nth_id(&k, 0), bash = desk_nth_id(&k, 1);
    desk_result(&k, &bash);
    expect(&k, "result", "");
    desk_tool_ended(&k, &web);
    expect(&k, "agent_result start", "ask"); /* no idle at all */
}

static void denied_calls_are_refused_and_the_model_goes_on(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("nothing", POLICY_NONE), desk_custom_call("gone") };
    c[0].grant.offered = c[1].grant.offered = false;
    open_with(&k, c, 2);
    expect(&k, "use custom_use end agent_result agent_result start", "ask");
    assert_true(desk_last(&k, EVENT_AGENT_TOOL_RESULT)->is_error);
}

static void an_allowed_worker_call_says_running_and_still_waits_for_its_result(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ASK), desk_call("bash", POLICY_AUTO),
                               desk_call("bash", POLICY_ALWAYS_ALLOW) };
    open_with(&k, c, 3);
    expect_waiting(&k, 3, (size_t)0, (size_t)1, (size_t)2);
    struct id first = desk_nth_id(&k, 0), second = desk_nth_id(&k, 1);
    assert_int_equal(desk_result(&k, &first), -1); /* nobody has confirmed it */
    assert_int_equal(k.d.refusal.status, 400);
    desk_confirm(&k, &first, true);
    expect(&k, "confirmation", ""); /* another one still waits for a person */
    desk_confirm(&k, &second, true);
    expect(&k, "confirmation running t_running " IDLE ":action", "");
    expect_waiting(&k, 3, (size_t)0, (size_t)1, (size_t)2);
    assert_int_equal(desk_result(&k, &first), 0);
    expect(&k, "result " IDLE ":action", "");
}

static void all_confirmations_of_a_request_dance_once(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ASK),
                               desk_call("bash", POLICY_ALWAYS_ASK) };
    open_with(&k, c, 2);
    struct event e[2] = {
        { .type = EVENT_USER_TOOL_CONFIRMATION, .about = desk_nth_id(&k, 0), .allow = true },
        { .type = EVENT_USER_TOOL_CONFIRMATION, .about = desk_nth_id(&k, 1), .allow = true },
    };
    desk_send(&k, e, 2);
    expect(&k, "confirmation confirmation running t_running " IDLE ":action", "");
}

static void a_confirmed_server_call_runs(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("web_fetch", POLICY_ALWAYS_ASK),
                               desk_call("bash", POLICY_ALWAYS_ASK) };
    open_with(&k, c, 2);
    struct id web = desk_nth_id(&k, 0);
    desk_confirm(&k, &web, true);
    expect(&k, "confirmation running t_running", "run");
    desk_tool_ended(&k, &web);
    expect(&k, "agent_result " IDLE ":action", "");
    expect_waiting(&k, 1, (size_t)1);
}

static void a_rejected_call_is_answered_with_the_persons_words(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ASK);
    open_with(&k, &c, 1);
    struct event e = { .type = EVENT_USER_TOOL_CONFIRMATION,
                       .about = desk_nth_id(&k, 0),
                       .text = STR("not on a Friday") };
    assert_int_equal(desk_send(&k, &e, 1), 0);
    expect(&k, "confirmation agent_result " GO, "ask");
    const struct event *result = desk_last(&k, EVENT_AGENT_TOOL_RESULT);
    assert_true(result->is_error);
    assert_true(str_has(result->text, STR("rejected")));
    assert_true(str_has(result->text, STR("not on a Friday")));
}

static void a_repeated_answer_gives_what_is_stored(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ASK), desk_custom_call("crm"),
                               desk_custom_call("never answered") };
    open_with(&k, c, 3);
    struct id bash = desk_nth_id(&k, 0), crm = desk_nth_id(&k, 1);
    desk_confirm(&k, &bash, true);
    struct id confirmed = k.d.answers[0];
    desk_result(&k, &bash);
    struct id result = k.d.answers[0];
    desk_custom_result(&k, &crm);
    struct id custom = k.d.answers[0];
    desk_confirm(&k, &bash, true);
    expect(&k, "", "");
    assert_true(id_eq(&k.d.answers[0], &confirmed));
    desk_result(&k, &bash);
    expect(&k, "", "");
    assert_true(id_eq(&k.d.answers[0], &result));
    desk_custom_result(&k, &crm);
    expect(&k, "", "");
    assert_true(id_eq(&k.d.answers[0], &custom));
    assert_int_equal(desk_confirm(&k, &bash, false), -1); /* another verdict */
    assert_int_equal(k.d.refusal.status, 400);
}

static void an_answer_repeated_within_one_request_counts_once(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ASK);
    open_with(&k, &c, 1);
    struct id id = desk_nth_id(&k, 0);
    struct event both[2] = {
        { .type = EVENT_USER_TOOL_CONFIRMATION, .about = id, .allow = true },
        { .type = EVENT_USER_TOOL_CONFIRMATION, .about = id, .allow = false },
    };
    assert_int_equal(desk_send(&k, both, 2), -1);
    both[1].allow = true;
    assert_int_equal(desk_send(&k, both, 2), 0);
    assert_true(id_eq(&k.d.answers[0], &k.d.answers[1]));
    struct event results[2] = { { .type = EVENT_USER_TOOL_RESULT, .about = id },
                                { .type = EVENT_USER_TOOL_RESULT, .about = id } };
    assert_int_equal(desk_post(&k, results, 2), 0);
    expect(&k, "result " GO, "ask");
    assert_true(id_eq(&k.d.answers[0], &k.d.answers[1]));
}

static void a_late_result_of_an_interrupted_call_is_answered_with_the_closing_event(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c = desk_call("bash", POLICY_ALWAYS_ALLOW);
    open_with(&k, &c, 1);
    struct id id = desk_nth_id(&k, 0);
    desk_interrupt(&k);
    struct id closing = desk_last(&k, EVENT_USER_TOOL_RESULT)->id;
    desk_result(&k, &id);
    expect(&k, "", "");
    assert_true(id_eq(&k.d.answers[0], &closing));
    assert_int_equal(desk_confirm(&k, &id, true), 0);
    assert_true(id_eq(&k.d.answers[0], &closing));
}

static void an_answer_to_nothing_or_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[] = { desk_call("bash", POLICY_ALWAYS_ALLOW), desk_custom_call("crm"),
                               desk_call("web_fetch", POLICY_ALWAYS_ASK) };
    open_with(&k, c, 3);
    struct id bash = desk_nth_id(&k, 0), crm = desk_nth_id(&k, 1), web = desk_nth_id(&k, 2);
    struct id nobody = { "sevt_nobody" };
    assert_int_equal(desk_result(&k, &nobody), -1);
    assert_int_equal(desk_result(&k, &crm), -1);
    assert_int_equal(desk_result(&k, &web), -1);
    assert_int_equal(desk_custom_result(&k, &bash), -1);
    assert_int_equal(desk_confirm(&k, &crm, true), -1);
    assert_int_equal(desk_confirm(&k, &bash, false), -1); /* it asks nobody */
    assert_int_equal(k.d.refusal.status, 400);
    assert_int_equal(desk_confirm(&k, &bash, true), 0);
    expect(&k, "confirmation", "");
    struct event foreign = { .type = EVENT_AGENT_MESSAGE };
    assert_int_equal(desk_send(&k, &foreign, 1), -1);
}

static void closed_calls_are_forgotten_in_time_but_open_ones_never(void **state)
{
    (void)state;
    AUTO_DESK k;
    struct answer_call c[2] = { desk_custom_call("crm"), desk_custom_call("crm") };
    desk_open(&k);
    k.rules.max_rounds = 5000;
    desk_message(&k, "[1]");
    for (int i = 0; i < 2000; i++) {
        desk_answer(&k, "", c, 1);
        struct id id = desk_nth_id(&k, k.s->call_count - 1);
        desk_custom_result(&k, &id);
    }
    assert_in_range(k.s->call_count, 1, SESSION_CALLS_REMEMBERED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_is_judged_by_its_policy),
        cmocka_unit_test(only_tools_that_look_are_safe_to_repeat),
        cmocka_unit_test(calls_for_others_block_the_turn_until_all_are_answered),
        cmocka_unit_test(server_tools_run_at_once_and_idle_names_the_rest),
        cmocka_unit_test(a_result_that_comes_before_the_idle_is_not_named_by_it),
        cmocka_unit_test(denied_calls_are_refused_and_the_model_goes_on),
        cmocka_unit_test(an_allowed_worker_call_says_running_and_still_waits_for_its_result),
        cmocka_unit_test(all_confirmations_of_a_request_dance_once),
        cmocka_unit_test(a_confirmed_server_call_runs),
        cmocka_unit_test(a_rejected_call_is_answered_with_the_persons_words),
        cmocka_unit_test(a_repeated_answer_gives_what_is_stored),
        cmocka_unit_test(an_answer_repeated_within_one_request_counts_once),
        cmocka_unit_test(a_late_result_of_an_interrupted_call_is_answered_with_the_closing_event),
        cmocka_unit_test(an_answer_to_nothing_or_of_the_wrong_kind_is_refused),
        cmocka_unit_test(closed_calls_are_forgotten_in_time_but_open_ones_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
