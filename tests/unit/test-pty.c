/* The relay between the caller's terminal and the sandbox's own: contract 2.3.
 *
 * Two pty pairs: `person` is the master of the caller's terminal, `command` the inner end that the
 * command holds. */
#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

static int person, outer, command;
static struct termios before;
static struct pty *relay;
static unsigned hang_ups;

static void modes_of(int fd, struct termios *out)
{
    assert_int_equal(tcgetattr(fd, out), 0);
}

static void set_raw(int fd)
{
    struct termios modes;
    modes_of(fd, &modes);
    cfmakeraw(&modes);
    assert_int_equal(tcsetattr(fd, TCSANOW, &modes), 0);
}

static int set_up(void **state)
{
    int master;
    struct err e;
    struct winsize size = { .ws_row = 33, .ws_col = 77 };
    hang_ups = 0;
    assert_int_equal(openpty(&person, &outer, NULL, NULL, &size), 0);
    assert_int_equal(openpty(&master, &command, NULL, NULL, NULL), 0);
    fcntl(person, F_SETFL, O_NONBLOCK);
    modes_of(outer, &before);
    assert_int_equal(pty_new(outer, outer, master, &relay, &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    pty_free(relay);
    fd_drop(&person);
    fd_drop(&outer);
    fd_drop(&command);
    return 0;
}

/* Relays until nothing moves any more. */
static enum pty_state turn(void)
{
    enum pty_state state = PTY_ON;
    struct pollfd polls[PTY_POLLS];
    for (int i = 0; i < 10000; i++) {
        pty_polls(relay, polls);
        if (poll(polls, PTY_POLLS, 0) <= 0)
            return state;
        state = pty_ready(relay, polls);
        hang_ups += state == PTY_HUNG_UP;
        if (state == PTY_DONE)
            return state;
    }
    fail_msg("the relay does not come to rest");
    return state;
}

static void put(int fd, const char *bytes, size_t n)
{
    assert_true(write(fd, bytes, n) == (ssize_t)n);
}

static size_t take(int fd, char *to, size_t room)
{
    struct pollfd one = { fd, POLLIN, 0 };
    ssize_t got = poll(&one, 1, 0) > 0 ? read(fd, to, room) : 0;
    return got > 0 ? (size_t)got : 0;
}

static void what_is_typed_goes_in_and_what_is_printed_comes_out(void **state)
{
    char got[100] = "";
    set_raw(command);
    put(person, "typed", 5);
    turn();
    take(command, got, sizeof got);
    assert_string_equal(got, "typed");
    put(command, "printed", 7);
    turn();
    memset(got, 0, sizeof got);
    take(person, got, sizeof got);
    assert_string_equal(got, "printed");
}

static void every_byte_passes_as_an_editor_wants_it(void **state)
{
    char all[256], got[600];
    set_raw(command);
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    put(person, all, sizeof all); /* Ctrl-C, Ctrl-Z, Ctrl-S, Esc, NUL, 0xff ... */
    turn();
    assert_int_equal(take(command, got, sizeof got), sizeof all);
    assert_memory_equal(got, all, sizeof all);
    put(command, all, sizeof all);
    turn();
    assert_int_equal(take(person, got, sizeof got), sizeof all);
    assert_memory_equal(got, all, sizeof all);
}

static void the_inner_terminal_starts_as_the_outer_one(void **state)
{
    struct termios inner;
    struct winsize size;
    modes_of(command, &inner);
    assert_int_equal(inner.c_lflag, before.c_lflag);
    assert_int_equal(inner.c_iflag, before.c_iflag);
    assert_int_equal(inner.c_oflag, before.c_oflag);
    assert_int_equal(ioctl(command, TIOCGWINSZ, &size), 0);
    assert_int_equal(size.ws_row, 33);
    assert_int_equal(size.ws_col, 77);
}

static void a_new_size_follows(void **state)
{
    struct winsize size = { .ws_row = 11, .ws_col = 22 };
    assert_int_equal(ioctl(person, TIOCSWINSZ, &size), 0);
    pty_resize(relay);
    memset(&size, 0, sizeof size);
    assert_int_equal(ioctl(command, TIOCGWINSZ, &size), 0);
    assert_int_equal(size.ws_row, 11);
}

static void assert_raw(bool want)
{
    struct termios now;
    modes_of(outer, &now);
    assert_int_equal(!(now.c_lflag & ICANON), want);
    if (!want) {
        assert_int_equal(now.c_lflag, before.c_lflag);
        assert_int_equal(now.c_iflag, before.c_iflag);
        assert_int_equal(now.c_oflag, before.c_oflag);
    }
}

static void the_outer_terminal_is_raw_meanwhile_and_put_back(void **state)
{
    assert_raw(true);
    pty_suspend(relay);
    assert_raw(false);
    pty_suspend(relay); /* twice is once */
    pty_resume(relay);
    assert_raw(true);
    pty_free(relay);
    relay = NULL;
    assert_raw(false);
    pty_free(NULL);
}

static void changes_made_while_stopped_are_kept(void **state)
{
    struct termios changed = before;
    pty_suspend(relay);
    changed.c_lflag ^= ECHO;
    assert_int_equal(tcsetattr(outer, TCSANOW, &changed), 0);
    pty_resume(relay);
    pty_free(relay);
    relay = NULL;
    before = changed;
    assert_raw(false);
}

static void the_callers_descriptors_stay_blocking(void **state)
{
    assert_int_equal(fcntl(outer, F_GETFL) & O_NONBLOCK, 0);
}

static void a_held_terminal_is_left_alone(void **state)
{
    char got[100];
    set_raw(command);
    pty_hold(relay, true);
    put(person, "for the question", 16);
    put(command, "printed", 7);
    turn();
    assert_int_equal(take(command, got, sizeof got), 0);
    assert_int_equal(take(person, got, sizeof got), 0);
    assert_int_equal(take(outer, got, 16), 16);
    pty_hold(relay, false);
    turn();
    assert_int_equal(take(person, got, sizeof got), 7);
}

/* Much output against a person who reads slowly: nothing is lost, nothing grows. */
static void much_output_arrives_whole_and_a_slow_terminal_slows_the_command(void **state)
{
    enum { TOTAL = 1000000 };
    size_t sent = 0, got = 0, most = 0;
    set_raw(command);
    fcntl(command, F_SETFL, O_NONBLOCK);
    while (got < TOTAL) {
        char block[5000];
        size_t want = TOTAL - sent < sizeof block ? TOTAL - sent : sizeof block;
        for (size_t i = 0; i < want; i++)
            block[i] = (char)((sent + i) % 251);
        ssize_t n = want ? write(command, block, want) : 0;
        sent += n > 0 ? (size_t)n : 0;
        turn();
        most = sent - got > most ? sent - got : most;
        if (n > 0 && sent % 3)
            continue;
        size_t taken = take(person, block, sizeof block);
        for (size_t i = 0; i < taken; i++)
            assert_int_equal((unsigned char)block[i], (got + i) % 251);
        got += taken;
    }
    assert_int_equal(got, TOTAL);
    assert_in_range(most, 1, 200000);
}

static void what_was_printed_last_is_drained_after_the_end(void **state)
{
    char got[20000];
    size_t n = 0;
    set_raw(command);
    put(command, "last words", 10);
    fd_drop(&command); /* the sandbox has ended */
    assert_false(pty_drained(relay));
    for (int i = 0; i < 100 && !pty_drained(relay); i++)
        turn();
    assert_true(pty_drained(relay));
    n = take(person, got, sizeof got);
    assert_int_equal(n, 10);
    struct pollfd polls[PTY_POLLS];
    pty_polls(relay, polls);
    assert_int_equal(pty_ready(relay, polls), PTY_DONE);
}

static void a_person_who_types_into_a_dead_sandbox_hangs_nobody(void **state)
{
    fd_drop(&command);
    turn();
    put(person, "x", 1);
    turn();
    assert_true(pty_drained(relay));
}

static void a_terminal_that_is_gone_is_said_once_and_output_dropped(void **state)
{
    set_raw(command);
    fd_drop(&person);
    turn();
    assert_int_equal(hang_ups, 1);
    for (int i = 0; i < 100; i++) {
        put(command, "nobody sees this", 16);
        turn();
    }
    assert_int_equal(hang_ups, 1);
}

static void set_inner(tcflag_t on, tcflag_t off)
{
    struct termios modes;
    modes_of(command, &modes);
    modes.c_lflag = (modes.c_lflag | on) & ~off;
    assert_int_equal(tcsetattr(command, TCSANOW, &modes), 0);
}

static void an_interrupt_is_counted_where_the_inner_terminal_makes_a_signal_of_it(void **state)
{
    static const struct {
        const char *typed;
        unsigned counted;
        tcflag_t off;
        cc_t interrupt;
    } cases[] = {
        { "a\x03", 1, 0, 3 },
        { "\x03\x03", 2, 0, 3 },
        { "\x16\x03", 0, 0, 3 },           /* quoted: it is text */
        { "\x16\x16\x03", 1, 0, 3 },       /* a quoted quote */
        { "\x16\x03", 1, IEXTEN, 3 },      /* nothing is quoted here */
        { "\x03", 0, ISIG, 3 },            /* an editor */
        { "\x03", 0, ICANON, 3 },          /* a shell's own line editing */
        { "\x03q", 1, 0, 'q' },            /* another key is the interrupt */
        { "\x03", 0, 0, _POSIX_VDISABLE }, /* none is */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct termios modes;
        pid_t group;
        set_inner(ISIG | ICANON | IEXTEN, cases[i].off);
        modes_of(command, &modes);
        modes.c_cc[VINTR] = cases[i].interrupt;
        assert_int_equal(tcsetattr(command, TCSAFLUSH, &modes), 0);
        put(person, cases[i].typed, strlen(cases[i].typed));
        turn();
        assert_int_equal(pty_interrupts(relay, &group), cases[i].counted);
        assert_int_equal(pty_interrupts(relay, &group), 0);
    }
}

static void a_zero_byte_is_no_interrupt_where_there_is_none(void **state)
{
    struct termios modes;
    pid_t group;
    set_inner(ISIG | ICANON, 0);
    modes_of(command, &modes);
    modes.c_cc[VINTR] = _POSIX_VDISABLE;
    assert_int_equal(tcsetattr(command, TCSANOW, &modes), 0);
    put(person, "\0\0", 2);
    turn();
    assert_int_equal(pty_interrupts(relay, &group), 0);
}

static void start_with_pipe(int ends[2])
{
    int master;
    struct err e;
    hang_ups = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(openpty(&master, &command, NULL, NULL, NULL), 0);
    assert_int_equal(openpty(&person, &outer, NULL, NULL, NULL), 0);
    assert_int_equal(pty_new(ends[0], outer, master, &relay, &e), 0);
}

static void the_end_of_a_pipe_is_the_end_of_input(void **state)
{
    static const char *const inputs[] = { "line\n", "no newline", "" };
    for (size_t i = 0; i < 3; i++) {
        int ends[2];
        char got[100] = "";
        start_with_pipe(ends);
        put(ends[1], inputs[i], strlen(inputs[i]));
        close(ends[1]);
        turn();
        if (inputs[i][0])
            take(command, got, sizeof got);
        assert_string_equal(got, inputs[i]);
        assert_int_equal(read(command, got, sizeof got), 0);
        assert_int_equal(hang_ups, 0);
        close(ends[0]);
        tear_down(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_typed_goes_in_and_what_is_printed_comes_out, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_byte_passes_as_an_editor_wants_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_inner_terminal_starts_as_the_outer_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_new_size_follows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_outer_terminal_is_raw_meanwhile_and_put_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(changes_made_while_stopped_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_callers_descriptors_stay_blocking, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_held_terminal_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            much_output_arrives_whole_and_a_slow_terminal_slows_the_command, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_printed_last_is_drained_after_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_person_who_types_into_a_dead_sandbox_hangs_nobody, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_terminal_that_is_gone_is_said_once_and_output_dropped,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_interrupt_is_counted_where_the_inner_terminal_makes_a_signal_of_it, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_zero_byte_is_no_interrupt_where_there_is_none, set_up,
                                        tear_down),
        cmocka_unit_test(the_end_of_a_pipe_is_the_end_of_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
