/* The web tools without a network: addresses, URLs, redirects, pages as text. */
#include "web/address.h"
#include "web/content.h"
#include "web/html.h"
#include "web/location.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cmocka.h>

static bool is_public(const char *text)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_public((struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return address_is_public((struct sockaddr *)&v6);
}

static void only_public_addresses_are_of_the_web(void **state)
{
    static const char *const fine[] = { "1.1.1.1",        "93.184.216.34",    "172.32.0.1",
                                        "100.128.0.1",    "2606:4700::1111",  "2002:0101:0101::1",
                                        "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2001:4860::1" };
    static const char *const bad[] = {
        "127.0.0.1",   "127.8.8.8",        "0.0.0.0",           "10.1.2.3",
        "172.16.0.1",  "172.31.9.9",       "192.168.1.1",       "169.254.169.254",
        "100.64.0.1",  "100.100.100.200",  "198.18.0.1",        "192.0.0.192",
        "224.0.0.1",   "255.255.255.255",  "168.63.129.16",     "::1",
        "::",          "fe80::1",          "fc00::1",           "fd00:ec2::254",
        "ff02::1",     "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "2002:7f00:1::1",
        "2001:db8::1", "2001::1",          "3fff::1",           "::127.0.0.1",
    };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (!is_public(fine[i]))
            fail_msg("%s is public", fine[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (is_public(bad[i]))
            fail_msg("%s is not public", bad[i]);
}

static void a_host_is_read_in_one_way_or_not_at_all(void **state)
{
    static const struct {
        const char *url, *host;
    } rows[] = {
        { "https://example.com", "example.com" },
        { "HTTP://Example.com:8080/a?b", "Example.com" },
        { "http://[::1]/x", "[::1]" },
        { "https://example.com?x", "example.com" },
        { "https://user@example.com/", "" },
        { "https://example.com:99999/", "" },
        { "https://example.com:/", "" },
        { "https://example.com\\@evil.example/", "" },
        { "https://exam ple.com/", "" },
        { "https://", "" },
        { "ftp://example.com/", "" },
        { "javascript:alert(1)", "" },
        { "http://b\xc3\xbc.de/", "" },
        { "http://a\nb/", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str host = location_host(str_of(rows[i].url));
        if (!str_eq(host, str_of(rows[i].host)))
            fail_msg("%s gives '%.*s'", rows[i].url, STR_ARGS(host));
    }
}

static void a_redirect_is_resolved_at_its_page(void **state)
{
    static const struct {
        const char *url, *location, *result; /* NULL: refused */
    } rows[] = {
        { "https://a.example/x/y?q", "https://b.example/", "https://b.example/" },
        { "https://a.example/x/y?q", "//b.example/z", "https://b.example/z" },
        { "https://a.example/x/y?q", "/z", "https://a.example/z" },
        { "https://a.example/x/y?q", "z", "https://a.example/x/z" },
        { "https://a.example/x/y?q", "?r", "https://a.example/x/y?r" },
        { "https://a.example", "z", "https://a.example/z" },
        { "https://a.example/", "/z#part", "https://a.example/z" },
        { "https://a.example/", "file:///etc/passwd", NULL },
        { "https://a.example/", "https://u:p@b.example/", NULL },
        { "https://a.example/", "", NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        bool fine = location_resolve(&out, str_of(rows[i].url), str_of(rows[i].location));
        if (fine != (rows[i].result != NULL) ||
            (fine && !str_eq(buf_str(&out), str_of(rows[i].result))))
            fail_msg("%s at %s gives '%s'", rows[i].location, rows[i].url, buf_text(&out));
    }
}

static void a_page_becomes_what_a_person_reads(void **state)
{
    static const struct {
        const char *page, *text;
    } rows[] = {
        { "<p>Hello,  <b>world</b>!</p>", "Hello, world!" },
        { "<h1>A</h1><p>one</p><p>two</p>", "A\n\none\n\ntwo" },
        { "<ul><li>x<li>y</ul>", "- x\n- y" },
        { "a<br>b", "a\nb" },
        { "a<script>if (1 < 2) x()</script>b", "ab" },
        { "a<STYLE>p{}</STYLE >b", "ab" },
        { "a<!-- <p>no</p> -->b", "ab" },
        { "1 &lt; 2 &amp;&amp; &#x41;&#66; &bogus; &", "1 < 2 && AB &bogus; &" },
        { "<a href=\"x>y\">t</a>", "t" },
        { "a < b", "a < b" },
        { "<p", "" },
        { "<script>never ends", "" },
        { "<!-- never ends", "" },
        { "x\xff", "x\xef\xbf\xbd" },
        { "<table><tr><td>a<td>b</tr><tr><td>c</table>", "a b\nc" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        AUTO_BUF title = { 0 };
        html_text(&out, &title, str_of(rows[i].page));
        if (!str_eq(buf_str(&out), str_of(rows[i].text)))
            fail_msg("%s gives '%s'", rows[i].page, buf_text(&out));
    }
}

static void the_title_is_told_apart(void **state)
{
    AUTO_BUF out = { 0 };
    AUTO_BUF title = { 0 };
    html_text(&out, &title,
              STR("<html><head><title> A &amp;\n B </title></head><body>text</body></html>"));
    assert_string_equal(buf_text(&title), "A & B");
    assert_string_equal(buf_text(&out), "text");
}

static void types_that_are_no_text_are_refused(void **state)
{
    static const struct {
        const char *type;
        bool fine;
    } rows[] = {
        { "text/html; charset=utf-8", true },
        { "TEXT/PLAIN", true },
        { "application/json", true },
        { "application/ld+json", true },
        { "image/png", false },
        { "application/pdf", false },
        { "", true },
        { "image/svg+xml", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        AUTO_BUF title = { 0 };
        assert_int_equal(content_text(&out, &title, str_of(rows[i].type), STR("x")), rows[i].fine);
    }
}

static void what_is_no_utf8_is_read_as_latin(void **state)
{
    AUTO_BUF out = { 0 };
    AUTO_BUF title = { 0 };
    assert_true(content_text(&out, &title, STR("text/plain"), STR("gr\xfc\xdf")));
    assert_string_equal(buf_text(&out), "gr\xc3\xbc\xc3\x9f");
}

static void a_long_text_is_cut_between_characters(void **state)
{
    AUTO_BUF text = { 0 };
    for (int i = 0; i < 10; i++)
        buf_add(&text, STR("\xe2\x82\xac"));
    content_cut(&text, 2); /* 8 bytes: two characters of three */
    assert_true(str_starts(buf_str(&text), STR("\xe2\x82\xac\xe2\x82\xac\n[cut here: 24 bytes")));
    buf_empty(&text);
    buf_add(&text, STR("short"));
    content_cut(&text, 100);
    assert_string_equal(buf_text(&text), "short");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_public_addresses_are_of_the_web),
        cmocka_unit_test(a_host_is_read_in_one_way_or_not_at_all),
        cmocka_unit_test(a_redirect_is_resolved_at_its_page),
        cmocka_unit_test(a_page_becomes_what_a_person_reads),
        cmocka_unit_test(the_title_is_told_apart),
        cmocka_unit_test(types_that_are_no_text_are_refused),
        cmocka_unit_test(what_is_no_utf8_is_read_as_latin),
        cmocka_unit_test(a_long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
