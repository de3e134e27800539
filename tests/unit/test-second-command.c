/* Commands that are started one after the other in one sandbox. This program is the command, too. */
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "sandbox/launch.h"
#include "sandbox/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

enum { USUAL_UMASK = 027 };

static char self[PATH_MAX], directory[64];

struct sandbox {
    struct settings settings;
    struct plan plan;
    struct launch launch;
};

/* The command: makes names with another umask and from another directory. 0 when all could be done. */
static int leave_traces(const char *where)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", where);
    umask(0);
    AUTO_FD made = open("made", O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    AUTO_FD bound = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return made >= 0 && bind(bound, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : 1;
}

/* The command: 0 when it begins as the first one did. */
static int look_around(const char *where)
{
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here) || strcmp(here, where) != 0)
        return 2;
    return umask(0) == USUAL_UMASK ? 0 : 3;
}

/* The command: opens a file of a user namespace of its own. A child of the warden opens it
 * each time. */
static int open_often(void)
{
    if (unshare(CLONE_NEWUSER) < 0)
        return 4;
    for (int i = 0; i < 1000; i++) {
        AUTO_FD fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return 5;
    }
    return 0;
}

static struct boss_message receive(int socket)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t count;
    assert_int_equal(boss_receive(socket, &m, fds, &count, &e), 1);
    while (count)
        close(fds[--count]);
    return m;
}

/* Its exit status. */
static int run(struct launch *l, const char *what)
{
    static char no_leaks[] = "ASAN_OPTIONS=detect_leaks=0"; /* looking for them takes ptrace */
    char *argv[] = { self, (char *)what, directory, NULL }, *environment[] = { no_leaks, NULL };
    const struct command c = { .argv = argv, .environment = environment, .stdio = { 0, 1, 2 } };
    struct err e;
    uint32_t tag;
    int failure[2];
    assert_return_code(pipe2(failure, O_CLOEXEC), errno);
    AUTO_FD reading = failure[0], writing = failure[1];
    assert_int_equal(launch_command(l, &c, writing, &tag, &e), 0);
    const struct boss_message started = receive(l->orders);
    assert_int_equal(started.kind, BOSS_STARTED);
    fd_drop(&writing);
    char byte;
    assert_int_equal(read(reading, &byte, 1), 0); /* it was executed */
    const struct boss_message ended = receive(l->boss);
    assert_int_equal(ended.kind, BOSS_EXITED);
    assert_int_equal((int)ended.tag, started.number);
    return ended.number;
}

static int set_up(void **state)
{
    static struct sandbox s;
    static const struct settings_options options = { .profile = NULL };
    AUTO_BUF text = { 0 }, problems = { 0 };
    struct err e = { 0 };
    snprintf(directory, sizeof directory, "/tmp/postern-second-%d", getpid());
    assert_return_code(mkdir(directory, 0755), errno);
    buf_addf(&text,
             "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},\"filesystem\":"
             "{\"denyRead\":[],\"allowWrite\":[\"%s\"],\"denyWrite\":[]},"
             "\"allowNestedUserNamespaces\":true}",
             directory);
    assert_int_equal(
        settings_parse(buf_str(&text), "built-in", &options, &s.settings, &problems, &e), 0);
    const struct plan_request request = { .settings = &s.settings,
                                          .home_variable = getenv("HOME"),
                                          .cwd = directory };
    const struct launch_request wanted = { .plan = &s.plan };
    const mode_t was = umask(USUAL_UMASK);
    int result = plan_build(&s.plan, &request, &e);
    if (result == 0)
        result = launch_start(&s.launch, &wanted, &e);
    umask(was);
    *state = result == 0 && launch_go(&s.launch, &e) == 0 ? &s : NULL;
    if (!*state)
        print_message("no sandbox can be started here: %s\n", e.text);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const made[] = { "made", "socket" };
    struct sandbox *s = *state;
    char path[PATH_MAX];
    if (s)
        launch_end(&s->launch);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, made[i]);
        unlink(path);
    }
    return rmdir(directory);
}

static void what_one_command_did_is_not_handed_to_the_next(void **state)
{
    struct sandbox *s = *state;
    if (!s)
        skip();
    assert_int_equal(run(&s->launch, "look"), 0);
    assert_int_equal(run(&s->launch, "leave"), 0);
    assert_int_equal(run(&s->launch, "look"), 0);
}

static void only_commands_are_said_to_have_ended(void **state)
{
    struct sandbox *s = *state;
    if (!s)
        skip();
    assert_int_equal(run(&s->launch, "open"), 0);
    assert_int_equal(run(&s->launch, "look"), 0);
}

static void a_sandbox_that_does_not_listen_holds_nobody_up(void **state)
{
    struct sandbox *s = *state;
    struct err e = { 0 };
    int sent = 0;
    if (!s)
        skip();
    assert_return_code(kill(s->launch.init, SIGSTOP), errno);
    alarm(60); /* against a hang */
    while (sent < 100000 && launch_signal(&s->launch, 0, SIGWINCH, &e) == 0)
        sent++;
    alarm(0);
    assert_true(sent > 0 && sent < 100000);
    assert_return_code(kill(s->launch.init, SIGCONT), errno);
    assert_int_equal(run(&s->launch, "look"), 0);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "open") == 0)
        return open_often();
    if (argc == 3)
        return strcmp(argv[1], "leave") == 0 ? leave_traces(argv[2]) : look_around(argv[2]);
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_commands_are_said_to_have_ended),
        cmocka_unit_test(a_sandbox_that_does_not_listen_holds_nobody_up),
        cmocka_unit_test(what_one_command_did_is_not_handed_to_the_next),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
