/* Cursors of pages, answers kept for repeats, and rate limits. */
#include "api/cursor.h"
#include "api/replay.h"
#include "api/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const unsigned char key[CURSOR_KEY] = "a key that is kept over restarts";

static struct cursor some_cursor(void)
{
    return (struct cursor){ .oldest_first = true,
                            .backward = false,
                            .at = 1764036787123456,
                            .number = -3,
                            .id = { "agent_0123456789abcdefghijABCD" } };
}

static void a_cursor_reads_as_it_was_written(void **state)
{
    struct cursor c = some_cursor(), read;
    /* Every length of an id, so that every rest of the base64 groups comes up. */
    for (size_t n = 0; n < 30; n++) {
        AUTO_BUF text = { 0 };
        memset(c.id.text, 0, sizeof c.id.text);
        memset(c.id.text, 'x', n);
        cursor_write(&text, &c, STR("agents w"), key);
        assert_true(cursor_read(buf_str(&text), STR("agents w"), key, &read));
        assert_true(read.oldest_first && !read.backward);
        assert_true(read.at == c.at && read.number == c.number);
        assert_string_equal(read.id.text, c.id.text);
    }
}

static void a_changed_cursor_is_none(void **state)
{
    struct cursor c = some_cursor(), read;
    AUTO_BUF text = { 0 };
    cursor_write(&text, &c, STR("agents w"), key);
    for (size_t i = 0; i < text.n; i++) {
        char was = text.p[i];
        text.p[i] = was == 'A' ? 'B' : 'A';
        assert_false(cursor_read(buf_str(&text), STR("agents w"), key, &read));
        text.p[i] = '\0';
        assert_false(cursor_read(buf_str(&text), STR("agents w"), key, &read));
        text.p[i] = was;
    }
    for (size_t n = 0; n < text.n; n++)
        assert_false(cursor_read((struct str){ text.p, n }, STR("agents w"), key, &read));
    buf_add(&text, STR("AAAA"));
    assert_false(cursor_read(buf_str(&text), STR("agents w"), key, &read));
}

static void a_cursor_is_good_for_its_list_and_key_only(void **state)
{
    struct cursor c = some_cursor(), read;
    unsigned char other[CURSOR_KEY] = "another key";
    AUTO_BUF text = { 0 };
    cursor_write(&text, &c, STR("agents w1"), key);
    assert_false(cursor_read(buf_str(&text), STR("agents w2"), key, &read));
    assert_false(cursor_read(buf_str(&text), STR("sessions w1"), key, &read));
    assert_false(cursor_read(buf_str(&text), STR("agents w1"), other, &read));
    assert_false(cursor_read(STR("garbage!"), STR("agents w1"), key, &read));
    assert_false(cursor_read(STR(""), STR("agents w1"), key, &read));
}

static void a_repeat_gets_the_answer_for_a_minute(void **state)
{
    struct replays *r = replays_new();
    unsigned char one[32], other[32];
    replay_key(STR("apikey_1"), STR("/v1/agents"), STR("{}"), one);
    replay_key(STR("apikey_2"), STR("/v1/agents"), STR("{}"), other);
    replays_keep(r, one, STR("answer"), 1000);
    assert_true(str_eq(replays_find(r, one, 2000), STR("answer")));
    assert_null(replays_find(r, other, 2000).p);
    assert_true(str_eq(replays_find(r, one, 1000 + REPLAY_AGE), STR("answer")));
    assert_null(replays_find(r, one, 1001 + REPLAY_AGE).p);
    replays_free(r);
}

static void kept_answers_are_bounded(void **state)
{
    struct replays *r = replays_new();
    unsigned char first[32], key_of_i[32];
    char *large = mem_get(REPLAY_BYTES / 4 + 1);
    for (int i = 0; i <= REPLAY_MAX; i++) {
        char body[16];
        size_t n = (size_t)snprintf(body, sizeof body, "%d", i);
        replay_key(STR("k"), STR("/"), (struct str){ body, n }, i ? key_of_i : first);
        replays_keep(r, i ? key_of_i : first, STR("a"), 1);
    }
    assert_null(replays_find(r, first, 1).p);
    assert_non_null(replays_find(r, key_of_i, 1).p);
    replays_keep(r, first, (struct str){ large, REPLAY_BYTES / 4 + 1 }, 1);
    assert_null(replays_find(r, first, 1).p);
    for (int i = 0; i < 6; i++) { /* more bytes than may be kept */
        char body[16];
        size_t n = (size_t)snprintf(body, sizeof body, "large %d", i);
        replay_key(STR("k"), STR("/"), (struct str){ body, n }, key_of_i);
        replays_keep(r, key_of_i, (struct str){ large, REPLAY_BYTES / 4 }, 1);
    }
    assert_non_null(replays_find(r, key_of_i, 1).p);
    free(large);
    replays_free(r);
}

static void a_minute_holds_so_many_calls(void **state)
{
    struct throttle *t = throttle_new(3);
    struct id one = { "wrkspc_1" }, other = { "wrkspc_2" };
    int64_t now = 1000000000;
    for (int i = 0; i < 3; i++)
        assert_int_equal(throttle_take(t, &one, now), 0);
    assert_int_equal(throttle_take(t, &one, now), 20);
    assert_int_equal(throttle_take(t, &other, now), 0);
    assert_int_equal(throttle_take(t, &one, now + 20000000), 0);
    assert_true(throttle_take(t, &one, now + 20000000) > 0);
    throttle_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_reads_as_it_was_written),
        cmocka_unit_test(a_changed_cursor_is_none),
        cmocka_unit_test(a_cursor_is_good_for_its_list_and_key_only),
        cmocka_unit_test(a_repeat_gets_the_answer_for_a_minute),
        cmocka_unit_test(kept_answers_are_bounded),
        cmocka_unit_test(a_minute_holds_so_many_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
