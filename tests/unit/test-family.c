/* Who descends from whom, in a made-up /proc. */
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/family.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const struct {
    int pid;
    const char *stat;
} processes[] = {
    { 10, "10 (init) S 1 10" },
    { 11, "11 (a) S 10 10" },
    { 12, "12 (b) S 11 10" },
    { 7, "7 (recycled number) S 12 10" },
    { 20, "20 (foreign) S 1 20" },
    { 21, "21 (x) S 10 1) S 20 20" },
    { 30, "30 (ring) S 31 30" },
    { 31, "31 (ring) S 30 30" },
    { 32, "32 (below a ring) S 30 0" },
    { 40, "" },
    { 41, "41 (cut" },
    { 42, "42 (gone) S 99 42" },
};
enum { PROCESSES = sizeof processes / sizeof *processes };

static char root[] = "/tmp/test-family-XXXXXX";

static void path_of(int pid, const char *file, char path[64])
{
    snprintf(path, 64, "%s/%d%s", root, pid, file);
}

static int set_up(void **state)
{
    char path[64];
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < PROCESSES; i++) {
        path_of(processes[i].pid, "", path);
        assert_int_equal(mkdir(path, 0700), 0);
        path_of(processes[i].pid, "/stat", path);
        AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        size_t n = strlen(processes[i].stat);
        assert_int_equal(write(fd, processes[i].stat, n), n);
    }
    return 0;
}

static int tear_down(void **state)
{
    char path[64];
    for (size_t i = 0; i < PROCESSES; i++) {
        path_of(processes[i].pid, "/stat", path);
        unlink(path);
        path_of(processes[i].pid, "", path);
        rmdir(path);
    }
    return rmdir(root);
}

static void descendants_are_listed_and_nobody_else(void **state)
{
    AUTO_FREE pid_t *found = NULL;
    size_t n = family_list(root, 10, SIZE_MAX, &found);
    assert_int_equal(n, 3); /* sorted by number */
    assert_int_equal(found[0], 7);
    assert_int_equal(found[1], 11);
    assert_int_equal(found[2], 12);
}

static void whoever_has_no_descendants_gets_none(void **state)
{
    static const pid_t without[] = { 7, 40, 1 << 30 };
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        AUTO_FREE pid_t *found = NULL;
        assert_int_equal(family_list(root, without[i], SIZE_MAX, &found), 0);
    }
}

static void what_cannot_be_read_has_nobody(void **state)
{
    AUTO_FREE pid_t *found = NULL;
    assert_int_equal(family_list("/nowhere", 1, SIZE_MAX, &found), 0);
    assert_null(found);
}

static void the_number_of_looks_is_bounded(void **state)
{
    AUTO_FREE pid_t *found = NULL;
    assert_int_equal(family_list(root, 10, 0, &found), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descendants_are_listed_and_nobody_else),
        cmocka_unit_test(whoever_has_no_descendants_gets_none),
        cmocka_unit_test(what_cannot_be_read_has_nobody),
        cmocka_unit_test(the_number_of_looks_is_bounded),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
