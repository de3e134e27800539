/* What "~" means, also when $HOME is odd (contract 3.4.1, T40). */
#include "sandbox/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

static char passwd[] = "/tmp/test-identity-XXXXXX";

static int set_up(void **state)
{
    int fd = mkstemp(passwd);
    const char text[] = "root:x:0:0:root:/root:/bin/sh\n"
                        "broken line\n"
                        "me:x:4242:4242:,,,:/home/me:/bin/sh\n"
                        "other:x:4242:1:second of that uid:/home/other:/bin/sh\n"
                        "nohome:x:4243:1:::/bin/sh\n"
                        "relative:x:4244:1::home:/bin/sh\n";
    assert_true(write(fd, text, sizeof text - 1) == sizeof text - 1);
    close(fd);
    return 0;
}

static int tear_down(void **state)
{
    return unlink(passwd);
}

struct row {
    const char *home;
    uid_t uid;
    const char *want[2];
};

static void the_home_directories(void **state)
{
    static const struct row rows[] = {
        { "/tmp", 4242, { "/tmp", NULL } },
        { "/tmp", 1, { "/tmp", NULL } },
        { NULL, 4242, { "/home/me", NULL } },
        { "", 4242, { "/home/me", NULL } },
        { "home/me", 4242, { "/home/me", NULL } },
        { "~", 4242, { "/home/me", NULL } },
        { "/no/such/directory", 4242, { "/no/such/directory", "/home/me" } },
        { "/etc/passwd", 4242, { "/etc/passwd", "/home/me" } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA arena = { .limit = 65536 };
        struct identity who;
        struct err e;
        assert_int_equal(identity_find_in(passwd, rows[i].uid, rows[i].home, &arena, &who, &e), 0);
        assert_int_equal(who.uid, rows[i].uid);
        assert_int_equal(who.home_count, rows[i].want[1] ? 2 : 1);
        for (size_t k = 0; k < who.home_count; k++)
            assert_string_equal(who.homes[k], rows[i].want[k]);
    }
}

static void no_home_at_all_is_refused(void **state)
{
    static const struct row rows[] = {
        { NULL, 1, { NULL } },       { "", 1, { NULL } },    { "x", 1, { NULL } },
        { "/nowhere", 1, { NULL } }, { "", 4243, { NULL } }, { NULL, 4244, { NULL } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_ARENA arena = { .limit = 65536 };
        struct identity who;
        struct err e;
        assert_int_equal(identity_find_in(passwd, rows[i].uid, rows[i].home, &arena, &who, &e), -1);
        assert_int_equal(e.kind, E_SANDBOX);
        assert_non_null(strstr(e.text, "HOME"));
    }
}

static void a_passwd_file_that_is_not_there_has_no_entries(void **state)
{
    AUTO_ARENA arena = { .limit = 65536 };
    struct identity who;
    struct err e;
    assert_int_equal(identity_find_in("/no/such/file", 0, "/tmp", &arena, &who, &e), 0);
    assert_int_equal(identity_find_in("/no/such/file", 0, "", &arena, &who, &e), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_home_directories),
        cmocka_unit_test(no_home_at_all_is_refused),
        cmocka_unit_test(a_passwd_file_that_is_not_there_has_no_entries),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
