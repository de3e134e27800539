/* Descriptors that are closed together: every one of them, and no other. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static int another(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static int count_open(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += is_open(fd);
    return count;
}

static void a_run_closes_its_descriptors_and_no_other(void **state)
{
    enum { OTHERS = 4 };
    struct fd_run run = { 0 };
    const int before = count_open();
    int others[OTHERS];
    for (int i = 0; i < 3 * OTHERS; i++) {
        fd_run_add(&run, another());
        if (i % 3 == 0)
            others[i / 3] = another();
    }
    errno = EBADMSG;
    fd_run_close(&run);
    assert_int_equal(errno, EBADMSG);
    assert_int_equal(count_open(), before + OTHERS);
    for (int i = 0; i < OTHERS; i++) {
        assert_true(is_open(others[i]));
        close(others[i]);
    }
}

static void the_order_does_not_matter(void **state)
{
    enum { MANY = 40 };
    struct fd_run run = { 0 };
    const int before = count_open();
    int fds[MANY];
    for (int i = 0; i < MANY; i++)
        fds[i] = another();
    for (int i = 0; i < MANY; i++)
        if (i * 7 % MANY != 13)
            fd_run_add(&run, fds[i * 7 % MANY]);
    fd_run_close(&run);
    assert_true(is_open(fds[13]));
    close(fds[13]);
    assert_int_equal(count_open(), before);
}

static void the_last_one_added_stays_open(void **state)
{
    struct fd_run run = { 0 };
    for (int i = 0; i < 200; i++)
        assert_true(is_open(fd_run_add(&run, another())));
    fd_run_close(&run);
}

static void what_could_not_be_opened_is_passed_on(void **state)
{
    struct fd_run run = { 0 };
    int kept = another();
    assert_int_equal(fd_run_add(&run, -1), -1);
    fd_run_close(&run);
    assert_true(is_open(kept));
    close(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_closes_its_descriptors_and_no_other),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(the_last_one_added_stays_open),
        cmocka_unit_test(what_could_not_be_opened_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
