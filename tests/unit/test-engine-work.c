/* Claims of control/engine.h: work items and the workers that serve them (API contract 4, 13). */
#include "engine_world.h"

#include "base/check.h"
#include "io/digest.h"
#include "proto/json_slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define TEXT(text) "[{\"type\":\"text\",\"text\":\"" text "\"}]"
#define TOOLSET "[{\"type\":\"agent_toolset_20260401\",\"configs\":[]}]"
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

static struct id id_of(const struct answer *a)
{
    struct id id = { 0 };
    struct str value = json_slice_get(buf_str(&a->json), "id");
    assert_true(value.n > 2 && id_read((struct str){ value.p + 1, value.n - 2 }, &id));
    return id;
}

static struct poll *poll(struct world *w, int64_t block, struct answer *a)
{
    const struct asker asker = world_environment_key(w);
    answer_clear(a);
    return engine_work_poll(w->engine, &asker, &w->environment, STR("host-1"), block, 5 * SECOND,
                            answer_take, a);
}

/* base64url back to bytes: only what a token needs. */
static void token_of(const struct answer *a, char *token, size_t room)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct str secret = json_slice_get(buf_str(&a->json), "secret");
    AUTO_BUF bytes = { 0 };
    uint32_t bits = 0;
    unsigned have = 0;
    assert_true(secret.n > 2);
    for (size_t i = 1; i + 1 < secret.n; i++) {
        const char *digit = memchr(digits, secret.p[i], 64);
        assert_non_null(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_add_byte(&bytes, (char)(bits >> have & 255));
        }
    }
    struct str value = json_slice_get(buf_str(&bytes), "sessions_token");
    assert_true(value.n > 2 && value.n - 2 < room);
    memcpy(token, value.p + 1, value.n - 2);
    token[value.n - 2] = 0;
}

/* Who holds the token: 1 and *out, or 0. */
static int holder(struct world *w, const char *token, struct asker *out)
{
    unsigned char hash[DIGEST_SIZE];
    struct err e = { 0 };
    digest_sha256(str_of(token), hash);
    return engine_token(w->engine, (struct str){ (const char *)hash, sizeof hash }, out, &e);
}

/* A worker that has claimed and acked the session's item, and sent a first heartbeat. */
struct worker {
    struct id work;
    struct asker asker;
    char token[128];
    char beat[64];
};

static void beat(struct world *w, struct worker *k, const char *expected, struct answer *a)
{
    answer_clear(a);
    engine_work_heartbeat(w->engine, &k->asker, &w->environment, &k->work, str_of(expected), 0,
                          answer_take, a);
    world_settle(w);
    assert_true(a->came);
    if (a->status)
        return;
    struct str last = json_slice_get(buf_str(&a->json), "last_heartbeat");
    assert_true(last.n >= 2 && last.n < sizeof k->beat);
    memcpy(k->beat, last.p + 1, last.n - 2);
    k->beat[last.n - 2] = 0;
}

static void claim(struct world *w, struct worker *k)
{
    struct answer a = { 0 };
    const struct asker key = world_environment_key(w);
    poll(w, 0, &a);
    assert_false(a.came);
    world_settle(w);
    assert_true(a.came);
    assert_has(&a.json, "\"state\":\"queued\"");
    k->work = id_of(&a);
    token_of(&a, k->token, sizeof k->token);
    assert_int_equal(holder(w, k->token, &k->asker), 1);
    assert_true(id_eq(&k->asker.work, &k->work) && !k->asker.superseded);
    answer_clear(&a);
    engine_work_ack(w->engine, &key, &w->environment, &k->work, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    assert_has(&a.json, "\"state\":\"starting\"");
    assert_has(&a.json, "\"secret\":null");
    beat(w, k, "NO_HEARTBEAT", &a);
    assert_has(&a.json, "\"state\":\"active\",\"ttl_seconds\":90");
    answer_clear(&a);
}

static void stop(struct world *w, const struct asker *asker, const struct id *work, bool force,
                 struct answer *a)
{
    answer_clear(a);
    engine_work_stop(w->engine, asker, &w->environment, work, force, answer_take, a);
    world_settle(w);
    assert_true(a->came);
}

static void stats(struct world *w, const char *want)
{
    struct err e;
    AUTO_BUF json = { 0 };
    assert_int_equal(engine_work_stats(w->engine, &w->environment, &json, &e), 0);
    assert_has(&json, want);
}

/* A session that waits for the result of one call of bash. */
static struct id blocked(struct world *w)
{
    struct id session = world_session(w, TOOLSET);
    world_say(w, &session, "x");
    call_block_tool(world_call(w), 0, "t1", "bash", "{\"command\":\"ls\"}");
    call_done(world_call(w), MODEL_STOP_TOOLS);
    return session;
}

static void a_running_session_has_one_item(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    stats(w, "\"depth\":0,\"pending\":0,\"oldest_queued_at\":null,\"workers_polling\":null");
    struct id session = world_session(w, TOOLSET);
    stats(w, "\"depth\":0");
    world_say(w, &session, "x");
    stats(w, "\"depth\":1,\"pending\":0,\"oldest_queued_at\":\"2023");
    poll(w, 0, &a);
    world_settle(w);
    assert_has(&a.json, "\"data\":{\"type\":\"session\",\"id\":\"sesn_");
    stats(w, "\"depth\":0,\"pending\":1");
    stats(w, "\"workers_polling\":1");
    answer_clear(&a);
}

static void a_poll_waits_for_an_item(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct engine_counters counters;
    poll(w, 900000, &a);
    world_pass(w, 400000);
    assert_false(a.came);
    struct id session = world_session(w, TOOLSET);
    world_say(w, &session, "x");
    assert_true(a.came);
    assert_has(&a.json, "\"type\":\"work\"");
    poll(w, 900000, &a);
    world_pass(w, 899000);
    assert_false(a.came);
    world_pass(w, 1000);
    assert_string_equal(buf_text(&a.json), "null");
    engine_count(w->engine, &counters);
    assert_int_equal(counters.polls_waiting, 0);
    answer_clear(&a);
}

static void a_cancelled_poll_gets_nothing(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 }, b = { 0 };
    struct poll *first = poll(w, 900000, &a);
    poll(w, 900000, &b);
    engine_work_poll_cancel(first);
    struct id session = world_session(w, TOOLSET);
    world_say(w, &session, "x");
    assert_false(a.came);
    assert_true(b.came);
    /* Also when the item is on its way already. */
    world_pass(w, 6 * SECOND);
    first = poll(w, 0, &a);
    engine_work_poll_cancel(first);
    world_settle(w);
    assert_false(a.came);
    poll(w, 0, &a);
    world_settle(w);
    assert_has(&a.json, "\"type\":\"work\"");
    answer_clear(&a);
    answer_clear(&b);
}

static void two_polls_never_get_the_same_item(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 }, b = { 0 };
    char first[128], second[128];
    struct asker asker;
    struct id session = world_session(w, TOOLSET);
    world_say(w, &session, "x");
    poll(w, 0, &a);
    poll(w, 0, &b);
    world_settle(w);
    assert_string_equal(buf_text(&b.json), "null");
    token_of(&a, first, sizeof first);
    /* Nobody acked it: after the reclaim time it is there again, and the first token is dead. */
    poll(w, 900000, &b);
    world_pass(w, 900000);
    assert_string_equal(buf_text(&b.json), "null");
    world_pass(w, 3500000);
    poll(w, 900000, &b);
    world_pass(w, 900000);
    assert_true(b.came);
    token_of(&b, second, sizeof second);
    assert_int_equal(holder(w, second, &asker), 1);
    assert_false(asker.superseded);
    assert_int_equal(holder(w, first, &asker), 1);
    assert_true(asker.superseded);
    assert_int_equal(holder(w, "sk-pst-req-none", &asker), 0);
    answer_clear(&a);
    answer_clear(&b);
}

static void a_worker_serves_a_session(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct worker k;
    AUTO_BUF text = { 0 };
    struct id session = blocked(w);
    claim(w, &k);
    const struct event result = { .type = EVENT_USER_TOOL_RESULT,
                                  .about = world_last_id(w, &session, "agent.tool_use"),
                                  .content = STR(TEXT("a.c")) };
    world_send(w, &session, &k.asker, &result, &a);
    assert_int_equal(a.status, 0);
    world_pass(w, 30 * SECOND);
    char before[64];
    memcpy(before, k.beat, sizeof before);
    beat(w, &k, k.beat, &a);
    assert_int_equal(a.status, 0);
    assert_true(strcmp(before, k.beat) < 0);
    beat(w, &k, before, &a);
    assert_int_equal(a.status, 412);
    assert_string_equal(a.code, "heartbeat_precondition_failed");
    assert_true(strstr(a.details, "\"current_state\":{\"last_heartbeat\":\"") == a.details);
    call_block_text(world_call(w), 0, "done");
    call_done(world_call(w), MODEL_STOP_END);
    stop(w, &k.asker, &k.work, true, &a);
    assert_has(&a.json, "\"state\":\"stopped\"");
    stop(w, &k.asker, &k.work, true, &a);
    assert_int_equal(a.status, 409);
    world_last(w, &session, "session.status_idle", &text);
    assert_has(&text, "end_turn");
    /* Late results are taken for ten seconds, heartbeats after that only to say that it is over. */
    assert_int_equal(holder(w, k.token, &k.asker), 1);
    assert_false(k.asker.superseded);
    world_pass(w, 11 * SECOND);
    assert_int_equal(holder(w, k.token, &k.asker), 1);
    assert_true(k.asker.superseded);
    beat(w, &k, k.beat, &a);
    assert_has(&a.json, "\"lease_extended\":false,\"state\":\"stopped\"");
    stats(w, "\"depth\":0,\"pending\":0");
    answer_clear(&a);
}

static void a_lost_lease_gives_the_item_to_the_next(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct worker k, next;
    struct id session = blocked(w);
    claim(w, &k);
    struct call_mark mark = { .call = world_last_id(w, &session, "agent.tool_use"), .attempt = 1 };
    digest_sha256(STR("{\"command\":\"ls\"}"), mark.arguments.bytes);
    engine_work_calls(w->engine, &k.asker, &w->environment, &k.work, &mark, 1, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    assert_has(&a.json, "\"state\":\"started\",\"attempt\":1");
    world_pass(w, 95 * SECOND);
    /* What was started is closed as unknown before anybody else can have it. */
    AUTO_BUF text = { 0 };
    world_last(w, &session, "user.tool_result", &text);
    assert_has(&text, "\"is_error\":true");
    assert_has(&text, "unknown");
    beat(w, &k, k.beat, &a);
    assert_int_equal(a.status, 412);
    assert_int_equal(holder(w, k.token, &k.asker), 1);
    assert_true(k.asker.superseded);
    claim(w, &next);
    assert_true(id_eq(&next.work, &k.work));
    beat(w, &k, k.beat, &a);
    assert_int_equal(a.status, 412);
    answer_clear(&a);
}

static void items_of_others_do_not_exist(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct worker k;
    (void)blocked(w);
    claim(w, &k);
    struct asker other = k.asker;
    other.work = (struct id){ "work_other" };
    stop(w, &other, &k.work, true, &a);
    assert_int_equal(a.status, 403);
    other = world_api_key(w);
    other.workspace = (struct id){ "wrkspc_2" };
    stop(w, &other, &k.work, true, &a);
    assert_int_equal(a.status, 404);
    stop(w, &k.asker, &(struct id){ "work_none" }, true, &a);
    assert_int_equal(a.status, 404);
    const struct id environment = w->environment;
    w->environment = (struct id){ "env_2" };
    stop(w, &k.asker, &k.work, true, &a);
    assert_int_equal(a.status, 404);
    w->environment = environment;
    answer_clear(&a);
}

static void what_nobody_can_do_becomes_a_dead_letter(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    const struct asker operator_ = world_api_key(w);
    struct worker k;
    AUTO_BUF text = { 0 };
    struct id session = blocked(w);
    for (unsigned i = 0; i < 8; i++) {
        claim(w, &k);
        answer_clear(&a);
        engine_work_nack(w->engine, &k.asker, &w->environment, &k.work, STR("no compiler"), SECOND,
                         answer_take, &a);
        world_settle(w);
        assert_int_equal(a.status, 0);
        world_pass(w, 2 * SECOND);
    }
    assert_has(&a.json, "\"state\":\"stopped\"");
    assert_has(&a.json, "\"dead_letter\":true");
    world_last(w, &session, "postern.work_failed", &text);
    assert_has(&text, "no compiler");
    stats(w, "\"depth\":0");
    answer_clear(&a);
    engine_work_requeue(w->engine, &operator_, &w->environment, &k.work, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    assert_has(&a.json, "\"state\":\"queued\"");
    stats(w, "\"depth\":1");
    answer_clear(&a);
    engine_work_requeue(w->engine, &operator_, &w->environment, &k.work, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 409);
    answer_clear(&a);
}

static void metadata_and_healthchecks_are_the_operators(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    const struct asker key = world_api_key(w);
    engine_work_healthcheck(w->engine, &key, &w->environment, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    struct id work = id_of(&a);
    answer_clear(&a);
    engine_work_update(w->engine, &key, &w->environment, &work, STR("{\"a\":\"b\"}"), answer_take,
                       &a);
    world_settle(w);
    assert_has(&a.json, "\"metadata\":{\"a\":\"b\"}");
    poll(w, 0, &a);
    world_settle(w);
    assert_has(&a.json, "\"data\":{\"type\":\"healthcheck\"");
    const struct asker worker = world_environment_key(w);
    stop(w, &worker, &work, true, &a);
    assert_int_equal(a.status, 0);
    /* A stopped item is found in the store. */
    answer_clear(&a);
    engine_work_update(w->engine, &key, &w->environment, &work, STR("{}"), answer_take, &a);
    world_settle(w);
    assert_has(&a.json, "\"metadata\":{}");
    answer_clear(&a);
}

static void items_outlive_the_process(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct worker k;
    struct asker asker;
    struct id session = blocked(w);
    claim(w, &k);
    world_restart(w);
    assert_int_equal(holder(w, k.token, &asker), 1);
    assert_false(asker.superseded);
    beat(w, &k, k.beat, &a);
    assert_int_equal(a.status, 0);
    world_restart(w);
    world_pass(w, 95 * SECOND); /* its lease runs out in another process */
    stats(w, "\"depth\":1");
    assert_int_equal(holder(w, k.token, &asker), 1);
    assert_true(asker.superseded);
    world_restart(w);
    assert_int_equal(holder(w, k.token, &asker), 1);
    assert_true(asker.superseded);
    const struct asker key = world_api_key(w);
    answer_clear(&a);
    engine_session_archive(w->engine, &key, &session, answer_take, &a);
    world_settle(w);
    assert_int_equal(a.status, 0);
    stats(w, "\"depth\":0");
    answer_clear(&a);
}

static void a_heartbeat_that_could_not_be_written_is_not_accepted(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 };
    struct worker k;
    (void)blocked(w);
    claim(w, &k);
    memory_disk_break(w->disk, true);
    world_pass(w, 10 * SECOND);
    char before[64];
    memcpy(before, k.beat, sizeof before);
    beat(w, &k, k.beat, &a);
    assert_int_equal(a.status, 500);
    world_pass(w, 95 * SECOND); /* the lease cannot be taken back either */
    memory_disk_break(w->disk, false);
    world_pass(w, 5 * SECOND);
    stats(w, "\"depth\":1");
    answer_clear(&a);
}

static void a_stopping_server_lets_polls_go(void **state)
{
    struct world *w = *state;
    struct answer a = { 0 }, b = { 0 };
    poll(w, 900000, &a);
    engine_stop(w->engine, (void (*)(void *))answer_clear, &b);
    world_settle(w);
    assert_string_equal(buf_text(&a.json), "null");
    answer_clear(&a);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(a_running_session_has_one_item),
        ROW(a_poll_waits_for_an_item),
        ROW(a_cancelled_poll_gets_nothing),
        ROW(two_polls_never_get_the_same_item),
        ROW(a_worker_serves_a_session),
        ROW(a_lost_lease_gives_the_item_to_the_next),
        ROW(items_of_others_do_not_exist),
        ROW(what_nobody_can_do_becomes_a_dead_letter),
        ROW(metadata_and_healthchecks_are_the_operators),
        ROW(items_outlive_the_process),
        ROW(a_heartbeat_that_could_not_be_written_is_not_accepted),
        ROW(a_stopping_server_lets_polls_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
