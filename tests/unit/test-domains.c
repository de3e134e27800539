#include "egress/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void hosts_have_one_canonical_form(void **state)
{
    static const struct {
        const char *raw, *text;
        bool is_ip;
    } rows[] = {
        { "example.com", "example.com", false },
        { "EXAMPLE.Com", "example.com", false },
        { "example.com.", "example.com", false },
        { "a_b-c.example", "a_b-c.example", false },
        { "localhost", "localhost", false },
        { "LOCALHOST.", "localhost", false },
        { "xn--bcher-kva.example", "xn--bcher-kva.example", false },
        { "deadbeef", "deadbeef", false },
        { "1e3", "1e3", false },
        { "1.2.3.x", "1.2.3.x", false },
        { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1.", "127.0.0.1", true },
        { "127.1", "127.0.0.1", true },
        { "127.0.1", "127.0.0.1", true },
        { "0x7f.1", "127.0.0.1", true },
        { "0X7F.0x1", "127.0.0.1", true },
        { "0177.0.0.01", "127.0.0.1", true },
        { "2130706433", "127.0.0.1", true },
        { "0x7f000001", "127.0.0.1", true },
        { "017700000001", "127.0.0.1", true },
        { "0", "0.0.0.0", true },
        { "0xffffffff", "255.255.255.255", true },
        { "1.16777215", "1.255.255.255", true },
        { "1.2.65535", "1.2.255.255", true },
        { "000010.0.0.1", "8.0.0.1", true },
        { "[::1]", "::1", true },
        { "::1", "::1", true },
        { "0:0:0:0:0:0:0:1", "::1", true },
        { "[2001:DB8:0:0:0:0:0:01]", "2001:db8::1", true },
        { "[::ffff:127.0.0.1]", "127.0.0.1", true },
        { "::ffff:7f00:1", "127.0.0.1", true },
        { "0:0:0:0:0:ffff:10.1.2.3", "10.1.2.3", true },
        { "::", "::", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct host h, again;
        print_message("%s\n", rows[i].raw);
        assert_int_equal(host_parse(str_of(rows[i].raw), &h, &e), 0);
        assert_string_equal(h.text, rows[i].text);
        assert_int_equal(h.is_ip, rows[i].is_ip);
        assert_int_equal(host_parse(str_of(h.text), &again, &e), 0);
        assert_string_equal(again.text, h.text);
    }
}

static void malformed_hosts_are_refused(void **state)
{
    static const struct str rows[] = {
        STR(""),
        STR("."),
        STR(".example.com"),
        STR("example..com"),
        STR("example.com.."),
        STR("a b"),
        STR("a%00b"),
        STR("fe80::1%eth0"),
        STR("[fe80::1%25eth0]"),
        STR("a\0b.example"),
        STR("example.com\0.evil"),
        STR("::1\0"),
        STR("a\r\nb"),
        STR("ex\xc3\xa4mple.com"),
        STR("user@example.com"),
        STR("example.com:443"),
        STR("[::1]:443"),
        STR("[127.0.0.1]"),
        STR("[example.com]"),
        STR("[]"),
        STR("[::1"),
        STR("::1]"),
        STR(":::"),
        STR("256.1.1.1"),
        STR("1.2.3.4.5"),
        STR("1.2.3.256"),
        STR("1.2.65536"),
        STR("1.16777216"),
        STR("4294967296"),
        STR("99999999999999999999999999"),
        STR("0x100000000"),
        STR("127.0.0.08"),
        STR("0x"),
        STR("1.0x"),
        STR("example.1"),
        STR("example.0x1f"),
        STR("127.0.0.1.."),
        STR("http://example.com"),
        STR("a/b"),
        STR("a\\b"),
        STR("*.example.com"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct host h;
        print_message("%.*s\n", STR_ARGS(rows[i]));
        assert_int_equal(host_parse(rows[i], &h, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
        assert_string_equal(e.text, "malformed host");
    }
}

static void a_host_has_255_bytes_at_most_and_a_label_63(void **state)
{
    char raw[257];
    struct err e = { 0 };
    struct host h;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = i % 50 == 49 ? '.' : 'a';
    assert_int_equal(host_parse((struct str){ raw, 255 }, &h, &e), 0);
    assert_int_equal(strlen(h.text), 255);
    assert_int_equal(host_parse((struct str){ raw, 256 }, &h, &e), -1);
    memset(raw, 'a', sizeof raw);
    assert_int_equal(host_parse((struct str){ raw, 63 }, &h, &e), 0);
    assert_int_equal(host_parse((struct str){ raw, 64 }, &h, &e), -1);
}

static void the_authority_brackets_ipv6_and_leaves_out_the_default_port(void **state)
{
    static const struct {
        const char *host;
        uint16_t port, default_port;
        const char *authority;
    } rows[] = {
        { "example.com", 443, 0, "example.com:443" },
        { "example.com", 80, 80, "example.com" },
        { "example.com", 8080, 80, "example.com:8080" },
        { "::1", 443, 443, "[::1]" },
        { "::1", 1, 443, "[::1]:1" },
        { "127.1", 65535, 80, "127.0.0.1:65535" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct host h;
        char out[270];
        assert_int_equal(host_parse(str_of(rows[i].host), &h, &e), 0);
        host_authority(&h, rows[i].port, rows[i].default_port, out);
        assert_string_equal(out, rows[i].authority);
    }
}

static void patterns_that_the_settings_may_hold(void **state)
{
    static const struct {
        const char *text;
        enum domain_list list;
        const char *host;
        bool wildcard, any;
        uint16_t port;
    } rows[] = {
        { "example.com", DOMAIN_ALLOWED, "example.com", false, false, 0 },
        { "Example.COM:443", DOMAIN_ALLOWED, "example.com", false, false, 443 },
        { "*.example.com", DOMAIN_ALLOWED, "example.com", true, false, 0 },
        { "*.Example.com:65535", DOMAIN_DENIED, "example.com", true, false, 65535 },
        { "localhost", DOMAIN_ALLOWED, "localhost", false, false, 0 },
        { "LocalHost:3000", DOMAIN_ALLOWED, "localhost", false, false, 3000 },
        { "127.0.0.1", DOMAIN_ALLOWED, "127.0.0.1", false, false, 0 },
        { "127.1:80", DOMAIN_DENIED, "127.0.0.1", false, false, 80 },
        { "[::1]", DOMAIN_ALLOWED, "::1", false, false, 0 },
        { "[2001:db8::1]:443", DOMAIN_ALLOWED, "2001:db8::1", false, false, 443 },
        { "[fe80::1%eth0]:1", DOMAIN_DENIED, "fe80::1", false, false, 1 },
        { "[::ffff:10.0.0.1]", DOMAIN_DENIED, "10.0.0.1", false, false, 0 },
        { "*", DOMAIN_DENIED, "", false, true, 0 },
        { "*:22", DOMAIN_DENIED, "", false, true, 22 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct domain_pattern p;
        print_message("%s\n", rows[i].text);
        assert_int_equal(domain_pattern_parse(str_of(rows[i].text), rows[i].list, &p, &e), 0);
        assert_string_equal(p.text, rows[i].text);
        assert_string_equal(p.host.text, rows[i].host);
        assert_int_equal(p.wildcard, rows[i].wildcard);
        assert_int_equal(p.any, rows[i].any);
        assert_int_equal(p.port, rows[i].port);
        domain_pattern_release(&p);
    }
}

static void patterns_that_are_refused(void **state)
{
    static const struct {
        struct str text;
        enum domain_list list;
    } rows[] = {
        { STR(""), DOMAIN_ALLOWED },
        { STR("*"), DOMAIN_ALLOWED },
        { STR("*:443"), DOMAIN_ALLOWED },
        { STR("com"), DOMAIN_ALLOWED },
        { STR(".example.com"), DOMAIN_ALLOWED },
        { STR("example.com."), DOMAIN_ALLOWED },
        { STR("a..b"), DOMAIN_ALLOWED },
        { STR("*.com"), DOMAIN_ALLOWED },
        { STR("*.localhost"), DOMAIN_ALLOWED },
        { STR("*."), DOMAIN_DENIED },
        { STR("*.com."), DOMAIN_DENIED },
        { STR("*example.com"), DOMAIN_ALLOWED },
        { STR("www.*.com"), DOMAIN_ALLOWED },
        { STR("*.*.com"), DOMAIN_ALLOWED },
        { STR("**.example.com"), DOMAIN_ALLOWED },
        { STR("*.10.0.0.1"), DOMAIN_ALLOWED },
        { STR("https://example.com"), DOMAIN_ALLOWED },
        { STR("example.com/path"), DOMAIN_ALLOWED },
        { STR("10.0.0.0/8"), DOMAIN_ALLOWED },
        { STR("example.com:"), DOMAIN_ALLOWED },
        { STR("example.com:0"), DOMAIN_ALLOWED },
        { STR("example.com:080"), DOMAIN_ALLOWED },
        { STR("example.com:65536"), DOMAIN_ALLOWED },
        { STR("example.com:443x"), DOMAIN_ALLOWED },
        { STR("example.com:+1"), DOMAIN_ALLOWED },
        { STR("::1"), DOMAIN_ALLOWED },
        { STR("2001:db8::1"), DOMAIN_ALLOWED },
        { STR("[::1"), DOMAIN_ALLOWED },
        { STR("[::1]443"), DOMAIN_ALLOWED },
        { STR("[::1]:"), DOMAIN_ALLOWED },
        { STR("[example.com]"), DOMAIN_ALLOWED },
        { STR("[]"), DOMAIN_ALLOWED },
        { STR("[%eth0]"), DOMAIN_ALLOWED },
        { STR("*.[::1]"), DOMAIN_ALLOWED },
        { STR("exa mple.com"), DOMAIN_ALLOWED },
        { STR("b\xc3\xbc"
              "cher.example"),
          DOMAIN_ALLOWED },
        { STR("a\0.example.com"), DOMAIN_ALLOWED },
        { STR("user@example.com"), DOMAIN_ALLOWED },
        { STR("999.1.1.1"), DOMAIN_DENIED },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct domain_pattern p;
        print_message("%.*s\n", STR_ARGS(rows[i].text));
        assert_int_equal(domain_pattern_parse(rows[i].text, rows[i].list, &p, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
        assert_null(p.text);
    }
}

static void patterns_match_what_the_contract_says(void **state)
{
    static const struct {
        const char *pattern, *host;
        uint16_t port;
        bool matches;
    } rows[] = {
        { "example.com", "example.com", 80, true },
        { "example.com", "EXAMPLE.com.", 80, true },
        { "example.com", "www.example.com", 80, false },
        { "example.com", "example.com.evil.org", 80, false },
        { "example.com", "notexample.com", 80, false },
        { "example.com:443", "example.com", 443, true },
        { "example.com:443", "example.com", 80, false },
        { "*.example.com", "www.example.com", 1, true },
        { "*.example.com", "a.b.c.example.com", 1, true },
        { "*.example.com", "example.com", 1, false },
        { "*.example.com", "notexample.com", 1, false },
        { "*.example.com:22", "a.example.com", 23, false },
        { "127.0.0.1", "2130706433", 1, true },
        { "127.0.0.1", "::ffff:127.0.0.1", 1, true },
        { "[::1]", "0:0:0:0:0:0:0:1", 1, true },
        { "[::1]:5", "::1", 6, false },
        { "[::1]", "::2", 1, false },
        { "10.0.0.1", "host.10.example", 1, false },
        { "*", "10.1.2.3", 1, true },
        { "*:22", "any.example", 22, true },
        { "*:22", "any.example", 80, false },
        { "localhost", "localhost", 1, true },
        { "localhost", "a.localhost", 1, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct domain_pattern p;
        struct host h;
        print_message("%s %s\n", rows[i].pattern, rows[i].host);
        assert_int_equal(domain_pattern_parse(str_of(rows[i].pattern), DOMAIN_DENIED, &p, &e), 0);
        assert_int_equal(host_parse(str_of(rows[i].host), &h, &e), 0);
        assert_int_equal(domain_pattern_matches(&p, &h, rows[i].port), rows[i].matches);
        domain_pattern_release(&p);
    }
}

static void address_blocks_hold_their_addresses(void **state)
{
    static const struct {
        const char *block, *address;
        bool has;
    } rows[] = {
        { "10.0.0.0/8", "10.255.0.1", true },
        { "10.0.0.0/8", "11.0.0.0", false },
        { "10.9.9.9/8", "10.0.0.1", true },
        { "192.168.1.128/25", "192.168.1.127", false },
        { "192.168.1.128/25", "192.168.1.129", true },
        { "0.0.0.0/0", "255.1.1.1", true },
        { "0.0.0.0/0", "::1", false },
        { "10.0.0.1", "10.0.0.1", true },
        { "10.0.0.1", "10.0.0.0", false },
        { "10.0.0.1/32", "10.0.0.1", true },
        { "fd00::/8", "fdff::1", true },
        { "fd00::/8", "fc00::1", false },
        { "::1", "::1", true },
        { "::/0", "2001:db8::1", true },
        { "2001:db8::/127", "2001:db8::1", true },
        { "2001:db8::/127", "2001:db8::2", false },
        { "::ffff:10.0.0.0/104", "10.1.1.1", true },
        { "::ffff:10.0.0.1", "10.0.0.1", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct ip_block block;
        struct ip_address address;
        print_message("%s %s\n", rows[i].block, rows[i].address);
        assert_int_equal(ip_block_parse(str_of(rows[i].block), &block, &e), 0);
        assert_true(ip_parse(str_of(rows[i].address), &address));
        assert_int_equal(ip_block_has(&block, &address), rows[i].has);
    }
}

static void bad_address_blocks_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "/8",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0/8",
        "10.0.0.0/8/8",
        "[::1]",
        "fe80::1%eth0",
        "::1/129",
        "example.com",
        "::ffff:10.0.0.0/8",
        "10.0.0.0/ 8",
        "127.1",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct ip_block block;
        print_message("%s\n", rows[i]);
        assert_int_equal(ip_block_parse(str_of(rows[i]), &block, &e), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_have_one_canonical_form),
        cmocka_unit_test(malformed_hosts_are_refused),
        cmocka_unit_test(a_host_has_255_bytes_at_most_and_a_label_63),
        cmocka_unit_test(the_authority_brackets_ipv6_and_leaves_out_the_default_port),
        cmocka_unit_test(patterns_that_the_settings_may_hold),
        cmocka_unit_test(patterns_that_are_refused),
        cmocka_unit_test(patterns_match_what_the_contract_says),
        cmocka_unit_test(address_blocks_hold_their_addresses),
        cmocka_unit_test(bad_address_blocks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
