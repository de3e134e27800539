#include "proto/socks5.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

/* Plays a server that wants user "u" with password "p", and writes down what happened. */
static void play(struct str bytes, size_t cut, struct buf *trace)
{
    struct socks5 s;
    struct err e = { 0 };
    AUTO_BUF answers = { 0 };
    socks5_init(&s);
    int event = SOCKS5_MORE;
    while (bytes.n && event != SOCKS5_REQUEST) {
        size_t used;
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        event = socks5_feed(&s, piece, &used, &e);
        bytes = str_skip(bytes, used);
        if (event < 0) {
            buf_addf(trace, "bad %d", (int)s.failure);
            break;
        }
        if (event == SOCKS5_GREETING) {
            buf_addf(trace, "greeting%s%s ", s.offers_none ? " none" : "",
                     s.offers_password ? " password" : "");
            socks5_choose(&s,
                          s.offers_password ? SOCKS5_USER_PASSWORD
                          : s.offers_none   ? SOCKS5_NO_AUTH
                                            : SOCKS5_NO_METHOD,
                          &answers);
        } else if (event == SOCKS5_PASSWORD) {
            bool right = str_eq((struct str){ (char *)s.user, s.user_n }, STR("u")) &&
                         str_eq((struct str){ (char *)s.password, s.password_n }, STR("p"));
            buf_addf(trace, "%s ", right ? "right" : "wrong");
            socks5_verdict(&s, right, &answers);
            assert_int_equal(s.user_n + s.password_n + s.password[0], 0);
        } else if (event == SOCKS5_REQUEST) {
            buf_addf(trace, "%d %s %u left=%zu", s.command, s.host, s.port, bytes.n);
        }
    }
    if (event >= 0 && event != SOCKS5_REQUEST)
        buf_add(trace, STR("more"));
    socks5_release(&s);
}

#define NO_AUTH "\x05\x01\x00"
#define NAMED "\x05\x02\x00\x02\x01\x01u\x01p"

static void every_cut_of_a_conversation_is_read_the_same(void **state)
{
    static const struct {
        struct str bytes;
        const char *expected;
    } rows[] = {
        { STR(NO_AUTH "\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50"),
          "greeting none 1 127.0.0.1 80 left=0" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a.example\x01\xbb"
                      "GET"),
          "greeting none 1 a.example 443 left=3" },
        { STR(NO_AUTH "\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff"),
          "greeting none 1 2001:db8::1 65535 left=0" },
        { STR(NO_AUTH "\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01\0\x01"),
          "greeting none 1 ::ffff:127.0.0.1 1 left=0" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x05[::1]\0\x01"), "greeting none 1 [::1] 1 left=0" },
        { STR(NAMED "\x05\x01\x00\x03\x01"
                    "a\x00\x16"),
          "greeting none password right 1 a 22 left=0" },
        { STR(NAMED "\x05\x02\x00\x03\x01"
                    "a\x00\x16"),
          "greeting none password right 2 a 22 left=0" },
        { STR("\x05\x01\x02\x01\x01u\x01x"), "greeting password wrong more" },
        { STR("\x05\x01\x02\x01\x00\x00"), "greeting password wrong more" },
        { STR("\x05\x01\x02\x01\x01u\x01x\x05"), "greeting password wrong bad 0" },
        { STR("\x05\x00"), "greeting more" },
        { STR("\x05\x01\x01"), "greeting more" },
        { STR("\x05\x01\x01\x05"), "greeting bad 0" },
        { STR("\x05"), "more" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a.exam"),
          "greeting none more" },
        { STR("\x04\x01\x00\x50\x7f\x00\x00\x01\x00"), "bad 0" },
        { STR("\x06\x01\x00"), "bad 0" },
        { STR("\x05\x01\x02\x05\x01u\x01p"), "greeting password bad 0" },
        { STR(NO_AUTH "\x04\x01\x00\x01\x7f\x00\x00\x01\x00\x50"), "greeting none bad 1" },
        { STR(NO_AUTH "\x05\x01\x01\x01\x7f\x00\x00\x01\x00\x50"), "greeting none bad 1" },
        { STR(NO_AUTH "\x05\x01\x00\x02\x7f\x00\x00\x01\x00\x50"), "greeting none bad 8" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x00\x00\x50"), "greeting none bad 2" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a\0example\x01\xbb"),
          "greeting none bad 2" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a\nexample\x01\xbb"),
          "greeting none bad 2" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a example\x01\xbb"),
          "greeting none bad 2" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x09"
                      "a\xff"
                      "example\x01\xbb"),
          "greeting none bad 2" },
        { STR(NO_AUTH "\x05\x01\x00\x03\x0c"
                      "fe80::1%eth0\x01\xbb"),
          "greeting none bad 2" },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t cut = 1; cut <= rows[i].bytes.n; cut++) {
            AUTO_BUF trace = { 0 };
            print_message("row %zu cut %zu\n", i, cut);
            play(rows[i].bytes, cut, &trace);
            assert_string_equal(buf_text(&trace), rows[i].expected);
        }
}

static void the_longest_messages_fit(void **state)
{
    struct socks5 s;
    struct err e = { 0 };
    size_t used;
    AUTO_BUF out = { 0 };
    char message[3 + 255 + 255];
    socks5_init(&s);
    memset(message, 2, sizeof message);
    message[0] = 5;
    message[1] = (char)255;
    assert_int_equal(socks5_feed(&s, (struct str){ message, 257 }, &used, &e), SOCKS5_GREETING);
    socks5_choose(&s, SOCKS5_USER_PASSWORD, &out);
    memset(message, 'x', sizeof message);
    message[0] = 1;
    message[1] = message[2 + 255] = (char)255;
    assert_int_equal(socks5_feed(&s, (struct str){ message, sizeof message }, &used, &e),
                     SOCKS5_PASSWORD);
    assert_int_equal(s.user_n, 255);
    assert_int_equal(s.password_n, 255);
    socks5_verdict(&s, true, &out);
    memset(message, 'x', sizeof message);
    memcpy(message, "\x05\x01\x00\x03\xff", 5);
    assert_int_equal(socks5_feed(&s, (struct str){ message, 262 }, &used, &e), SOCKS5_REQUEST);
    assert_int_equal(strlen(s.host), 255);
    socks5_release(&s);
}

static void answers_are_those_of_the_rfc(void **state)
{
    struct socks5 s;
    struct err e = { 0 };
    size_t used;
    AUTO_BUF out = { 0 };
    socks5_init(&s);
    assert_int_equal(socks5_feed(&s, STR("\x05\x01\x02"), &used, &e), SOCKS5_GREETING);
    socks5_choose(&s, SOCKS5_USER_PASSWORD, &out);
    assert_int_equal(socks5_feed(&s, STR("\x01\x01u\x01p"), &used, &e), SOCKS5_PASSWORD);
    socks5_verdict(&s, true, &out);
    socks5_reply(SOCKS5_NOT_ALLOWED, &out);
    assert_true(str_eq(buf_str(&out), STR("\x05\x02\x01\x00\x05\x02\x00\x01\0\0\0\0\0\0")));
    socks5_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_of_a_conversation_is_read_the_same),
        cmocka_unit_test(the_longest_messages_fit),
        cmocka_unit_test(answers_are_those_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
