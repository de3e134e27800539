/* Messages between the processes of a run: what is heard, and when one side ends. */
#include "base/check.h"
#include "sandbox/boss.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int ours, theirs;

static int set_up(void **state)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    ours = pair[0];
    theirs = pair[1];
    return 0;
}

static int tear_down(void **state)
{
    close(ours);
    if (theirs >= 0)
        close(theirs);
    return 0;
}

static void send_text(int socket, enum boss_kind kind, const char *text, const int *fds, size_t n)
{
    struct boss_message m = { .kind = kind, .number = 7, .length = (uint32_t)strlen(text) };
    struct err e;
    memcpy(m.body, text, m.length);
    assert_int_equal(boss_send(socket, &m, fds, n, &e), 0);
}

static void a_message_arrives_whole_and_its_descriptors_close_on_exec(void **state)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t n;
    send_text(theirs, BOSS_FAILED, "why", (int[]){ theirs, ours }, 2);
    assert_int_equal(boss_receive(ours, &m, fds, &n, &e), 1);
    assert_true(m.kind == BOSS_FAILED && m.number == 7 && m.length == 3 && n == 2);
    assert_memory_equal(m.body, "why", 3);
    for (size_t i = 0; i < n; i++) {
        assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        close(fds[i]);
    }
}

/* Init may fail, or its command end, while a signal for it is on its way. */
static void
what_was_said_before_an_end_is_heard_though_the_other_side_left_messages_unread(void **state)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t n;
    send_text(theirs, BOSS_DEGRADED, "first", NULL, 0);
    send_text(theirs, BOSS_EXITED, "last", NULL, 0);
    send_text(ours, BOSS_SIGNAL, "", NULL, 0);
    close(theirs);
    theirs = -1;
    assert_int_equal(boss_receive(ours, &m, fds, &n, &e), 1);
    assert_int_equal(m.kind, BOSS_DEGRADED);
    assert_int_equal(boss_receive(ours, &m, fds, &n, &e), 1);
    assert_int_equal(m.kind, BOSS_EXITED);
    assert_int_equal(boss_receive(ours, &m, fds, &n, &e), -1);
    assert_int_equal(e.kind, E_MISSING);
}

static void who_waits_for_one_message_takes_no_other(void **state)
{
    send_text(theirs, BOSS_GO, "", NULL, 0);
    assert_int_equal(boss_wait(ours, BOSS_GO), 0);
    send_text(theirs, BOSS_RULES, "", NULL, 0);
    assert_int_equal(boss_wait(ours, BOSS_GO), -1);
}

static void who_introduces_itself_is_known_by_its_pid_also_after_its_end(void **state)
{
    pid_t sender, parent;
    assert_false(boss_meet(ours, &sender, &parent));
    pid_t child = fork();
    if (child == 0) {
        struct err e;
        _exit(boss_introduce(theirs, &e) < 0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(boss_meet(ours, &sender, &parent));
    assert_int_equal(sender, child);
    assert_int_equal(parent, getpid());
    send_text(theirs, BOSS_STARTED, "", NULL, 0);
    assert_false(boss_meet(ours, &sender, &parent));
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_message_arrives_whole_and_its_descriptors_close_on_exec),
        CLAIM(what_was_said_before_an_end_is_heard_though_the_other_side_left_messages_unread),
        CLAIM(who_waits_for_one_message_takes_no_other),
        CLAIM(who_introduces_itself_is_known_by_its_pid_also_after_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
