/* What a command may read when every open is judged (x.filesystem.strictHide): no hidden name, no second
 * name of a hidden file, nothing of a process that the kernel would keep from it; and fifos meet. */
#include "wardbox.h"

#include "base/arena.h"
#include "base/check.h"
#include "core/path_pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct file_rule_path hidden;
static char hidden_path[128];

static int set_up(void **state)
{
    box_set_up(state);
    snprintf(hidden_path, sizeof hidden_path, "%s/.env", box);
    hidden = (struct file_rule_path){ hidden_path, "filesystem.denyRead[0]" };
    ward.options.judge_reads = true;
    ward.rules.read_denies = &hidden;
    ward.rules.read_deny_count = 1;
    host("echo secret >.env; echo plain >plain; mkdir d; echo x >d/x; mkfifo f; ln -s .env link; "
         "ln -s . here");
    return 0;
}

static int read_hidden(void *ctx)
{
    char text[200];
    WANT(chdir(box) == 0);
    int dir = open(".", O_PATH | O_DIRECTORY), object = open(".env", O_PATH);
    WANT(dir >= 0 && object >= 0); /* nothing can be read through these */
    static const char *const names[] = {
        ".env", "./.env", "d/../.env", "link", "here/.env", "here/here/link", "/proc/self/cwd/.env"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        WANT_ERRNO(open(names[i], O_RDONLY), EACCES);
        WANT_ERRNO(openat(dir, names[i], O_RDONLY | O_CLOEXEC), EACCES);
        WANT_ERRNO(open(names[i], O_RDWR), EACCES);
        WANT_ERRNO(open(names[i], O_RDONLY | O_CREAT, 0600), EACCES);
    }
    snprintf(text, sizeof text, "/proc/self/fd/%d", object);
    WANT_ERRNO(open(text, O_RDONLY), EACCES);
    snprintf(text, sizeof text, "/proc/thread-self/fd/%d/.env", dir);
    WANT_ERRNO(open(text, O_RDONLY), EACCES);
    int plain = open("plain", O_RDONLY);
    WANT(plain >= 0 && read(plain, text, sizeof text) == 6);
    return 0;
}

static void a_hidden_name_is_read_on_no_way(void **state)
{
    inside_work(read_hidden, NULL);
    if (geteuid() != 0)
        return;
    ward.as_nobody = true;
    host("chmod 777 .; chmod 644 .env plain");
    inside_work(read_hidden, NULL);
}

static int read_replaced(void *ctx)
{
    char path[64], text[16];
    WANT(chdir(box) == 0);
    int object = open(".env", O_PATH);
    WANT(object >= 0);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", object);
        int fd = open(path, O_RDONLY);
        WANT(fd < 0 && errno == EACCES);
        WANT_ERRNO(open(path, O_RDWR), EACCES);
        WANT_ERRNO(open(".env", O_RDONLY), EACCES);
        WANT_ERRNO(open(".env", O_RDWR), EACCES);
        usleep(500);
    }
    int plain = open("plain", O_RDONLY);
    WANT(plain >= 0 && read(plain, text, 5) == 5);
    return 0;
}

static void what_the_host_replaces_stays_hidden_under_its_old_handle_too(void **state)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        CHECK(chdir(box) == 0);
        for (;;) {
            int fd = open(".new", O_WRONLY | O_CREAT, 0644);
            CHECK(fd >= 0 && write(fd, "secret\n", 7) == 7);
            close(fd);
            CHECK(rename(".new", ".env") == 0);
        }
    }
    int result = ward_run(&ward, read_replaced, NULL);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(result, 0);
}

static int read_second_name(void *ctx)
{
    WANT(chdir(box) == 0);
    WANT_ERRNO(open("second", O_RDONLY), EACCES);
    WANT(open("plain", O_RDONLY) >= 0);
    return 0;
}

static void a_second_name_of_a_hidden_file_is_hidden(void **state)
{
    struct stat st;
    host("ln .env second");
    assert_int_equal(stat(hidden_path, &st), 0);
    struct file_rule_inode inode = { st.st_dev, st.st_ino, "filesystem.denyRead[0]" };
    ward.rules.hidden_inodes = &inode;
    ward.rules.hidden_inode_count = 1;
    ward_want_reports(&ward);
    inside_work(read_second_name, NULL);
    struct warden_report report;
    assert_true(ward_next_report(&ward, &report));
    assert_string_equal(report.rule, "filesystem.denyRead[0]");
    assert_int_equal(report.os, EACCES);
}

static int read_pattern(void *ctx)
{
    WANT(chdir(box) == 0);
    WANT_ERRNO(open("d/new.pem", O_RDONLY), EACCES);
    WANT(open("d/x", O_RDONLY) >= 0);
    return 0;
}

static void a_pattern_holds_for_what_the_host_makes_later(void **state)
{
    struct arena arena;
    struct path_pattern *p;
    struct err e;
    char text[128];
    arena_init(&arena, 1 << 20);
    snprintf(text, sizeof text, "%s/**/*.pem", box);
    assert_int_equal(path_pattern_compile(&arena, str_of(text), &p, &e), 0);
    const struct path_pattern *const patterns[] = { p };
    const char *const names[] = { "filesystem.denyRead[1]" };
    ward.rules.read_deny_patterns = patterns;
    ward.rules.read_deny_pattern_rules = names;
    ward.rules.read_deny_pattern_count = 1;
    host("echo key >d/new.pem");
    inside_work(read_pattern, NULL);
    arena_release(&arena);
}

static int read_own_device(void *ctx)
{
    WANT(chdir(box) == 0);
    WANT(open(".env", O_RDONLY) >= 0);
    return 0;
}

static void what_covers_a_hidden_place_is_left_to_its_mode(void **state)
{
    struct stat st;
    assert_int_equal(stat(box, &st), 0);
    ward.options.own_devices[1] = st.st_dev;
    inside_work(read_own_device, NULL);
}

static int look_at_others(void *ctx)
{
    char path[64], text[4096];
    pid_t warden = getppid(), child = fork();
    static const char *const kept[] = { "environ", "maps", "mem", "fd", "auxv", "cwd/x", "stat" };
    if (child == 0) {
        pause();
        _exit(0);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", warden, kept[i]);
        WANT(open(path, O_RDONLY) < 0);
        snprintf(path, sizeof path, "/proc/%d/task/%d/%s", warden, warden, kept[i]);
        WANT(open(path, O_RDONLY) < 0);
    }
    /* A child is seen as the kernel shows it, also by a process that is no parent of it, in part. */
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    int fd = open(path, O_RDONLY);
    WANT(fd >= 0 && read(fd, text, sizeof text) > 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
    snprintf(path, sizeof path, "/proc/%d/maps", child);
    WANT(open(path, O_RDONLY) >= 0);
    snprintf(path, sizeof path, "/proc/%d/maps", getpid());
    pid_t other = fork();
    if (other == 0)
        _exit(open(path, O_RDONLY) < 0 && errno == EACCES ? 0 : 1);
    int status;
    WANT(waitpid(other, &status, 0) == other && status == 0);
    WANT(kill(child, SIGKILL) == 0 && waitpid(child, &status, 0) == child);
    WANT(open("/proc", O_RDONLY | O_DIRECTORY) >= 0);
    return 0;
}

static void of_other_processes_only_what_the_kernel_would_show(void **state)
{
    inside_work(look_at_others, NULL);
    if (geteuid() == 0) {
        ward.as_nobody = true;
        inside_work(look_at_others, NULL);
    }
}

/* The reader is told that a writer has come before that one writes. */
static int meet(void *ctx)
{
    char byte;
    int ready[2], status;
    WANT(chdir(box) == 0 && pipe(ready) == 0);
    for (int reader_first = 0; reader_first < 2; reader_first++) {
        pid_t pid = fork();
        if (pid == 0) {
            usleep(reader_first ? 0 : 30000);
            int r = open("f", O_RDONLY);
            _exit(r >= 0 && write(ready[1], "r", 1) == 1 && read(r, &byte, 1) == 1 ? 0 : 1);
        }
        usleep(reader_first ? 30000 : 0);
        int w = open("f", O_WRONLY);
        WANT(w >= 0 && read(ready[0], &byte, 1) == 1); /* hangs if the reader waits for data */
        WANT(write(w, "x", 1) == 1 && waitpid(pid, &status, 0) == pid && status == 0);
        close(w);
    }
    int r = open("f", O_RDONLY | O_NONBLOCK);
    WANT(r >= 0 && open("f", O_RDWR) >= 0);
    return 0;
}

static void the_two_ends_of_a_fifo_find_each_other(void **state)
{
    inside_work(meet, NULL);
}

static int reopen_pipe(void *ctx)
{
    int ends[2];
    char path[64];
    WANT(pipe(ends) == 0);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    int fd = open(path, O_RDONLY); /* does not wait: there is nobody to wait for */
    WANT(fd >= 0);
    int memory = memfd_create("m", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    WANT(memory >= 0 && open(path, O_RDONLY) >= 0);
    return 0;
}

static void what_has_no_name_is_opened_again(void **state)
{
    inside_work(reopen_pipe, NULL);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, box_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_hidden_name_is_read_on_no_way),
        CLAIM(what_the_host_replaces_stays_hidden_under_its_old_handle_too),
        CLAIM(a_second_name_of_a_hidden_file_is_hidden),
        CLAIM(a_pattern_holds_for_what_the_host_makes_later),
        CLAIM(what_covers_a_hidden_place_is_left_to_its_mode),
        CLAIM(of_other_processes_only_what_the_kernel_would_show),
        CLAIM(the_two_ends_of_a_fifo_find_each_other),
        CLAIM(what_has_no_name_is_opened_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
