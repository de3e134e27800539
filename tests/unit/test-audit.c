/* The audit log: records, folding, the chain, and what the verifier sees (contract 10.2, T27). */
#include "base/fd.h"
#include "proto/json.h"
#include "sandbox/audit.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[] = "/tmp/test-audit-XXXXXX";
static char path[64], other[64];
static int64_t now_ns;

static int fake_clock(clockid_t which, struct timespec *out)
{
    int64_t at = which == CLOCK_REALTIME ? now_ns + 1764000000000000001 : now_ns;
    *out = (struct timespec){ .tv_sec = at / 1000000000, .tv_nsec = at % 1000000000 };
    return 0;
}

static void later(int64_t ms)
{
    now_ns += ms * 1000000;
}

static int set_up(void **state)
{
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/log", root);
    snprintf(other, sizeof other, "%s/other", root);
    return 0;
}

static int fresh(void **state)
{
    unlink(path);
    unlink(other);
    now_ns = 5000000000;
    return 0;
}

static int tear_down(void **state)
{
    fresh(state);
    return rmdir(root);
}

static struct audit *open_log(void)
{
    struct audit *a;
    struct err e;
    if (audit_open(path, -1, "run-1", &a, &e) < 0)
        fail_msg("%s", e.text);
    audit_set_clock(a, fake_clock);
    return a;
}

static void close_log(struct audit *a)
{
    struct err e;
    assert_int_equal(audit_close(a, &e), 0);
}

static void read_file(const char *name, struct buf *out)
{
    AUTO_FD fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t got;
    while ((got = read(fd, buf_room(out, 65536), 65536)) > 0)
        buf_grew(out, (size_t)got);
}

static void write_file(const char *name, struct str text)
{
    unlink(name);
    AUTO_FD fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(write(fd, text.p, text.n) == (ssize_t)text.n);
}

/* Line i of the log as JSON; the test ends when it is none. */
static struct json *record(size_t i)
{
    AUTO_BUF text = { 0 };
    read_file(path, &text);
    struct str rest = buf_str(&text), line = { 0 };
    for (size_t k = 0; k <= i; k++)
        assert_true(str_cut(&rest, '\n', &line));
    struct json *parsed = NULL;
    struct err e;
    if (json_parse(line, &parsed, &e) < 0)
        fail_msg("record %zu: %s", i, e.text);
    return parsed;
}

static size_t lines(void)
{
    AUTO_BUF text = { 0 };
    read_file(path, &text);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    return n;
}

static int verify_file(const char *name, struct audit_verdict *v, struct err *e)
{
    FILE *in = fopen(name, "re");
    assert_non_null(in);
    int result = audit_verify(in, v, e);
    fclose(in);
    return result;
}

static void assert_whole(uint64_t records)
{
    struct audit_verdict v;
    struct err e;
    if (verify_file(path, &v, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(v.records, records);
    assert_int_equal(v.line, 0);
}

static void assert_broken_at(struct str text, uint64_t line)
{
    struct audit_verdict v;
    struct err e = { 0 };
    write_file(other, text);
    assert_int_equal(verify_file(other, &v, &e), -1);
    assert_int_equal(v.line, line);
    char want[32];
    snprintf(want, sizeof want, "line %d:", (int)line);
    assert_non_null(strstr(e.text, want));
}

static struct audit_event denial(const char *object)
{
    return (struct audit_event){ .kind = AUDIT_FILE,
                                 .denied = true,
                                 .layer = "seccomp",
                                 .rule = "filesystem.denyWrite[2]",
                                 .pid_inside = 7,
                                 .argv0 = "sh",
                                 .object = str_of(object),
                                 .os = 13 };
}

static void write_denial(struct audit *a, const char *object)
{
    struct audit_event event = denial(object);
    audit_write(a, &event);
}

static void assert_member(const struct json *o, const char *key, const char *want)
{
    struct str got = { 0 };
    if (!json_to_str(json_get(o, key), &got))
        fail_msg("no text '%s'", key);
    assert_string_equal(got.p, want);
}

static int64_t number(const struct json *o, const char *key)
{
    int64_t got = -1;
    json_to_i64(json_get(o, key), &got);
    return got;
}

static void a_record_has_its_fields(void **state)
{
    struct audit *a = open_log();
    struct audit_event event = denial("/etc/passwd");
    event.racy = true;
    event.ignored = true;
    event.detail_json = "\"extra\":[1,2]";
    audit_write(a, &event);
    close_log(a);
    AUTO_JSON r = record(0);
    assert_member(r, "ts", "2025-11-24T16:00:05.000000001Z");
    assert_member(r, "run", "run-1");
    assert_int_equal(number(r, "seq"), 1);
    assert_member(r, "kind", "file");
    assert_member(r, "decision", "deny");
    assert_member(r, "layer", "seccomp");
    assert_member(r, "rule", "filesystem.denyWrite[2]");
    assert_int_equal(number(json_get(r, "subject"), "pid"), 7);
    assert_member(json_get(r, "subject"), "argv0", "sh");
    assert_member(r, "object", "/etc/passwd");
    assert_int_equal(number(r, "errno"), 13);
    assert_int_equal(number(r, "count"), 1);
    assert_int_equal(json_count(json_get(r, "extra")), 2);
    assert_member(r, "prev", "0000000000000000000000000000000000000000000000000000000000000000");
    assert_non_null(json_get(r, "racy"));
    assert_non_null(json_get(r, "ignored"));
}

static void the_file_is_the_owners_alone(void **state)
{
    umask(0);
    close_log(open_log());
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void hostile_names_stay_one_ascii_line(void **state)
{
    static const char *const names[] = {
        "a\nb",         "{\"kind\":\"end\"}\n",
        "\x1b[31m",     "\xe2\x80\xaegpj.exe",
        "\xff\xfe",     "\"}\n{\"ts\":\"",
        "\\u0000",      "\xf0\x9f\x92\xa9",
        "\xed\xa0\x80", "\x7f\x80",
    };
    enum { NAMES = sizeof names / sizeof *names };
    struct audit *a = open_log();
    for (size_t i = 0; i < NAMES; i++)
        write_denial(a, names[i]);
    close_log(a);
    assert_int_equal(lines(), NAMES);
    assert_whole(NAMES);
    AUTO_BUF text = { 0 };
    read_file(path, &text);
    for (size_t i = 0; i < text.n; i++)
        assert_true((text.p[i] >= 0x20 && text.p[i] < 0x7f) || text.p[i] == '\n');
    for (size_t i = 0; i < NAMES; i++) {
        AUTO_JSON r = record(i);
        struct str hex = { 0 };
        if (str_is_utf8(str_of(names[i])))
            assert_member(r, "object", names[i]);
        else
            assert_true(json_to_str(json_get(r, "object_hex"), &hex));
    }
}

static void a_huge_object_and_a_huge_detail_are_cut(void **state)
{
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 200000; i++)
        buf_add_byte(&huge, 'x');
    AUTO_BUF detail = { 0 };
    buf_addf(&detail, "\"big\":\"%s\"", buf_text(&huge));
    struct audit *a = open_log();
    struct audit_event event = { .kind = AUDIT_START,
                                 .object = buf_str(&huge),
                                 .argv0 = buf_text(&huge),
                                 .detail_json = buf_text(&detail) };
    audit_write(a, &event);
    close_log(a);
    assert_whole(1);
    AUTO_JSON r = record(0);
    assert_non_null(json_get(r, "object_cut"));
    assert_non_null(json_get(r, "detail_cut"));
    assert_null(json_get(r, "big"));
}

static void equal_events_of_a_second_are_folded(void **state)
{
    struct audit *a = open_log();
    assert_int_equal(audit_deadline(a), -1);
    for (int i = 0; i < 300; i++)
        write_denial(a, "/same");
    assert_int_equal(lines(), 1); /* the first stands in the log at once */
    assert_int_equal(audit_deadline(a), 6000);
    audit_tick(a);
    assert_int_equal(lines(), 1);
    later(1000);
    audit_tick(a);
    assert_int_equal(lines(), 2);
    AUTO_JSON r = record(1);
    assert_int_equal(number(r, "count"), 299);
    assert_int_equal(audit_deadline(a), -1);
    write_denial(a, "/same");
    assert_int_equal(lines(), 3);
    assert_int_equal(audit_count(a), 301);
    close_log(a);
    assert_whole(3);
}

static void taking_turns_does_not_undo_the_folding(void **state)
{
    struct audit *a = open_log();
    for (int i = 0; i < 1000; i++)
        write_denial(a, i % 2 ? "/a" : "/b");
    close_log(a);
    assert_int_equal(lines(), 4);
    assert_whole(4);
}

static void a_flood_of_different_denials_is_bounded_and_counted(void **state)
{
    struct audit *a = open_log();
    for (int i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "/n%d", i);
        write_denial(a, name);
    }
    struct audit_event allowed = { .kind = AUDIT_NET,
                                   .layer = "proxy",
                                   .object = STR("a.example:1") };
    audit_write(a, &allowed); /* what was let through always has a record of its own */
    struct audit_event end = { .kind = AUDIT_END };
    audit_write(a, &end);
    close_log(a);
    size_t n = lines();
    assert_in_range(n, 200, 210);
    assert_whole(n);
    int64_t sum = 0;
    bool flood = false, seen_allowed = false;
    for (size_t i = 0; i < n; i++) {
        AUTO_JSON r = record(i);
        struct str decision = { 0 }, kind = { 0 };
        json_to_str(json_get(r, "decision"), &decision);
        json_to_str(json_get(r, "kind"), &kind);
        sum += str_eq(decision, STR("deny")) ? number(r, "count") : 0;
        flood |= json_get(r, "flood") != NULL;
        seen_allowed |= str_eq(kind, STR("net"));
        assert_true(i + 1 < n || str_eq(kind, STR("end"))); /* the end is the last */
    }
    assert_int_equal(sum, 5000);
    assert_true(flood && seen_allowed);
}

static void a_second_run_continues_the_chain(void **state)
{
    for (int i = 0; i < 3; i++) {
        struct audit *a = open_log();
        write_denial(a, "/x");
        close_log(a);
    }
    assert_whole(3);
}

static void runs_at_the_same_time_share_one_chain(void **state)
{
    struct audit *a = open_log(), *b = open_log();
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "/n%d", i);
        write_denial(i % 3 ? a : b, name);
    }
    close_log(a);
    close_log(b);
    assert_whole(10);
}

static void a_reader_that_holds_a_lock_stops_nobody(void **state)
{
    struct audit *a = open_log();
    AUTO_FD reader = open(path, O_RDONLY | O_CLOEXEC);
    struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
    assert_int_equal(fcntl(reader, F_OFD_SETLK, &whole), 0);
    for (int i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "/n%d", i);
        write_denial(a, name);
    }
    assert_true(audit_ok(a));
    close_log(a);
    assert_whole(50);
}

static void a_torn_line_is_continued_and_said(void **state)
{
    struct audit *a = open_log();
    write_denial(a, "/1");
    write_denial(a, "/2");
    close_log(a);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - 40), 0);
    struct audit_verdict v;
    struct err e;
    assert_int_equal(verify_file(path, &v, &e), -1);
    assert_int_equal(v.line, 2);
    assert_non_null(strstr(e.text, "cut off"));
    a = open_log();
    write_denial(a, "/3");
    write_denial(a, "/4");
    close_log(a);
    assert_int_equal(verify_file(path, &v, &e), 0);
    assert_int_equal(v.records, 3);
    assert_int_equal(v.torn, 1);
}

/* The log of six records that the next claims break. */
static void make_six(struct buf *text, struct str parts[6])
{
    struct audit *a = open_log();
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "/n%d", i);
        write_denial(a, name);
    }
    close_log(a);
    read_file(path, text);
    struct str rest = buf_str(text);
    for (int i = 0; i < 6; i++) {
        assert_true(str_cut(&rest, '\n', &parts[i]));
        parts[i].n++; /* the newline stays with its line */
    }
}

static void assert_order_broken(const struct str parts[6], const char *order, uint64_t line)
{
    AUTO_BUF text = { 0 };
    for (; *order; order++)
        buf_add(&text, parts[*order - '0']);
    assert_broken_at(buf_str(&text), line);
}

static void cuts_and_changed_order_are_seen(void **state)
{
    AUTO_BUF text = { 0 };
    struct str parts[6];
    make_six(&text, parts);
    static const struct {
        const char *order;
        uint64_t line;
    } rows[] = {
        { "12345", 1 },   { "5", 1 },     { "01245", 4 },   { "021345", 2 },
        { "0123543", 5 }, { "00123", 2 }, { "0123450", 7 }, { "012012", 4 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_order_broken(parts, rows[i].order, rows[i].line);
}

static void every_changed_byte_is_seen(void **state)
{
    AUTO_BUF text = { 0 };
    struct str parts[6];
    make_six(&text, parts);
    /* The last record has nobody behind it that vouches for it. */
    size_t vouched = text.n - parts[5].n;
    for (size_t i = 0; i < vouched; i++) {
        AUTO_BUF changed = { 0 };
        buf_add(&changed, buf_str(&text));
        changed.p[i] ^= 1;
        write_file(other, buf_str(&changed));
        struct audit_verdict v;
        struct err e;
        if (verify_file(other, &v, &e) == 0)
            fail_msg("a change of byte %zu is not seen", i);
    }
}

static void every_cut_of_the_end_inside_a_line_is_seen(void **state)
{
    AUTO_BUF text = { 0 };
    struct str parts[6];
    make_six(&text, parts);
    for (size_t n = 1; n < parts[5].n; n++) {
        struct str cut = { text.p, text.n - n };
        assert_broken_at(cut, 6);
    }
}

static void nonsense_is_no_log(void **state)
{
    assert_broken_at(STR(""), 1);
    assert_broken_at(STR("\n"), 1);
    assert_broken_at(STR("hello\n"), 1);
    assert_broken_at(STR("hello"), 1);
    assert_broken_at(STR("a\nb\n"), 1);
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 70000; i++)
        buf_add_byte(&huge, 'x');
    assert_broken_at(buf_str(&huge), 1);
    AUTO_BUF text = { 0 };
    struct str parts[6];
    make_six(&text, parts);
    buf_add(&text, STR("{\"kind\":\"file\"}\n"));
    assert_broken_at(buf_str(&text), 7);
    buf_add(&text, STR("\n"));
    assert_broken_at(buf_str(&text), 7);
}

static void starts_and_ends_are_counted(void **state)
{
    struct audit *a = open_log();
    static const struct audit_event start = { .kind = AUDIT_START }, end = { .kind = AUDIT_END };
    audit_write(a, &start);
    audit_write(a, &end);
    later(2000);
    audit_write(a, &start);
    write_denial(a, "\",\"seq\":1,\"kind\":\"end");
    close_log(a);
    struct audit_verdict v;
    struct err e;
    assert_int_equal(verify_file(path, &v, &e), 0);
    assert_int_equal(v.starts, 2);
    assert_int_equal(v.ends, 1);
}

static void assert_refused(const char *name, const char *words)
{
    struct audit *a;
    struct err e = { 0 };
    assert_int_equal(audit_open(name, -1, "r", &a, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
    assert_non_null(strstr(e.text, "audit"));
    if (!strstr(e.text, words))
        fail_msg("'%s' does not say '%s'", e.text, words);
}

static void what_is_no_log_of_ours_is_not_continued(void **state)
{
    write_file(path, STR("export PATH=/bin\n"));
    assert_refused(path, "no audit log");
    write_file(path, STR("x"));
    assert_refused(path, "no audit log");
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 200000; i++)
        buf_add_byte(&huge, 'x');
    write_file(path, buf_str(&huge));
    assert_refused(path, "no audit log");
    write_file(path, STR(""));
    assert_int_equal(chmod(path, 0640), 0);
    assert_refused(path, "0600");
    unlink(path);
    assert_int_equal(symlink(other, path), 0);
    assert_refused(path, "symbolic");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, "regular");
    assert_refused("/no/such/directory/log", "directory");
}

static void a_descriptor_gets_a_chain_of_its_own(void **state)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    close_log(open_log());
    struct audit *a;
    struct err e;
    assert_int_equal(audit_open(path, ends[1], "run-2", &a, &e), 0);
    write_denial(a, "/x");
    write_denial(a, "/y");
    close_log(a);
    FILE *in = fdopen(ends[0], "r");
    struct audit_verdict v;
    assert_int_equal(audit_verify(in, &v, &e), 0);
    fclose(in);
    assert_int_equal(v.records, 2);
    assert_whole(2);
}

static void a_descriptor_that_cannot_be_written_is_refused(void **state)
{
    struct audit *a;
    struct err e;
    AUTO_FD fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(audit_open(NULL, fd, "r", &a, &e), -1);
    assert_int_equal(audit_open(NULL, 9999, "r", &a, &e), -1);
}

static void a_log_that_nobody_takes_is_not_ok(void **state)
{
    int ends[2];
    struct audit *a;
    struct err e;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(audit_open(NULL, ends[1], "r", &a, &e), 0);
    write_denial(a, "/x");
    assert_true(audit_ok(a));
    close(ends[0]);
    write_denial(a, "/y");
    assert_false(audit_ok(a));
    assert_int_equal(audit_close(a, &e), -1);
    assert_non_null(strstr(e.text, "audit"));
}

static void a_write_that_stops_half_way_leaves_no_half_record(void **state)
{
    struct audit *a = open_log();
    write_denial(a, "/x");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct rlimit was, tight;
    sigset_t too_large, mask;
    sigemptyset(&too_large);
    sigaddset(&too_large, SIGXFSZ);
    sigprocmask(SIG_BLOCK, &too_large, &mask);
    getrlimit(RLIMIT_FSIZE, &was);
    tight = (struct rlimit){ (rlim_t)st.st_size + 50, was.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    write_denial(a, "/y");
    setrlimit(RLIMIT_FSIZE, &was);
    sigtimedwait(&too_large, NULL, &(struct timespec){ 0 });
    sigprocmask(SIG_SETMASK, &mask, NULL);
    assert_false(audit_ok(a));
    struct err e;
    assert_int_equal(audit_close(a, &e), -1);
    assert_whole(1);
}

static void without_a_place_events_are_counted(void **state)
{
    struct audit *a;
    struct err e;
    assert_int_equal(audit_open(NULL, -1, "r", &a, &e), 0);
    write_denial(a, "/x");
    assert_true(audit_ok(a));
    assert_int_equal(audit_count(a), 1);
    assert_int_equal(audit_close(a, &e), 0);
    assert_int_equal(audit_close(NULL, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_record_has_its_fields, fresh),
        cmocka_unit_test_setup(the_file_is_the_owners_alone, fresh),
        cmocka_unit_test_setup(hostile_names_stay_one_ascii_line, fresh),
        cmocka_unit_test_setup(a_huge_object_and_a_huge_detail_are_cut, fresh),
        cmocka_unit_test_setup(equal_events_of_a_second_are_folded, fresh),
        cmocka_unit_test_setup(taking_turns_does_not_undo_the_folding, fresh),
        cmocka_unit_test_setup(a_flood_of_different_denials_is_bounded_and_counted, fresh),
        cmocka_unit_test_setup(a_second_run_continues_the_chain, fresh),
        cmocka_unit_test_setup(runs_at_the_same_time_share_one_chain, fresh),
        cmocka_unit_test_setup(a_reader_that_holds_a_lock_stops_nobody, fresh),
        cmocka_unit_test_setup(a_torn_line_is_continued_and_said, fresh),
        cmocka_unit_test_setup(cuts_and_changed_order_are_seen, fresh),
        cmocka_unit_test_setup(every_changed_byte_is_seen, fresh),
        cmocka_unit_test_setup(every_cut_of_the_end_inside_a_line_is_seen, fresh),
        cmocka_unit_test_setup(nonsense_is_no_log, fresh),
        cmocka_unit_test_setup(starts_and_ends_are_counted, fresh),
        cmocka_unit_test_setup(what_is_no_log_of_ours_is_not_continued, fresh),
        cmocka_unit_test_setup(a_descriptor_gets_a_chain_of_its_own, fresh),
        cmocka_unit_test_setup(a_descriptor_that_cannot_be_written_is_refused, fresh),
        cmocka_unit_test_setup(a_log_that_nobody_takes_is_not_ok, fresh),
        cmocka_unit_test_setup(a_write_that_stops_half_way_leaves_no_half_record, fresh),
        cmocka_unit_test_setup(without_a_place_events_are_counted, fresh),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
