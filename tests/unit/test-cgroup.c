/* Limits that are really obeyed, and groups that are really gone. As root with what the machine has;
 * as nobody the same calls must fall back without an error. */
#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { NOBODY = 65534, SECONDS = 20 };

static const struct cgroup_limits unlimited = { .memory = UINT64_MAX,
                                                .pids = UINT64_MAX,
                                                .cpu_percent = UINT64_MAX };

static const char *group_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, CGROUP_PREFIX "%d.test", getpid());
    return name;
}

static void make(struct cgroup *c, const struct cgroup_limits *limits)
{
    struct err e = { 0 };
    if (cgroup_make(c, group_name(), limits, &e) < 0)
        fail_msg("%s", e.text);
}

static void assert_gone(char *const *dirs)
{
    struct stat st;
    for (int i = 0; i < CGROUP_PLACES && dirs[i]; i++)
        if (stat(dirs[i], &st) == 0)
            fail_msg("'%s' is left", dirs[i]);
}

/* Copies of the directory names, to look after cgroup_remove. */
struct names {
    char *dirs[CGROUP_PLACES];
};

static struct names names_of(const struct cgroup *c)
{
    struct names n = { 0 };
    for (int i = 0; i < CGROUP_PLACES && c->dirs[i]; i++)
        n.dirs[i] = str_dup(str_of(c->dirs[i]));
    return n;
}

static void remove_and_look(struct cgroup *c)
{
    struct names n = names_of(c);
    cgroup_remove(c);
    assert_gone(n.dirs);
    for (int i = 0; i < CGROUP_PLACES; i++)
        free(n.dirs[i]);
    assert_null(c->dirs[0]);
    assert_int_equal(c->guard, 0);
}

/* Forks a child that waits until it was moved into the group, then runs `work`. */
static pid_t start_inside(const struct cgroup *c, int (*work)(void))
{
    int gate[2];
    struct err e = { 0 };
    assert_int_equal(pipe(gate), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(gate[1]);
        alarm(SECONDS);
        _exit(read(gate[0], &byte, 1) == 1 ? work() : 99);
    }
    close(gate[0]);
    if (cgroup_enter(c, pid, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(write(gate[1], "x", 1), 1);
    close(gate[1]);
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int work_forks(void)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return errno == EAGAIN ? i : 98;
        if (pid == 0) {
            pause();
            _exit(0);
        }
    }
    return 97;
}

static void test_the_pids_limit_stops_forks_and_is_counted(void **state)
{
    struct cgroup c;
    struct cgroup_limits l = unlimited;
    l.pids = 12;
    make(&c, &l);
    if (!c.pids) {
        remove_and_look(&c);
        skip();
    }
    int status = wait_for(start_inside(&c, work_forks));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 11);
    struct cgroup_usage usage;
    cgroup_usage(&c, &usage);
    assert_true(usage.pids_refused > 0);
    remove_and_look(&c); /* with eleven sleepers inside */
}

static int work_eats(void)
{
    enum { MIB = 1 << 20, MANY = 256 };
    for (int i = 0; i < MANY; i++) {
        char *p = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return 98;
        memset(p, i + 1, MIB);
    }
    return 0;
}

static void test_the_memory_limit_kills_and_is_counted(void **state)
{
    struct cgroup c;
    struct cgroup_limits l = unlimited;
    l.memory = 48 << 20;
    make(&c, &l);
    if (!c.memory) {
        remove_and_look(&c);
        skip();
    }
    int status = wait_for(start_inside(&c, work_eats));
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    struct cgroup_usage usage;
    cgroup_usage(&c, &usage);
    assert_true(usage.oom_kills > 0);
    assert_true(usage.memory_peak > 16 << 20 && usage.memory_peak <= 48 << 20);
    remove_and_look(&c);
}

static void test_limits_can_be_changed_in_both_directions(void **state)
{
    struct cgroup c;
    struct err e = { 0 };
    struct cgroup_limits l = unlimited;
    l.memory = 48 << 20;
    l.pids = 5;
    make(&c, &l);
    if (!c.memory || !c.pids) {
        remove_and_look(&c);
        skip();
    }
    l.memory = 600 << 20;
    l.pids = 100;
    assert_int_equal(cgroup_set_limits(&c, &l, &e), 0);
    int status = wait_for(start_inside(&c, work_eats));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    l.pids = 3;
    l.memory = 400 << 20;
    assert_int_equal(cgroup_set_limits(&c, &l, &e), 0);
    status = wait_for(start_inside(&c, work_forks));
    assert_int_equal(WEXITSTATUS(status), 2);
    remove_and_look(&c);
}

static void test_a_limit_without_its_controller_is_refused_later(void **state)
{
    struct cgroup c = { 0 };
    struct err e = { 0 };
    struct cgroup_limits l = unlimited;
    l.pids = 3;
    assert_int_equal(cgroup_set_limits(&c, &l, &e), -1);
    assert_int_equal(e.kind, E_SANDBOX);
    assert_int_equal(cgroup_set_limits(&c, &unlimited, &e), 0);
}

static int work_sleeps(void)
{
    while (pause() < 0)
        continue;
    return 0;
}

static void test_remove_kills_what_is_inside_and_groups_made_below(void **state)
{
    struct cgroup c;
    make(&c, &unlimited);
    if (!c.dirs[0]) {
        remove_and_look(&c);
        skip();
    }
    for (int i = 0; i < CGROUP_PLACES && c.dirs[i]; i++) {
        AUTO_BUF below = { 0 };
        buf_addf(&below, "%s/a", c.dirs[i]);
        assert_int_equal(mkdir(buf_text(&below), 0755), 0);
        buf_addf(&below, "/b");
        assert_int_equal(mkdir(buf_text(&below), 0755), 0);
    }
    pid_t pid = start_inside(&c, work_sleeps);
    remove_and_look(&c);
    assert_int_equal(WTERMSIG(wait_for(pid)), SIGKILL);
}

/* A supervisor that makes a group, puts a sleeper in, tells us and is killed. */
static void supervisor(int out)
{
    struct cgroup c;
    struct err e;
    char name[64];
    snprintf(name, sizeof name, CGROUP_PREFIX "%d.test", getpid());
    if (cgroup_make(&c, name, &unlimited, &e) < 0)
        _exit(98);
    struct {
        char dirs[CGROUP_PLACES][256];
        pid_t guard, sleeper;
    } told = { .guard = c.guard };
    for (int i = 0; i < CGROUP_PLACES && c.dirs[i]; i++)
        snprintf(told.dirs[i], sizeof told.dirs[i], "%s", c.dirs[i]);
    told.sleeper = fork();
    if (told.sleeper == 0)
        work_sleeps();
    if (c.dirs[0] && cgroup_enter(&c, told.sleeper, &e) < 0)
        _exit(97);
    if (write(out, &told, sizeof told) != sizeof told)
        _exit(96);
    work_sleeps();
}

static void test_the_groups_go_when_the_supervisor_is_killed(void **state)
{
    int report[2];
    struct {
        char dirs[CGROUP_PLACES][256];
        pid_t guard, sleeper;
    } told = { 0 };
    assert_int_equal(pipe(report), 0);
    pid_t pid = fork();
    if (pid == 0)
        supervisor(report[1]);
    close(report[1]);
    assert_int_equal(read(report[0], &told, sizeof told), sizeof told);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (told.dirs[0][0]) {
        /* Nobody but the guard holds what is left of the pipe: its end is the guard's end. */
        struct stat st;
        for (int i = 0; i < CGROUP_PLACES && told.dirs[i][0]; i++)
            for (int tries = 0; stat(told.dirs[i], &st) == 0; tries++) {
                if (tries > SECONDS * 100)
                    fail_msg("'%s' is left", told.dirs[i]);
                usleep(10000);
            }
    } else {
        kill(told.sleeper, SIGKILL);
    }
    close(report[0]);
    if (!told.dirs[0][0])
        skip();
}

static void test_the_guard_holds_no_descriptor_of_ours_open(void **state)
{
    struct cgroup c;
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    make(&c, &unlimited);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* end of file: no other writer */
    close(ends[0]);
    remove_and_look(&c);
}

static void test_without_rights_nothing_is_made_and_the_flags_say_so(void **state)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct cgroup c;
        struct err e;
        struct cgroup_limits l = unlimited;
        l.memory = 64 << 20;
        if (geteuid() == 0 &&
            (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
            _exit(10);
        if (cgroup_make(&c, group_name(), &l, &e) < 0)
            _exit(1);
        bool made = c.dirs[0] != NULL;
        bool flags = c.memory || c.pids || c.cpu;
        cgroup_remove(&c);
        _exit(flags && !made ? 2 : 0);
    }
    int status = wait_for(pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_a_cpu_group_is_made_only_when_asked_for(void **state)
{
    struct cgroup c;
    struct cgroup_limits l = unlimited;
    l.cpu_percent = 150;
    make(&c, &l);
    if (!c.cpu) {
        remove_and_look(&c);
        skip();
    }
    bool by_v2 = c.cpu_v2;
    remove_and_look(&c);
    make(&c, &unlimited);
    assert_int_equal(c.cpu, by_v2);
    remove_and_look(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rights_nothing_is_made_and_the_flags_say_so),
        cmocka_unit_test(test_a_limit_without_its_controller_is_refused_later),
        cmocka_unit_test(test_a_cpu_group_is_made_only_when_asked_for),
        cmocka_unit_test(test_the_pids_limit_stops_forks_and_is_counted),
        cmocka_unit_test(test_the_memory_limit_kills_and_is_counted),
        cmocka_unit_test(test_limits_can_be_changed_in_both_directions),
        cmocka_unit_test(test_remove_kills_what_is_inside_and_groups_made_below),
        cmocka_unit_test(test_the_guard_holds_no_descriptor_of_ours_open),
        cmocka_unit_test(test_the_groups_go_when_the_supervisor_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
