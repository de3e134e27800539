/* What a proxy does with a head: reads its target, writes it anew. */
#include "proto/http1_target.h"
#include "proto/http1_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void targets_are_taken_apart(void **state)
{
    static const struct {
        const char *method, *target;
        enum http1_form form;
        const char *host;
        uint16_t port;
        const char *path;
        bool tls;
    } rows[] = {
        { "GET", "http://a.example/x?y", HTTP1_ABSOLUTE, "a.example", 80, "/x?y", false },
        { "GET", "http://a.example", HTTP1_ABSOLUTE, "a.example", 80, "", false },
        { "GET", "HTTP://A.example:8080/", HTTP1_ABSOLUTE, "A.example", 8080, "/", false },
        { "GET", "http://a.example?q", HTTP1_ABSOLUTE, "a.example", 80, "?q", false },
        { "GET", "https://a.example/", HTTP1_ABSOLUTE, "a.example", 443, "/", true },
        { "GET", "http://[::1]:3000/a", HTTP1_ABSOLUTE, "[::1]", 3000, "/a", false },
        { "GET", "http://[::1]", HTTP1_ABSOLUTE, "[::1]", 80, "", false },
        { "GET", "http://127.1/", HTTP1_ABSOLUTE, "127.1", 80, "/", false },
        { "GET", "http://a.example/@b:c", HTTP1_ABSOLUTE, "a.example", 80, "/@b:c", false },
        { "GET", "http://a.example/..%2f\\x//", HTTP1_ABSOLUTE, "a.example", 80, "/..%2f\\x//",
          false },
        { "GET", "/x?y=http://b.example/", HTTP1_ORIGIN, "", 0, "/x?y=http://b.example/", false },
        { "GET", "//b.example/x", HTTP1_ORIGIN, "", 0, "//b.example/x", false },
        { "OPTIONS", "*", HTTP1_ASTERISK, "", 0, "*", false },
        { "CONNECT", "a.example:443", HTTP1_AUTHORITY, "a.example", 443, "", false },
        { "CONNECT", "[2001:db8::1]:1", HTTP1_AUTHORITY, "[2001:db8::1]", 1, "", false },
        { "CONNECT", "127.0.0.1:65535", HTTP1_AUTHORITY, "127.0.0.1", 65535, "", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct http1_target t;
        print_message("%s\n", rows[i].target);
        assert_int_equal(http1_target_parse(str_of(rows[i].method), str_of(rows[i].target), &t, &e),
                         0);
        assert_int_equal(t.form, rows[i].form);
        assert_true(str_eq(t.host, str_of(rows[i].host)));
        assert_int_equal(t.port, rows[i].port);
        assert_true(str_eq(t.path, str_of(rows[i].path)));
        assert_int_equal(t.tls, rows[i].tls);
    }
}

static void targets_that_can_be_read_in_two_ways_are_refused(void **state)
{
    static const struct {
        const char *method, *target;
    } rows[] = {
        { "GET", "http://a.example#@b.example/" },
        { "GET", "http://a.example/#x" },
        { "GET", "/x#y" },
        { "GET", "http://a.example:/" },
        { "GET", "http://a.example:0/" },
        { "GET", "http://a.example:080/" },
        { "GET", "http://a.example:65536/" },
        { "GET", "http://a.example:8o/" },
        { "GET", "http:/a.example/" },
        { "GET", "http:a.example" },
        { "GET", "//"
                 "\x01" },
        { "GET", "ftp://a.example/" },
        { "GET", "file:///etc/passwd" },
        { "GET", "a.example:443" },
        { "GET", "a.example" },
        { "GET", "*" },
        { "GET", "" },
        { "CONNECT", "a.example" },
        { "CONNECT", "a.example:" },
        { "CONNECT", "a.example:443/" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct http1_target t;
        print_message("%s\n", rows[i].target);
        assert_int_equal(http1_target_parse(str_of(rows[i].method), str_of(rows[i].target), &t, &e),
                         -1);
        assert_int_equal(e.kind, E_INPUT);
    }
}

static void what_stands_in_the_place_of_a_host_is_told_apart(void **state)
{
    static const struct {
        const char *method, *target, *shown;
        enum err_kind kind;
    } rows[] = {
        { "GET", "http://user@a.example/", "a.example", E_DENIED },
        { "GET", "http://user:pw@a.example/", "a.example", E_DENIED },
        { "GET", "http://a.example:80@b.example/", "b.example", E_DENIED },
        { "GET", "http://a.example\\@b.example/", "b.example", E_DENIED },
        { "GET", "http://a.example\\.b.example/", "a.example\\.b.example", E_DENIED },
        { "GET", "http://a.example%00.b.example/", "a.example%00.b.example", E_DENIED },
        { "GET", "https://a%2eexample/", "a%2eexample", E_DENIED },
        { "GET", "http:///x", "", E_DENIED },
        { "GET", "http://:80/", "", E_DENIED },
        { "GET", "http://a.example:80:81/", "a.example:80:81", E_DENIED },
        { "GET", "http://::1/", "::1", E_DENIED },
        { "GET", "http://[::1/", "[::1", E_DENIED },
        { "GET", "http://[::1]x/", "[::1]x", E_DENIED },
        { "GET", "http://[a.example]/", "[a.example]", E_DENIED },
        { "GET", "http://[fe80::1%25eth0]/", "[fe80::1%25eth0]", E_DENIED },
        { "CONNECT", "a%b:443", "a%b", E_DENIED },
        { "CONNECT", ":443", "", E_DENIED },
        { "CONNECT", "/", "/", E_DENIED },
        { "CONNECT", "http://a.example:443", "http://a.example:443", E_DENIED },
        { "CONNECT", "user:pw@a.example:443", "a.example", E_DENIED },
        { "CONNECT", "::1:443", "::1:443", E_DENIED },
        { "CONNECT", "[fe80::1%eth0]:443", "[fe80::1%eth0]", E_DENIED },
        { "GET", "http://a.example:65536/", "a.example", E_INPUT },
        { "CONNECT", "a.example:0", "a.example", E_INPUT },
        { "CONNECT", "a.example", "a.example", E_INPUT },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct http1_target t;
        print_message("%s\n", rows[i].target);
        assert_int_equal(http1_target_parse(str_of(rows[i].method), str_of(rows[i].target), &t, &e),
                         -1);
        assert_int_equal(e.kind, rows[i].kind);
        assert_non_null(t.host.p);
        assert_true(str_eq(t.host, str_of(rows[i].shown)));
    }
}

struct forward_row {
    struct str bytes;
    struct http1_forward how;
    const char *written;
    enum http1_framing framing;
};

static void check_forwards(enum http1_kind kind, const char *method, const struct forward_row *rows,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err e = { 0 };
        struct http1 h;
        size_t used;
        AUTO_BUF out = { 0 };
        print_message("row %zu\n", i);
        http1_init(&h, kind, NULL);
        http1_expect(&h, str_of(method));
        assert_int_equal(http1_feed(&h, rows[i].bytes, &used, &e), HTTP1_HEAD);
        enum http1_framing framing = kind == HTTP1_REQUEST
                                         ? http1_write_request(&out, &h.head, &rows[i].how)
                                         : http1_write_response(&out, &h.head, &rows[i].how);
        assert_string_equal(buf_text(&out), rows[i].written);
        assert_int_equal(framing, rows[i].framing);
        http1_release(&h);
    }
}

static void requests_are_written_from_judged_values(void **state)
{
    static char name[] = "x-drop";
    static char *const drop[] = { name, NULL };
    static const struct forward_row rows[] = {
        { STR("GET http://A.example/x HTTP/1.0\r\nHost: evil.example\r\nAccept: */*\r\n"
              "Proxy-Authorization: Basic c2VjcmV0\r\nProxy-Connection: keep-alive\r\n\r\n"),
          { .target = STR("/x"), .authority = STR("a.example") },
          "GET /x HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n",
          HTTP1_NONE },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 007\r\nX-Drop: 1\r\n"
              "Expect: 100-continue\r\n\r\n"),
          { .target = STR("/"), .authority = STR("a:8080"), .close = true, .drop = drop },
          "POST / HTTP/1.1\r\nHost: a:8080\r\nExpect: 100-continue\r\nContent-Length: 7\r\n"
          "Connection: close\r\n\r\n",
          HTTP1_LENGTH },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nX-Mine: 1\r\n"
              "Connection: content-length, x-mine\r\n\r\n"),
          { .target = STR("/"), .authority = STR("a") },
          "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
          HTTP1_CHUNKED },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n"
              "Trailer: x\r\n\r\n"),
          { .target = STR("http://a/"),
            .authority = STR("a"),
            .proxy_authorization = STR("Basic eA==") },
          "POST http://a/ HTTP/1.1\r\nHost: a\r\nProxy-Authorization: Basic eA==\r\n"
          "Transfer-Encoding: chunked\r\n\r\n",
          HTTP1_CHUNKED },
        { STR("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
              "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"),
          { .target = STR("/ws"), .authority = STR("a"), .upgrade = true },
          "GET /ws HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"
          "Connection: upgrade\r\n\r\n",
          HTTP1_NONE },
        { STR("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
              "Upgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n"),
          { .target = STR("/ws"), .authority = STR("a") },
          "GET /ws HTTP/1.1\r\nHost: a\r\n\r\n",
          HTTP1_NONE },
    };
    check_forwards(HTTP1_REQUEST, "GET", rows, COUNT(rows));
}

static void responses_are_framed_for_the_client(void **state)
{
    static char name[] = "Server";
    static char *const drop[] = { name, NULL };
    static const struct forward_row rows[] = {
        { STR("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\n\r\n"),
          { .peer_minor = 1, .drop = drop },
          "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
          HTTP1_LENGTH },
        { STR("HTTP/1.0 200 OK\r\n\r\n"),
          { .peer_minor = 1 },
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
          HTTP1_CHUNKED },
        { STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
          { .peer_minor = 0 },
          "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
          HTTP1_UNTIL_CLOSE },
        { STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
          { .peer_minor = 0 },
          "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
          HTTP1_LENGTH },
        { STR("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
          { .peer_minor = 1, .close = true },
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
          HTTP1_NONE },
        { STR("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n"),
          { .peer_minor = 1 },
          "HTTP/1.1 204 No Content\r\n\r\n",
          HTTP1_NONE },
        { STR("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
          { .peer_minor = 1, .upgrade = true },
          "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
          HTTP1_NONE },
    };
    check_forwards(HTTP1_RESPONSE, "GET", rows, COUNT(rows));
}

static void bodies_are_framed_anew(void **state)
{
    static const struct {
        enum http1_framing framing;
        const char *written;
    } rows[] = {
        { HTTP1_LENGTH, "hello" },
        { HTTP1_UNTIL_CLOSE, "hello" },
        { HTTP1_CHUNKED, "5\r\nhello\r\n0\r\n\r\n" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF out = { 0 };
        http1_write_body(&out, rows[i].framing, STR(""));
        http1_write_body(&out, rows[i].framing, STR("hello"));
        http1_write_end(&out, rows[i].framing);
        assert_string_equal(buf_text(&out), rows[i].written);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets_are_taken_apart),
        cmocka_unit_test(targets_that_can_be_read_in_two_ways_are_refused),
        cmocka_unit_test(what_stands_in_the_place_of_a_host_is_told_apart),
        cmocka_unit_test(requests_are_written_from_judged_values),
        cmocka_unit_test(responses_are_framed_for_the_client),
        cmocka_unit_test(bodies_are_framed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
