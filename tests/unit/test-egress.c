/* Claims of the pure parts of the egress proxy: egress/credential.h, answer.h, clean.h, names.h, rate.h
 * and first_bytes.h. */
#include "egress/answer.h"
#include "egress/clean.h"
#include "egress/credential.h"
#include "egress/first_bytes.h"
#include "egress/lookups.h"
#include "egress/names.h"
#include "egress/rate.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TOKEN STR("00112233445566778899aabbccddeeff")

static void only_user_and_token_of_this_run_are_right(void **state)
{
    static const struct {
        const char *user, *password;
        enum credential expected;
        const char *key;
    } rows[] = {
        { "srt", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "" },
        { "srt.bWFrZQ==", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "make" },
        { "srt.bWFrZQ%3D%3D", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "make" },
        { "srt.bWFrZQ", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "make" },
        { "srt.YQo8Yj4=", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "a b" },
        { "srt.", "00112233445566778899aabbccddeeff", CREDENTIAL_RIGHT, "" },
        { "srt.a", "00112233445566778899aabbccddeeff", CREDENTIAL_WRONG, "" },
        { "srt.b!", "00112233445566778899aabbccddeeff", CREDENTIAL_WRONG, "" },
        { "SRT", "00112233445566778899aabbccddeeff", CREDENTIAL_WRONG, "" },
        { "srtx", "00112233445566778899aabbccddeeff", CREDENTIAL_WRONG, "" },
        { "", "00112233445566778899aabbccddeeff", CREDENTIAL_WRONG, "" },
        { "srt", "00112233445566778899aabbccddeefe", CREDENTIAL_WRONG, "" },
        { "srt", "00112233445566778899aabbccddeef", CREDENTIAL_WRONG, "" },
        { "srt", "00112233445566778899aabbccddeefff", CREDENTIAL_WRONG, "" },
        { "srt", "", CREDENTIAL_WRONG, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char key[CREDENTIAL_KEY_MAX];
        assert_int_equal(
            credential_check(TOKEN, str_of(rows[i].user), str_of(rows[i].password), key),
            rows[i].expected);
        assert_string_equal(key, rows[i].key);
    }
}

static void an_empty_token_admits_nobody(void **state)
{
    char key[CREDENTIAL_KEY_MAX];
    assert_int_equal(credential_check(STR(""), STR("srt"), STR(""), key), CREDENTIAL_WRONG);
}

static void a_basic_field_is_read_strictly(void **state)
{
    static const struct {
        const char *value;
        enum credential expected;
    } rows[] = {
        { "Basic c3J0OjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm", CREDENTIAL_RIGHT },
        { "basic   c3J0OjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm ", CREDENTIAL_RIGHT },
        { "Basicc3J0OjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm", CREDENTIAL_WRONG },
        { "Bearer c3J0OjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm", CREDENTIAL_WRONG },
        { "Basic c3J0", CREDENTIAL_WRONG },
        { "Basic ", CREDENTIAL_WRONG },
        { "", CREDENTIAL_WRONG },
    };
    char key[CREDENTIAL_KEY_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(credential_check_basic(TOKEN, str_of(rows[i].value), key),
                         rows[i].expected);
    assert_int_equal(credential_check_basic(TOKEN, (struct str){ NULL, 0 }, key),
                     CREDENTIAL_ABSENT);
    AUTO_BUF huge = { 0 };
    buf_add(&huge, STR("Basic "));
    for (int i = 0; i < 5000; i++)
        buf_add_byte(&huge, 'A');
    assert_int_equal(credential_check_basic(TOKEN, buf_str(&huge), key), CREDENTIAL_WRONG);
}

static void hostile_text_becomes_one_plain_line(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "plain", "plain" },
        { "a\r\n\tb", "a b" },
        { "</sandbox_violations>", "/sandbox_violations" },
        { "a\xe2\x80\xae"
          "b\xe2\x80\x8b",
          "a b " },
        { "\xc3\xa9", "\xc3\xa9" },
        { "\xff\xfe", "??" },
        { "\xc3", "?" },
        { "\x1b[31m", " [31m" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        clean_text(&out, str_of(rows[i].text), 500);
        assert_string_equal(buf_text(&out), rows[i].expected);
    }
}

static void a_long_text_is_cut_by_utf16_units(void **state)
{
    AUTO_BUF out = { 0 };
    clean_text(&out, STR("\xf0\x9f\x98\x80\xf0\x9f\x98\x80"), 3); /* two units each */
    assert_int_equal(out.n, 4);
}

static void a_phrase_is_ascii(void **state)
{
    AUTO_BUF out = { 0 };
    clean_phrase(&out, STR("caf\xc3\xa9 \xf0\x9f\x98\x80\r\nX: 1"));
    assert_string_equal(buf_text(&out), "caf? ? X: 1");
}

static void queries_are_cut_from_targets(void **state)
{
    AUTO_BUF out = { 0 };
    clean_target(&out, STR("https://a/b?token=1#x"));
    assert_string_equal(buf_text(&out), "https://a/b?\xe2\x80\xa6");
}

static void no_reason_can_break_the_head(void **state)
{
    for (int kind = 0; kind < ANSWERS; kind++) {
        AUTO_BUF out = { 0 };
        struct answer_options options = { .connect = true,
                                          .reason = STR("a\r\nX-Evil: 1\r\n\r\nb\xff") };
        answer_http(&out, (enum answer)kind, &options);
        const char *head_end = strstr(out.p, "\r\n\r\n");
        const char *evil = strstr(out.p, "X-Evil");
        assert_non_null(head_end);
        if (evil)
            assert_true(evil[-1] ==
                        ' '); /* inside the phrase or the body, never at a line's start */
    }
}

static void an_answer_to_head_has_no_body_and_the_same_length(void **state)
{
    AUTO_BUF whole = { 0 };
    AUTO_BUF head = { 0 };
    answer_http(&whole, ANSWER_NOT_ALLOWED, &(struct answer_options){ 0 });
    answer_http(&head, ANSWER_NOT_ALLOWED, &(struct answer_options){ .head = true });
    assert_true(str_starts(buf_str(&whole), buf_str(&head)));
    assert_true(str_ends(buf_str(&head), STR("\r\n\r\n")));
    assert_int_equal(whole.n - head.n, strlen("Connection blocked by network allowlist"));
}

static void an_ssh_disconnect_is_a_whole_packet(void **state)
{
    for (size_t n = 0; n < 40; n++) {
        char reason[40];
        AUTO_BUF out = { 0 };
        memset(reason, 'r', sizeof reason);
        answer_ssh_disconnect(&out, (struct str){ reason, n });
        const char *packet = strstr(out.p, "\r\n") + 2;
        size_t size = out.n - (size_t)(packet - out.p);
        assert_int_equal(size % 8, 0);
        assert_int_equal((unsigned char)packet[3], size - 4);
        assert_true(packet[4] >= 4);
        assert_int_equal(packet[5], 1); /* SSH_MSG_DISCONNECT */
    }
}

static void a_bucket_gives_what_it_earned(void **state)
{
    struct rate rate;
    rate_init(&rate, 10, 3, 1000);
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, 1000));
    assert_false(rate_take(&rate, 1000));
    assert_false(rate_take(&rate, 1099));
    assert_true(rate_take(&rate, 1100));
    assert_false(rate_take(&rate, 1100));
    for (int i = 0; i < 3; i++)
        assert_true(rate_take(&rate, UINT64_MAX));
    assert_false(rate_take(&rate, UINT64_MAX));
}

static struct host host_of(const char *text);

static void a_look_up_is_remembered_for_a_moment(void **state)
{
    struct lookups l;
    struct socket_address list[2] = { { .v4 = { .sin_family = AF_INET, .sin_port = 1 } },
                                      { .v4 = { .sin_family = AF_INET, .sin_port = 2 } } };
    struct socket_address got[RESOLVE_MAX];
    struct host a = host_of("a.example.com"), b = host_of("b.example.com");
    lookups_init(&l, 1000);
    lookups_put(&l, &a, 1000, list, 2);
    assert_int_equal(lookups_find(&l, &a, 1000 + LOOKUPS_FRESH_MS - 1, got), 2);
    assert_int_equal(got[1].v4.sin_port, 2);
    assert_int_equal(lookups_find(&l, &b, 1000, got), 0);
    assert_int_equal(lookups_find(&l, &a, 1000 + LOOKUPS_FRESH_MS, got), 0);
    lookups_put(&l, &a, 9000, list, 1);
    assert_int_equal(lookups_find(&l, &a, 9000, got), 1);
    for (int i = 0; i < 10 * LOOKUPS_KEPT; i++) {
        char text[32];
        snprintf(text, sizeof text, "n%d.example.com", i);
        struct host other = host_of(text);
        lookups_put(&l, &other, 9001 + (uint64_t)i, list, 1);
    }
    assert_int_equal(lookups_find(&l, &a, 9001, got), 0);
    lookups_release(&l);
}

static struct host host_of(const char *text)
{
    struct host h;
    struct err e;
    assert_int_equal(host_parse(str_of(text), &h, &e), 0);
    return h;
}

static struct in_addr give(struct names *n, int number)
{
    char text[64];
    struct in_addr address;
    snprintf(text, sizeof text, "n%d.example.com", number);
    struct host h = host_of(text);
    assert_true(names_give(n, &h, &address));
    assert_true(names_covers(address));
    assert_string_equal(names_find(n, address)->text, text);
    return address;
}

static void names_and_addresses_belong_together(void **state)
{
    struct names *n = names_new();
    struct in_addr first = give(n, 0);
    for (int i = 1; i < NAMES_MAX - 1; i++)
        assert_int_not_equal(give(n, i).s_addr, first.s_addr);
    assert_int_equal(give(n, 0).s_addr, first.s_addr);
    names_free(n);
}

static void a_full_table_forgets_the_name_that_was_unused_for_longest(void **state)
{
    struct names *n = names_new();
    struct in_addr held = give(n, 0), unused = give(n, 1), used = give(n, 2);
    names_hold(n, held);
    for (int i = 3; i < NAMES_MAX - 1; i++)
        give(n, i);
    give(n, 2);
    struct in_addr next = give(n, NAMES_MAX);
    assert_int_not_equal(next.s_addr, unused.s_addr); /* not at once given to another name */
    assert_null(names_find(n, unused));
    assert_non_null(names_find(n, held));
    assert_non_null(names_find(n, used));
    for (int i = 0; i < 3 * NAMES_MAX; i++)
        give(n, 2 * NAMES_MAX + i);
    assert_string_equal(names_find(n, held)->text, "n0.example.com");
    names_drop(n, held);
    names_free(n);
}

static void a_table_in_which_all_are_held_gives_nothing(void **state)
{
    struct names *n = names_new();
    struct in_addr address;
    for (int i = 0; i < NAMES_MAX - 1; i++)
        names_hold(n, give(n, i));
    struct host more = host_of("more.example.com");
    assert_false(names_give(n, &more, &address));
    names_free(n);
}

static void foreign_addresses_have_no_name(void **state)
{
    static const char *const addresses[] = { "198.17.255.255", "198.18.0.0", "198.18.0.1",
                                             "198.20.0.0", "127.0.0.1" };
    struct names *n = names_new();
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        struct in_addr address;
        assert_int_equal(inet_pton(AF_INET, addresses[i], &address), 1);
        assert_null(names_find(n, address));
    }
    names_free(n);
}

static void what_is_no_tls_passes_and_a_start_of_it_waits(void **state)
{
    struct egress_policy p;
    struct host h = host_of("a.example.com");
    const char *reason = NULL;
    egress_policy_init(&p);
    assert_int_equal(first_bytes_judge(&p, &h, 443, STR("SSH-2.0-x\r\n"), &reason),
                     FIRST_BYTES_PASS);
    assert_int_equal(first_bytes_judge(&p, &h, 443, STR("\x16\x03\x01"), &reason),
                     FIRST_BYTES_MORE);
    assert_int_equal(first_bytes_judge(&p, &h, 443, STR("\x16\x03\x01\x00\x01\xff"), &reason),
                     FIRST_BYTES_REFUSE);
    assert_non_null(reason);
    egress_policy_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_user_and_token_of_this_run_are_right),
        cmocka_unit_test(an_empty_token_admits_nobody),
        cmocka_unit_test(a_basic_field_is_read_strictly),
        cmocka_unit_test(hostile_text_becomes_one_plain_line),
        cmocka_unit_test(a_long_text_is_cut_by_utf16_units),
        cmocka_unit_test(a_phrase_is_ascii),
        cmocka_unit_test(queries_are_cut_from_targets),
        cmocka_unit_test(no_reason_can_break_the_head),
        cmocka_unit_test(an_answer_to_head_has_no_body_and_the_same_length),
        cmocka_unit_test(an_ssh_disconnect_is_a_whole_packet),
        cmocka_unit_test(a_bucket_gives_what_it_earned),
        cmocka_unit_test(a_look_up_is_remembered_for_a_moment),
        cmocka_unit_test(names_and_addresses_belong_together),
        cmocka_unit_test(a_full_table_forgets_the_name_that_was_unused_for_longest),
        cmocka_unit_test(a_table_in_which_all_are_held_gives_nothing),
        cmocka_unit_test(foreign_addresses_have_no_name),
        cmocka_unit_test(what_is_no_tls_passes_and_a_start_of_it_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
