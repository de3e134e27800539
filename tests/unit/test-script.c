/* Claims of model/script.h, script_text.h, conversation.h and scripted.h: docs/scripted-model.md. */
#include "answers.h"

#include "base/check.h"
#include "model/call-int.h"
#include "model/scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* One alarm on a clock that jumps to it. */
struct ringer {
    void (*fired)(void *arg);
    void *arg;
    int64_t now, when;
    bool set;
    unsigned alive, rang;
};

static void *ringer_make(void *ctx, void (*fired)(void *arg), void *arg)
{
    struct ringer *r = ctx;
    r->fired = fired;
    r->arg = arg;
    r->alive++;
    return r;
}

static void ringer_set(void *ctx, void *alarm, int64_t microseconds)
{
    struct ringer *r = ctx;
    r->when = r->now + microseconds;
    r->set = true;
}

static void ringer_free(void *ctx, void *alarm)
{
    struct ringer *r = ctx;
    r->alive--;
    r->set = false;
}

static void ring_all(struct ringer *r)
{
    while (r->set) {
        r->set = false;
        r->now = r->when;
        r->rang++;
        r->fired(r->arg);
    }
}

static const struct model_info info = { .id = { "m", 1 }, .dialect = { "scripted", 8 } };

struct asked {
    const char *messages, *tools, *system;
    unsigned attempt;
    bool no_tools;
};

static struct script *must_parse(const char *yaml)
{
    struct script *s = NULL;
    struct err e = { 0 };
    if (script_parse(str_of(yaml), &s, &e) < 0)
        fail_msg("%s", e.text);
    return s;
}

/* Asks once and gives what was told; *r is where time stands afterwards. */
static void ask(const struct script *s, const struct asked *q, struct answers *a, struct ringer *r)
{
    const struct alarms alarms = { ringer_make, ringer_set, ringer_free, r };
    struct model_set *set = scripted_set_new(s, &info, &alarms);
    const struct model_request request = {
        .model = STR("m"),
        .system = str_of(q->system ? q->system : ""),
        .tools = str_of(q->tools ? q->tools : "[]"),
        .messages = str_of(q->messages),
        .session = { "sesn_1" },
        .attempt = q->attempt,
        .no_tools = q->no_tools,
    };
    a->ops = set->ops;
    a->call = set->ops->start(set, &request, &answers_events, a);
    assert_int_equal(a->said.n, 0); /* never from inside start */
    ring_all(r);
    assert_int_equal(a->done, 1);
    assert_int_equal(r->alive, 0);
    scripted_set_free(set);
}

static void expect(const struct script *s, const struct asked *q, const char *told)
{
    AUTO_ANSWERS a = { 0 };
    struct ringer r = { 0 };
    ask(s, q, &a, &r);
    assert_string_equal(buf_text(&a.said), told);
}

#define USER(text) "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define SAID(text)                                                                                 \
    ",{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define CALLED(id, tool)                                                                           \
    ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"" id                    \
    "\",\"name\":\"" tool "\",\"input\":{}}]}"
#define RESULT(id, text)                                                                           \
    ",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"" id             \
    "\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}]}"
#define FAILED(id, text)                                                                           \
    ",{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"" id             \
    "\",\"is_error\":true,\"content\":\"" text "\"}]}"

static void turns_are_taken_in_order_each_once(void **state)
{
    struct script *s = must_parse("turns:\n- say: one\n- say: two\n  call: {tool: bash}\n"
                                  "- say: three\n");
    expect(s, &(struct asked){ "[" USER("a") "]" }, "text 0 one\nblock 0 text one\ndone end\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("one") "," USER("b") "]" },
           "text 0 two\nblock 0 text two\nblock 1 call call_2_0 bash {}\ndone tools\n");
    expect(s,
           &(struct asked){ "[" USER("a") SAID("one") "," USER("b") CALLED("call_2_0", "bash")
                                RESULT("call_2_0", "x") "]" },
           "text 0 three\nblock 0 text three\ndone end\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("1") SAID("2") SAID("3") "," USER("b") "]" },
           "failed refused: the script has no turn left for answer 4 (round 1)\n");
    script_free(s);
}

static void conditions_choose_and_the_rest_stays_in_order(void **state)
{
    static const char yaml[] = "turns:\n"
                               "- when: {user: {contains: stop}}\n"
                               "  say: stopped\n"
                               "  uses: always\n"
                               "- when: {result: {is_error: true, tool: bash}}\n"
                               "  say: 'bash said {{result}}'\n"
                               "- when: {result: {glob: 'total *'}, round: 2}\n"
                               "  say: second round\n"
                               "- when: {user: {equals: hi, lacks: ho}, answer: {min: 2, max: 3}}\n"
                               "  say: late hi\n"
                               "- when: {offers: web_search, system: {contains: wise}}\n"
                               "  say: can search\n"
                               "- say: first\n"
                               "- say: last\n"
                               "  uses: 2\n";
    static const struct {
        struct asked asked;
        const char *said;
    } rows[] = {
        { { "[" USER("hi") "]" }, "first" },
        { { "[" USER("please stop") "]" }, "stopped" },
        { { "[" USER("stop") SAID("") "," USER("stop") SAID("") "," USER("stop") "]" }, "stopped" },
        { { "[" USER("a") CALLED("c", "bash") RESULT("c", "total 4") "]" }, "second round" },
        { { "[" USER("a") CALLED("c", "bash") FAILED("c", "no\\nway") "]" }, "bash said no\nway" },
        { { "[" USER("a") CALLED("c", "read") FAILED("c", "no") "]" }, "last" },
        { { "[" USER("a") CALLED("c", "read") FAILED("c", "total 4") "]" }, "second round" },
        { { "[" USER("hi") SAID("") "," USER("hi") "]" }, "late hi" },
        { { "[" USER("hi") "]", "[{\"name\":\"bash\"},{\"name\":\"web_search\"}]", "be wise" },
          "can search" },
        { { "[" USER("hi") "]", "[{\"name\":\"bash\"}]", "be wise" }, "first" },
        { { "[" USER("hi") SAID("") SAID("") "," USER("x") "]" }, "last" },
    };
    struct script *s = must_parse(yaml);
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_ANSWERS a = { 0 };
        struct ringer r = { 0 };
        AUTO_BUF wanted = { 0 };
        buf_addf(&wanted, "block 0 text %s\n", rows[i].said);
        ask(s, &rows[i].asked, &a, &r);
        if (!strstr(buf_text(&a.said), buf_text(&wanted)))
            fail_msg("row %zu: %s", i, buf_text(&a.said));
    }
    script_free(s);
}

static void templates_are_filled_in_texts_and_inputs(void **state)
{
    struct script *s = must_parse(
        "turns:\n"
        "- say: '{{ user }}|{{result}}|{{result.1}}|{{result.7}}|{{tool.0}}|{{round}}|{{answer}}"
        "|{{session}}|{{model}}|{{{{x}}'\n"
        "  uses: 2\n"
        "  call:\n"
        "  - {tool: write, input: {path: 'a/{{result.0}}', list: [1, true, '{{answer}}', null]}}\n"
        "  - {tool: custom_thing, id: own, input: {}}\n");
    expect(s,
           &(struct asked){ "[" USER(
               "do it") ",{\"role\":\"assistant\",\"content\":["
                        "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"bash\",\"input\":{}},"
                        "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"read\",\"input\":{}}]},"
                        "{\"role\":\"user\",\"content\":["
                        "{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"A\\\"\"},"
                        "{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":["
                        "{\"type\":\"text\",\"text\":\"{{user}}\"},{\"type\":\"image\"}]}]},"
                        "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"s\"}]}]" },
           "text 0 do it|A\"\n{{user}}|{{user\ntext 0 }}||bash|2|2|sesn_1|m|{{\ntext 0 x}}\n"
           "block 0 text do it|A\"\n{{user}}|{{user}}||bash|2|2|sesn_1|m|{{x}}\n"
           "block 1 call call_2_0 write {\"path\":\"a/A\\\"\",\"list\":[1,true,\"2\",null]}\n"
           "block 2 call own custom_thing {}\ndone tools\n");
    script_free(s);
}

static void a_text_is_streamed_in_pieces_with_pauses(void **state)
{
    struct script *s = must_parse("turns:\n"
                                  "- delay_ms: 500\n"
                                  "  think: 'hm, {{user}}'\n"
                                  "  say: {text: \"\xc3\xa4\xc3\xb6\xc3\xbc\", repeat: 2, piece: 4,"
                                  " pause_ms: 20}\n");
    AUTO_ANSWERS a = { 0 };
    struct ringer r = { 0 };
    ask(s, &(struct asked){ "[" USER("q") "]" }, &a, &r);
    assert_string_equal(
        buf_text(&a.said),
        "thinking\nblock 0 thinking {\"type\":\"thinking\",\"thinking\":\"hm, q\","
        "\"signature\":\"scripted\"}\n"
        "text 1 \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\ntext 1 \xc3\xb6\xc3\xbc\n"
        "block 1 text \xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\ndone end\n");
    assert_int_equal(r.rang, 2);
    assert_int_equal(r.now, 520000);
    script_free(s);
}

static void stops_and_usage_are_what_the_turn_says(void **state)
{
    struct script *s = must_parse(
        "turns:\n"
        "- stop: {reason: refusal, category: bio, explanation: no}\n"
        "- {say: a, stop: length, usage: {input_tokens: 7, cache_read_input_tokens: 9}}\n"
        "- {say: b, stop: pause}\n");
    expect(s, &(struct asked){ "[" USER("a") "]" }, "done refusal bio: no\n");
    AUTO_ANSWERS a = { 0 };
    struct ringer r = { 0 };
    ask(s, &(struct asked){ "[" USER("a") SAID("") "]" }, &a, &r);
    assert_string_equal(buf_text(&a.said), "text 0 a\nblock 0 text a\ndone length\n");
    assert_int_equal(a.usage.input_tokens, 7);
    assert_int_equal(a.usage.output_tokens, 1);
    assert_int_equal(a.usage.cache_read_input_tokens, 9);
    expect(s, &(struct asked){ "[" USER("a") SAID("") SAID("") "]" },
           "text 0 b\nblock 0 text b\ndone pause\n");
    script_free(s);
}

static void faults_come_as_often_as_asked(void **state)
{
    struct script *s = must_parse(
        "turns:\n"
        "- fail: {kind: rate_limited, times: 2, retry_after_ms: 1500, message: slow down}\n"
        "  say: now\n"
        "- fail: {kind: failed, midway: true}\n"
        "  say: {text: abcdef, piece: 1}\n"
        "- fail: context_too_long\n");
    for (unsigned attempt = 0; attempt < 2; attempt++) {
        AUTO_ANSWERS a = { 0 };
        struct ringer r = { 0 };
        ask(s, &(struct asked){ "[" USER("a") "]", .attempt = attempt }, &a, &r);
        assert_string_equal(buf_text(&a.said), "failed rate limited: slow down\n");
        assert_int_equal(a.retry_after, 1500000);
    }
    expect(s, &(struct asked){ "[" USER("a") "]", .attempt = 2 },
           "text 0 now\nblock 0 text now\ndone end\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("") "]", .attempt = 50 },
           "text 0 a\ntext 0 b\ntext 0 c\nfailed failed: the script says so\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("") SAID("") "]" },
           "failed too long: the script says so\n");
    script_free(s);
}

static void summaries_have_turns_of_their_own(void **state)
{
    struct script *s = must_parse("turns:\n- say: one\n- when: {summary: true}\n  say: in short\n"
                                  "  uses: always\n- say: two\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("") "]", .no_tools = true },
           "text 0 in short\nblock 0 text in short\ndone end\n");
    expect(s, &(struct asked){ "[" USER("a") SAID("") "]" },
           "text 0 two\nblock 0 text two\ndone end\n");
    script_free(s);
}

static void a_cancelled_answer_says_nothing_more(void **state)
{
    static const char *const kinds[] = { "thinking", "block", "text" };
    struct script *s = must_parse("turns:\n- think: a\n  say: {text: bcd, piece: 1}\n"
                                  "  call: {tool: t}\n");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        AUTO_ANSWERS a = { .cancel_at = kinds[i] };
        struct ringer r = { 0 };
        ask(s, &(struct asked){ "[" USER("a") "]" }, &a, &r);
        assert_null(a.cancel_at);
    }
    AUTO_ANSWERS a = { 0 };
    struct ringer r = { 0 };
    const struct alarms alarms = { ringer_make, ringer_set, ringer_free, &r };
    const struct model_request request = { .messages = STR("[" USER("a") "]") };
    struct model_call *call = scripted_start(s, &alarms, &request, &answers_events, &a);
    call->cancel(call);
    assert_int_equal(r.alive, 0);
    assert_int_equal(a.said.n, 0);
    script_free(s);
}

static void a_huge_text_is_bounded(void **state)
{
    struct script *s = must_parse("turns:\n- say: {text: 'abcdefgh', repeat: 1000000}\n"
                                  "- say: {text: '{{result}}', repeat: 1000000}\n");
    AUTO_ANSWERS a = { 0 };
    struct ringer r = { 0 };
    ask(s, &(struct asked){ "[" USER("a") "]" }, &a, &r);
    assert_true(str_ends(buf_str(&a.said), STR("gh\ndone end\n")));
    expect(s, &(struct asked){ "[" USER("a") CALLED("a", "b") RESULT("a", "0123456789") "]" },
           "failed refused: the script's text has more than 8388608 bytes\n");
    script_free(s);
}

static void mistakes_are_named_with_line_and_key(void **state)
{
    static const struct {
        const char *yaml, *why;
    } rows[] = {
        { "turns: []", "line 1: turns: must not be empty" },
        { "turn:\n- say: x", "line 1: turns: required; line 1: turn: unknown key" },
        { "turns:\n- says: x", "line 2: turns[0].says: unknown key" },
        { "turns:\n- say: x\n- when: {user: x}", "line 3: turns[1]: needs think, say, call" },
        { "turns:\n- say: '{{usr}}'", "line 2: turns[0].say: a {{...}} that stands for nothing" },
        { "turns:\n- say: '{{user'", "line 2: turns[0].say: a {{ without its }}" },
        { "turns:\n- call:\n  - tool: bash\n    input:\n      command: '{{result.x}}'",
          "line 5: turns[0].call[0].input.command: a {{...}} that stands" },
        { "turns:\n- call:\n  - {input: {}}", "line 3: turns[0].call[0].tool: required" },
        { "turns:\n- call: {tool: a}\n  stop: end", "line 3: turns[0].stop: an answer with calls" },
        { "turns:\n- fail: tired",
          "line 2: turns[0].fail: must be one of \"overloaded\", \"rate_limited\"" },
        { "turns:\n- say: a\n  uses: often", "line 3: turns[0].uses: must be \"always\"" },
        { "turns:\n- say: a\n  uses: 0", "line 3: turns[0].uses: must be 1 to" },
        { "turns:\n- say: a\n  when: {round: {min: 3, max: 2}}",
          "line 3: turns[0].when: round: min is above max" },
        { "turns:\n- {when: {summary: true}, call: {tool: a}}",
          "line 2: turns[0].call: a summary calls nothing" },
        { "turns:\n- say: a\n  say: b", "line 3, column 3: this key stands here a second time" },
        { "", "must be an object, not null" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct script *s = NULL;
        struct err e = { 0 };
        if (script_parse(str_of(rows[i].yaml), &s, &e) == 0)
            fail_msg("row %zu was read", i);
        assert_null(s);
        if (strncmp(e.text, rows[i].why, strlen(rows[i].why)) != 0)
            fail_msg("row %zu: %s", i, e.text);
    }
}

static void messages_that_are_none_are_an_error(void **state)
{
    struct script *s = must_parse("turns:\n- say: a\n");
    expect(s, &(struct asked){ "{}" }, "failed refused: the messages are no array\n");
    expect(s, &(struct asked){ "[1" }, "failed refused: the messages are not JSON\n");
    expect(s, &(struct asked){ "[1,\"a\",{\"role\":\"user\"},[]]" },
           "text 0 a\nblock 0 text a\ndone end\n");
    script_free(s);
}

static void globs_match_the_whole_text(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        { "", "", true },
        { "", "a", false },
        { "*", "", true },
        { "a*c", "abbc", true },
        { "a*c", "abbcd", false },
        { "*b*", "abc", true },
        { "?", "\xc3\xa4", true },
        { "??", "\xc3\xa4", false },
        { "a\n*", "a\nb", true },
        { "*aab", "aaaab", true },
        { "*a*a*b", "aaaaaaaa", false },
        { "**", "x", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(script_glob(str_of(rows[i].pattern), str_of(rows[i].text)),
                         rows[i].matches);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_the_whole_text),
        cmocka_unit_test(turns_are_taken_in_order_each_once),
        cmocka_unit_test(conditions_choose_and_the_rest_stays_in_order),
        cmocka_unit_test(templates_are_filled_in_texts_and_inputs),
        cmocka_unit_test(a_text_is_streamed_in_pieces_with_pauses),
        cmocka_unit_test(stops_and_usage_are_what_the_turn_says),
        cmocka_unit_test(faults_come_as_often_as_asked),
        cmocka_unit_test(summaries_have_turns_of_their_own),
        cmocka_unit_test(a_cancelled_answer_says_nothing_more),
        cmocka_unit_test(a_huge_text_is_bounded),
        cmocka_unit_test(mistakes_are_named_with_line_and_key),
        cmocka_unit_test(messages_that_are_none_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
