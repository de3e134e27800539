#include "proto/kernel_audit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define STAMP "audit(1732186800.349:44): "

static void denials_are_read(void **state)
{
    static const struct {
        const char *text, *blockers, *object;
    } rows[] = {
        { "domain=195ba459b blockers=fs.write_file path=\"/tmp/x\" dev=\"vda2\" ino=351",
          "fs.write_file", "/tmp/x" },
        { "domain=1 blockers=fs.make_reg,fs.refer path=\"/usr/local\" dev=\"vda2\" ino=365",
          "fs.make_reg,fs.refer", "/usr/local" },
        { "domain=1 blockers=fs.read_file path=2F746D702F6120620A22C3A9", "fs.read_file",
          "/tmp/a b\n\"\xc3\xa9" },
        { "domain=1 blockers=fs.change_topology name=\"x\" dev=\"tmpfs\" ino=1",
          "fs.change_topology", "x" },
        { "domain=1 blockers=net.connect_tcp daddr=127.0.0.1 dest=80", "net.connect_tcp",
          "127.0.0.1:80" },
        { "domain=1 blockers=net.connect_tcp daddr=fe80::1 dest=65535", "net.connect_tcp",
          "[fe80::1]:65535" },
        { "domain=1 blockers=net.bind_tcp src=22", "net.bind_tcp", ":22" },
        { "domain=1 blockers=scope.abstract_unix_socket path=0061006200",
          "scope.abstract_unix_socket", "@a@b@" },
        { "domain=1 blockers=scope.signal opid=1 ocomm=\"systemd\"", "scope.signal",
          "pid 1 (systemd)" },
        { "domain=1 blockers=ptrace opid=7 ocomm=6120", "ptrace", "pid 7 (a )" },
        { "domain=1 blockers=ptrace", "ptrace", "" },
        { "domain=1 blockers=fs.x path=\"\"", "fs.x", "" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[512];
        struct kernel_audit r;
        struct err e;
        print_message("%s\n", rows[i].text);
        snprintf(text, sizeof text, STAMP "%s", rows[i].text);
        assert_int_equal(kernel_audit_parse(KERNEL_AUDIT_ACCESS, str_of(text), &r, &e), 0);
        assert_string_equal(r.blockers, rows[i].blockers);
        assert_string_equal(r.object, rows[i].object);
        assert_int_equal(r.domain, i == 0 ? 0x195ba459bull : 1);
        assert_int_equal(r.serial, 44);
        assert_int_equal(r.time_ms, 1732186800349ull);
    }
}

static void malformed_records_are_refused(void **state)
{
    static const struct {
        unsigned type;
        const char *text;
    } rows[] = {
        { 1300, "" },
        { 1320, "audit(1.0:1)" },
        { 1320, "audit(1.1000:1): " },
        { 1320, "audit(1.5): " },
        { 1320, "audit(-1.5:1): " },
        { 1320, "audit(1.5:18446744073709551616): " },
        { 1305, STAMP "domain=1 blockers=fs.x" },
        { 1423, STAMP "blockers=fs.x" },
        { 1423, STAMP "domain=1" },
        { 1423, STAMP "domain= blockers=fs.x" },
        { 1423, STAMP "domain=1A blockers=fs.x" },
        { 1423, STAMP "domain=10000000000000000 blockers=fs.x" },
        { 1423, STAMP "domain=1 blockers=\"fs.x\"" },
        { 1423, STAMP "domain=1 blockers=fs-x" },
        { 1423, STAMP "domain=1 domain=2 blockers=fs.x" },
        { 1423, STAMP "domain=1 blockers=fs.x stray" },
        { 1423, STAMP "domain=1 blockers=fs.x path=\"/a" },
        { 1423, STAMP "domain=1 blockers=fs.x path=\"/a b\"" },
        { 1423, STAMP "domain=1 blockers=fs.x path=\"/a\"b" },
        { 1423, STAMP "domain=1 blockers=fs.x path=\"/a\" path=\"/b\"" },
        { 1423, STAMP "domain=1 blockers=fs.x path=2F6" },
        { 1423, STAMP "domain=1 blockers=fs.x path=2f61" },
        { 1423, STAMP "domain=1 blockers=fs.x path=/a" },
        { 1423, STAMP "domain=1 blockers=fs.x path=2F0061" },
        { 1423, STAMP "domain=1 blockers=fs.x path=\"/\xc3\xa9\"" },
        { 1423, STAMP "domain=1 blockers=net.x daddr=a.example dest=80" },
        { 1423, STAMP "domain=1 blockers=net.x daddr=1.2.3.4 dest=65536" },
        { 1423, STAMP "domain=1 blockers=ptrace opid=-1" },
        { 1424, STAMP "domain=1 status=allocated" },
        { 1424, STAMP "domain=1 status=allocated pid=99999999999" },
        { 1424, STAMP "domain=1 status=other pid=1" },
        { 1300, STAMP "success=no exit=-13" },
        { 1300, STAMP "success=no exit=-x pid=1" },
        { 1300, STAMP "exit=-13 pid=1 comm=\"a\" pid=2" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct kernel_audit r;
        struct err e;
        print_message("%s\n", rows[i].text);
        assert_int_equal(kernel_audit_parse(rows[i].type, str_of(rows[i].text), &r, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
    }
}

static void a_path_of_the_greatest_length_is_read_and_a_longer_one_refused(void **state)
{
    for (size_t n = KERNEL_AUDIT_OBJECT_MAX - 1; n <= KERNEL_AUDIT_OBJECT_MAX; n++) {
        static char text[KERNEL_AUDIT_OBJECT_MAX * 2 + 100];
        struct kernel_audit r;
        struct err e;
        size_t at = (size_t)snprintf(text, sizeof text, STAMP "domain=1 blockers=fs.x path=");
        for (size_t i = 0; i < n; i++, at += 2)
            memcpy(text + at, "61", 3);
        int result = kernel_audit_parse(KERNEL_AUDIT_ACCESS, (struct str){ text, at }, &r, &e);
        assert_int_equal(result, n < KERNEL_AUDIT_OBJECT_MAX ? 0 : -1);
    }
}

static void domains_are_read(void **state)
{
    struct kernel_audit r;
    struct err e;
    const char *made = STAMP "domain=f00 status=allocated mode=enforcing pid=300 uid=0 "
                             "exe=\"/root/sandboxer\" comm=\"sandboxer\"";
    assert_int_equal(kernel_audit_parse(KERNEL_AUDIT_DOMAIN, str_of(made), &r, &e), 0);
    assert_true(r.allocated);
    assert_int_equal(r.domain, 0xf00);
    assert_int_equal(r.pid, 300);
    const char *ended = STAMP "domain=f00 status=deallocated denials=3";
    assert_int_equal(kernel_audit_parse(KERNEL_AUDIT_DOMAIN, str_of(ended), &r, &e), 0);
    assert_false(r.allocated);
    assert_int_equal(r.pid, 0);
}

static void calls_are_read(void **state)
{
    struct kernel_audit r;
    struct err e;
    const char *refused = STAMP
        "arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=7ffd a2=80000 a3=0 "
        "items=0 ppid=1 pid=4711 auid=4294967295 uid=0 tty=(none) ses=4294967295 comm=\"cat\" "
        "exe=\"/usr/bin/cat\" subj=some profile (enforce) key=(null)";
    assert_int_equal(kernel_audit_parse(KERNEL_AUDIT_SYSCALL, str_of(refused), &r, &e), 0);
    assert_int_equal(r.pid, 4711);
    assert_int_equal(r.os, EACCES);
    assert_string_equal(r.comm, "cat");
    assert_string_equal(r.exe, "/usr/bin/cat");
    const char *done = STAMP "success=yes exit=3 pid=1 comm=612062 exe=(null)";
    assert_int_equal(kernel_audit_parse(KERNEL_AUDIT_SYSCALL, str_of(done), &r, &e), 0);
    assert_int_equal(r.os, 0);
    assert_string_equal(r.comm, "a b");
    assert_string_equal(r.exe, "");
}

static void a_denial_without_its_call_has_the_errno_of_landlock(void **state)
{
    static const struct {
        const char *blockers;
        int os;
    } rows[] = {
        { "fs.write_file", EACCES },   { "fs.make_reg,fs.refer", EACCES },
        { "fs.refer", EXDEV },         { "fs.change_topology", EPERM },
        { "net.connect_tcp", EACCES }, { "scope.signal", EPERM },
        { "ptrace", EPERM },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(kernel_audit_errno(rows[i].blockers), rows[i].os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(denials_are_read),
        cmocka_unit_test(malformed_records_are_refused),
        cmocka_unit_test(a_path_of_the_greatest_length_is_read_and_a_longer_one_refused),
        cmocka_unit_test(domains_are_read),
        cmocka_unit_test(calls_are_read),
        cmocka_unit_test(a_denial_without_its_call_has_the_errno_of_landlock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
