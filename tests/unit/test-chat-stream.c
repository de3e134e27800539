/* Claims of model/chat_stream.h. */
#include "answers.h"

#include "model/chat_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define CHUNK(choices, rest)                                                                       \
    "data: "                                                                                       \
    "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"choices\":"       \
    "[" choices "]" rest "}\n\n"
#define DELTA(delta) CHUNK("{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}", "")
#define TEXT(text) DELTA("\"content\":\"" text "\"")
#define FINISH(reason) CHUNK("{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}", "")
#define USAGE                                                                                      \
    CHUNK("", ",\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":7,\"total_tokens\":57,"      \
              "\"prompt_tokens_details\":{\"cached_tokens\":32}}")
#define DONE "data: [DONE]\n\n"
#define BEGIN DELTA("\"role\":\"assistant\",\"content\":\"\"")

static void read_cut(struct str stream, size_t cut, struct answers *a)
{
    struct chat_stream c = { .seed = 4 };
    reply_init(&c.reply, &chat_reader, &answers_events, a,
               (struct hidden){ (const struct str[]){ STR("sk-secret") }, 1 });
    if (cut <= stream.n) {
        reply_feed(&c.reply, (struct str){ stream.p, cut });
        reply_feed(&c.reply, str_skip(stream, cut));
    }
    for (size_t i = 0; cut > stream.n && i < stream.n; i++)
        reply_feed(&c.reply, (struct str){ stream.p + i, 1 });
    reply_end(&c.reply);
    answers_events.done(a, &c.reply.outcome);
    chat_stream_release(&c);
    reply_release(&c.reply);
}

static const struct {
    const char *stream, *told;
} rows[] = {
    { BEGIN TEXT("Gr\xc3\xbc") TEXT("\xc3\x9f \\ud83d\\ude00") FINISH("stop") USAGE DONE,
      "text 0 Gr\xc3\xbc\ntext 0 \xc3\x9f \xf0\x9f\x98\x80\n"
      "block 0 text Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\ndone end\n" },
    /* Two calls whose pieces are mixed, after some text. */
    { BEGIN TEXT("look") DELTA(
          "\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\",\"function\":{"
          "\"name\":\"bash\",\"arguments\":\"\"}}]")
          DELTA("\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":"
                "{\"name\":\"read\",\"arguments\":\"{\\\"p\"}},{\"index\":0,\"function\":{"
                "\"arguments\":\"{\\\"comm\"}}]")
              DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"and\\\":\\n "
                    "\\\"ls\\\""
                    "}\"}},{\"index\":1,\"function\":{\"arguments\":\"\\\":1}\"}}]")
                  FINISH("tool_calls") USAGE DONE,
      "text 0 look\nblock 0 text look\nblock 1 call call_a bash {\"command\":\"ls\"}\n"
      "block 2 call call_b read {\"p\":1}\ndone tools\n" },
    /* No ids; "stop" although there are calls; arguments as an object; no arguments. */
    { DELTA("\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"a\",\"arguments\":{\"x\":[1]}}},"
            "{\"index\":1,\"function\":{\"name\":\"b\"}}]") FINISH("stop") DONE,
      "block 0 call call_4_0 a {\"x\":[1]}\nblock 1 call call_4_1 b {}\ndone tools\n" },
    /* The same index for all, or none: a new id is a new call. */
    { DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"a\",\"arguments\":"
            "\"{}"
            "\"}}]") DELTA("\"tool_calls\":[{\"index\":0,\"id\":\"2\",\"function\":{\"name\":\"b\","
                           "\"arguments\":\"{}\"}}]")
          DELTA("\"tool_calls\":[{\"id\":\"3\",\"function\":{\"name\":\"c\",\"arguments\":\"{\"}}]")
              DELTA("\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]") FINISH("tool_calls"),
      "block 0 call 1 a {}\nblock 1 call 2 b {}\nblock 2 call 3 c {}\ndone tools\n" },
    { BEGIN DELTA("\"reasoning_content\":\"hm\"") DELTA("\"reasoning_content\":\"so\"")
          DELTA("\"reasoning\":\"x\",\"content\":null") TEXT("a") FINISH("length") DONE,
      "thinking\ntext 0 a\nblock 0 text a\ndone length\n" },
    { BEGIN TEXT("a") FINISH("content_filter") DONE,
      "text 0 a\nblock 0 text a\ndone refusal content_filter: \n" },
    { BEGIN DELTA("\"refusal\":\"I can\"") DELTA("\"refusal\":\"not\"") FINISH("stop") DONE,
      "done refusal : I cannot\n" },
    /* Servers that leave out one of the two ends. */
    { BEGIN TEXT("a") FINISH("stop"), "text 0 a\nblock 0 text a\ndone end\n" },
    { BEGIN TEXT("a") DONE, "text 0 a\nblock 0 text a\ndone end\n" },
    { BEGIN FINISH("tool_calls") DONE, "done end\n" },
    { BEGIN FINISH("something_new") DONE "data: more\n\n", "done end\n" },
    /* A cut by length may fall into arguments. */
    { DELTA(
          "\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"a\",\"arguments\":\"{"
          "\\\"b\\\":\"}}]") FINISH("length") DONE,
      "done length\n" },
    /* Failures. */
    { "", "failed failed: the provider's answer broke off\n" },
    { BEGIN TEXT("a"), "text 0 a\nfailed failed: the provider's answer broke off\n" },
    { BEGIN "data: {\"error\":{\"message\":\"overloaded "
            "sk-secret\",\"type\":\"x\",\"code\":503}}\n\n" DONE,
      "failed overloaded: the provider broke its answer off: overloaded [key]\n" },
    { "data: {\"error\":\"model crashed\"}\n\n",
      "failed failed: the provider broke its answer off: model crashed\n" },
    { "data: {\"object\":\"error\",\"message\":\"This model's maximum context length is 4096 "
      "tokens\","
      "\"type\":\"BadRequestError\",\"code\":400}\n\n",
      "failed too long: the provider broke its answer off: This model's maximum context length is "
      "4096 tokens\n" },
    { BEGIN "data: {]\n\n",
      "failed failed: the provider's stream holds no JSON: line 1, column 2: string or '}' "
      "expected\n" },
    { DELTA(
          "\"tool_calls\":[{\"index\":0,\"id\":\"1\",\"function\":{\"name\":\"a\",\"arguments\":\"{"
          "\"}}]") FINISH("tool_calls") DONE,
      "failed failed: the arguments of a call are no JSON object\n" },
    { BEGIN "data: {\"choices\":1,\"usage\":2}\n\n"
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[1,{}],\"content\":{}}}]}\n\n" FINISH(
                "length") DONE,
      "done length\n" },
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

static void what_was_cached_is_not_counted_twice(void **state)
{
    AUTO_ANSWERS a = { 0 };
    read_cut(STR(BEGIN FINISH("stop") USAGE DONE), 0, &a);
    assert_int_equal(a.usage.input_tokens, 18);
    assert_int_equal(a.usage.cache_read_input_tokens, 32);
    assert_int_equal(a.usage.output_tokens, 7);
}

static void calls_are_bounded(void **state)
{
    AUTO_BUF stream = { 0 };
    AUTO_ANSWERS a = { 0 };
    for (int i = 0; i <= CHAT_CALLS_MAX; i++)
        buf_addf(&stream, DELTA("\"tool_calls\":[{\"index\":%d,\"function\":{\"name\":\"a\"}}]"),
                 i);
    read_cut(buf_str(&stream), 0, &a);
    assert_string_equal(buf_text(&a.said), "failed failed: an answer with more than 128 calls\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_is_told_as_it_means),
        cmocka_unit_test(any_cut_of_the_stream_tells_the_same),
        cmocka_unit_test(what_was_cached_is_not_counted_twice),
        cmocka_unit_test(calls_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
