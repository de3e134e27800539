#include "proto/http1.h"

#include "base/buf.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define HOST "Host: a.example\r\n"

static void trace_head(struct buf *trace, const struct http1_head *head)
{
    static const char *const framings[] = { "none", "length", "chunked", "close" };
    if (head->status)
        buf_addf(trace, "%d %.*s", head->status, STR_ARGS(head->reason));
    else
        buf_addf(trace, "%.*s %.*s", STR_ARGS(head->method), STR_ARGS(head->target));
    buf_addf(trace, " 1.%d %s", head->minor, framings[head->framing]);
    if (head->length)
        buf_addf(trace, "=%" PRIu64, head->length);
    buf_addf(trace, "%s%s", head->keep_alive ? " keep" : "", head->upgrade ? " upgrade" : "");
    for (size_t i = 0; i < head->count; i++)
        buf_addf(trace, "|%.*s=%.*s", STR_ARGS(head->fields[i].name),
                 STR_ARGS(head->fields[i].value));
    buf_add(trace, STR("\n"));
}

/* Reads all messages in pieces of `cut` bytes and writes down what happened. Neighbouring pieces of
 * a body are one. Returns how many bytes the reader took. */
static size_t read_all(struct http1 *h, struct str bytes, size_t cut, struct buf *trace)
{
    struct err e = { 0 };
    size_t taken = 0, used;
    bool in_body = false;
    while (bytes.n) {
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        bytes = str_skip(bytes, piece.n);
        int event;
        while ((event = http1_feed(h, piece, &used, &e)) > HTTP1_MORE) {
            piece = str_skip(piece, used);
            taken += used;
            if (in_body && event != HTTP1_BODY)
                buf_add(trace, STR("\n"));
            in_body = event == HTTP1_BODY;
            if (event == HTTP1_HEAD)
                trace_head(trace, &h->head);
            else if (event == HTTP1_BODY)
                buf_add(trace, h->body);
            else if (event == HTTP1_END && h->head.upgrade)
                return buf_add(trace, STR("upgraded\n")), taken;
            else {
                buf_add(trace, STR("end\n"));
                http1_next(h);
            }
        }
        if (event < 0) {
            buf_addf(trace, "%s%s\n", in_body ? "\n" : "", err_name(e.kind));
            return taken;
        }
        taken += used;
        assert_int_equal(used, piece.n);
    }
    int event = http1_eof(h, &e);
    if (in_body)
        buf_add(trace, STR("\n"));
    if (event != HTTP1_MORE)
        buf_addf(trace, "%s\n", event == HTTP1_END ? "end" : "cut");
    return taken;
}

/* Reads `bytes` whole, byte by byte and in threes; every way must tell `expected`. */
static void check(enum http1_kind kind, const char *method, struct str bytes, const char *expected)
{
    static const size_t cuts[] = { SIZE_MAX, 1, 3 };
    for (size_t i = 0; i < COUNT(cuts); i++) {
        struct http1 h;
        AUTO_BUF trace = { 0 };
        http1_init(&h, kind, NULL);
        if (method)
            http1_expect(&h, str_of(method));
        read_all(&h, bytes, cuts[i], &trace);
        assert_string_equal(buf_text(&trace), expected);
        http1_release(&h);
        assert_int_equal(http1_memory(&h), 0);
    }
}

static void requests_are_read(void **state)
{
    static const struct {
        struct str bytes;
        const char *expected;
    } rows[] = {
        { STR("GET / HTTP/1.1\r\n" HOST "\r\n"), "GET / 1.1 none keep|Host=a.example\nend\n" },
        { STR("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "GET / 1.1 none keep|Host=a.example\nend\n" },
        { STR("GET http://a.example:8080/x?y=1 HTTP/1.1\r\n" HOST "\r\n"),
          "GET http://a.example:8080/x?y=1 1.1 none keep|Host=a.example\nend\n" },
        { STR("GET / HTTP/1.0\r\n\r\n"), "GET / 1.0 none\nend\n" },
        { STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"),
          "GET / 1.0 none keep|Connection=Keep-Alive\nend\n" },
        { STR("GET / HTTP/1.1\r\n" HOST "Connection: x, close\r\n\r\n"),
          "GET / 1.1 none|Host=a.example|Connection=x, close\nend\n" },
        { STR("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"),
          "OPTIONS * 1.1 none keep|Host=a.example\nend\n" },
        { STR("GET / HTTP/1.1\r\nHost:a.example:80 \t \r\nX-Empty:\r\nX-Tab: a\tb\r\n"
              "X-Latin: \xe4\xff\r\n\r\n"),
          "GET / 1.1 none keep|Host=a.example:80|X-Empty=|X-Tab=a\tb|X-Latin=\xe4\xff\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello"),
          "POST / 1.1 length=5 keep|Host=a.example|Content-Length=5\nhello\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n"),
          "POST / 1.1 length keep|Host=a.example|Content-Length=0\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n"
              "5\r\nhello\r\n6;a=\"b\";c\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n"),
          "POST / 1.1 chunked keep|Host=a.example|Transfer-Encoding=Chunked\nhello world\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
          "POST / 1.1 chunked keep|Host=a.example|Transfer-Encoding=chunked\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\n" HOST
              "\r\n"),
          "POST / 1.1 length=3 keep|Host=a.example|Content-Length=3\nabc\nend\n"
          "GET /2 1.1 none keep|Host=a.example\nend\n" },
        { STR("CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n\x16\x03\x01"),
          "CONNECT a.example:443 1.1 none keep upgrade|Host=a.example\nupgraded\n" },
        { STR("CONNECT [::1]:443 HTTP/1.1\r\n\r\n"),
          "CONNECT [::1]:443 1.1 none keep upgrade\nupgraded\n" },
        { STR("CONNECT a.example:443 HTTP/1.0\r\n\r\n"),
          "CONNECT a.example:443 1.0 none upgrade\nupgraded\n" },
        { STR("GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81"),
          "GET /ws 1.1 none keep upgrade|Host=a.example|Connection=Upgrade|Upgrade=websocket\n"
          "upgraded\n" },
        { STR("GET / HTTP/1.1\r\n" HOST "Upgrade: h2c\r\n\r\n"),
          "GET / 1.1 none keep|Host=a.example|Upgrade=h2c\nend\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: x\r\n"
              "Content-Length: 2\r\n\r\nab\x81"),
          "POST / 1.1 length=2 keep upgrade|Host=a.example|Connection=upgrade|Upgrade=x"
          "|Content-Length=2\nab\nupgraded\n" },
        { STR("GET / HTTP/1.1\r\nHost: a"), "cut\n" },
        { STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhel"),
          "POST / 1.1 length=5 keep|Host=a.example|Content-Length=5\nhel\ncut\n" },
        { STR("\r\n"), "" },
        { STR(""), "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("row %zu\n", i);
        check(HTTP1_REQUEST, NULL, rows[i].bytes, rows[i].expected);
    }
}

static void responses_are_read(void **state)
{
    static const struct {
        const char *method;
        struct str bytes;
        const char *expected;
    } rows[] = {
        { "GET", STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
          "200 OK 1.1 length=2 keep|Content-Length=2\nhi\nend\n" },
        { "GET", STR("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
          "200  1.1 length keep|Content-Length=0\nend\n" },
        { "GET", STR("HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n"),
          "404  1.1 length keep|Content-Length=0\nend\n" },
        { "GET",
          STR("HTTP/1.1 200 Gr\xfc\xdf dich\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n0\r\n\r\n"),
          "200 Gr\xfc\xdf dich 1.1 chunked keep|Transfer-Encoding=chunked\nabc\nend\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\n\r\nuntil the end"),
          "200 OK 1.1 close\nuntil the end\nend\n" },
        { "GET", STR("HTTP/1.0 200 OK\r\n\r\n"), "200 OK 1.0 close\nend\n" },
        { "HEAD", STR("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
          "200 OK 1.1 none=99 keep|Content-Length=99\nend\n" },
        { "HEAD", STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
          "200 OK 1.1 none keep|Transfer-Encoding=chunked\nend\n" },
        { "GET", STR("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
          "304 Not Modified 1.1 none=99 keep|Content-Length=99\nend\n" },
        { "GET", STR("HTTP/1.1 204 No Content\r\n\r\n"), "204 No Content 1.1 none keep\nend\n" },
        { "GET", STR("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
          "204 No Content 1.1 none=5|Content-Length=5\nend\n" },
        { "GET", STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
          "100 Continue 1.1 none keep\nend\n200 OK 1.1 length=1 keep|Content-Length=1\nx\nend\n" },
        { "GET",
          STR("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
              "Upgrade: websocket\r\n\r\n\x81"),
          "101 Switching Protocols 1.1 none keep upgrade|Connection=upgrade|Upgrade=websocket\n"
          "upgraded\n" },
        { "CONNECT", STR("HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0"),
          "200 Connection established 1.1 none keep upgrade\nupgraded\n" },
        { "CONNECT", STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nSSH-2.0"),
          "200 OK 1.1 none=5 keep upgrade|Content-Length=5\nupgraded\n" },
        { "CONNECT", STR("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno"),
          "407 No 1.1 length=2 keep|Content-Length=2\nno\nend\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"),
          "200 OK 1.1 chunked keep|Transfer-Encoding=chunked\nab\ncut\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nContent-Len"), "cut\n" },
        { "GET", STR("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
          "invalid_request\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
          "invalid_request\n" },
        { "GET", STR("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
          "invalid_request\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
          "invalid_request\n" },
        { "GET", STR("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 099 No\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 600 No\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 2000 No\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/2.0 200 OK\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1  200 OK\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 200 OK\r\nA b: c\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("HTTP/1.1 200 O\x01K\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("\r\nHTTP/1.1 200 OK\r\n\r\n"), "invalid_request\n" },
        { "GET", STR("hello\r\n\r\n"), "invalid_request\n" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("row %zu\n", i);
        check(HTTP1_RESPONSE, rows[i].method, rows[i].bytes, rows[i].expected);
    }
}

/* Every row is refused before a single byte of it could be forwarded. */
static void malformed_heads_are_refused(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
    } rows[] = {
        { "bare LF after the request line", STR("GET / HTTP/1.1\n" HOST "\r\n") },
        { "bare LF after a field", STR("GET / HTTP/1.1\r\nHost: a.example\n\r\n") },
        { "bare LF as the empty line", STR("GET / HTTP/1.1\r\n" HOST "\n") },
        { "bare CR in a value", STR("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n") },
        { "bare CR as a line end", STR("GET / HTTP/1.1\r\n" HOST "X: a\rY: b\r\n\r\n") },
        { "CR CR LF", STR("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n\r\n") },
        { "folded with a space", STR("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n") },
        { "folded with a tab", STR("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n") },
        { "folded Transfer-Encoding",
          STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n") },
        { "blank before the first field", STR("GET / HTTP/1.1\r\n Host: a.example\r\n\r\n") },
        { "no Host", STR("GET / HTTP/1.1\r\nX: a\r\n\r\n") },
        { "two Hosts", STR("GET / HTTP/1.1\r\n" HOST "Host: b.example\r\n\r\n") },
        { "the same Host twice", STR("GET / HTTP/1.1\r\n" HOST HOST "\r\n") },
        { "two Hosts in HTTP/1.0", STR("GET / HTTP/1.0\r\n" HOST "host: b.example\r\n\r\n") },
        { "two Hosts with CONNECT", STR("CONNECT a.example:1 HTTP/1.1\r\n" HOST HOST "\r\n") },
        { "empty Host", STR("GET / HTTP/1.1\r\nHost:\r\n\r\n") },
        { "list as Host", STR("GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n") },
        { "user information in Host", STR("GET / HTTP/1.1\r\nHost: a@b.example\r\n\r\n") },
        { "path in Host", STR("GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n") },
        { "bad port in Host", STR("GET / HTTP/1.1\r\nHost: a.example:0x50\r\n\r\n") },
        { "blank before the colon", STR("GET / HTTP/1.1\r\nHost : a.example\r\n\r\n") },
        { "blank in a field name", STR("GET / HTTP/1.1\r\n" HOST "X Y: a\r\n\r\n") },
        { "empty field name", STR("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n") },
        { "field without colon", STR("GET / HTTP/1.1\r\n" HOST "XYZ\r\n\r\n") },
        { "slash in a field name", STR("GET / HTTP/1.1\r\n" HOST "X/Y: a\r\n\r\n") },
        { "high byte in a field name", STR("GET / HTTP/1.1\r\n" HOST "X\xe4: a\r\n\r\n") },
        { "NUL in a field name", STR("GET / HTTP/1.1\r\n" HOST "X\0: a\r\n\r\n") },
        { "NUL in a value", STR("GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n") },
        { "control character in a value", STR("GET / HTTP/1.1\r\n" HOST "X: \x01\r\n\r\n") },
        { "vertical tab in a value", STR("GET / HTTP/1.1\r\n" HOST "X: a\x0b\r\n\r\n") },
        { "DEL in a value", STR("GET / HTTP/1.1\r\n" HOST "X: \x7f\r\n\r\n") },
        { "NUL in the target", STR("GET /\0 HTTP/1.1\r\n" HOST "\r\n") },
        { "tab in the target", STR("GET /\tx HTTP/1.1\r\n" HOST "\r\n") },
        { "high byte in the target", STR("GET /\xe4 HTTP/1.1\r\n" HOST "\r\n") },
        { "two blanks before the target", STR("GET  / HTTP/1.1\r\n" HOST "\r\n") },
        { "two blanks before the version", STR("GET /  HTTP/1.1\r\n" HOST "\r\n") },
        { "blank behind the version", STR("GET / HTTP/1.1 \r\n" HOST "\r\n") },
        { "tab in the request line", STR("GET\t/ HTTP/1.1\r\n" HOST "\r\n") },
        { "blank in the target", STR("GET /a b HTTP/1.1\r\n" HOST "\r\n") },
        { "blank before the method", STR(" GET / HTTP/1.1\r\n" HOST "\r\n") },
        { "two empty lines first", STR("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n") },
        { "only empty lines", STR("\r\n\r\n") },
        { "no version", STR("GET /\r\n\r\n") },
        { "no target", STR("GET  HTTP/1.1\r\n" HOST "\r\n") },
        { "lower case method", STR("get / HTTP/1.1\r\n" HOST "\r\n") },
        { "unknown method", STR("GOT / HTTP/1.1\r\n" HOST "\r\n") },
        { "method of RTSP", STR("DESCRIBE / HTTP/1.1\r\n" HOST "\r\n") },
        { "protocol of RTSP", STR("OPTIONS / RTSP/1.0\r\n" HOST "\r\n") },
        { "protocol of ICE", STR("SOURCE / ICE/1.0\r\n" HOST "\r\n") },
        { "HTTP/0.9", STR("GET / HTTP/0.9\r\n" HOST "\r\n") },
        { "HTTP/1.2", STR("GET / HTTP/1.2\r\n" HOST "\r\n") },
        { "HTTP/1.10", STR("GET / HTTP/1.10\r\n" HOST "\r\n") },
        { "HTTP/2.0", STR("GET / HTTP/2.0\r\n" HOST "\r\n") },
        { "preface of HTTP/2", STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") },
        { "lower case http", STR("GET / http/1.1\r\n" HOST "\r\n") },
        { "TE and CL", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                           "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { "CL and TE", STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
                           "Content-Length: 0\r\n\r\n0\r\n\r\n") },
        { "TE in HTTP/1.0",
          STR("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") },
        { "TE twice", STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
                          "Transfer-Encoding: identity\r\n\r\n") },
        { "chunked twice",
          STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n") },
        { "TE with another coding",
          STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n") },
        { "chunked not last",
          STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, identity\r\n\r\n") },
        { "xchunked", STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n") },
        { "quoted chunked",
          STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n") },
        { "empty TE", STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n") },
        { "vertical tab before chunked", STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
                                             "chunked\r\n\r\n") },
        { "two lengths", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                             "Content-Length: 4\r\n\r\nabcd") },
        { "the same length twice", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                                       "Content-Length: 3\r\n\r\nabc") },
        { "list of lengths", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc") },
        { "signed length", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc") },
        { "negative length", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n") },
        { "hexadecimal length", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x3\r\n\r\nabc") },
        { "empty length", STR("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n") },
        { "length with a blank", STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 1 2\r\n\r\n") },
        { "length beyond 64 bits",
          STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n") },
        { "length beyond 63 bits",
          STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n") },
        { "CONNECT with a body",
          STR("CONNECT a.example:1 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc") },
        { "CONNECT in chunks",
          STR("CONNECT a.example:1 HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n") },
        { "Connection that is no list of tokens",
          STR("GET / HTTP/1.1\r\n" HOST "Connection: a b\r\n\r\n") },
        { "SOCKS4", STR("\x04\x01\x00\x50\x7f\x00\x00\x01\x00") },
        { "TLS", STR("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("%s\n", rows[i].what);
        check(HTTP1_REQUEST, NULL, rows[i].bytes, "invalid_request\n");
    }
}

static void malformed_chunks_are_refused(void **state)
{
    static const struct str rows[] = {
        STR("x\r\n"),
        STR("\r\n"),
        STR(" 3\r\nabc\r\n"),
        STR("-1\r\n"),
        STR("0x3\r\nabc\r\n"),
        STR("ffffffffffffffff1\r\n"),
        STR("3\nabc\r\n"),
        STR("3\r\nabcd\r\n"),
        STR("3\r\nabc\n"),
        STR("3\r\nabcX\n0\r\n\r\n"),
        STR("3\r\nabc\r\r\n"),
        STR("3;a\nb\r\nabc\r\n"),
        STR("3;a\x01\r\nabc\r\n"),
        STR("3;a\rb\r\nabc\r\n"),
        STR("0\r\nX: a\nY: b\r\n\r\n"),
        STR("0\r\nX: a\r\n b\r\n\r\n"),
        STR("0\r\nX Y: a\r\n\r\n"),
        STR("0\r\n\n"),
        STR("0\n\r\n"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static const size_t cuts[] = { SIZE_MAX, 1 };
        for (size_t k = 0; k < COUNT(cuts); k++) {
            AUTO_BUF bytes = { 0 };
            AUTO_BUF trace = { 0 };
            struct http1 h;
            print_message("row %zu\n", i);
            buf_add(&bytes, STR("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"));
            buf_add(&bytes, rows[i]);
            http1_init(&h, HTTP1_REQUEST, NULL);
            read_all(&h, buf_str(&bytes), cuts[k], &trace);
            assert_true(str_ends(buf_str(&trace), STR("\ninvalid_request\n")));
            http1_release(&h);
        }
    }
}

static void a_head_beyond_its_limits_is_refused_as_too_large(void **state)
{
    static const struct http1_limits limits = { 100, 3, 20 };
    static const struct {
        struct str bytes;
        const char *last;
    } rows[] = {
        { STR("GET / HTTP/1.0\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"), "\nend\n" },
        { STR("GET / HTTP/1.0\r\nA: b\r\nA: b\r\nA: b\r\nA: b\r\n\r\n"), "overloaded\n" },
        { STR("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              " HTTP/1.0\r\n\r\n"),
          "overloaded\n" },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1;eeeeeeeeeeeeee\r\nx\r\n0\r\n\r\n"),
          "x\nend\n" },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1;eeeeeeeeeeeeeeeeeee\r\nx\r\n0\r\n\r\n"),
          "overloaded\n" },
        { STR("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
              "1\r\nx\r\n0\r\nA: bbbbbbbbbbbbb\r\n\r\n"),
          "overloaded\n" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        static const size_t cuts[] = { SIZE_MAX, 1 };
        for (size_t k = 0; k < COUNT(cuts); k++) {
            AUTO_BUF trace = { 0 };
            struct http1 h;
            print_message("row %zu\n", i);
            http1_init(&h, HTTP1_REQUEST, &limits);
            read_all(&h, rows[i].bytes, cuts[k], &trace);
            assert_true(str_ends(buf_str(&trace), str_of(rows[i].last)));
            http1_release(&h);
        }
    }
}

static void an_endless_head_holds_no_more_than_the_limit(void **state)
{
    struct http1 h;
    struct err e = { 0 };
    size_t used, most = 0;
    http1_init(&h, HTTP1_REQUEST, NULL);
    assert_int_equal(http1_feed(&h, STR("GET / HTTP/1.1\r\nX: "), &used, &e), HTTP1_MORE);
    int event = HTTP1_MORE;
    for (size_t i = 0; i < 10000 && event == HTTP1_MORE; i++) {
        event = http1_feed(&h, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &used, &e);
        most = http1_memory(&h) > most ? http1_memory(&h) : most;
    }
    assert_int_equal(event, -1);
    assert_int_equal(e.kind, E_BUSY);
    assert_true(most < (64 << 10) + 1024);
    assert_int_equal(http1_memory(&h), 0);
    assert_int_equal(http1_feed(&h, STR("GET"), &used, &e), -1);
    http1_release(&h);
}

static void many_connection_options_are_refused(void **state)
{
    AUTO_BUF bytes = { 0 };
    buf_add(&bytes, STR("GET / HTTP/1.1\r\n" HOST "Connection: "));
    for (int i = 0; i < 70; i++)
        buf_add(&bytes, STR("a,"));
    buf_add(&bytes, STR("a\r\n\r\n"));
    check(HTTP1_REQUEST, NULL, buf_str(&bytes), "invalid_request\n");
}

static void bytes_behind_a_message_are_not_touched(void **state)
{
    static const struct str first = STR("POST / HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab");
    struct http1 h;
    struct err e = { 0 };
    size_t used;
    AUTO_BUF bytes = { 0 };
    buf_add(&bytes, first);
    buf_add(&bytes, STR("\x01\x02 whatever"));
    http1_init(&h, HTTP1_REQUEST, NULL);
    struct str rest = buf_str(&bytes);
    assert_int_equal(http1_feed(&h, rest, &used, &e), HTTP1_HEAD);
    rest = str_skip(rest, used);
    assert_true(str_starts(rest, STR("ab")));
    assert_string_equal(h.head.method.p ? "there" : "gone", "there");
    assert_int_equal(http1_feed(&h, rest, &used, &e), HTTP1_BODY);
    assert_int_equal(used, 2);
    rest = str_skip(rest, used);
    assert_int_equal(http1_feed(&h, rest, &used, &e), HTTP1_END);
    assert_int_equal(used, 0);
    assert_int_equal(http1_feed(&h, rest, &used, &e), HTTP1_END);
    assert_int_equal(used, 0);
    http1_release(&h);
}

static void fields_of_one_hop_are_known(void **state)
{
    struct http1 h;
    struct err e = { 0 };
    size_t used;
    http1_init(&h, HTTP1_REQUEST, NULL);
    struct str bytes = STR("GET / HTTP/1.1\r\n" HOST "Connection: close , X-Secret\r\n"
                           "connection: ,Y\r\nX-Secret: 1\r\nX-Kept: 1\r\n\r\n");
    assert_int_equal(http1_feed(&h, bytes, &used, &e), HTTP1_HEAD);
    static const char *const gone[] = {
        "connection", "Proxy-Authorization", "proxy-connection",  "TE",
        "Trailer",    "transfer-encoding",   "Upgrade",           "x-secret",
        "y",          "Keep-Alive",          "Proxy-Authenticate"
    };
    for (size_t i = 0; i < COUNT(gone); i++)
        assert_true(http1_is_hop_by_hop(&h.head, str_of(gone[i])));
    assert_false(http1_is_hop_by_hop(&h.head, STR("X-Kept")));
    assert_false(http1_is_hop_by_hop(&h.head, STR("Authorization")));
    assert_true(str_eq(http1_field(&h.head, STR("x-kept")), STR("1")));
    assert_null(http1_field(&h.head, STR("absent")).p);
    http1_release(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read),
        cmocka_unit_test(responses_are_read),
        cmocka_unit_test(malformed_heads_are_refused),
        cmocka_unit_test(malformed_chunks_are_refused),
        cmocka_unit_test(a_head_beyond_its_limits_is_refused_as_too_large),
        cmocka_unit_test(an_endless_head_holds_no_more_than_the_limit),
        cmocka_unit_test(many_connection_options_are_refused),
        cmocka_unit_test(bytes_behind_a_message_are_not_touched),
        cmocka_unit_test(fields_of_one_hop_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
