/* The limits of a process after rlimits_apply, and its session keyring after keyring_renew. */
#include "sandbox/keyring.h"
#include "sandbox/rlimits.h"

#include <errno.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { NOBODY = 65534, NOT_GRANTED = 77, MIB = 1 << 20 };

static const struct cgroup_limits no_totals = { .memory = UINT64_MAX,
                                                .pids = UINT64_MAX,
                                                .cpu_percent = UINT64_MAX };
static const struct rlimits_instead of_nothing = { 0 };

static void holds(int (*claim)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(claim());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_GRANTED)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct rlimit now(__rlimit_resource_t resource)
{
    struct rlimit r;
    if (getrlimit(resource, &r) < 0)
        _exit(90);
    return r;
}

static bool both_are(__rlimit_resource_t resource, rlim_t wanted)
{
    struct rlimit r = now(resource);
    return r.rlim_cur == wanted && r.rlim_max == wanted;
}

static int claim_defaults(void)
{
    struct settings_limits l = { 0 };
    struct err e;
    struct rlimit stack = now(RLIMIT_STACK), size = now(RLIMIT_FSIZE);
    if (rlimits_apply(&l, &no_totals, of_nothing, &e) < 0)
        return 10;
    return !both_are(RLIMIT_CORE, 0)             ? 1
           : !both_are(RLIMIT_NOFILE, 4096)      ? 2
           : !both_are(RLIMIT_MEMLOCK, 64 << 10) ? 3
           : !both_are(RLIMIT_MSGQUEUE, 0)       ? 4
           : now(RLIMIT_STACK).rlim_max != stack.rlim_max ||
                   now(RLIMIT_FSIZE).rlim_cur != size.rlim_cur
               ? 5
               : 0;
}

static void test_the_defaults_of_the_contract(void **state)
{
    holds(claim_defaults);
}

static int claim_given(void)
{
    struct settings_limits l = { .file_size = 5 * MIB,
                                 .open_files = 100,
                                 .core = 4096,
                                 .stack = MIB,
                                 .memlock = 8192,
                                 .msgqueue = 1000,
                                 .sigpending = 50 };
    struct err e;
    if (rlimits_apply(&l, &no_totals, of_nothing, &e) < 0)
        return 10;
    return !both_are(RLIMIT_FSIZE, 5 * MIB)   ? 1
           : !both_are(RLIMIT_NOFILE, 100)    ? 2
           : !both_are(RLIMIT_CORE, 4096)     ? 3
           : !both_are(RLIMIT_STACK, MIB)     ? 4
           : !both_are(RLIMIT_MEMLOCK, 8192)  ? 5
           : !both_are(RLIMIT_MSGQUEUE, 1000) ? 6
           : !both_are(RLIMIT_SIGPENDING, 50) ? 7
                                              : 0;
}

static void test_given_limits_hold_for_soft_and_hard(void **state)
{
    holds(claim_given);
}

static int claim_never_raised(void)
{
    struct settings_limits l = { .open_files = 4000, .core = UINT64_MAX, .stack = UINT64_MAX };
    struct err e;
    if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 50, 60 }) < 0 ||
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 1000 }) < 0)
        return 11;
    if (rlimits_apply(&l, &no_totals, of_nothing, &e) < 0)
        return 10;
    return !both_are(RLIMIT_NOFILE, 60) ? 1 : !both_are(RLIMIT_CORE, 1000) ? 2 : 0;
}

static void test_a_hard_limit_is_never_raised(void **state)
{
    holds(claim_never_raised);
}

static int claim_instead(void)
{
    struct settings_limits l = { .wall_seconds = 10 };
    struct cgroup_limits totals = { .memory = 64 * MIB, .pids = 20, .cpu_percent = 250 };
    struct err e;
    if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
        return 12;
    if (unshare(CLONE_NEWUSER) < 0)
        return NOT_GRANTED;
    struct rlimits_instead all = { true, true, true };
    if (rlimits_apply(&l, &totals, all, &e) < 0)
        return 10;
    if (!both_are(RLIMIT_CPU, 26) || getpriority(PRIO_PROCESS, 0) < 10)
        return 1;
    if (mmap(NULL, 80 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
        MAP_FAILED)
        return 2;
    for (int i = 1; i <= 40; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return i == 20 && errno == EAGAIN ? 0 : 3;
        if (pid == 0) {
            alarm(5);
            pause();
            _exit(0);
        }
    }
    return 4;
}

static void test_without_a_cgroup_memory_pids_and_cpu_are_limited_per_process(void **state)
{
    holds(claim_instead);
}

static int claim_totals_are_left_to_the_cgroup(void)
{
    struct settings_limits l = { .wall_seconds = 10 };
    struct cgroup_limits totals = { .memory = 64 * MIB, .pids = 20, .cpu_percent = 250 };
    struct err e;
    struct rlimit data = now(RLIMIT_DATA), processes = now(RLIMIT_NPROC);
    if (rlimits_apply(&l, &totals, of_nothing, &e) < 0)
        return 10;
    return now(RLIMIT_DATA).rlim_cur != data.rlim_cur         ? 1
           : now(RLIMIT_NPROC).rlim_cur != processes.rlim_cur ? 2
                                                              : 0;
}

static void test_with_a_cgroup_the_totals_are_not_set_per_process(void **state)
{
    holds(claim_totals_are_left_to_the_cgroup);
}

static int claim_keyring(void)
{
    struct err e;
    long key = syscall(SYS_add_key, "user", "postern-test", "x", 1, KEY_SPEC_SESSION_KEYRING);
    if (key < 0)
        return NOT_GRANTED;
    if (syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "postern-test", 0) !=
        key)
        return 11;
    if (keyring_renew(&e) < 0)
        return 10;
    long found =
        syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", "postern-test", 0);
    return found >= 0;
}

static int claim_own_keyring(void)
{
    struct err e;
    /* A first keyring of the test's own, so that no key is left in the caller's. */
    return keyring_renew(&e) < 0 ? NOT_GRANTED : claim_keyring();
}

static void test_a_new_session_keyring_does_not_hold_the_old_keys(void **state)
{
    holds(claim_own_keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_defaults_of_the_contract),
        cmocka_unit_test(test_given_limits_hold_for_soft_and_hard),
        cmocka_unit_test(test_a_hard_limit_is_never_raised),
        cmocka_unit_test(test_without_a_cgroup_memory_pids_and_cpu_are_limited_per_process),
        cmocka_unit_test(test_with_a_cgroup_the_totals_are_not_set_per_process),
        cmocka_unit_test(test_a_new_session_keyring_does_not_hold_the_old_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
