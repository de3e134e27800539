/* Claims of proto/dbus.h: what is written is what the specification says, and what is read is bounded
 * and whole. */
#include "proto/dbus.h"

#include "sandbox/cgroup_scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define BYTES(literal) ((struct str){ literal, sizeof(literal) - 1 })

static void a_greeting_names_the_user(void **state)
{
    AUTO_BUF out = { 0 };
    dbus_put_greeting(&out, 1000);
    dbus_put_begin(&out);
    assert_true(str_eq(buf_str(&out), BYTES("\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n")));
}

static void only_ok_lets_us_in(void **state)
{
    static const struct {
        const char *line;
        int verdict;
    } rows[] = { { "OK 1234\r\nmore", 1 },
                 { "OK \r\n", 1 },
                 { "OK 1234\r", 0 },
                 { "", 0 },
                 { "OK 1\n", -1 },
                 { "REJECTED EXTERNAL\r\n", -1 },
                 { "ERROR\r\n", -1 },
                 { "OKAY 1\r\n", -1 },
                 { "\n", -1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e;
        size_t taken = 0;
        if (dbus_read_greeting(str_of(rows[i].line), &taken, &e) != rows[i].verdict)
            fail_msg("'%s'", rows[i].line);
    }
    char long_line[600];
    struct err e;
    size_t taken;
    memset(long_line, 'O', sizeof long_line);
    assert_int_equal(dbus_read_greeting((struct str){ long_line, 600 }, &taken, &e), -1);
}

static void a_call_is_laid_out_as_specified(void **state)
{
    AUTO_BUF out = { 0 };
    struct dbus_call call = { .serial = 7,
                              .destination = "d.d",
                              .path = "/p",
                              .interface = "i.i",
                              .member = "M",
                              .signature = "" };
    dbus_put_call(&out, &call);
    assert_true(str_eq(buf_str(&out), BYTES("l\1\2\1\0\0\0\0\7\0\0\0\74\0\0\0"
                                            "\1\1o\0\2\0\0\0/p\0\0\0\0\0\0"
                                            "\2\1s\0\3\0\0\0i.i\0\0\0\0\0"
                                            "\3\1s\0\1\0\0\0M\0\0\0\0\0\0\0"
                                            "\6\1s\0\3\0\0\0d.d\0\0\0\0\0")));
}

static void the_padding_of_an_array_does_not_count(void **state)
{
    AUTO_BUF out = { 0 };
    size_t array = dbus_begin_array(&out, 8);
    dbus_put_u64(&out, 5);
    dbus_end_array(&out, array, 8);
    assert_true(str_eq(buf_str(&out), BYTES("\10\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0")));
    buf_empty(&out);
    array = dbus_begin_array(&out, 8);
    dbus_end_array(&out, array, 8);
    assert_true(str_eq(buf_str(&out), BYTES("\0\0\0\0\0\0\0\0")));
}

/* A reply to call 2 with the path "/j" as a bus sends it, with a sender's field that nobody reads. */
#define RETURN                                                                                     \
    "l\2\1\1\7\0\0\0\11\0\0\0\36\0\0\0"                                                            \
    "\5\1u\0\2\0\0\0"                                                                              \
    "\10\1g\0\1o\0\0"                                                                              \
    "\7\1s\0\5\0\0\0:1.42\0\0\0"                                                                   \
    "\2\0\0\0/j\0"
/* The same in the other byte order, without the sender. */
#define RETURN_BIG                                                                                 \
    "B\2\1\1\0\0\0\7\0\0\0\11\0\0\0\17"                                                            \
    "\5\1u\0\0\0\0\2"                                                                              \
    "\10\1g\0\1o\0\0"                                                                              \
    "\0\0\0\2/j\0"
#define ERROR                                                                                      \
    "l\3\1\1\7\0\0\0\11\0\0\0\37\0\0\0"                                                            \
    "\5\1u\0\2\0\0\0"                                                                              \
    "\4\1s\0\3\0\0\0a.b\0\0\0\0\0"                                                                 \
    "\10\1g\0\1s\0\0"                                                                              \
    "\2\0\0\0no\0"

static void answers_are_read_in_both_byte_orders(void **state)
{
    const struct str all[] = { BYTES(RETURN), BYTES(RETURN_BIG), BYTES(ERROR) };
    for (size_t i = 0; i < 3; i++) {
        struct dbus_message m;
        struct err e;
        size_t taken = 0;
        assert_int_equal(dbus_read(all[i], &m, &taken, &e), 1);
        assert_int_equal(taken, all[i].n);
        assert_int_equal(m.type, i == 2 ? DBUS_ERROR : DBUS_RETURN);
        assert_int_equal(m.reply_to, 2);
        assert_int_equal(m.serial, 9);
        assert_true(str_eq(m.text, i == 2 ? STR("no") : STR("/j")));
        assert_true(str_eq(m.error_name, i == 2 ? STR("a.b") : (struct str){ 0 }));
        for (size_t cut = 0; cut < all[i].n; cut++)
            assert_int_equal(dbus_read((struct str){ all[i].p, cut }, &m, &taken, &e), 0);
    }
}

static void what_is_no_message_is_refused(void **state)
{
    /* One byte of a good message, and what it becomes. */
    static const struct {
        size_t at;
        char byte;
        const char *what;
    } rows[] = {
        { 0, 'x', "byte order" },
        { 1, 0, "type" },
        { 3, 2, "version" },
        { 8, 0, "serial 0" },
        { 4, 6, "a body that is cut" },
        { 6, 2, "a body that is too large" },
        { 14, 2, "fields that are too large" },
        { 15, (char)0xff, "fields beyond every limit" },
        { 12, 37, "fields that end in the middle of one" },
        { 16, 0, "field 0" },
        { 17, 2, "a type of two letters" },
        { 18, 's', "a reply serial that is a string" },
        { 18, 'v', "a variant in a variant" },
        { 19, 1, "a signature without its end" },
        { 20, 0, "reply to call 0" },
        { 24, 5, "a reply serial twice" },
        { 27, 2, "a signature beyond its field" },
        { 31, 1, "padding that is not zero" },
        { 36, (char)0xff, "a string beyond its message" },
        { 41, 0, "a string with a NUL" },
        { 41, (char)0xff, "a string that is no UTF-8" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char bytes[sizeof RETURN + 64] = RETURN;
        struct dbus_message m;
        struct err e;
        size_t taken;
        bytes[rows[i].at] = rows[i].byte;
        if (dbus_read((struct str){ bytes, sizeof bytes }, &m, &taken, &e) == 1)
            fail_msg("%s", rows[i].what);
    }
}

static void a_scope_asks_for_what_is_limited_and_nothing_else(void **state)
{
    AUTO_BUF all = { 0 }, few = { 0 };
    struct cgroup_limits l = { .memory = 1 << 20, .pids = 7, .cpu_percent = 50, .cpu_weight = 9 };
    cgroup_scope_body(&all, "a.scope", 77, &l);
    l = (struct cgroup_limits){ UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0 };
    cgroup_scope_body(&few, "a.scope", 77, &l);
    static const char *const optional[] = { "MemoryMax", "MemorySwapMax", "TasksMax",
                                            "CPUQuotaPerSecUSec", "CPUWeight" };
    for (size_t i = 0; i < 5; i++) {
        assert_true(str_has(buf_str(&all), str_of(optional[i])));
        assert_false(str_has(buf_str(&few), str_of(optional[i])));
    }
    assert_false(str_has(buf_str(&all), STR("IOWeight")));
    assert_true(str_has(buf_str(&few), BYTES("\4\0\0\0PIDs\0\2au\0\0\0\0\4\0\0\0\115\0\0\0")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_greeting_names_the_user),
        cmocka_unit_test(only_ok_lets_us_in),
        cmocka_unit_test(a_call_is_laid_out_as_specified),
        cmocka_unit_test(the_padding_of_an_array_does_not_count),
        cmocka_unit_test(answers_are_read_in_both_byte_orders),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_scope_asks_for_what_is_limited_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
