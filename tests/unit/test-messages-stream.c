/* Claims of model/messages_stream.h and model/reply.h. */
#include "answers.h"

#include "model/messages_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START                                                                                      \
    EVENT("message_start",                                                                         \
          ",\"message\":{\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[],\"stop_reason\":"  \
          "null,\"usage\":{\"input_tokens\":9,\"cache_creation_input_tokens\":30,"                 \
          "\"cache_read_input_tokens\":200,\"output_tokens\":1}}")                                 \
    EVENT("ping", "")
#define OPEN(n, block) EVENT("content_block_start", ",\"index\":" n ",\"content_block\":" block)
#define DELTA(n, delta) EVENT("content_block_delta", ",\"index\":" n ",\"delta\":" delta)
#define CLOSE(n) EVENT("content_block_stop", ",\"index\":" n)
#define TEXT(n, text) DELTA(n, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define JSON(n, text) DELTA(n, "{\"type\":\"input_json_delta\",\"partial_json\":\"" text "\"}")
#define OPEN_TEXT(n) OPEN(n, "{\"type\":\"text\",\"text\":\"\"}")
#define OPEN_CALL(n, id, tool)                                                                     \
    OPEN(n, "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" tool "\",\"input\":{}}")
#define STOP(reason)                                                                               \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                                 \
                           "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":25}")          \
    EVENT("message_stop", "")

/* Reads the stream in two pieces, or byte by byte with cut SIZE_MAX. */
static void read_cut(struct str stream, size_t cut, struct answers *a)
{
    struct messages_stream m = { 0 };
    reply_init(&m.reply, &messages_reader, &answers_events, a,
               (struct hidden){ (const struct str[]){ STR("sk-secret") }, 1 });
    if (cut <= stream.n) {
        reply_feed(&m.reply, (struct str){ stream.p, cut });
        reply_feed(&m.reply, str_skip(stream, cut));
    }
    for (size_t i = 0; cut > stream.n && i < stream.n; i++)
        reply_feed(&m.reply, (struct str){ stream.p + i, 1 });
    reply_end(&m.reply);
    answers_events.done(a, &m.reply.outcome);
    messages_stream_release(&m);
    reply_release(&m.reply);
}

static const struct {
    const char *stream, *told;
} rows[] = {
    { START OPEN_TEXT("0") TEXT("0", "Gr\xc3\xbc") TEXT("0", "\xc3\x9f") TEXT("0", "") CLOSE("0")
          STOP("end_turn"),
      "text 0 Gr\xc3\xbc\ntext 0 \xc3\x9f\nblock 0 text Gr\xc3\xbc\xc3\x9f\ndone end\n" },
    { START OPEN("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
          DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\\n\"}")
              DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"so\"}")
                  DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}") CLOSE("0")
                      OPEN("1", "{\"type\":\"redacted_thinking\",\"data\":\"ZGF0YQ==\"}") CLOSE("1")
                          OPEN_CALL("2", "toolu_1", "bash") JSON("2", "") JSON("2", "{\\\"comm")
                              JSON("2", "and\\\": \\\"ls\\\"}") CLOSE("2")
                                  OPEN_CALL("3", "toolu_2", "list") CLOSE("3") STOP("tool_use"),
      "thinking\nblock 0 thinking {\"type\":\"thinking\",\"thinking\":\"hm\\nso\",\"signature\":"
      "\"c2ln\"}\nthinking\nblock 1 thinking {\"type\":\"redacted_thinking\",\"data\":"
      "\"ZGF0YQ==\"}\nblock 2 call toolu_1 bash {\"command\":\"ls\"}\n"
      "block 3 call toolu_2 list {}\ndone tools\n" },
    { START OPEN("0", "{\"type\":\"server_thing\",\"x\":[1]}") DELTA("0", "{\"type\":\"y\"}")
          CLOSE("0") EVENT("novelty", ",\"z\":1") OPEN_TEXT("1") TEXT("1", "a") CLOSE("1")
              OPEN_TEXT("2") CLOSE("2") STOP("stop_sequence"),
      "text 0 a\nblock 0 text a\ndone end\n" },
    { START OPEN("0", "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"b\",\"input\":{\"c\":1}}")
          CLOSE("0") STOP("end_turn"),
      "block 0 call a b {\"c\":1}\ndone tools\n" },
    { START STOP("tool_use"), "done end\n" },
    { START STOP("pause_turn"), "done pause\n" },
    { START STOP("model_context_window_exceeded"), "done length\n" },
    { START OPEN_CALL("0", "a", "b") JSON("0", "{\\\"c\\\":") CLOSE("0") STOP("max_tokens"),
      "done length\n" },
    { START EVENT("message_delta",
                  ",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":{\"type\":\"refusal\","
                  "\"category\":\"bio\",\"explanation\":\"not this\"}},\"usage\":{}")
          EVENT("message_stop", ""),
      "done refusal bio: not this\n" },
    { START EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"refusal\",\"stop_details\":null}")
          EVENT("message_stop", ""),
      "done refusal : \n" },
    /* What follows the end is not looked at. */
    { START STOP("end_turn") "data: nonsense\n\n", "done end\n" },
    /* The last event may be missing when everything else is there. */
    { START OPEN_TEXT("0") TEXT("0", "a") CLOSE("0")
          EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"}"),
      "text 0 a\nblock 0 text a\ndone end\n" },
    /* CR LF, comments, no event lines. */
    { ": hello\r\ndata: {\"type\":\"message_start\"}\r\n\r\n"
      "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\r\n\r\n"
      "data: {\"type\":\"message_stop\"}\r\n\r\n",
      "done end\n" },
    /* Failures. */
    { "", "failed failed: the provider's answer broke off\n" },
    { START OPEN_TEXT("0") TEXT("0", "a"),
      "text 0 a\nfailed failed: the provider's answer broke off\n" },
    { START OPEN_TEXT("0") TEXT("0", "a")
          EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
      "text 0 a\nfailed overloaded: the provider broke its answer off: Overloaded\n" },
    { START EVENT("error", ",\"error\":{\"type\":\"api_error\",\"message\":\"key sk-secret\\n\"}"),
      "failed failed: the provider broke its answer off: key [key] \n" },
    { START EVENT("error", ",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no\"}"),
      "failed refused: the provider broke its answer off: no\n" },
    { "event: error\ndata: {}\n\n",
      "failed failed: the provider broke its answer off: an error without words\n" },
    { START "event: x\ndata: {\"type\":\n\n",
      "failed failed: the provider's stream holds no JSON: "
      "line 1, column 8: unexpected token near end of file\n" },
    { START "data: [1]\n\n",
      "failed failed: the provider's stream holds an event that is no object\n" },
    { START OPEN_CALL("0", "a", "b") JSON("0", "[1]") CLOSE("0") STOP("tool_use"),
      "failed failed: the arguments of a call are no JSON object\n" },
    { START OPEN_CALL("0", "a", "b") JSON("0", "{\\\"c\\\":1,\\\"c\\\":2}") CLOSE("0")
          STOP("tool_use"),
      "failed failed: the arguments of a call are no JSON object\n" },
    { START OPEN_CALL("0", "", "b") CLOSE("0") STOP("tool_use"),
      "failed failed: the arguments of a call are no JSON object\n" },
    { START TEXT("0", "a"),
      "failed failed: the provider's stream is malformed: a piece of a block that is not open\n" },
    { START OPEN_TEXT("0") TEXT("1", "a"),
      "failed failed: the provider's stream is malformed: a piece of a block that is not open\n" },
    { START OPEN_TEXT("0") OPEN_TEXT("1"),
      "failed failed: the provider's stream is malformed: a block begins that cannot\n" },
    { START OPEN_TEXT("0") EVENT("message_stop", ""),
      "failed failed: the provider's stream is malformed: it ends too early\n" },
};

static void the_stream_is_told_as_it_means(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_ANSWERS a = { 0 };
        read_cut(str_of(rows[i].stream), 0, &a);
        if (strcmp(buf_text(&a.said), rows[i].told))
            fail_msg("row %zu: %s", i, buf_text(&a.said));
    }
}

static void any_cut_of_the_stream_tells_the_same(void **state)
{
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str stream = str_of(rows[i].stream);
        for (size_t cut = 0; cut <= stream.n + 1; cut++) {
            AUTO_ANSWERS a = { 0 };
            read_cut(stream, cut, &a);
            if (strcmp(buf_text(&a.said), rows[i].told))
                fail_msg("row %zu, cut at %zu: %s", i, cut, buf_text(&a.said));
        }
    }
}

static void a_stream_that_ends_anywhere_is_a_failure_and_never_half_a_call(void **state)
{
    struct str stream = str_of(rows[1].stream);
    size_t whole = stream.n - strlen("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    for (size_t n = 0; n < whole; n++) {
        AUTO_ANSWERS a = { 0 };
        read_cut((struct str){ stream.p, n }, 0, &a);
        assert_non_null(
            strstr(buf_text(&a.said), "failed failed: the provider's answer broke off"));
        if (strstr(buf_text(&a.said), "call toolu_1"))
            assert_non_null(strstr(buf_text(&a.said), "{\"command\":\"ls\"}"));
    }
}

static void usage_is_the_last_that_was_said(void **state)
{
    AUTO_ANSWERS a = { 0 };
    read_cut(STR(START STOP("end_turn")), 0, &a);
    assert_int_equal(a.usage.input_tokens, 9);
    assert_int_equal(a.usage.output_tokens, 25);
    assert_int_equal(a.usage.cache_read_input_tokens, 200);
    assert_int_equal(a.usage.cache_creation_5m_input_tokens, 30);
    assert_int_equal(a.usage.cache_creation_1h_input_tokens, 0);

    AUTO_ANSWERS split = { 0 };
    read_cut(
        STR(EVENT("message_start",
                  ",\"message\":{\"usage\":{\"input_tokens\":1,\"cache_creation_input_tokens\":"
                  "12,\"cache_creation\":{\"ephemeral_5m_input_tokens\":5,"
                  "\"ephemeral_1h_input_tokens\":7}}}")
                EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
                                       "\"input_tokens\":2,\"output_tokens\":3,"
                                       "\"cache_creation_input_tokens\":12}")),
        0, &split);
    assert_int_equal(split.usage.input_tokens, 2);
    assert_int_equal(split.usage.output_tokens, 3);
    assert_int_equal(split.usage.cache_creation_5m_input_tokens, 5);
    assert_int_equal(split.usage.cache_creation_1h_input_tokens, 7);
}

/* An answer that repeats `part` until something stops it. */
static void read_endless(const char *head, const char *part, struct answers *a)
{
    struct messages_stream m = { 0 };
    reply_init(&m.reply, &messages_reader, &answers_events, a, (struct hidden){ 0 });
    reply_feed(&m.reply, str_of(head));
    for (size_t i = 0; i < 100000 && !m.reply.over; i++)
        reply_feed(&m.reply, str_of(part));
    reply_end(&m.reply);
    buf_empty(&a->said);
    answers_events.done(a, &m.reply.outcome);
    messages_stream_release(&m);
    reply_release(&m.reply);
}

static void what_never_ends_is_bounded(void **state)
{
    AUTO_BUF long_text = { 0 }, long_arguments = { 0 };
    char filler[60001];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = 0;
    buf_addf(&long_text, TEXT("0", "%s"), filler);
    buf_addf(&long_arguments, JSON("0", "%s"), filler);

    AUTO_ANSWERS text = { 0 }, arguments = { 0 }, event = { 0 }, thinking = { 0 };
    read_endless(START OPEN_TEXT("0"), buf_text(&long_text), &text);
    assert_non_null(strstr(buf_text(&text.said), "more than 16777216 bytes"));
    read_endless(START OPEN_CALL("0", "a", "b"), buf_text(&long_arguments), &arguments);
    assert_non_null(strstr(buf_text(&arguments.said), "more than 1048576 bytes"));
    read_endless("data: ", filler, &event);
    assert_non_null(strstr(buf_text(&event.said), "longer than"));
    buf_empty(&long_text);
    buf_addf(&long_text, DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"%s\"}"), filler);
    read_endless(START OPEN("0", "{\"type\":\"thinking\"}"), buf_text(&long_text), &thinking);
    assert_non_null(strstr(buf_text(&thinking.said), "more than 16777216 bytes"));
}

static void deep_arguments_are_refused(void **state)
{
    AUTO_BUF stream = { 0 };
    AUTO_ANSWERS a = { 0 };
    buf_add(&stream, STR(START OPEN_CALL("0", "a", "b")));
    for (int i = 0; i < 40; i++)
        buf_add(&stream, STR(JSON("0", "{\\\"a\\\":")));
    buf_add(&stream, STR(JSON("0", "1")));
    for (int i = 0; i < 40; i++)
        buf_add(&stream, STR(JSON("0", "}")));
    buf_add(&stream, STR(CLOSE("0") STOP("tool_use")));
    read_cut(buf_str(&stream), 0, &a);
    assert_string_equal(buf_text(&a.said),
                        "failed failed: the arguments of a call are no JSON object\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_told_as_it_means),
        cmocka_unit_test(any_cut_of_the_stream_tells_the_same),
        cmocka_unit_test(a_stream_that_ends_anywhere_is_a_failure_and_never_half_a_call),
        cmocka_unit_test(usage_is_the_last_that_was_said),
        cmocka_unit_test(what_never_ends_is_bounded),
        cmocka_unit_test(deep_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
