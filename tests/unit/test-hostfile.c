/* What the supervisor opens for a granted wish: regular files on the path that was resolved, no link, nothing
 * that any rule denies under any name. */
#include "sandbox/hostfile.h"

#include "base/check.h"
#include "base/fd.h"

#include <errno.h>
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

static char box[64];
static struct plan plan;
static struct file_rule_path root, write_denies[1], read_denies[2];
static struct file_rule_inode inode;
static struct place own;
static char texts[8][128];

static const char *in_box(size_t i, const char *name)
{
    snprintf(texts[i], sizeof texts[i], "%s/%s", box, name);
    return texts[i];
}

static void make(const char *name)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", box, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    CHECK(fd >= 0 && write(fd, "old", 3) == 3);
    close(fd);
}

static int set_up(void **state)
{
    struct stat st;
    /* Below /dev nothing is opened at all, so the box lies elsewhere. */
    snprintf(box, sizeof box, "/tmp/postern-hostfile-XXXXXX");
    CHECK(mkdtemp(box));
    CHECK(chdir(box) == 0 && mkdir("home", 0755) == 0 && mkdir("dir", 0755) == 0);
    make("file");
    make("denied");
    make("own");
    make("home/notes");
    make("home/key");
    CHECK(link("denied", "alias") == 0 && symlink("file", "link") == 0 &&
          symlink("dir", "way") == 0);
    CHECK(mkfifo("fifo", 0644) == 0 && stat("denied", &st) == 0);
    root = (struct file_rule_path){ in_box(0, "ws"), "filesystem.allowWrite[0]" };
    write_denies[0] = (struct file_rule_path){ in_box(1, "denied"), "filesystem.denyWrite[0]" };
    read_denies[0] = (struct file_rule_path){ in_box(2, "home"), FILE_RULE_HIDE_HOME };
    read_denies[1] = (struct file_rule_path){ in_box(3, "home/key"), "filesystem.denyRead[0]" };
    inode = (struct file_rule_inode){ st.st_dev, st.st_ino, "filesystem.denyWrite[0]" };
    own = (struct place){ .path = in_box(4, "own"), .rule = PLAN_OWN_FILES };
    plan = (struct plan){ .rules = { .write_roots = &root,
                                     .write_root_count = 1,
                                     .write_denies = write_denies,
                                     .write_deny_count = 1,
                                     .read_denies = read_denies,
                                     .read_deny_count = 2,
                                     .denied_inodes = &inode,
                                     .denied_inode_count = 1 },
                          .deny_write = { .items = &own, .count = 1 } };
    return 0;
}

static int tear_down(void **state)
{
    static const char *const made[] = { "file", "denied", "own",  "home/notes", "home/key", "alias",
                                        "link", "way",    "fifo", "dir/new",    "new" };
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        unlink(made[i]);
    CHECK(rmdir("home") == 0 && rmdir("dir") == 0 && chdir("/") == 0 && rmdir(box) == 0);
    return 0;
}

static struct wish wish_for(const char *path, int flags)
{
    struct wish w = { .kind = WISH_OPEN, .id = 1, .flags = flags, .mode = 06666, .umask = 022 };
    snprintf(w.path, sizeof w.path, path[0] == '/' ? "%.0s%s" : "%s/%s", box, path);
    return w;
}

static void what_lies_outside_the_plan_is_opened(void **state)
{
    const char *rule;
    int fd;
    bool made;
    struct stat st;
    struct wish w = wish_for("file", O_WRONLY | O_TRUNC);
    assert_int_equal(hostfile_check(&plan, &w, &rule), 0);
    assert_int_equal(hostfile_open(&plan, &w, &fd, &made), 0);
    assert_true(fstat(fd, &st) == 0 && st.st_size == 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
    assert_false(made);
    close(fd);
    w = wish_for("dir/new", O_WRONLY | O_CREAT);
    assert_int_equal(hostfile_check(&plan, &w, &rule), 0);
    assert_int_equal(access("dir/new", F_OK), -1); /* a look makes nothing */
    assert_int_equal(hostfile_open(&plan, &w, &fd, &made), 0);
    assert_true(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0644);
    assert_true(made);
    close(fd);
    w = wish_for("home/notes", O_RDONLY);
    assert_int_equal(hostfile_check(&plan, &w, &rule), 0);
    assert_int_equal(hostfile_open(&plan, &w, &fd, &made), 0);
    close(fd);
}

static void everything_else_is_not(void **state)
{
    static const struct {
        const char *path;
        int flags, os;
        bool by_rule;
    } rows[] = {
        { "denied", O_WRONLY, EACCES, true },
        { "alias", O_WRONLY, EACCES, true },
        { "own", O_RDONLY, EACCES, true },
        { "own", O_WRONLY, EACCES, true },
        { "home/key", O_RDONLY, EACCES, true },
        { "home/key", O_WRONLY, EACCES, true },
        { "home/.bashrc", O_WRONLY | O_CREAT, EACCES, true },
        { "file", O_RDONLY, EACCES, true }, /* not hidden: the command can read it itself */
        { "ws/x", O_WRONLY | O_CREAT, ENOENT, false },
        { "link", O_WRONLY, EACCES, true },
        { "way/new", O_WRONLY | O_CREAT, EACCES, true },
        { "fifo", O_WRONLY, EACCES, true },
        { "dir", O_WRONLY, EACCES, true },
        { "dir/../file", O_WRONLY, EACCES, true },
        { "dir//x", O_WRONLY | O_CREAT, EACCES, true },
        { "dir/", O_WRONLY | O_CREAT, EACCES, true },
        { "nothing", O_WRONLY, ENOENT, false },
        { "nothing/x", O_WRONLY | O_CREAT, ENOENT, false },
        { "file", O_WRONLY | O_CREAT | O_EXCL, EEXIST, false },
        { "a\nb", O_WRONLY | O_CREAT, EACCES, true },
        { "a\xe2\x80\xae"
          "b",
          O_WRONLY | O_CREAT, EACCES, true },
        { "\xff", O_WRONLY | O_CREAT, EACCES, true },
        { "/proc/self/comm", O_WRONLY, EACCES, true },
        { "/sys/kernel/x", O_WRONLY, EACCES, true },
        { "/dev/null", O_WRONLY, EACCES, true },
        { "/", O_RDONLY, EACCES, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wish w = wish_for(rows[i].path, rows[i].flags);
        const char *rule;
        int fd;
        bool made;
        assert_int_equal(hostfile_check(&plan, &w, &rule), rows[i].os);
        assert_int_equal(rule != NULL, rows[i].by_rule);
        assert_int_equal(hostfile_open(&plan, &w, &fd, &made), rows[i].os);
    }
    assert_int_equal(access("dir/new", F_OK), -1);
}

static void what_a_mount_of_ours_shows_is_another_file(void **state)
{
    struct plan_mount bind = { .kind = MOUNT_BIND,
                               .path = in_box(5, "dir"),
                               .rule = "x.filesystem.readOnlyBind" };
    struct wish w = wish_for("dir/new", O_WRONLY | O_CREAT);
    const char *rule;
    plan.mounts = &bind;
    plan.mount_count = 1;
    assert_int_equal(hostfile_check(&plan, &w, &rule), EACCES);
    assert_string_equal(rule, "x.filesystem.readOnlyBind");
}

static void a_file_system_that_may_not_answer_is_not_asked(void **state)
{
    struct stalled_mount slow = { .path = (char *)in_box(5, "dir") };
    struct wish w = wish_for("dir/new", O_WRONLY | O_CREAT);
    const char *rule;
    plan.stalled = (struct stalled){ .mounts = &slow, .count = 1, .socket = -1 };
    assert_int_equal(hostfile_check(&plan, &w, &rule), EACCES);
    assert_string_equal(rule, "a file system that may not answer");
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(what_lies_outside_the_plan_is_opened),
        CLAIM(everything_else_is_not),
        CLAIM(what_a_mount_of_ours_shows_is_another_file),
        CLAIM(a_file_system_that_may_not_answer_is_not_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
