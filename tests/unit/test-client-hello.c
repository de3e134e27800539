#include "proto/client_hello.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define RANDOM "0123456789abcdef0123456789abcdef"
#define SUITES "\x00\x04\x13\x01\x13\x02\x01\x00"
#define SNI                                                                                        \
    "\x00\x00\x00\x0e\x00\x0c\x00\x00\x09"                                                         \
    "a.example"
#define VERSIONS "\x00\x2b\x00\x03\x02\x03\x04"
#define ECH "\xfe\x0d\x00\x01\x00"

/* A ClientHello with these extensions, its message cut into records of `record` bytes. */
static void hello_write(struct buf *out, struct str extensions, size_t record)
{
    AUTO_BUF body = { 0 };
    AUTO_BUF message = { 0 };
    buf_add(&body, STR("\x03\x03" RANDOM "\x00" SUITES));
    buf_add_byte(&body, (char)(extensions.n >> 8));
    buf_add_byte(&body, (char)extensions.n);
    buf_add(&body, extensions);
    buf_add_byte(&message, 1);
    buf_add_byte(&message, (char)(body.n >> 16));
    buf_add_byte(&message, (char)(body.n >> 8));
    buf_add_byte(&message, (char)body.n);
    buf_add(&message, buf_str(&body));
    for (struct str rest = buf_str(&message); rest.n;) {
        struct str piece = { rest.p, rest.n < record ? rest.n : record };
        rest = str_skip(rest, piece.n);
        buf_add(out, STR("\x16\x03\x01"));
        buf_add_byte(out, (char)(piece.n >> 8));
        buf_add_byte(out, (char)piece.n);
        buf_add(out, piece);
    }
}

/* Whatever comes of the whole, every shorter piece says the same or asks for more. */
static void check(struct str bytes, enum client_hello_verdict verdict, const char *name, bool ech)
{
    bool decided = false;
    for (size_t n = 0; n <= bytes.n; n++) {
        struct client_hello hello;
        char *exact = mem_get(n); /* so that a sanitizer sees a read beyond the end */
        memcpy(exact, bytes.p, n);
        enum client_hello_verdict v = client_hello_read((struct str){ exact, n }, &hello);
        free(exact);
        if (v == CLIENT_HELLO_MORE) {
            assert_false(decided);
            continue;
        }
        decided = true;
        assert_int_equal(v, verdict);
        assert_string_equal(hello.name, name);
        assert_int_equal(hello.ech, ech);
    }
    assert_int_equal(decided, verdict != CLIENT_HELLO_MORE);
}

static void greetings_are_read_over_any_records(void **state)
{
    static const struct {
        struct str extensions;
        const char *name;
        bool ech;
    } rows[] = {
        { STR(""), "", false },
        { STR(VERSIONS), "", false },
        { STR(SNI), "a.example", false },
        { STR(VERSIONS SNI), "a.example", false },
        { STR(SNI ECH), "a.example", true },
        { STR(ECH), "", true },
        { STR("\x00\x00\x00\x06\x00\x04\x00\x00\x01X"), "X", false },
    };
    static const size_t records[] = { 16384, 100, 7, 1 };
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t k = 0; k < COUNT(records); k++) {
            AUTO_BUF bytes = { 0 };
            print_message("row %zu records of %zu\n", i, records[k]);
            hello_write(&bytes, rows[i].extensions, records[k]);
            check(buf_str(&bytes), CLIENT_HELLO_READ, rows[i].name, rows[i].ech);
            buf_add(&bytes, STR("\x14\x03\x03\x00\x01\x01"));
            check(buf_str(&bytes), CLIENT_HELLO_READ, rows[i].name, rows[i].ech);
        }
}

static void malformed_extensions_are_refused(void **state)
{
    static const struct str rows[] = {
        STR("\x00"),
        STR("\x00\x2b\x00\x04\x02\x03\x04"),
        STR(SNI SNI),
        STR(ECH ECH),
        STR("\x00\x00\x00\x00"),
        STR("\x00\x00\x00\x02\x00\x00"),
        STR("\x00\x00\x00\x05\x00\x03\x00\x00\x00"),
        STR("\x00\x00\x00\x06\x00\x04\x01\x00\x01X"),
        STR("\x00\x00\x00\x06\x00\x04\x00\x00\x02X"),
        STR("\x00\x00\x00\x06\x00\x04\x00\x00\x01\x00"),
        STR("\x00\x00\x00\x06\x00\x04\x00\x00\x01 "),
        STR("\x00\x00\x00\x06\x00\x04\x00\x00\x01\xe4"),
        STR("\x00\x00\x00\x06\x00\x05\x00\x00\x01X"),
        STR("\x00\x00\x00\x07\x00\x04\x00\x00\x01X."),
        STR("\x00\x00\x00\x0a\x00\x08\x00\x00\x01X\x00\x00\x01Y"),
        STR("\x00\x00\x00\x0a\x00\x08\x00\x00\x05::1%x"),
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF bytes = { 0 };
        print_message("row %zu\n", i);
        hello_write(&bytes, rows[i], 16384);
        check(buf_str(&bytes), CLIENT_HELLO_BAD, "", false);
    }
}

static void other_first_bytes_are_told_apart(void **state)
{
    static const struct {
        const char *what;
        struct str bytes;
        enum client_hello_verdict verdict;
    } rows[] = {
        { "nothing", STR(""), CLIENT_HELLO_MORE },
        { "one byte", STR("\x16"), CLIENT_HELLO_MORE },
        { "HTTP", STR("GET / HTTP/1.1\r\n"), CLIENT_HELLO_NOT_TLS },
        { "SSH", STR("SSH-2.0-x\r\n"), CLIENT_HELLO_NOT_TLS },
        { "alert", STR("\x15\x03\x03\x00\x02\x01\x00"), CLIENT_HELLO_NOT_TLS },
        { "another protocol that starts with 0x16", STR("\x16\x00"), CLIENT_HELLO_NOT_TLS },
        { "version 3.5", STR("\x16\x03\x05\x00\x10"), CLIENT_HELLO_BAD },
        { "empty record", STR("\x16\x03\x01\x00\x00"), CLIENT_HELLO_BAD },
        { "record too long", STR("\x16\x03\x01\x40\x01"), CLIENT_HELLO_BAD },
        { "ServerHello", STR("\x16\x03\x01\x00\x10\x02"), CLIENT_HELLO_BAD },
        { "message too long", STR("\x16\x03\x01\x00\x10\x01\x00\x3f\xfd"), CLIENT_HELLO_BAD },
        { "message shorter than its record", STR("\x16\x03\x01\x00\x10\x01\x00\x00\x08"),
          CLIENT_HELLO_BAD },
        { "another record inside", STR("\x16\x03\x01\x00\x01\x01\x17"), CLIENT_HELLO_BAD },
        { "empty message", STR("\x16\x03\x01\x00\x04\x01\x00\x00\x00"), CLIENT_HELLO_BAD },
        { "session id too long",
          STR("\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x03" RANDOM "\x21"
              "aaaaa"),
          CLIENT_HELLO_BAD },
        { "no extensions",
          STR("\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x01" RANDOM "\x00\x00\x02\x00\x2f\x01\x00"),
          CLIENT_HELLO_READ },
        { "odd cipher suites",
          STR("\x16\x03\x01\x00\x2c\x01\x00\x00\x28\x03\x01" RANDOM "\x00\x00\x01\x2f\x01\x00"),
          CLIENT_HELLO_BAD },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        print_message("%s\n", rows[i].what);
        check(rows[i].bytes, rows[i].verdict, "", false);
    }
}

static void a_greeting_has_an_upper_bound(void **state)
{
    struct client_hello hello;
    AUTO_BUF padding = { 0 };
    AUTO_BUF bytes = { 0 };
    buf_add(&padding, STR("\x00\x15\x3f\x00"));
    for (int i = 0; i < 0x3f00; i++)
        buf_add_byte(&padding, 0);
    buf_add(&padding, STR(SNI));
    hello_write(&bytes, buf_str(&padding), 16384);
    assert_int_equal(client_hello_read(buf_str(&bytes), &hello), CLIENT_HELLO_READ);
    assert_string_equal(hello.name, "a.example");
    buf_empty(&bytes);
    hello_write(&bytes, buf_str(&padding), 8); /* its records make it longer than we wait for */
    assert_int_equal(client_hello_read(buf_str(&bytes), &hello), CLIENT_HELLO_BAD);
    assert_int_equal(client_hello_read((struct str){ bytes.p, CLIENT_HELLO_BYTES_MAX - 1 }, &hello),
                     CLIENT_HELLO_MORE);
    assert_int_equal(client_hello_read((struct str){ bytes.p, CLIENT_HELLO_BYTES_MAX }, &hello),
                     CLIENT_HELLO_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greetings_are_read_over_any_records),
        cmocka_unit_test(malformed_extensions_are_refused),
        cmocka_unit_test(other_first_bytes_are_told_apart),
        cmocka_unit_test(a_greeting_has_an_upper_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
