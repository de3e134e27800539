/* Which file systems may not answer, told from the list of mounts; what answers is looked at as ever. */
#include "sandbox/stalled.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

static const char list[] =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "22 21 0:5 / /proc rw - proc proc rw\n"
    "23 21 0:40 / /home/me/mnt rw,nosuid shared:2 master:3 - fuse.sshfs host:/ rw,user_id=0\n"
    "24 21 0:41 / /home/me/a\\040b rw - nfs4 server:/x rw\n"
    "25 21 0:42 / /fusion rw - tmpfs fuse rw\n"
    "26 21 0:43 / /auto rw - autofs systemd-1 rw\n"
    "odd line\n"
    "27 21 0:44\n";

static void slow_ones_are_found_by_type(void **state)
{
    struct stalled s;
    stalled_init_from(&s, str_of(list));
    assert_int_equal(s.count, 3);
    assert_string_equal(s.mounts[0].path, "/home/me/mnt");
    assert_int_equal(s.mounts[0].device, makedev(0, 40));
    assert_string_equal(s.mounts[1].path, "/home/me/a b");
    assert_string_equal(s.mounts[2].path, "/auto");
    stalled_release(&s);
}

static void what_answers_is_looked_at_by_the_child_too(void **state)
{
    struct stalled s;
    struct stat ours, its;
    char real[PATH_MAX];
    stalled_init_from(&s, str_of(list));
    assert_int_equal(stalled_stat(&s, "/proc/../etc", &its), 0);
    assert_true(s.looker > 0);
    assert_true(stat("/etc", &ours) == 0 && ours.st_ino == its.st_ino);
    assert_int_equal(stalled_lstat(&s, "/nowhere/at/all", &its), -1);
    assert_int_equal(errno, ENOENT);
    assert_ptr_equal(stalled_realpath(&s, "/etc/../usr/./bin", real), real);
    assert_string_equal(real, "/usr/bin");
    assert_null(stalled_realpath(&s, "/nowhere/at/all", real));
    assert_int_equal(stalled_list(&s, "/etc", ours.st_dev), 0);
    stalled_release(&s);
}

static void what_has_not_answered_is_not_asked_again(void **state)
{
    struct stalled s;
    struct stat st;
    stalled_init_from(&s, str_of(list));
    s.mounts[0].dead = true;
    assert_int_equal(stalled_stat(&s, "/home/me/mnt/x", &st), -1);
    assert_int_equal(errno, ETIMEDOUT);
    assert_int_equal(s.looker, 0);
    assert_true(stalled_is_dead(&s, STR("/home/me/mnt")));
    assert_false(stalled_is_dead(&s, STR("/home/me/mnt/x")));
    stalled_release(&s);
}

static void without_slow_ones_there_is_no_child(void **state)
{
    struct stalled s;
    struct stat st;
    stalled_init_from(&s, STR("21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"));
    assert_int_equal(stalled_stat(&s, "/etc", &st), 0);
    assert_int_equal(s.looker, 0);
    stalled_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_ones_are_found_by_type),
        cmocka_unit_test(what_answers_is_looked_at_by_the_child_too),
        cmocka_unit_test(what_has_not_answered_is_not_asked_again),
        cmocka_unit_test(without_slow_ones_there_is_no_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
