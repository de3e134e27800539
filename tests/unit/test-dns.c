#include "proto/dns.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define HEAD "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define HEAD_EDNS "\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x01"
#define NAME                                                                                       \
    "\x01"                                                                                         \
    "a\x07"                                                                                        \
    "example\x00"
#define OPT "\x00\x00\x29\x10\x00\x00\x00\x80\x00\x00\x00"

static void queries_are_read(void **state)
{
    static const struct {
        struct str message;
        const char *name;
        uint16_t type;
        bool edns;
    } rows[] = {
        { STR(HEAD NAME "\x00\x01\x00\x01"), "a.example", DNS_TYPE_A, false },
        { STR(HEAD NAME "\x00\x1c\x00\x01"), "a.example", DNS_TYPE_AAAA, false },
        { STR(HEAD_EDNS NAME "\x00\x41\x00\x01" OPT), "a.example", 65, true },
        { STR(HEAD_EDNS NAME "\x00\x01\x00\x01"
                             "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x04"
                             "\x00\x0a\x00\x00"),
          "a.example", DNS_TYPE_A, true },
        { STR(HEAD "\x03"
                   "W_w\x02"
                   "eX\x00"
                   "\x00\x01\x00\x01"),
          "W_w.eX", DNS_TYPE_A, false },
        { STR(HEAD "\x00"
                   "\x00\x02\x00\x01"),
          "", 2, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dns_query q;
        print_message("row %zu\n", i);
        assert_int_equal(dns_query_parse(rows[i].message, &q), DNS_QUERY);
        assert_int_equal(q.id, 0x1234);
        assert_true(q.recursion_desired);
        assert_string_equal(q.name, rows[i].name);
        assert_int_equal(q.type, rows[i].type);
        assert_int_equal(q.edns, rows[i].edns);
    }
}

static void bad_queries_are_told_apart(void **state)
{
    static const struct {
        const char *what;
        struct str message;
        enum dns_verdict verdict;
    } rows[] = {
        { "empty", STR(""), DNS_NO_ANSWER },
        { "short header", STR("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00"), DNS_NO_ANSWER },
        { "a response",
          STR("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME "\x00\x01\x00\x01"),
          DNS_NO_ANSWER },
        { "opcode NOTIFY",
          STR("\x12\x34\x20\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME "\x00\x01\x00\x01"),
          DNS_NOTIMP },
        { "class CH", STR(HEAD NAME "\x00\x01\x00\x03"), DNS_NOTIMP },
        { "truncated flag",
          STR("\x12\x34\x03\x00\x00\x01\x00\x00\x00\x00\x00\x00" NAME "\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "no question", STR("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"), DNS_FORMERR },
        { "two questions",
          STR("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00" NAME "\x00\x01\x00\x01" NAME
              "\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "an answer",
          STR("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00" NAME "\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "name cut off",
          STR(HEAD "\x07"
                   "exam"),
          DNS_FORMERR },
        { "name without end",
          STR(HEAD "\x01"
                   "a"),
          DNS_FORMERR },
        { "no type", STR(HEAD NAME "\x00"), DNS_FORMERR },
        { "no class", STR(HEAD NAME "\x00\x01\x00"), DNS_FORMERR },
        { "pointer to itself", STR(HEAD "\xc0\x0c\x00\x01\x00\x01"), DNS_FORMERR },
        { "pointer behind a label",
          STR(HEAD "\x01"
                   "a\xc0\x0c\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "label of 64 bytes",
          STR(HEAD "\x40"
                   "aaaa\x00\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "dot in a label",
          STR(HEAD "\x03"
                   "a.b\x00\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "NUL in a label",
          STR(HEAD "\x03"
                   "a\0b\x00\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "high byte in a label",
          STR(HEAD "\x03"
                   "a\xe4"
                   "b\x00\x00\x01\x00\x01"),
          DNS_FORMERR },
        { "bytes behind the question", STR(HEAD NAME "\x00\x01\x00\x01x"), DNS_FORMERR },
        { "EDNS missing", STR(HEAD_EDNS NAME "\x00\x01\x00\x01"), DNS_FORMERR },
        { "EDNS cut off",
          STR(HEAD_EDNS NAME "\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x00\x00"
                             "\x00\x00\x04\x00"),
          DNS_FORMERR },
        { "EDNS version 1",
          STR(HEAD_EDNS NAME "\x00\x01\x00\x01\x00\x00\x29\x10\x00\x00\x01\x00"
                             "\x00\x00\x00"),
          DNS_FORMERR },
        { "another additional record",
          STR(HEAD_EDNS NAME "\x00\x01\x00\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"),
          DNS_FORMERR },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct dns_query q;
        char out[DNS_ANSWER_MAX];
        print_message("%s\n", rows[i].what);
        assert_int_equal(dns_query_parse(rows[i].message, &q), rows[i].verdict);
        if (rows[i].verdict != DNS_NO_ANSWER)
            assert_true(dns_write(&q, DNS_RCODE_FORMERR, out) >= 12);
    }
}

static void the_longest_name_is_read_and_answered(void **state)
{
    struct dns_query q;
    char message[12 + 255 + 4] = HEAD, out[DNS_ANSWER_MAX];
    size_t n = 12;
    for (int i = 0; i < 3; i++) {
        message[n] = 63;
        memset(message + n + 1, 'a', 63);
        n += 64;
    }
    message[n] = 61;
    memset(message + n + 1, 'a', 61);
    n += 62;
    memcpy(message + n, "\x00\x00\x01\x00\x01", 5);
    n += 5;
    assert_int_equal(n, sizeof message);
    assert_int_equal(dns_query_parse((struct str){ message, n }, &q), DNS_QUERY);
    assert_int_equal(strlen(q.name), 253);
    struct in_addr address = { htonl(0xc6120001) };
    assert_int_equal(dns_write_a(&q, address, 60, out), n + 16);
    message[12 + 3 * 64] = 62;
    assert_int_equal(dns_query_parse((struct str){ message, n }, &q), DNS_FORMERR);
}

static void answers_repeat_the_question(void **state)
{
    struct dns_query q;
    char out[DNS_ANSWER_MAX];
    struct in_addr address = { htonl(0xc6120001) };
    assert_int_equal(dns_query_parse(STR(HEAD NAME "\x00\x01\x00\x01"), &q), DNS_QUERY);
    size_t n = dns_write_a(&q, address, 60, out);
    assert_true(str_eq((struct str){ out, n },
                       STR("\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00" NAME
                           "\x00\x01\x00\x01\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04"
                           "\xc6\x12\x00\x01")));
    n = dns_write(&q, DNS_RCODE_NXDOMAIN, out);
    assert_true(
        str_eq((struct str){ out, n },
               STR("\x12\x34\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00" NAME "\x00\x01\x00\x01")));
    assert_int_equal(dns_query_parse(STR(HEAD_EDNS NAME "\x00\x1c\x00\x01" OPT), &q), DNS_QUERY);
    n = dns_write(&q, DNS_RCODE_NOERROR, out);
    assert_true(str_eq((struct str){ out, n },
                       STR("\x12\x34\x81\x80\x00\x01\x00\x00\x00\x00\x00\x01" NAME
                           "\x00\x1c\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")));
    assert_int_equal(dns_query_parse(STR("\x12\x34\x20\x00\0\0\0\0\0\0\0\0"), &q), DNS_NOTIMP);
    n = dns_write(&q, DNS_RCODE_NOTIMP, out);
    assert_true(str_eq((struct str){ out, n }, STR("\x12\x34\xa0\x84\0\0\0\0\0\0\0\0")));
}

static void messages_over_tcp_have_a_length(void **state)
{
    char length[2];
    assert_int_equal(dns_tcp_length(STR("")), -1);
    assert_int_equal(dns_tcp_length(STR("\x01")), -1);
    assert_int_equal(dns_tcp_length(STR("\x01\x02")), 0x102);
    assert_int_equal(dns_tcp_length(STR("\xff\xff...")), 0xffff);
    dns_tcp_put_length(0x102, length);
    assert_int_equal(dns_tcp_length((struct str){ length, 2 }), 0x102);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_read),
        cmocka_unit_test(bad_queries_are_told_apart),
        cmocka_unit_test(the_longest_name_is_read_and_answered),
        cmocka_unit_test(answers_repeat_the_question),
        cmocka_unit_test(messages_over_tcp_have_a_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
