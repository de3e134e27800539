/* Claims of model/models.h: the whole way over loopback, against a provider in this process that does
 * what providers do on bad days. */
#include "answers.h"

#include "base/moment.h"
#include "io/timer.h"
#include "model/models.h"
#include "net/server.h"
#include "net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What the provider does with the next request. */
struct conduct {
    int status;
    const char *type, *retry_after;
    const char *body;
    size_t piece; /* bytes a turn of the loop; 0: all at once */
    size_t cut;   /* the connection breaks after so many; 0: it does not */
    bool hang;    /* nothing more comes, ever */
};

struct bench {
    struct loop *loop;
    struct server *server;
    uint16_t port;
    struct timer *deadline, *pace;
    struct conduct conduct;
    struct buf seen; /* "POST /path field=value ...\nbody\n" */
    struct stream *stream;
    size_t sent;
    bool gone;
    struct answers *answers;
    bool wants_gone;
};

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    return true;
}

static void check_end(void *ctx)
{
    struct bench *b = ctx;
    if (b->wants_gone ? b->gone : b->answers && b->answers->done)
        loop_stop(b->loop);
}

static void pump(void *ctx)
{
    struct bench *b = ctx;
    if (!b->stream)
        return;
    struct str rest = str_skip(str_of(b->conduct.body), b->sent);
    size_t n = b->conduct.piece && b->conduct.piece < rest.n ? b->conduct.piece : rest.n;
    if (b->conduct.cut && n > b->conduct.cut - b->sent)
        n = b->conduct.cut - b->sent;
    b->sent += stream_put(b->stream, (struct str){ rest.p, n });
    if (b->conduct.cut && b->sent == b->conduct.cut) {
        stream_drop(b->stream);
        b->stream = NULL;
    } else if (b->sent == strlen(b->conduct.body) && !b->conduct.hang) {
        stream_end(b->stream);
        b->stream = NULL;
    } else if (!b->conduct.hang || n) {
        timer_start(b->pace, 0);
    }
}

static void on_gone(void *ctx)
{
    struct bench *b = ctx;
    b->gone = true;
    stream_end(b->stream);
    b->stream = NULL;
    check_end(b);
}

static void see(struct bench *b, const struct request *r)
{
    static const char *const names[] = { "x-api-key", "authorization", "anthropic-version",
                                         "anthropic-beta", "x-team" };
    buf_addf(&b->seen, "%.*s %.*s", STR_ARGS(r->method), STR_ARGS(r->path));
    for (size_t i = 0; i < COUNT(names); i++) {
        struct str value = http1_field(&r->head, str_of(names[i]));
        if (value.p)
            buf_addf(&b->seen, " %s=%.*s", names[i], STR_ARGS(value));
    }
    buf_addf(&b->seen, "\n%.*s\n", STR_ARGS(r->body));
}

static void handle(void *ctx, struct request *r)
{
    struct bench *b = ctx;
    const struct conduct *c = &b->conduct;
    see(b, r);
    struct http1_field field = { STR("retry-after"), str_of(c->retry_after) };
    struct answer a = { .status = c->status,
                        .content_type = c->type,
                        .fields = &field,
                        .field_count = c->retry_after ? 1 : 0 };
    b->sent = 0;
    if (c->status != 200 || strcmp(c->type, "text/event-stream")) {
        a.body = str_of(c->body);
        request_answer(r, &a);
        return;
    }
    b->stream = stream_begin(r, &a, &(struct stream_owner){ pump, on_gone, b });
    timer_start(b->pace, 0);
}

static void too_late(void *ctx)
{
    fail_msg("what was waited for does not come");
}

static void setup(struct bench *b)
{
    struct err e;
    struct server_options quiet = server_options_default;
    *b = (struct bench){ 0 };
    quiet.access_log = false;
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->server = server_new(b->loop, &quiet, &(struct server_handler){ admit, handle, b },
                           random_of_kernel());
    assert_int_equal(server_listen(b->server, "127.0.0.1:0", NULL, &b->port, &e), 0);
    b->deadline = timer_new(b->loop, too_late, b);
    b->pace = timer_new(b->loop, pump, b);
    timer_start(b->deadline, 60000);
}

static void teardown(struct bench *b)
{
    if (b->stream)
        stream_end(b->stream);
    server_free(b->server);
    timer_free(b->deadline);
    timer_free(b->pace);
    loop_free(b->loop);
    buf_release(&b->seen);
}

/* A set of two providers at the bench's server, with one model each, or without a list of models. */
static struct model_set *make_set(struct bench *b, uint64_t idle_ms, bool list)
{
    char url[64];
    struct err e = { 0 };
    struct model_set *set = NULL;
    AUTO_MODELS_CONFIG c;
    models_config_init(&c);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", b->port);
    struct provider_header team = { STR("x-team"), STR("blue-team") };
    struct provider_config providers[2] = {
        { .name = "far",
          .dialect = DIALECT_MESSAGES,
          .base_url = url,
          .proxy = "",
          .connect_ms = 10000,
          .idle_ms = idle_ms,
          .headers = &team,
          .header_count = 1 },
        { .name = "near",
          .dialect = DIALECT_CHAT,
          .base_url = url,
          .proxy = "",
          .connect_ms = 10000,
          .idle_ms = idle_ms },
    };
    struct model_config models[2] = {
        { .id = STR("big"), .upstream = STR("up-big"), .provider = 0, .max_output = 50 },
        { .id = STR("small"), .upstream = STR("up-small"), .provider = 1 },
    };
    secret_set(&providers[0].key, STR("sk-far"));
    secret_set(&providers[1].key, STR("sk-near"));
    c.providers = providers;
    c.provider_count = 2;
    c.models = models;
    c.model_count = list ? 2 : 0;
    if (models_new(b->loop, &c, &set, &e) < 0)
        fail_msg("%s", e.text);
    return set;
}

static struct model_call *start(struct bench *b, struct model_set *set, const char *model,
                                struct answers *a)
{
    const struct model_request request = {
        .model = str_of(model),
        .system = STR("wise"),
        .tools = STR("[]"),
        .messages = STR("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]"),
        .speed = STR("fast"),
        .session = { "sesn_1" },
    };
    b->answers = a;
    a->when_done = check_end;
    a->arg = b;
    struct model_call *call = set->ops->start(set, &request, &answers_events, a);
    assert_int_equal(a->said.n, 0);
    return call;
}

static void ask(struct bench *b, struct model_set *set, const char *model, struct answers *a)
{
    start(b, set, model, a);
    loop_run(b->loop);
    assert_int_equal(a->done, 1);
}

#define STREAM "text/event-stream"
#define MESSAGES                                                                                   \
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{"             \
    "\"input_tokens\":3}}}\n\n"                                                                    \
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"             \
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"                                     \
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"  \
    "\"type\":\"text_delta\",\"text\":\"Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"}}\n\n"               \
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"           \
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"          \
    "\"end_turn\"},\"usage\":{\"output_tokens\":4}}\n\n"                                           \
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
#define CHAT                                                                                       \
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr\xc3\xbc\xc3\x9f\"}}]}\n\n"       \
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"              \
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}\n\n"           \
    "data: [DONE]\n\n"
#define TOLD                                                                                       \
    "text 0 Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\nblock 0 text Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80" \
    "\ndone end\n"

static void both_wires_reach_their_provider(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    AUTO_ANSWERS big = { 0 }, small = { 0 };

    b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES };
    ask(&b, set, "big", &big);
    assert_string_equal(buf_text(&big.said), TOLD);
    assert_int_equal(big.usage.input_tokens, 3);
    assert_int_equal(big.usage.output_tokens, 4);
    assert_string_equal(
        buf_text(&b.seen),
        "POST /v1/messages x-api-key=sk-far anthropic-version=2023-06-01 "
        "anthropic-beta=fast-mode-2026-02-01 x-team=blue-team\n"
        "{\"model\":\"up-big\",\"max_tokens\":50,\"stream\":true,\"speed\":\"fast\",\"system\":[{"
        "\"type\":\"text\",\"text\":\"wise\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\","
        "\"cache_control\":{\"type\":\"ephemeral\"}}]}]}\n");

    buf_empty(&b.seen);
    b.conduct = (struct conduct){ 200, STREAM, .body = CHAT };
    ask(&b, set, "small", &small);
    assert_string_equal(buf_text(&small.said),
                        "text 0 Gr\xc3\xbc\xc3\x9f\nblock 0 text Gr\xc3\xbc\xc3\x9f\ndone end\n");
    assert_int_equal(small.usage.input_tokens, 5);
    assert_string_equal(
        buf_text(&b.seen),
        "POST /v1/chat/completions authorization=Bearer sk-near\n"
        "{\"model\":\"up-small\",\"stream\":true,\"stream_options\":{\"include_usage\":true},"
        "\"messages\":[{\"role\":\"system\",\"content\":\"wise\"},{\"role\":\"user\",\"content\":"
        "\"hi\"}]}\n");
    models_free(set);
    teardown(&b);
}

static void slow_bytes_that_split_characters_tell_the_same(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    for (size_t piece = 1; piece < 4; piece++) {
        AUTO_ANSWERS a = { 0 };
        b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES, .piece = piece };
        ask(&b, set, "big", &a);
        assert_string_equal(buf_text(&a.said), TOLD);
    }
    models_free(set);
    teardown(&b);
}

static void bad_days_of_a_provider_have_names(void **state)
{
    static const struct {
        struct conduct conduct;
        const char *told;
        int64_t retry_after;
    } rows[] = {
        { { 429, NULL, "7", "{\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}" },
          "failed rate limited: the provider 'far' answered 429: slow\n",
          7000000 },
        { { 529, NULL, NULL, "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}" },
          "failed overloaded: the provider 'far' answered 529: busy\n",
          0 },
        { { 500, "text/html", NULL, "<html>" },
          "failed failed: the provider 'far' answered 500\n",
          0 },
        { { 401, NULL, NULL, "{\"error\":{\"message\":\"no such key: sk-far\"}}" },
          "failed refused: the provider 'far' answered 401: it does not accept our key\n",
          0 },
        { { 400, NULL, NULL, "{\"error\":{\"message\":\"strange key sk-far, blue-team\"}}" },
          "failed refused: the provider 'far' answered 400: strange key [key], [key]\n",
          0 },
        { { 413, NULL, NULL, "" }, "failed too long: the provider 'far' answered 413\n", 0 },
        { { 200, "application/json", NULL, "{\"content\":[]}" },
          "failed failed: the provider 'far' did not answer with an event stream\n",
          0 },
        { { 200, "application/json", NULL,
            "{\"error\":{\"type\":\"overloaded_error\",\"message\":"
            "\"busy\"}}" },
          "failed overloaded: the provider 'far' answered 200: busy\n",
          0 },
        { { 302, NULL, NULL, "" }, "failed refused: the provider 'far' answered 302\n", 0 },
    };
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_ANSWERS a = { 0 };
        b.conduct = rows[i].conduct;
        ask(&b, set, "big", &a);
        assert_string_equal(buf_text(&a.said), rows[i].told);
        assert_int_equal(a.retry_after, rows[i].retry_after);
    }
    models_free(set);
    teardown(&b);
}

static void a_stream_that_is_cut_anywhere_fails(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    const char *end = strstr(MESSAGES, "event: message_delta");
    for (size_t cut = 1; cut < (size_t)(end - MESSAGES); cut += 41) {
        AUTO_ANSWERS a = { 0 };
        b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES, .cut = cut };
        ask(&b, set, "big", &a);
        assert_non_null(strstr(buf_text(&a.said), "failed failed: no answer from the provider"));
    }
    models_free(set);
    teardown(&b);
}

static void silence_ends_in_bounded_time(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 50, true);
    AUTO_ANSWERS a = { 0 };
    b.conduct = (struct conduct){ 200, STREAM, .body = "event: ping\n", .hang = true };
    ask(&b, set, "big", &a);
    assert_string_equal(buf_text(&a.said),
                        "failed failed: no answer from the provider 'far': nothing came in time\n");
    models_free(set);
    teardown(&b);
}

static void nobody_at_the_address_is_a_failure(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    AUTO_ANSWERS a = { 0 };
    server_free(b.server);
    b.server = NULL;
    ask(&b, set, "big", &a);
    assert_non_null(strstr(buf_text(&a.said), "failed failed: no answer from the provider 'far':"));
    models_free(set);
    teardown(&b);
}

static void a_cancelled_request_is_silent_and_the_provider_is_left(void **state)
{
    static const char *const kinds[] = { "text", "block" };
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    b.wants_gone = true;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        AUTO_ANSWERS a = { .cancel_at = kinds[i], .ops = set->ops };
        b.gone = false;
        b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES "data: {}\n\n", .piece = 1 };
        a.call = start(&b, set, "big", &a);
        loop_run(b.loop);
        assert_null(a.cancel_at);
    }
    AUTO_ANSWERS a = { 0 }; /* before anything was sent */
    struct model_call *call = start(&b, set, "big", &a);
    set->ops->cancel(call);
    b.wants_gone = false;
    AUTO_ANSWERS next = { 0 };
    b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES };
    ask(&b, set, "big", &next);
    assert_int_equal(a.said.n, 0);
    models_free(set);
    teardown(&b);
}

/* The end of the stream comes after `done`: the next request finds the connection again. */
static void a_connection_is_used_again(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    for (int i = 0; i < 5; i++) {
        AUTO_ANSWERS a = { 0 };
        b.conduct = (struct conduct){ 200, STREAM, .body = MESSAGES };
        ask(&b, set, "big", &a);
        assert_string_equal(buf_text(&a.said), TOLD);
    }
    assert_true(server_counters(b.server)->accepted <= 2);
    models_free(set);
    teardown(&b);
}

static void a_list_of_models_decides_what_there_is(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, true);
    AUTO_ANSWERS a = { 0 };
    const struct model_info *big = set->ops->find(set, STR("big"));
    assert_true(str_eq(big->dialect, STR("messages")));
    assert_ptr_equal(set->ops->at(set, 0), big);
    assert_true(str_eq(set->ops->at(set, 1)->id, STR("small")));
    assert_null(set->ops->at(set, 2));
    assert_null(set->ops->find(set, STR("up-big")));
    ask(&b, set, "other", &a);
    assert_string_equal(buf_text(&a.said), "failed unknown: no such model is configured\n");
    AUTO_ANSWERS cancelled = { 0 };
    set->ops->cancel(start(&b, set, "other", &cancelled));
    models_free(set);
    teardown(&b);
}

static void without_a_list_every_name_is_passed_on(void **state)
{
    struct bench b;
    setup(&b);
    struct model_set *set = make_set(&b, 60000, false);
    const struct model_info *one = set->ops->find(set, STR("any/thing"));
    assert_true(str_eq(one->id, STR("any/thing")));
    assert_true(str_eq(one->dialect, STR("messages")));
    assert_false(one->priced);
    assert_ptr_equal(set->ops->find(set, STR("any/thing")), one);
    assert_null(set->ops->at(set, 0));
    assert_true(str_eq(set->ops->find(set, STR("near/x/y"))->dialect, STR("chat")));
    assert_null(set->ops->find(set, STR("near/")));
    assert_null(set->ops->find(set, STR("")));
    assert_null(set->ops->find(set, STR("\xff")));
    AUTO_ANSWERS a = { 0 };
    b.conduct = (struct conduct){ 200, STREAM, .body = CHAT };
    ask(&b, set, "near/x/y", &a);
    assert_non_null(strstr(buf_text(&b.seen), "{\"model\":\"x/y\","));
    char name[16];
    size_t known = 0;
    for (int i = 0; i < 10100; i++) {
        snprintf(name, sizeof name, "name-%d", i);
        known += set->ops->find(set, str_of(name)) != NULL;
    }
    assert_int_equal(known, 10000 - 2); /* the memory for names is bounded */
    models_free(set);
    teardown(&b);
}

static int make_one(struct bench *b, struct provider_config p, struct err *e)
{
    struct models_config c = { .providers = &p, .provider_count = 1 };
    struct model_set *set = NULL;
    int made = models_new(b->loop, &c, &set, e);
    models_free(set);
    return made;
}

static void keys_and_scripts_come_from_files_or_the_server_does_not_start(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } rows[] = { { "sk-1\n", true }, { "", false }, { " \n", false }, { "two words", false } };
    struct bench b;
    setup(&b);
    char path[] = "/tmp/test-models-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    struct provider_config p = { .name = "p", .dialect = DIALECT_CHAT, .base_url = "http://h" };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        p.key_file = path;
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
        assert_int_equal(make_one(&b, p, &e), rows[i].good ? 0 : -1);
        assert_null(strstr(e.text, "two"));
    }
    struct err e = { 0 };
    p.key_file = "/nowhere";
    assert_int_equal(make_one(&b, p, &e), -1);
    assert_string_equal(e.text, "provider 'p': key_file '/nowhere': No such file or directory");
    p.key_file = NULL;
    p.key_env = "TEST_MODELS_NOT_SET";
    assert_int_equal(make_one(&b, p, &e), -1);
    assert_string_equal(e.text,
                        "provider 'p': key_env: TEST_MODELS_NOT_SET is not in the environment");

    static const char script[] = "turns:\n- say: hello\n- call: {}\n";
    p = (struct provider_config){ .name = "p", .dialect = DIALECT_SCRIPTED, .script = path };
    assert_int_equal(pwrite(fd, script, strlen(script), 0), strlen(script));
    assert_int_equal(make_one(&b, p, &e), -1);
    assert_non_null(strstr(e.text, "line 3: turns[1].call.tool: required"));
    close(fd);
    unlink(path);
    teardown(&b);
}

static void a_script_is_a_model_like_any_other(void **state)
{
    struct bench b;
    setup(&b);
    char path[] = "/tmp/test-models-XXXXXX";
    static const char script[] = "turns:\n- {say: 'hello {{user}}', delay_ms: 1}\n";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, script, strlen(script)), strlen(script));
    close(fd);
    struct err e = { 0 };
    struct provider_config p = { .name = "p", .dialect = DIALECT_SCRIPTED, .script = path };
    struct model_config m = { .id = STR("demo"), .upstream = STR("demo") };
    struct models_config c = {
        .providers = &p, .provider_count = 1, .models = &m, .model_count = 1
    };
    struct model_set *set = NULL;
    AUTO_ANSWERS a = { 0 };
    assert_int_equal(models_new(b.loop, &c, &set, &e), 0);
    unlink(path);
    assert_true(str_eq(set->ops->find(set, STR("demo"))->dialect, STR("scripted")));
    ask(&b, set, "demo", &a);
    assert_string_equal(buf_text(&a.said), "text 0 hello hi\nblock 0 text hello hi\ndone end\n");
    models_free(set);
    teardown(&b);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_models_decides_what_there_is),
        cmocka_unit_test(without_a_list_every_name_is_passed_on),
        cmocka_unit_test(keys_and_scripts_come_from_files_or_the_server_does_not_start),
        cmocka_unit_test(a_script_is_a_model_like_any_other),
        cmocka_unit_test(both_wires_reach_their_provider),
        cmocka_unit_test(slow_bytes_that_split_characters_tell_the_same),
        cmocka_unit_test(bad_days_of_a_provider_have_names),
        cmocka_unit_test(a_stream_that_is_cut_anywhere_fails),
        cmocka_unit_test(silence_ends_in_bounded_time),
        cmocka_unit_test(nobody_at_the_address_is_a_failure),
        cmocka_unit_test(a_cancelled_request_is_silent_and_the_provider_is_left),
        cmocka_unit_test(a_connection_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
