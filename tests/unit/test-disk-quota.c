/* How much was added beneath a directory, against a real file system: contract 4.1. */
#include "base/fd.h"
#include "sandbox/disk_quota.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

enum { KIB = 1 << 10, PIECE = 256 * KIB, LIMIT = 8 << 20, HELD = 16 };

static char directory[64];
static int parent, fds;
static struct disk_quota *quota;
static int64_t now;

static int set_up(void **state)
{
    struct err e;
    snprintf(directory, sizeof directory, "/var/tmp/postern-quota-XXXXXX");
    assert_non_null(mkdtemp(directory));
    parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    now = 1000000000;
    assert_int_equal(disk_quota_new(LIMIT, HELD, fds, &quota, &e), 0);
    return 0;
}

static int tear_down(void **state)
{
    disk_quota_free(quota);
    fd_drop(&parent);
    fd_drop(&fds);
    return rmdir(directory);
}

static int64_t added(void)
{
    for (int i = 0; i < 3; i++) /* the kernel tells of an end once we have let go */
        disk_quota_run(quota, now += DISK_QUOTA_TICK_MS * 1000000ll);
    return disk_quota_added(quota);
}

/* As the warden opens. */
static int open_counted(const char *name, int flags)
{
    struct stat st;
    int fd;
    bool there = fstatat(parent, name, &st, 0) == 0;
    assert_int_equal(disk_quota_room(quota), 0);
    fd = openat(parent, name, flags | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(disk_quota_open(quota, fd, there ? st.st_blocks : 0), 0);
    if (!there)
        disk_quota_made(quota, parent, name);
    return fd;
}

static void fill(int fd)
{
    static char piece[PIECE];
    memset(piece, 'x', sizeof piece);
    assert_int_equal(write(fd, piece, sizeof piece), sizeof piece);
}

static void make_filled(const char *name)
{
    int fd = open_counted(name, O_WRONLY);
    fill(fd);
    close(fd);
}

static void take_away(const char *name, int flags)
{
    struct disk_quota_leaver leaver;
    disk_quota_leaves(quota, parent, name, &leaver);
    assert_int_equal(unlinkat(parent, name, flags), 0);
    disk_quota_left(quota, &leaver, true);
}

static void assert_about(int64_t bytes)
{
    assert_in_range(added(), bytes, bytes + 16 * KIB);
}

static void what_is_written_is_counted_when_it_is_looked_at(void **state)
{
    int fd = open_counted("file", O_WRONLY);
    fill(fd);
    assert_int_equal(disk_quota_added(quota), DISK_QUOTA_NAME);
    assert_about(PIECE);
    fill(fd);
    close(fd); /* the last look comes after the end */
    assert_about(2 * PIECE);
    unlinkat(parent, "file", 0);
}

static void a_hole_is_free(void **state)
{
    int fd = open_counted("file", O_WRONLY);
    assert_int_equal(ftruncate(fd, 1ll << 40), 0);
    assert_about(0);
    assert_int_equal(pwrite(fd, "x", 1, 1ll << 30), 1);
    assert_in_range(added(), 1, 64 * KIB);
    close(fd);
    unlinkat(parent, "file", 0);
}

static void writing_anew_counts_the_difference(void **state)
{
    make_filled("file");
    for (int i = 0; i < 5; i++) {
        int fd = open_counted("file", O_WRONLY | O_TRUNC);
        fill(fd);
        close(fd);
    }
    assert_about(PIECE);
    unlinkat(parent, "file", 0);
}

static void what_was_there_before_is_not_counted(void **state)
{
    int fd = openat(parent, "file", O_WRONLY | O_CREAT, 0600);
    fill(fd);
    close(fd);
    close(open_counted("file", O_WRONLY));
    assert_int_equal(added(), 0);
    take_away("file", 0);
    assert_in_range(-added(), PIECE, PIECE + 16 * KIB);
}

static void what_is_removed_is_given_back(void **state)
{
    make_filled("one");
    make_filled("two");
    assert_about(2 * PIECE);
    take_away("one", 0);
    assert_about(PIECE);
    take_away("two", 0);
    assert_int_equal(added(), 0);
    assert_int_equal(mkdirat(parent, "directory", 0700), 0);
    disk_quota_made(quota, parent, "directory");
    assert_int_equal(symlinkat("file", parent, "link"), 0);
    disk_quota_made(quota, parent, "link");
    assert_in_range(added(), 2 * DISK_QUOTA_NAME, 16 * KIB);
    take_away("directory", AT_REMOVEDIR);
    take_away("link", 0);
    assert_int_equal(added(), 0);
}

/* Who keeps it, keeps it on the disk. */
static void what_is_removed_and_open_is_given_back_later(void **state)
{
    static const int keeps[] = { O_RDONLY, O_PATH, O_WRONLY };
    for (size_t i = 0; i < 3; i++) {
        make_filled("file");
        assert_about(PIECE);
        int kept = keeps[i] == O_WRONLY ? open_counted("file", O_WRONLY)
                                        : openat(parent, "file", keeps[i] | O_CLOEXEC);
        take_away("file", 0);
        assert_about(PIECE);
        if (keeps[i] == O_WRONLY) {
            fill(kept);
            fill(kept);
            assert_about(2 * PIECE);
        }
        close(kept);
        assert_int_equal(added(), 0);
    }
}

static void a_map_keeps_a_file_open(void **state)
{
    int fd = open_counted("file", O_RDWR);
    assert_int_equal(ftruncate(fd, PIECE), 0);
    char *at = mmap(NULL, PIECE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(at != MAP_FAILED);
    close(fd);
    assert_about(0);
    memset(at, 'x', PIECE);
    assert_about(PIECE);
    take_away("file", 0);
    assert_about(PIECE);
    munmap(at, PIECE);
    assert_int_equal(added(), 0);
}

static void what_had_a_second_name_is_not_given_back(void **state)
{
    int fd = open_counted("first", O_RDWR);
    fill(fd);
    disk_quota_linked(quota, fd);
    assert_int_equal(linkat(parent, "first", parent, "second", 0), 0);
    disk_quota_made(quota, parent, "second");
    take_away("first", 0);
    take_away("second", 0);
    assert_about(PIECE);
    close(fd);
    assert_about(PIECE);
}

static void a_removal_that_fails_changes_nothing(void **state)
{
    struct disk_quota_leaver leaver;
    make_filled("file");
    disk_quota_leaves(quota, parent, "file", &leaver);
    disk_quota_left(quota, &leaver, false);
    assert_about(PIECE);
    disk_quota_leaves(quota, parent, "none", &leaver);
    disk_quota_left(quota, &leaver, false);
    assert_about(PIECE);
    take_away("file", 0);
    assert_int_equal(added(), 0);
}

static bool is_ready(void)
{
    struct pollfd p = { .fd = disk_quota_fd(quota), .events = POLLIN };
    return poll(&p, 1, 0) > 0;
}

/* The kernel has a word for each watch that goes; whoever does not read it is woken for ever. */
static void it_rests_after_every_kind_of_removal(void **state)
{
    struct disk_quota_leaver leaver;
    make_filled("file");
    disk_quota_leaves(quota, parent, "file", &leaver);
    disk_quota_left(quota, &leaver, false);
    disk_quota_ready(quota);
    assert_false(is_ready());
    int kept = openat(parent, "file", O_RDONLY | O_CLOEXEC);
    take_away("file", 0);
    added();
    close(kept);
    assert_true(is_ready());
    disk_quota_ready(quota);
    assert_false(is_ready());
    assert_int_equal(added(), 0);
}

static void another_file_that_takes_the_name_is_not_given_back_for_the_first(void **state)
{
    struct disk_quota_leaver leaver;
    make_filled("file");
    make_filled("other");
    disk_quota_leaves(quota, parent, "file", &leaver);
    assert_int_equal(renameat(parent, "file", parent, "moved"), 0); /* by somebody outside */
    assert_int_equal(renameat(parent, "other", parent, "file"), 0);
    assert_int_equal(unlinkat(parent, "file", 0), 0);
    disk_quota_left(quota, &leaver, true);
    assert_about(2 * PIECE);
    assert_int_equal(unlinkat(parent, "moved", 0), 0);
    assert_about(PIECE); /* of "other" nobody has told us */
}

static void what_is_closed_is_let_go_and_what_is_open_is_bounded(void **state)
{
    int open_now[HELD];
    for (int i = 0; i < 10 * HELD; i++)
        close(open_counted("file", O_WRONLY));
    for (int i = 0; i < HELD; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        open_now[i] = open_counted(name, O_WRONLY);
    }
    assert_int_equal(disk_quota_room(quota), ENFILE);
    close(open_now[0]);
    assert_int_equal(disk_quota_room(quota), 0);
    for (int i = 0; i < HELD; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        if (i)
            close(open_now[i]);
        unlinkat(parent, name, 0);
    }
    unlinkat(parent, "file", 0);
}

static void it_rests_when_nothing_is_open(void **state)
{
    assert_int_equal(disk_quota_run(quota, now), -1);
    int fd = open_counted("file", O_WRONLY);
    assert_in_range(disk_quota_run(quota, now), 1, DISK_QUOTA_TICK_MS + 1);
    close(fd);
    added();
    assert_int_equal(disk_quota_run(quota, now), -1);
    unlinkat(parent, "file", 0);
}

static void beyond_the_limit_nothing_is_opened(void **state)
{
    int fd = open_counted("file", O_WRONLY);
    for (int i = 0; i < LIMIT / PIECE; i++)
        fill(fd);
    added();
    assert_true(disk_quota_is_passed(quota)); /* the name counts, too */
    assert_int_equal(disk_quota_room(quota), EDQUOT);
    close(fd);
    unlinkat(parent, "file", 0);
}

/* More than can be waited for: the rest is not given back, and nothing else goes wrong. */
static void many_that_are_removed_and_open_cost_what_they_take(void **state)
{
    enum { MANY = 1500 };
    static int kept[MANY];
    for (int i = 0; i < MANY; i++) {
        int fd = open_counted("file", O_RDWR);
        kept[i] = openat(parent, "file", O_PATH | O_CLOEXEC);
        if (kept[i] < 0)
            skip(); /* fewer descriptors than that here */
        close(fd);
        take_away("file", 0);
    }
    assert_true(added() >= MANY * DISK_QUOTA_NAME);
    for (int i = 0; i < MANY; i++)
        close(kept[i]);
    assert_in_range(added(), 1, (MANY - 1000) * DISK_QUOTA_NAME);
}

#define TEST(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_counted_when_it_is_looked_at),
        TEST(a_hole_is_free),
        TEST(writing_anew_counts_the_difference),
        TEST(what_was_there_before_is_not_counted),
        TEST(what_is_removed_is_given_back),
        TEST(what_is_removed_and_open_is_given_back_later),
        TEST(a_map_keeps_a_file_open),
        TEST(what_had_a_second_name_is_not_given_back),
        TEST(a_removal_that_fails_changes_nothing),
        TEST(it_rests_after_every_kind_of_removal),
        TEST(another_file_that_takes_the_name_is_not_given_back_for_the_first),
        TEST(what_is_closed_is_let_go_and_what_is_open_is_bounded),
        TEST(it_rests_when_nothing_is_open),
        TEST(beyond_the_limit_nothing_is_opened),
        TEST(many_that_are_removed_and_open_cost_what_they_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
