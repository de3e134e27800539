/* What the list of mounts tells about who stands on whom, and what no path leads to. */
#include "sandbox/mount_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <cmocka.h>

static struct mount_list list_of(const char *text)
{
    struct mount_list list;
    mount_list_take(&list, str_of(text));
    return list;
}

static void every_flag_of_the_mount_itself_is_read_and_none_of_its_file_system(void **state)
{
    struct mount_list list =
        list_of("5 1 0:1 / / rw,relatime - ext4 /dev/root ro,nosuid\n"
                "6 5 0:2 / /a ro,nosuid,nodev,noexec,noatime master:3 - tmpfs none rw\n");
    assert_int_equal(list.count, 2);
    assert_int_equal(list.lines[0].flags, 0);
    assert_int_equal(list.lines[1].flags, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    assert_int_equal(list.lines[0].parent, MOUNT_NONE);
    assert_int_equal(list.lines[1].parent, 0);
    mount_list_release(&list);
}

static void escaped_bytes_of_a_place_are_read(void **state)
{
    struct mount_list list = list_of("5 1 0:1 / /a\\040b\\134c rw - t n rw\n");
    assert_string_equal(list.lines[0].path, "/a b\\c");
    mount_list_release(&list);
}

static void a_line_of_another_form_is_left_out(void **state)
{
    struct mount_list list =
        list_of("5 1 0:1 /\nx 1 0:1 / / rw\n-1 1 0:1 / / rw\n\n7 1 0:1 / / rw\n");
    assert_int_equal(list.count, 1);
    assert_int_equal(list.lines[0].id, 7);
    mount_list_release(&list);
}

static void what_stands_on_a_mount_is_found_through_every_parent(void **state)
{
    struct mount_list list = list_of("5 1 0:1 / / rw\n6 5 0:1 / /a rw\n7 6 0:1 / /a/b rw\n"
                                     "8 5 0:1 / /c rw\n");
    assert_true(mount_list_is_on(&list, 2, 1));
    assert_true(mount_list_is_on(&list, 2, 0));
    assert_true(mount_list_is_on(&list, 1, 1));
    assert_false(mount_list_is_on(&list, 3, 1));
    assert_false(mount_list_is_on(&list, 0, 1));
    mount_list_release(&list);
}

static void a_circle_of_parents_ends(void **state)
{
    struct mount_list list = list_of("5 6 0:1 / /a rw\n6 5 0:1 / /b rw\n7 7 0:1 / /c rw\n");
    assert_false(mount_list_is_on(&list, 0, 2));
    assert_false(mount_list_is_covered(&list, 0));
    mount_list_release(&list);
}

/* The last line is the one that is asked about. */
static const struct {
    const char *text;
    bool covered;
} ways[] = {
    { "5 1 0:1 / / rw\n6 5 0:1 / /a rw\n", false },
    /* another on its root */
    { "5 1 0:1 / / rw\n7 6 0:1 / /a rw\n6 5 0:1 / /a rw\n", true },
    /* it stands on the root of another */
    { "5 1 0:1 / / rw\n6 5 0:1 / /a rw\n7 6 0:1 / /a rw\n", false },
    /* one above it */
    { "5 1 0:1 / / rw\n7 5 0:1 / /a rw\n6 5 0:1 / /a/b rw\n", true },
    /* a neighbour, also one whose name begins the same */
    { "5 1 0:1 / / rw\n7 5 0:1 / /a rw\n6 5 0:1 / /ab rw\n", false },
    /* one beneath it */
    { "5 1 0:1 / / rw\n7 6 0:1 / /a/b rw\n6 5 0:1 / /a rw\n", false },
    /* a copy of the tree lies over the place where the first /a/b stands: the second is reached */
    { "5 1 0:1 / / rw\n6 5 0:1 / /a/b rw\n7 5 0:1 / /a rw\n8 7 0:1 / /a/b rw\n", false },
    { "5 1 0:1 / / rw\n7 5 0:1 / /a rw\n8 7 0:1 / /a/b rw\n6 5 0:1 / /a/b rw\n", true },
    /* what stands on a mount whose root is covered */
    { "5 1 0:1 / / rw\n6 5 0:1 / /a rw\n7 6 0:1 / /a rw\n8 6 0:1 / /a/b rw\n", true },
    { "5 1 0:1 / / rw\n6 5 0:1 / /a rw\n7 6 0:1 / /a rw\n8 7 0:1 / /a/b rw\n", false },
    /* the root is covered */
    { "5 1 0:1 / / rw\n6 5 0:1 / / rw\n7 5 0:1 / /a rw\n", true },
    { "5 1 0:1 / / rw\n6 5 0:1 / / rw\n7 6 0:1 / /a rw\n", false },
};

static void what_no_path_leads_to_is_told(void **state)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct mount_list list = list_of(ways[i].text);
        bool covered = mount_list_is_covered(&list, (int)list.count - 1);
        if (covered != ways[i].covered)
            fail_msg("row %zu", i);
        mount_list_release(&list);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_flag_of_the_mount_itself_is_read_and_none_of_its_file_system),
        cmocka_unit_test(escaped_bytes_of_a_place_are_read),
        cmocka_unit_test(a_line_of_another_form_is_left_out),
        cmocka_unit_test(what_stands_on_a_mount_is_found_through_every_parent),
        cmocka_unit_test(a_circle_of_parents_ends),
        cmocka_unit_test(what_no_path_leads_to_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
