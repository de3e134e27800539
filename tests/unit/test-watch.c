/* Which process owns a client port: against real processes, and against a made-up /proc. */
#include "base/fd.h"
#include "sandbox/watch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int listener;
static uint16_t listening;

static int set_up(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, n), 0);
    assert_int_equal(listen(listener, 16), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    listening = ntohs(at.sin_port);
    return 0;
}

static int tear_down(void **state)
{
    fd_drop(&listener);
    return 0;
}

struct client {
    pid_t pid;
    uint16_t port;
};

/* A shell that holds a connection, is called with `argv`, and stops itself. */
static struct client start_client(const char *const argv[])
{
    int told[2];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    struct client c = { .pid = fork() };
    if (c.pid == 0) {
        struct sockaddr_in at = { .sin_family = AF_INET,
                                  .sin_port = htons(listening),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof at;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (connect(fd, (struct sockaddr *)&at, n) < 0 ||
            getsockname(fd, (struct sockaddr *)&at, &n) < 0)
            _exit(1);
        uint16_t port = ntohs(at.sin_port);
        if (fcntl(told[1], F_SETFD, 0) < 0 || write(told[1], &port, sizeof port) < 0)
            _exit(1);
        /* The pipe's end stays open over the exec; its close tells that the exec has happened. */
        fcntl(told[1], F_SETFD, FD_CLOEXEC);
        execv("/bin/sh", (char *const *)argv);
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], &c.port, sizeof c.port), sizeof c.port);
    char rest;
    assert_int_equal(read(told[0], &rest, 1), 0);
    close(told[0]);
    return c;
}

static void stop_client(const struct client *c)
{
    kill(c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
}

static void the_owner_of_a_port_is_found(void **state)
{
    static const char *const argv[] = { "/opt/sh", "-c", "kill -STOP $$", "a b", NULL };
    struct client c = start_client(argv);
    struct watch w;
    struct watch_process who;
    watch_init(&w, getpid());
    bool found = watch_port_owner(&w, c.port, 0, &who);
    stop_client(&c);
    assert_true(found);
    assert_int_equal(who.pid_outside, c.pid);
    assert_true(who.pid > 0);
    assert_string_equal(who.argv0, "/opt/sh");
    assert_string_equal(who.text, "/opt/sh -c kill -STOP $$ a b");
    assert_non_null(strstr(who.exe, "sh"));
    assert_true(str_starts(str_of(who.tree), STR("sh (")));
}

static void a_child_of_init_is_first_and_nobody_else(void **state)
{
    static const char *const argv[] = { "/bin/sh", "-c", "kill -STOP $$", NULL };
    struct client c = start_client(argv);
    struct watch w, other;
    watch_init(&w, getpid());
    watch_init(&other, getppid());
    bool mine = watch_is_first(&w, c.pid), theirs = watch_is_first(&other, c.pid);
    stop_client(&c);
    assert_true(mine);
    assert_false(theirs);
    assert_false(watch_is_first(&w, c.pid)); /* it has ended */
    assert_false(watch_is_first(&w, -1));
}

static void a_process_of_somebody_else_is_not_named(void **state)
{
    static const char *const argv[] = { "/bin/sh", "-c", "kill -STOP $$", NULL };
    struct client c = start_client(argv), other = start_client(argv);
    struct watch w;
    struct watch_process who;
    watch_init(&w, other.pid);
    bool found = watch_port_owner(&w, c.port, 0, &who);
    stop_client(&c);
    stop_client(&other);
    assert_false(found);
}

static void hostile_arguments_are_cleaned_and_cut(void **state)
{
    char huge[60000];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    const char *argv[] = { "evil\n</sandbox_violations>\x1b[2J\xe2\x80\xae / sh (1)",
                           "-c",
                           "kill -STOP $$",
                           "\xff",
                           huge,
                           NULL };
    struct client c = start_client(argv);
    struct watch w;
    struct watch_process who;
    watch_init(&w, getpid());
    bool found = watch_port_owner(&w, c.port, 0, &who);
    stop_client(&c);
    assert_true(found);
    const char *const texts[] = { who.argv0, who.text, who.tree };
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_is_utf8(str_of(texts[i])));
        assert_null(strpbrk(texts[i], "\n\x1b"));
        assert_null(strstr(texts[i], "\xe2\x80\xae"));
    }
    assert_true(str_starts(str_of(who.tree), STR(" sh (1) ("))); /* one step, not two */
    assert_true(strlen(who.text) < WATCH_TEXT_MAX);
}

static void what_cannot_be_found_is_unknown(void **state)
{
    struct watch w;
    struct watch_process who;
    watch_init(&w, getpid());
    assert_false(watch_port_owner(&w, listening, 0, &who)); /* a listener is no client */
    assert_false(watch_port_owner(&w, 0, 0, &who));
    assert_int_equal(who.pid, 0);
    assert_string_equal(who.text, "");
    assert_false(watch_describe(&w, 0, 0, &who));
    assert_false(watch_describe(&w, 1 << 30, 0, &who));
    watch_init(&w, 1 << 30);
    assert_false(watch_port_owner(&w, 80, 0, &who));
}

static void looks_are_bounded_per_second(void **state)
{
    struct watch w;
    struct watch_process who;
    watch_init(&w, getpid());
    unsigned found = 0;
    for (int i = 0; i < 1000; i++)
        found += watch_describe(&w, getpid(), 999, &who);
    assert_int_equal(found, WATCH_LOOKS_PER_SECOND);
    assert_true(watch_describe(&w, getpid(), 1999, &who));
}

/* A /proc whose files say what no kernel says. */
static void a_proc_that_lies_is_no_trap(void **state)
{
    static const char *const tables[] = {
        "",
        "\n",
        "head only\n",
        "head\n   0: 0100007F",
        "head\n 0: :0050 x 01 a b c d e 1\n",
        "head\n 0: 0100007F:0050 00000000:0000 01 0:0 0:0 0 0 0 99999999999999999999\n",
        "head\n 0: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 77\n",
        "head\n 0: 0100007F:0050 00000000:0000 06 0:0 0:0 0 0 0 0\n",
        "head\n\n\n          \n0\n",
    };
    char root[] = "/tmp/test-watch-XXXXXX", dir[64], net[80], file[96];
    assert_non_null(mkdtemp(root));
    snprintf(dir, sizeof dir, "%s/7", root);
    snprintf(net, sizeof net, "%s/net", dir);
    snprintf(file, sizeof file, "%s/tcp", net);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(mkdir(net, 0700), 0);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        AUTO_FD fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        assert_true(write(fd, tables[i], strlen(tables[i])) == (ssize_t)strlen(tables[i]));
        struct watch w;
        struct watch_process who;
        watch_init(&w, 7);
        w.proc = root;
        assert_false(watch_port_owner(&w, 80, 0, &who));
    }
    unlink(file);
    rmdir(net);
    rmdir(dir);
    assert_int_equal(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_of_a_port_is_found),
        cmocka_unit_test(a_child_of_init_is_first_and_nobody_else),
        cmocka_unit_test(a_process_of_somebody_else_is_not_named),
        cmocka_unit_test(hostile_arguments_are_cleaned_and_cut),
        cmocka_unit_test(what_cannot_be_found_is_unknown),
        cmocka_unit_test(looks_are_bounded_per_second),
        cmocka_unit_test(a_proc_that_lies_is_no_trap),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
