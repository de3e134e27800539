/* Claims of control/engine.h: streams of a session and approvals (API contract 1.8, 3.7, 3.12, 13). */
#include "engine_world.h"

#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TEXT(text) "[{\"type\":\"text\",\"text\":\"" text "\"}]"
#define SECOND INT64_C(1000000)

static int begin(void **state)
{
    struct world *w = mem_get(sizeof *w);
    world_begin(w);
    *state = w;
    return 0;
}

static int end(void **state)
{
    world_end(*state);
    mem_drop(state);
    return 0;
}

static void assert_has(const struct buf *text, const char *part)
{
    if (!str_has(buf_str(text), str_of(part)))
        fail_msg("'%s' is not in %s", part, buf_text(text));
}

/* A reader that takes what there is whenever it is told to. */
struct listener {
    struct reader *reader;
    struct buf got;
    size_t told;
    bool slow; /* takes nothing by itself */
    enum reader_state state;
};

static void take(struct listener *l)
{
    do
        l->state = reader_next(l->reader, &l->got, l->got.n + 4096);
    while (l->state == READER_MORE);
}

static void on_ready(void *ctx)
{
    struct listener *l = ctx;
    l->told++;
    if (!l->slow)
        take(l);
}

static const struct reader_events listener_events = { on_ready };

static void listen(struct world *w, const struct id *session, const struct reader_options *options,
                   struct listener *l)
{
    static const struct reader_options none;
    struct err e = { 0 };
    l->reader = reader_open(w->engine, session, options ? options : &none, &listener_events, l, &e);
    if (!l->reader)
        fail_msg("%s", e.text);
    assert_int_equal(l->told, 0);
    if (!l->slow)
        take(l);
    world_settle(w);
}

static void unlisten(struct listener *l)
{
    reader_close(l->reader);
    buf_release(&l->got);
    *l = (struct listener){ 0 };
}

/* The names of the events in what was sent. */
static void names(const struct buf *got, struct buf *out)
{
    struct str rest = buf_str(got), line;
    buf_empty(out);
    while (str_cut(&rest, '\n', &line))
        if (str_starts(line, STR("event: "))) {
            if (out->n)
                buf_add_byte(out, ' ');
            buf_add(out, str_skip(line, 7));
        }
}

static void assert_names(const struct listener *l, const char *want)
{
    AUTO_BUF got = { 0 };
    names(&l->got, &got);
    assert_string_equal(buf_text(&got), want);
}

static void a_stream_gives_what_comes_after_its_opening(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "one");
    listen(w, &session, NULL, &l);
    assert_int_equal(l.got.n, 0);
    call_block_text(world_call(w), 0, "1");
    call_done(world_call(w), MODEL_STOP_END);
    assert_names(&l,
                 "agent.message span.model_request_end session.thread_status_idle session.usage "
                 "session.status_idle");
    assert_true(str_ends(buf_str(&l.got), STR("}\n\n")));
    struct id message = world_last_id(w, &session, "agent.message");
    AUTO_BUF frame = { 0 };
    AUTO_BUF body = { 0 };
    world_last(w, &session, "agent.message", &body);
    buf_addf(&frame, "event: agent.message\nid: %s\ndata: %s\n\n", message.text, buf_text(&body));
    assert_true(str_starts(buf_str(&l.got), buf_str(&frame)));
    unlisten(&l);
}

static void a_stream_goes_on_behind_the_last_event(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 };
    struct err e = { 0 };
    struct id session = world_session(w, "[]");
    world_say(w, &session, "one");
    call_block_text(world_call(w), 0, "1");
    call_done(world_call(w), MODEL_STOP_END);
    struct reader_options options = { .last_event = world_last_id(w, &session, "agent.message") };
    listen(w, &session, &options, &l);
    assert_names(&l, "span.model_request_end session.thread_status_idle session.usage "
                     "session.status_idle");
    unlisten(&l);
    options.last_event = (struct id){ "sevt_none" };
    assert_null(reader_open(w->engine, &session, &options, &listener_events, &l, &e));
    assert_int_equal(e.kind, E_MISSING);
    options.last_event = (struct id){ 0 };
    assert_null(
        reader_open(w->engine, &(struct id){ "sesn_none" }, &options, &listener_events, &l, &e));
    assert_int_equal(e.kind, E_MISSING);
}

static void a_slow_reader_misses_nothing(void **state)
{
    struct world *w = *state;
    struct listener slow = { .slow = true }, quick = { 0 };
    AUTO_BUF question = { 0 };
    struct id session = world_session(w, "[]");
    listen(w, &session, NULL, &slow);
    take(&slow); /* it is told of the next event only once it has asked */
    listen(w, &session, NULL, &quick);
    for (size_t i = 0; i < 20000; i++)
        buf_add(&question, STR("many "));
    for (size_t i = 0; i < 8; i++) { /* far more than is kept ready */
        world_say(w, &session, buf_text(&question));
        call_block_text(world_call(w), 0, "1");
        call_done(world_call(w), MODEL_STOP_END);
    }
    assert_int_equal(slow.told, 1);
    assert_int_equal(slow.got.n, 0);
    take(&slow);
    assert_true(str_eq(buf_str(&slow.got), buf_str(&quick.got)));
    unlisten(&slow);
    unlisten(&quick);
}

static void a_large_event_comes_in_pieces(void **state)
{
    struct world *w = *state;
    struct listener slow[3] = { { .slow = true }, { .slow = true }, { .slow = true } };
    struct listener quick = { 0 };
    AUTO_BUF question = { 0 };
    struct id session = world_session(w, "[]");
    listen(w, &session, NULL, &quick);
    for (size_t i = 0; i < 3; i++)
        listen(w, &session, NULL, &slow[i]);
    for (size_t i = 0; i < 100000; i++)
        buf_add(&question, STR("long "));
    for (size_t i = 0; i < 3; i++) {
        world_say(w, &session, buf_text(&question));
        call_block_text(world_call(w), 0, "1");
        call_done(world_call(w), MODEL_STOP_END);
    }
    /* Each at its own pace, so that they are at different events at the same time. */
    for (size_t left = 3, turn = 0; left > 0; turn++)
        for (size_t i = 0; i < 3; i++) {
            struct listener *l = &slow[i];
            if (l->state == READER_EMPTY && l->got.n == quick.got.n)
                continue;
            l->state = reader_next(l->reader, &l->got, l->got.n + 10000 * (1 + i * (turn % 7)));
            left -= l->state == READER_EMPTY;
        }
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_eq(buf_str(&slow[i].got), buf_str(&quick.got)));
        unlisten(&slow[i]);
    }
    unlisten(&quick);
}

static void extensions_are_for_those_who_ask(void **state)
{
    struct world *w = *state;
    struct listener plain = { 0 }, more = { 0 };
    struct answer a = { 0 };
    const struct asker worker = world_environment_key(w);
    const struct reader_options options = { .extensions = true };
    struct id session = world_session(w, "[]");
    listen(w, &session, NULL, &plain);
    listen(w, &session, &options, &more);
    engine_approval_request(w->engine, &worker, &session, STR("{\"host\":\"a.example\"}"),
                            answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    assert_names(&plain, "");
    assert_names(&more, "postern.approval_requested");
    answer_clear(&a);
    unlisten(&plain);
    unlisten(&more);
}

static void a_message_is_seen_while_it_grows(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 }, late = { 0 }, plain = { 0 };
    const struct reader_options options = { .message_deltas = true, .thinking_deltas = true };
    struct id session = world_session(w, "[]");
    listen(w, &session, &options, &l);
    listen(w, &session, NULL, &plain);
    world_say(w, &session, "one");
    buf_empty(&l.got);
    struct model_call *call = world_call(w);
    call->events->thinking(call->ctx);
    assert_has(&l.got, "{\"type\":\"event_start\",\"event\":{\"type\":\"agent.thinking\",\"id\":");
    call->events->block(
        call->ctx, 0,
        &(struct model_block){ .kind = MODEL_THINKING,
                               .raw = STR("{\"type\":\"thinking\",\"signature\":\"s\"}") });
    buf_empty(&l.got);
    call_text(call, 1, "Good ");
    listen(w, &session, &options, &late);
    call_text(call, 1, "\"day\"");
    assert_names(&l, "event_start event_delta event_delta");
    assert_has(&l.got, "\"delta\":{\"type\":\"content_delta\",\"index\":0,\"content\":{\"type\":"
                       "\"text\",\"text\":\"\\\"day\\\"\"}}}\n\n");
    call_block_text(call, 1, "Good \"day\"");
    call_text(call, 2, "!");
    assert_has(&l.got, "\"index\":1,\"content\":{\"type\":\"text\",\"text\":\"!\"}");
    call_block_text(call, 2, "!");
    struct str start = buf_str(&l.got);
    AUTO_BUF announced = { 0 };
    buf_add(&announced, start);
    buf_empty(&l.got);
    call_done(call, MODEL_STOP_END);
    struct id message = world_last_id(w, &session, "agent.message");
    assert_has(&announced, message.text);
    assert_names(&l, "agent.thinking agent.message span.model_request_end "
                     "session.thread_status_idle session.usage session.status_idle");
    assert_false(str_has(buf_str(&late.got), STR("event_delta")));
    assert_false(str_has(buf_str(&plain.got), STR("event_delta")));
    /* The next one is seen by all that asked. */
    world_say(w, &session, "two");
    assert_true(
        str_has(buf_str(&world_call(w)->messages),
                STR("\"assistant\",\"content\":[{\"type\":\"thinking\",\"signature\":\"s\"},"
                    "{\"type\":\"text\"")));
    call_text(world_call(w), 0, "x");
    assert_true(str_has(buf_str(&late.got), STR("event_delta")));
    unlisten(&l);
    unlisten(&late);
    unlisten(&plain);
}

static void a_stream_ends_with_its_session(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 }, late = { 0 };
    struct answer a = { 0 };
    const struct asker key = world_api_key(w);
    struct id session = world_session(w, "[]");
    listen(w, &session, NULL, &l);
    engine_session_archive(w->engine, &key, &session, answer_take, &a);
    world_settle(w);
    assert_names(&l, "session.thread_status_terminated session.status_terminated");
    assert_int_equal(l.state, READER_EMPTY); /* open for another second */
    world_pass(w, SECOND);
    assert_int_equal(l.state, READER_OVER);
    unlisten(&l);
    listen(w, &session, NULL, &late);
    assert_int_equal(late.state, READER_EMPTY);
    answer_clear(&a);
    engine_session_delete(w->engine, &key, &session, answer_take, &a);
    world_settle(w);
    assert_names(&late, "session.deleted");
    assert_int_equal(late.state, READER_OVER);
    unlisten(&late);
    answer_clear(&a);
}

static void a_stop_tells_the_readers(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 };
    struct answer a = { 0 };
    struct engine_counters counters;
    struct id session = world_session(w, "[]");
    listen(w, &session, NULL, &l);
    engine_stop(w->engine, (void (*)(void *))answer_clear, &a);
    world_settle(w);
    assert_int_equal(l.state, READER_OVER);
    unlisten(&l);
    engine_count(w->engine, &counters);
    assert_int_equal(counters.readers, 0);
}

static void readers_follow_a_session_that_is_not_loaded(void **state)
{
    struct world *w = *state;
    struct listener l = { 0 };
    struct engine_counters counters;
    struct id session = world_session(w, "[]");
    world_restart(w);
    listen(w, &session, NULL, &l);
    engine_count(w->engine, &counters);
    assert_int_equal(counters.sessions_loaded, 0);
    world_say(w, &session, "x");
    assert_names(&l, "session.status_running session.thread_status_running user.message "
                     "span.model_request_start");
    unlisten(&l);
}

/* --- approvals --- */

static struct id approval_id(const struct answer *a)
{
    struct id id = { 0 };
    struct str value = json_slice_get(buf_str(&a->json), "id");
    assert_true(value.n > 2 && id_read((struct str){ value.p + 1, value.n - 2 }, &id));
    return id;
}

static void an_approval_waits_for_its_answer(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 }, wait = { 0 };
    const struct asker key = world_api_key(w), worker = world_environment_key(w);
    const struct approval_verdict yes = { .allow = true, .scope = STR("run") };
    struct id session = world_session(w, "[]");
    engine_approval_request(w->engine, &worker, &session, STR("{\"host\":\"a.example\"}"),
                            answer_take, &a);
    world_settle(w);
    assert_has(&a.json,
               "\"status\":\"pending\",\"request\":{\"host\":\"a.example\"},\"answer\":null");
    const struct id approval = approval_id(&a);
    answer_clear(&a);
    world_restart(w);
    engine_approval_get(w->engine, &worker, &session, &approval, 30 * SECOND, answer_take, &wait);
    world_pass(w, SECOND);
    assert_false(wait.came);
    engine_approval_answer(w->engine, &key, &session, &approval, &yes, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    assert_has(&wait.json, "\"status\":\"allowed\"");
    assert_has(&wait.json, "\"answer\":{\"allow\":true,\"scope\":\"run\",\"reason\":null");
    answer_clear(&a);
    engine_approval_answer(w->engine, &key, &session, &approval, &yes, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    answer_clear(&a);
    engine_approval_answer(w->engine, &key, &session, &approval,
                           &(struct approval_verdict){ .scope = STR("run") }, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 409);
    answer_clear(&a);
    engine_approval_get(w->engine, &key, &session, &(struct id){ 0 }, 0, answer_take, &a);
    world_settle(w);
    assert_has(&a.json, "{\"data\":[{\"id\":\"appr_");
    answer_clear(&a);
    answer_clear(&wait);
}

static void an_approval_that_nobody_answers_expires(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 }, wait = { 0 };
    const struct asker worker = world_environment_key(w);
    struct id session = world_session(w, "[]");
    engine_approval_request(w->engine, &worker, &session, STR("{}"), answer_take, &a);
    world_settle(w);
    const struct id approval = approval_id(&a);
    engine_approval_get(w->engine, &worker, &session, &approval, 30 * SECOND, answer_take, &wait);
    world_pass(w, 30 * SECOND);
    assert_has(&wait.json, "\"status\":\"pending\"");
    answer_clear(&wait);
    world_restart(w);
    world_pass(w, 100 * SECOND);
    engine_approval_get(w->engine, &worker, &session, &approval, 30 * SECOND, answer_take, &wait);
    world_settle(w);
    assert_has(&wait.json, "\"status\":\"expired\"");
    answer_clear(&a);
    answer_clear(&wait);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_stream_gives_what_comes_after_its_opening),
        ROW(a_stream_goes_on_behind_the_last_event),
        ROW(a_slow_reader_misses_nothing),
        ROW(a_large_event_comes_in_pieces),
        ROW(extensions_are_for_those_who_ask),
        ROW(a_message_is_seen_while_it_grows),
        ROW(a_stream_ends_with_its_session),
        ROW(a_stop_tells_the_readers),
        ROW(readers_follow_a_session_that_is_not_loaded),
        ROW(an_approval_waits_for_its_answer),
        ROW(an_approval_that_nobody_answers_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
