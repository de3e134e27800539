/* Live settings: contract 6. */
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/control.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define SETTINGS(allowed, deny_read) "{" SETTINGS_BODY(allowed, deny_read)
#define SETTINGS_BODY(allowed, deny_read)                                                          \
    "\"network\":{\"allowedDomains\":[" allowed "],\"deniedDomains\":[]},"                         \
    "\"filesystem\":{\"denyRead\":[" deny_read "],\"allowWrite\":[],\"denyWrite\":[]}}"

static struct {
    unsigned applied;
    size_t allowed; /* patterns of the last one */
    bool refuse;
} seen;
static struct settings start;
static struct settings_options parse;
static struct control *control;
static int ours, saved_stderr, stderr_pipe;

static int apply(void *ctx, struct str text, const struct settings *s, struct err *e)
{
    if (seen.refuse)
        return err_set(e, E_IO, 0, "the proxy is gone");
    seen.applied++;
    seen.allowed = s->egress.allowed.count;
    assert_int_equal(text.p[0], '{');
    return 0;
}

static int set_up(void **state)
{
    AUTO_BUF problems = { 0 };
    struct err e;
    int ends[2], errors[2];
    memset(&seen, 0, sizeof seen);
    assert_int_equal(settings_parse(STR(SETTINGS("", "")), "start", &parse, &start, &problems, &e),
                     0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct control_options o = { .fd = ends[1], .start = &start, .parse = &parse, .apply = apply };
    control = control_new(&o);
    ours = ends[0];
    assert_int_equal(pipe2(errors, O_CLOEXEC | O_NONBLOCK), 0);
    saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(errors[1], STDERR_FILENO);
    close(errors[1]);
    stderr_pipe = errors[0];
    return 0;
}

static int tear_down(void **state)
{
    dup2(saved_stderr, STDERR_FILENO);
    fd_drop(&saved_stderr);
    fd_drop(&stderr_pipe);
    fd_drop(&ours);
    control_free(control);
    settings_release(&start);
    return 0;
}

static enum control_state say(struct str text)
{
    enum control_state state = CONTROL_ON;
    while (text.n) {
        ssize_t sent = write(ours, text.p, text.n < 60000 ? text.n : 60000);
        assert_true(sent > 0);
        text = str_skip(text, (size_t)sent);
        state = control_ready(control);
    }
    return state;
}

/* What stands on stderr since the last call. */
static void assert_said(const char *words)
{
    char text[8192];
    ssize_t got = read(stderr_pipe, text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    if (words ? !strstr(text, words) : text[0] != '\0')
        fail_msg("'%s' instead of '%s'", text, words ? words : "");
}

static void a_line_is_handed_over(void **state)
{
    say(STR(SETTINGS("\"a.example\",\"b.example\"", "") "\n"));
    assert_int_equal(seen.applied, 1);
    assert_int_equal(seen.allowed, 2);
    say(STR(SETTINGS("", "") "\r\n\n  \r\n" SETTINGS("\"c.example\"", "") "\n"));
    assert_int_equal(seen.applied, 3);
    assert_int_equal(seen.allowed, 1);
    assert_said(NULL);
}

static void a_line_may_come_in_any_cut(void **state)
{
    struct str text = STR(SETTINGS("\"a.example\"", "") "\n");
    for (size_t i = 0; i < text.n; i++) {
        assert_int_equal(seen.applied, 0);
        say((struct str){ text.p + i, 1 });
    }
    assert_int_equal(seen.applied, 1);
}

static void a_bad_line_is_said_and_ignored(void **state)
{
    static const char *const bad[] = { "not json\n",
                                       "{}\n",
                                       "[]\n",
                                       "{\"network\":1}\n",
                                       "{\n",
                                       "\xff\n",
                                       SETTINGS("1", "") "\n",
                                       SETTINGS("\"*\"", "") "\n",
                                       "null\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(say(str_of(bad[i])), CONTROL_ON);
        char want[120];
        snprintf(want, sizeof want,
                 "Invalid config on control fd %d: ignored, previous config still in force",
                 control_fd(control));
        assert_said(want);
    }
    assert_int_equal(seen.applied, 0);
    say(STR(SETTINGS("", "") "\n"));
    assert_int_equal(seen.applied, 1);
}

static void settings_that_cannot_be_put_in_force_are_said(void **state)
{
    seen.refuse = true;
    say(STR(SETTINGS("", "") "\n"));
    assert_said("ignored, previous config still in force: the proxy is gone");
}

static void a_key_that_is_fixed_is_named(void **state)
{
    say(STR(SETTINGS("\"a.example\"", "\"/etc/x\"") "\n"));
    assert_int_equal(seen.applied, 1);
    assert_said("filesystem.denyRead cannot change while the command runs");
}

static void an_unknown_key_is_warned_about_as_in_a_file(void **state)
{
    say(STR("{\"networt\":{}," SETTINGS_BODY("", "") "\n"));
    assert_int_equal(seen.applied, 1);
    char want[120];
    snprintf(want, sizeof want, "control fd %d: networt: unknown key, ignored",
             control_fd(control));
    assert_said(want);
}

static void an_unknown_key_is_refused_when_strict(void **state)
{
    parse.strict = true;
    say(STR("{\"networt\":{}," SETTINGS_BODY("", "") "\n"));
    parse.strict = false;
    assert_int_equal(seen.applied, 0);
    assert_said("previous config still in force: networt: unknown key");
}

static void an_endless_line_is_ignored_to_its_end(void **state)
{
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 3 << 20; i++)
        buf_add_byte(&huge, 'x');
    say(buf_str(&huge));
    assert_said("Invalid config");
    say(STR("{}\n")); /* still that line */
    assert_said(NULL);
    say(STR(SETTINGS("", "") "\n"));
    assert_int_equal(seen.applied, 1);
}

static void the_end_keeps_the_last_settings(void **state)
{
    say(STR(SETTINGS("", "") "\n" SETTINGS("\"a.example\"", "")));
    assert_int_equal(seen.applied, 1);
    fd_drop(&ours);
    assert_int_equal(control_ready(control), CONTROL_ENDED);
    assert_int_equal(seen.applied, 2); /* the last line needs no newline */
    assert_int_equal(control_fd(control), -1);
    assert_said(NULL);
}

static void end_without_a_line_is_an_end(void **state)
{
    fd_drop(&ours);
    assert_int_equal(control_ready(control), CONTROL_ENDED);
}

/* A socket that is reset: unread bytes at the other end when that is closed. */
static void reset(void)
{
    assert_int_equal(write(control_fd(control), "x", 1), 1);
    fd_drop(&ours);
}

static void an_error_before_the_first_line_is_told_apart(void **state)
{
    reset();
    assert_int_equal(control_ready(control), CONTROL_FAILED_FIRST);
    assert_said("control fd");
}

static void an_error_after_a_line_lets_the_command_go_on(void **state)
{
    say(STR("{}\n"));
    assert_said("Invalid");
    reset();
    assert_int_equal(control_ready(control), CONTROL_FAILED);
    assert_said("stay in force");
}

static void the_number_is_read_strictly(void **state)
{
    static const char *const bad[] = { "",   "2",    "-1",
                                       "+3", "0x3",  "3 ",
                                       " 3", "9999", "99999999999999999999" };
    struct err e;
    int fd = -1;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(control_parse(bad[i], &fd, &e), -1);
    static const struct {
        const char *path;
        int flags, want;
    } rows[] = {
        { "/dev/null", O_RDONLY, 0 }, { "/dev/null", O_RDWR, 0 },  { "/dev/null", O_WRONLY, -1 },
        { "/", O_RDONLY, -1 },        { "/dev/null", O_PATH, -1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[16];
        AUTO_FD open_one = open(rows[i].path, rows[i].flags | O_CLOEXEC);
        snprintf(text, sizeof text, "%d", open_one);
        assert_int_equal(control_parse(text, &fd, &e), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_handed_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_line_may_come_in_any_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bad_line_is_said_and_ignored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(settings_that_cannot_be_put_in_force_are_said, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_is_fixed_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_warned_about_as_in_a_file, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_unknown_key_is_refused_when_strict, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_endless_line_is_ignored_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_keeps_the_last_settings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(end_without_a_line_is_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_before_the_first_line_is_told_apart, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_error_after_a_line_lets_the_command_go_on, set_up,
                                        tear_down),
        cmocka_unit_test(the_number_is_read_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
