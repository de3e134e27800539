/* What the rule sets let through and refuse. Each claim is tried in a child, because a process never
 * leaves its rule set. */
#include "base/fd.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

#define ALL_FILES                                                                                  \
    (LL_READ | LL_WRITE | LL_MAKE_CHAR | LL_MAKE_BLOCK | LL_IOCTL_DEV | LL_RESOLVE_UNIX)

static char root[] = "/tmp/test-landlock-XXXXXX";
static char open_dir[64], shut_dir[64], one_file[64];

static void write_file(const char *path)
{
    AUTO_FD fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
}

static int set_up(void **state)
{
    assert_non_null(mkdtemp(root));
    snprintf(open_dir, sizeof open_dir, "%s/open", root);
    snprintf(shut_dir, sizeof shut_dir, "%s/shut", root);
    snprintf(one_file, sizeof one_file, "%s/one", root);
    assert_int_equal(mkdir(open_dir, 0700), 0);
    assert_int_equal(mkdir(shut_dir, 0700), 0);
    write_file(one_file);
    return 0;
}

static int tear_down(void **state)
{
    unlink(one_file);
    rmdir(open_dir);
    rmdir(shut_dir);
    return rmdir(root);
}

/* Runs `claim` in a child and returns its exit status: 0 = it held. */
static int in_child(int (*claim)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(claim());
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static int enter_with(uint64_t access, const char *path)
{
    struct err e = { 0 };
    int abi = landlock_abi();
    AUTO_FD set = landlock_ruleset(
        abi, (struct landlock_wants){ .files = ALL_FILES, .net = LL_BIND_TCP | LL_CONNECT_TCP },
        &e);
    AUTO_FD at = open(path, O_PATH | O_CLOEXEC);
    if (set < 0 || at < 0 || landlock_allow_path(set, abi, at, access, &e) < 0)
        return -1;
    if (landlock_allow_port(set, abi, 3128, LL_CONNECT_TCP, &e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return landlock_enter(set, 0, &e);
}

static int refused(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/made", dir);
    AUTO_FD fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlink(path);
    return fd < 0 && errno == EACCES;
}

static int claim_only_listed_tree_is_writable(void)
{
    if (enter_with(LL_READ | LL_WRITE, open_dir) < 0)
        return 10;
    return refused(open_dir) ? 1 : !refused(shut_dir) ? 2 : 0;
}

static void test_only_the_listed_tree_is_writable(void **state)
{
    if (!landlock_abi())
        skip();
    assert_int_equal(in_child(claim_only_listed_tree_is_writable), 0);
}

static int claim_a_file_rule_drops_directory_rights(void)
{
    if (enter_with(LL_READ | LL_WRITE, one_file) < 0)
        return 10;
    AUTO_FD fd = open(one_file, O_WRONLY | O_CLOEXEC);
    return fd < 0 ? 1 : !refused(open_dir) ? 2 : 0;
}

static void test_rights_of_directories_are_dropped_for_a_file(void **state)
{
    if (!landlock_abi())
        skip();
    assert_int_equal(in_child(claim_a_file_rule_drops_directory_rights), 0);
}

static int connect_errno(uint16_t port)
{
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    return connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
}

static int claim_other_ports_are_refused(void)
{
    if (enter_with(LL_READ, "/") < 0)
        return 10;
    return connect_errno(1) != EACCES ? 1 : connect_errno(3128) == EACCES ? 2 : 0;
}

static void test_only_the_listed_port_can_be_connected_to(void **state)
{
    if (landlock_abi() < 4)
        skip();
    assert_int_equal(in_child(claim_other_ports_are_refused), 0);
}

static void test_each_abi_grants_what_it_knows(void **state)
{
    static const struct {
        int abi;
        struct landlock_wants got;
    } rows[] = {
        { 0, { 0 } },
        { 1, { .files = 0x1fff } },
        { 2, { .files = 0x3fff } },
        { 3, { .files = 0x7fff } },
        { 4, { .files = 0x7fff, .net = 3 } },
        { 5, { .files = 0xffff, .net = 3 } },
        { 6, { .files = 0xffff, .net = 3, .scopes = 3 } },
        { 7, { .files = 0xffff, .net = 3, .scopes = 3 } },
        { 9, { .files = 0x1ffff, .net = 3, .scopes = 3 } },
        { 50, { .files = 0x1ffff, .net = 3, .scopes = 3 } },
    };
    const struct landlock_wants all = { ~0ull, ~0ull, ~0ull };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct landlock_wants got = landlock_granted(rows[i].abi, all);
        assert_int_equal(got.files, rows[i].got.files);
        assert_int_equal(got.net, rows[i].got.net);
        assert_int_equal(got.scopes, rows[i].got.scopes);
    }
}

static void test_a_rule_set_is_close_on_exec(void **state)
{
    if (!landlock_abi())
        skip();
    struct err e = { 0 };
    AUTO_FD set =
        landlock_ruleset(landlock_abi(), (struct landlock_wants){ .files = LL_READ_FILE }, &e);
    assert_true(set >= 0);
    assert_true(fcntl(set, F_GETFD) & FD_CLOEXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_abi_grants_what_it_knows),
        cmocka_unit_test(test_a_rule_set_is_close_on_exec),
        cmocka_unit_test(test_only_the_listed_tree_is_writable),
        cmocka_unit_test(test_rights_of_directories_are_dropped_for_a_file),
        cmocka_unit_test(test_only_the_listed_port_can_be_connected_to),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
