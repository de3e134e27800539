/* Which questions are open and what has been answered: contract 8, T26. */
#include "sandbox/questions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ALLOW = 'y', DENY = 'n' };

static struct {
    unsigned shown, closed, decided;
    char answers[5000]; /* by waiter: 0, ALLOW or DENY */
    char reason[600];   /* the last one */
    char last_id[48];   /* shown */
} seen;

static void on_show(void *ctx, const struct open_question *q)
{
    seen.shown++;
    memcpy(seen.last_id, q->id, sizeof seen.last_id);
}

static void on_close(void *ctx, const struct open_question *q)
{
    seen.closed++;
}

static void on_decided(void *ctx, uint64_t waiter, bool allow, const char *reason)
{
    seen.decided++;
    assert_int_equal(seen.answers[waiter], 0); /* one answer each */
    seen.answers[waiter] = allow ? ALLOW : DENY;
    snprintf(seen.reason, sizeof seen.reason, "%s", reason);
}

static struct questions *make(void)
{
    static const struct questions_hooks hooks = { on_show, on_close, on_decided, NULL };
    memset(&seen, 0, sizeof seen);
    return questions_new("run", 0, &hooks);
}

static enum questions_result ask_port(struct questions *q, const char *host, uint16_t port,
                                      uint64_t waiter, int64_t now)
{
    struct question question = { .kind = QUESTION_NETWORK, .host = host, .port = port };
    const char *reason;
    enum questions_result result = questions_ask(q, &question, waiter, now, &reason);
    assert_true(result != QUESTIONS_DENIED || (reason && *reason));
    if (result == QUESTIONS_DENIED)
        snprintf(seen.reason, sizeof seen.reason, "%s", reason);
    return result;
}

static enum questions_result ask(struct questions *q, const char *host, uint64_t waiter,
                                 int64_t now)
{
    return ask_port(q, host, 443, waiter, now);
}

static bool answer_last(struct questions *q, bool allow, enum question_scope scope, int64_t now)
{
    return questions_answer(q, str_of(seen.last_id), allow, scope, STR(""), now);
}

static void a_yes_lets_the_waiter_through(void **state)
{
    struct questions *q = make();
    assert_int_equal(ask(q, "a", 1, 0), QUESTIONS_WAIT);
    assert_true(answer_last(q, true, QUESTION_ONCE, 5));
    assert_int_equal(seen.answers[1], ALLOW);
    assert_int_equal(seen.closed, 1);
    questions_free(q);
    questions_free(NULL);
}

static void identical_open_questions_share_one_answer(void **state)
{
    struct questions *q = make();
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(ask(q, "a", i, 0), QUESTIONS_WAIT);
    assert_int_equal(ask_port(q, "a", 80, 50, 0), QUESTIONS_WAIT);
    assert_int_equal(seen.shown, 2);
    assert_int_equal(questions_at(q, 0)->waiting, 50);
    answer_last(q, false, QUESTION_ONCE, 1);
    assert_int_equal(seen.answers[50], DENY);
    questions_answer(q, str_of(questions_at(q, 0)->id), true, QUESTION_ONCE, STR(""), 1);
    for (uint64_t i = 0; i < 50; i++)
        assert_int_equal(seen.answers[i], ALLOW);
    questions_free(q);
}

static void answers_last_as_long_as_their_scope(void **state)
{
    static const struct {
        bool allow;
        enum question_scope scope;
        int64_t later;
        enum questions_result want;
    } rows[] = {
        { true, QUESTION_ONCE, 0, QUESTIONS_WAIT },
        { true, QUESTION_RUN, 100000000, QUESTIONS_ALLOWED },
        { true, QUESTION_PROJECT, 100000000, QUESTIONS_ALLOWED },
        { false, QUESTION_ONCE, 0, QUESTIONS_DENIED },
        { false, QUESTION_ONCE, 29999, QUESTIONS_DENIED },
        { false, QUESTION_ONCE, 30000, QUESTIONS_WAIT },
        { false, QUESTION_RUN, 100000000, QUESTIONS_DENIED },
        { false, QUESTION_PROJECT, 100000000, QUESTIONS_DENIED },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct questions *q = make();
        ask(q, "a", 1, 1000);
        answer_last(q, rows[i].allow, rows[i].scope, 1000);
        assert_int_equal(ask(q, "a", 2, 1000 + rows[i].later), rows[i].want);
        assert_int_equal(ask(q, "b", 3, 1000 + rows[i].later), QUESTIONS_WAIT);
        questions_free(q);
    }
}

static void the_reason_of_a_denial_is_kept_and_clean(void **state)
{
    struct questions *q = make();
    ask(q, "a", 1, 0);
    questions_answer(q, str_of(seen.last_id), false, QUESTION_ONCE,
                     STR("not\r\non <Friday>\xe2\x80\xae"), 0);
    assert_string_equal(seen.reason, "not on Friday ");
    ask(q, "a", 2, 1);
    assert_string_equal(seen.reason, "not on Friday ");
    ask(q, "b", 3, 1);
    answer_last(q, false, QUESTION_ONCE, 1);
    assert_string_equal(seen.reason, "user denied");
    questions_free(q);
}

static void an_unknown_id_does_nothing(void **state)
{
    struct questions *q = make();
    ask(q, "a", 1, 0);
    assert_false(questions_answer(q, STR("other"), true, QUESTION_RUN, STR(""), 0));
    assert_false(questions_answer(q, STR(""), true, QUESTION_RUN, STR(""), 0));
    assert_false(
        questions_answer(q, (struct str){ seen.last_id, 3 }, true, QUESTION_RUN, STR(""), 0));
    assert_int_equal(seen.decided, 0);
    answer_last(q, false, QUESTION_ONCE, 0);
    assert_false(answer_last(q, true, QUESTION_RUN, 0)); /* a second answer comes too late */
    assert_int_equal(seen.answers[1], DENY);
    questions_free(q);
}

static void no_answer_in_time_is_a_no(void **state)
{
    struct questions *q = make();
    assert_int_equal(questions_deadline(q), -1);
    ask(q, "a", 1, 1000);
    ask(q, "b", 2, 2000);
    assert_int_equal(questions_deadline(q), 121000);
    questions_tick(q, 120999);
    assert_int_equal(seen.decided, 0);
    questions_tick(q, 121000);
    assert_int_equal(seen.answers[1], DENY);
    assert_int_equal(seen.answers[2], 0);
    assert_int_equal(ask(q, "a", 3, 121000),
                     QUESTIONS_DENIED); /* kept, so that a retry does not ask */
    questions_free(q);
}

static void at_most_eight_are_open(void **state)
{
    struct questions *q = make();
    char host[32];
    for (uint64_t i = 0; i < 20; i++) {
        snprintf(host, sizeof host, "h%d", (int)i);
        assert_int_equal(ask(q, host, i, 0), i < 8 ? QUESTIONS_WAIT : QUESTIONS_DENIED);
    }
    assert_int_equal(seen.shown, 8);
    answer_last(q, true, QUESTION_ONCE, 0);
    assert_int_equal(ask(q, "h15", 30, 0), QUESTIONS_WAIT); /* was refused, not denied by anybody */
    questions_free(q);
}

static void at_most_sixty_are_asked_in_any_minute(void **state)
{
    struct questions *q = make();
    char host[32];
    unsigned asked = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(host, sizeof host, "h%d", i);
        if (ask(q, host, (uint64_t)i, i * 10) == QUESTIONS_WAIT) {
            asked++;
            answer_last(q, true, QUESTION_ONCE, i * 10);
        }
    }
    assert_int_equal(asked, 60);
    assert_int_equal(ask(q, "x", 1001, 59999), QUESTIONS_DENIED);
    assert_int_equal(ask(q, "x", 1002, 60000), QUESTIONS_WAIT);
    questions_free(q);
}

static void a_thousand_different_questions_cost_bounded_memory(void **state)
{
    struct questions *q = make();
    char host[32];
    /* A person who says yes for the run to everything, for an hour. */
    for (int i = 0; i < 4000; i++) {
        snprintf(host, sizeof host, "h%d", i);
        assert_int_equal(ask(q, host, (uint64_t)i, i * 1000), QUESTIONS_WAIT);
        answer_last(q, true, QUESTION_RUN, i * 1000);
    }
    snprintf(host, sizeof host, "h%d", 3999);
    assert_int_equal(ask(q, host, 4001, 4000000), QUESTIONS_ALLOWED);
    assert_int_equal(ask(q, "h0", 4002, 4100000), QUESTIONS_WAIT); /* forgotten: asked again */
    questions_free(q);
}

static void waiters_are_bounded(void **state)
{
    struct questions *q = make();
    uint64_t waiting = 0;
    while (waiting < 5000 && ask(q, "a", waiting, 0) == QUESTIONS_WAIT)
        waiting++;
    assert_int_equal(waiting, QUESTIONS_WAITERS_MAX);
    answer_last(q, true, QUESTION_ONCE, 0);
    assert_int_equal(seen.decided, QUESTIONS_WAITERS_MAX);
    assert_int_equal(ask(q, "a", 4999, 0), QUESTIONS_WAIT);
    questions_free(q);
}

static void a_question_without_waiters_is_closed(void **state)
{
    struct questions *q = make();
    ask(q, "a", 1, 0);
    ask(q, "a", 2, 0);
    questions_cancel(q, 1);
    questions_cancel(q, 77);
    assert_int_equal(seen.closed, 0);
    questions_cancel(q, 2);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.decided, 0);
    assert_false(answer_last(q, true, QUESTION_RUN, 0));
    assert_int_equal(ask(q, "a", 3, 0), QUESTIONS_WAIT); /* nobody said no */
    questions_free(q);
}

static void a_malformed_answer_denies_all_and_a_shut_channel_for_good(void **state)
{
    struct questions *q = make();
    ask(q, "a", 1, 0);
    ask(q, "b", 2, 0);
    questions_fail(q, 0);
    assert_int_equal(seen.answers[1], DENY);
    assert_int_equal(seen.answers[2], DENY);
    assert_string_equal(seen.reason, "permission prompt failed");
    assert_int_equal(ask(q, "c", 3, 0), QUESTIONS_WAIT);
    questions_shut(q, 0);
    assert_int_equal(seen.answers[3], DENY);
    assert_int_equal(ask(q, "d", 4, 1000000), QUESTIONS_DENIED);
    questions_free(q);
}

static void kept_rules_answer_without_a_question(void **state)
{
    struct questions *q = make();
    struct question yes = { .kind = QUESTION_NETWORK, .host = "a", .port = 443 };
    struct question file = { .kind = QUESTION_FILE_READ, .path = "/x" };
    questions_remember(q, &yes, true);
    questions_remember(q, &file, false);
    questions_remember(q, &file, true); /* of two the denial counts */
    const char *reason;
    assert_int_equal(ask(q, "a", 1, 1 << 30), QUESTIONS_ALLOWED);
    assert_int_equal(ask_port(q, "a", 80, 2, 0), QUESTIONS_WAIT);
    assert_int_equal(questions_ask(q, &file, 3, 0, &reason), QUESTIONS_DENIED);
    questions_free(q);
}

static void different_things_are_different_questions(void **state)
{
    static const struct question all[] = {
        { .kind = QUESTION_FILE_READ, .path = "/x" },
        { .kind = QUESTION_FILE_WRITE, .path = "/x" },
        { .kind = QUESTION_UNIX_SOCKET, .path = "/x" },
        { .kind = QUESTION_REQUEST, .host = "a", .port = 1, .method = "GET", .path = "/" },
        { .kind = QUESTION_REQUEST, .host = "a", .port = 1, .method = "PUT", .path = "/" },
        { .kind = QUESTION_REQUEST, .host = "a", .port = 1, .path = "GET/" },
        { .kind = QUESTION_LIMIT, .access = "memory" },
    };
    struct questions *q = make();
    const char *reason;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(questions_ask(q, &all[i], i, 0, &reason), QUESTIONS_WAIT);
    assert_int_equal(seen.shown, sizeof all / sizeof *all);
    questions_free(q);
}

static void set_pattern(struct domain_patterns *list, const char *text, enum domain_list kind)
{
    struct err e;
    list->items = mem_get(sizeof *list->items);
    list->count = 1;
    assert_int_equal(domain_pattern_parse(str_of(text), kind, list->items, &e), 0);
}

static void what_rules_decide_is_never_asked(void **state)
{
    struct egress_policy policy;
    struct ip_block denied;
    struct err e;
    bool allowed;
    egress_policy_init(&policy);
    set_pattern(&policy.denied, "bad.example", DOMAIN_DENIED);
    set_pattern(&policy.allowed, "good.example", DOMAIN_ALLOWED);
    assert_int_equal(ip_block_parse(STR("10.0.0.0/8"), &denied, &e), 0);
    policy.denied_addresses = &denied;
    policy.denied_address_count = 1;
    static const struct {
        struct question q;
        bool forbidden, allowed;
    } rows[] = {
        { { .kind = QUESTION_NETWORK, .host = "new.example", .port = 443 }, false, false },
        { { .kind = QUESTION_NETWORK, .host = "bad.example", .port = 443 }, true, false },
        { { .kind = QUESTION_REQUEST, .host = "BAD.example.", .port = 443 }, true, false },
        { { .kind = QUESTION_NETWORK, .host = "good.example", .port = 443 }, false, true },
        { { .kind = QUESTION_NETWORK, .host = "10.1.2.3", .port = 443 }, true, false },
        { { .kind = QUESTION_NETWORK, .host = "11.1.2.3", .port = 443 }, false, false },
        { { .kind = QUESTION_NETWORK, .host = "a b", .port = 443 }, true, false },
        { { .kind = QUESTION_NETWORK }, true, false },
        { { .kind = QUESTION_FILE_WRITE, .path = "/x" }, false, false },
        { { .kind = QUESTION_FILE_WRITE, .path = "/x", .denied = true }, true, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(question_forbidden(&rows[i].q, &policy, &allowed) != NULL,
                         rows[i].forbidden);
        assert_int_equal(allowed, rows[i].allowed);
    }
    policy.strict_allowlist = true;
    assert_non_null(question_forbidden(&rows[0].q, &policy, &allowed));
    policy.denied_addresses = NULL;
    policy.denied_address_count = 0;
    egress_policy_release(&policy);
}

static void the_object_of_a_question(void **state)
{
    static const struct {
        struct question q;
        const char *want;
    } rows[] = {
        { { .kind = QUESTION_NETWORK, .host = "a.example", .port = 443 }, "a.example:443" },
        { { .kind = QUESTION_NETWORK, .host = "::1", .port = 80 }, "[::1]:80" },
        { { .kind = QUESTION_FILE_READ, .path = "/etc/x" }, "/etc/x" },
        { { .kind = QUESTION_LIMIT, .access = "memory" }, "memory" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        question_object(&out, &rows[i].q);
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_yes_lets_the_waiter_through),
        cmocka_unit_test(identical_open_questions_share_one_answer),
        cmocka_unit_test(answers_last_as_long_as_their_scope),
        cmocka_unit_test(the_reason_of_a_denial_is_kept_and_clean),
        cmocka_unit_test(an_unknown_id_does_nothing),
        cmocka_unit_test(no_answer_in_time_is_a_no),
        cmocka_unit_test(at_most_eight_are_open),
        cmocka_unit_test(at_most_sixty_are_asked_in_any_minute),
        cmocka_unit_test(a_thousand_different_questions_cost_bounded_memory),
        cmocka_unit_test(waiters_are_bounded),
        cmocka_unit_test(a_question_without_waiters_is_closed),
        cmocka_unit_test(a_malformed_answer_denies_all_and_a_shut_channel_for_good),
        cmocka_unit_test(kept_rules_answer_without_a_question),
        cmocka_unit_test(different_things_are_different_questions),
        cmocka_unit_test(what_rules_decide_is_never_asked),
        cmocka_unit_test(the_object_of_a_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
