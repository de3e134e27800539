/* What is left after the drop, as root, as an unprivileged user, and as the root of a user namespace.
 * Each claim in a child: a process never gets its capabilities back. */
#include "base/fd.h"
#include "sandbox/capabilities.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { NOBODY = 65534, NOT_GRANTED = 77 };
#define PTRACE (1ull << CAP_SYS_PTRACE)

struct sets {
    uint64_t inheritable, permitted, effective, bounding, ambient, no_new_privs;
};

static struct sets sets_now(void)
{
    static const char *const names[] = { "CapInh:", "CapPrm:", "CapEff:",
                                         "CapBnd:", "CapAmb:", "NoNewPrivs:" };
    struct sets s = { 0 };
    uint64_t *values = &s.inheritable;
    char text[4096];
    AUTO_FD fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n < 0)
        _exit(90);
    text[n] = '\0';
    for (size_t i = 0; i < 6; i++) {
        const char *at = strstr(text, names[i]);
        if (!at)
            _exit(91);
        values[i] = strtoull(at + strlen(names[i]), NULL, 16);
    }
    return s;
}

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

static int nothing_left(uint64_t kept)
{
    struct sets s = sets_now();
    return s.permitted != kept || s.effective != kept ? 1
           : s.inheritable || s.ambient               ? 2
           : s.bounding                               ? 3
           : s.no_new_privs != 1                      ? 4
                                                      : 0;
}

static int drop_all_then_again(void)
{
    struct err e;
    if (capabilities_drop(PTRACE, &e) < 0)
        return 10;
    int wrong = nothing_left(PTRACE);
    if (wrong)
        return wrong;
    /* The warden's child has no CAP_SETPCAP any more and drops the rest. */
    if (capabilities_drop(0, &e) < 0)
        return 11;
    return nothing_left(0);
}

static int claim_as_root(void)
{
    return geteuid() ? NOT_GRANTED : drop_all_then_again();
}

static void test_root_keeps_one_capability_and_then_none(void **state)
{
    holds(claim_as_root);
}

static int claim_in_user_namespace(void)
{
    if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
        return 12;
    if (unshare(CLONE_NEWUSER) < 0)
        return NOT_GRANTED;
    return drop_all_then_again();
}

static void test_the_owner_of_a_user_namespace_keeps_one_and_then_none(void **state)
{
    holds(claim_in_user_namespace);
}

static int claim_unprivileged(void)
{
    struct err e;
    if (geteuid() == 0 && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
        return 12;
    if (capabilities_drop(PTRACE, &e) < 0)
        return 10;
    struct sets s = sets_now();
    return s.permitted || s.effective || s.inheritable || s.ambient ? 1
           : s.no_new_privs != 1                                    ? 2
                                                                    : 0;
}

static void test_an_unprivileged_caller_gains_nothing_and_does_not_fail(void **state)
{
    holds(claim_unprivileged);
}

static int claim_exec_gives_nothing(void)
{
    struct err e;
    if (geteuid())
        return NOT_GRANTED;
    if (capabilities_drop(PTRACE, &e) < 0)
        return 10;
    if (prctl(PR_GET_SECUREBITS) != (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                                     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED))
        return 2;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_PTRACE, 0, 0) == 0)
        return 3;
    execl("/bin/sh", "sh", "-c",
          "while read name value; do case $name in Cap*:) case $value in *[!0]*) exit 1;; esac;; "
          "esac; done </proc/self/status",
          (char *)NULL);
    return 13;
}

static void test_uid_0_has_nothing_after_execve(void **state)
{
    holds(claim_exec_gives_nothing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_root_keeps_one_capability_and_then_none),
        cmocka_unit_test(test_the_owner_of_a_user_namespace_keeps_one_and_then_none),
        cmocka_unit_test(test_an_unprivileged_caller_gains_nothing_and_does_not_fail),
        cmocka_unit_test(test_uid_0_has_nothing_after_execve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
