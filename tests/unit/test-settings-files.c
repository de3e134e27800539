/* Where the settings come from: files that are there or not, and what else may stand at their place. */
#include "settings_text.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_warning_names_its_file(void **state)
{
    char path[] = "/tmp/test-settings-XXXXXX";
    AUTO_BUF want = { 0 }, warnings = { 0 }, problems = { 0 };
    struct settings_options options = { .warning = collect_warning, .warning_ctx = &warnings };
    static const char text[] = NETWORK("\"nothing\":[]");
    struct settings s;
    struct err e;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_int_equal(settings_load(path, NULL, &options, &s, &problems, &e), 0);
    settings_release(&s);
    unlink(path);
    buf_addf(&want, "settings '%s': network.nothing: unknown key, ignored\n", path);
    assert_string_equal(buf_text(&warnings), buf_text(&want));
}

static void files_are_loaded_or_refused(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF path = { 0 }, problems = { 0 };
    struct settings s;
    struct err e;
    /* The default file is absent. */
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), 0);
    assert_string_equal(s.source, "built-in defaults");
    assert_int_equal(s.allow_write.count, 0);
    settings_release(&s);
    /* A named file is absent. */
    buf_addf(&path, "%s/.srt-settings.json", dir);
    assert_int_equal(settings_load(buf_text(&path), dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "does not exist"));
    assert_int_equal(e.kind, E_INPUT);
    /* The default file is there. */
    int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char text[] = FILE_WITH("", "", ",\"allowRead\":[\"r\"]");
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), 0);
    assert_string_equal(s.source, buf_text(&path));
    assert_int_equal(s.allow_read.count, 1);
    settings_release(&s);
    /* It is empty, too large, a directory, a link that leads nowhere. */
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "empty"));
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "is larger than 1 MiB"));
    close(fd);
    buf_empty(&problems);
    assert_int_equal(settings_load(dir, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "is a directory, not a regular file"));
    unlink(buf_text(&path));
    assert_int_equal(symlink("nowhere", buf_text(&path)), 0);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "does not exist"));
    unlink(buf_text(&path));
    rmdir(dir);
}

static void every_problem_of_a_file_is_said_with_its_name(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "{\n \"a\": 1,}", "not JSON: line 2, column 9" },
        { "{\"network\":1}", "network: must be an object, not a number; filesystem: required" },
    };
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/.srt-settings.json", dir);
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF problems = { 0 }, want = { 0 };
        struct settings s;
        struct err e;
        int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        size_t n = strlen(rows[i].text);
        assert_int_equal(write(fd, rows[i].text, n), n);
        close(fd);
        assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
        buf_addf(&want, "settings '%s': %s", buf_text(&path), rows[i].says);
        assert_true(str_starts(buf_str(&problems), buf_str(&want)));
    }
    unlink(buf_text(&path));
    rmdir(dir);
}

static void what_is_no_regular_file_is_named_and_never_waited_for(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF fifo = { 0 };
    struct settings s;
    struct err e;
    buf_addf(&fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(buf_text(&fifo), 0600), 0);
    const char *const paths[] = { buf_text(&fifo), "/dev/zero", "/dev/null" };
    const char *const kinds[] = { "is a FIFO", "is a device", "is a device" };
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO_BUF problems = { 0 };
        assert_int_equal(settings_load(paths[i], dir, NULL, &s, &problems, &e), -1);
        assert_non_null(strstr(buf_text(&problems), paths[i]));
        assert_non_null(strstr(buf_text(&problems), kinds[i]));
    }
    unlink(buf_text(&fifo));
    rmdir(dir);
}

static void a_pipe_without_a_name_is_read(void **state)
{
    static const char text[] = FILE_WITH("", "", "");
    int ends[2];
    AUTO_BUF path = { 0 }, problems = { 0 };
    struct settings s;
    struct err e;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    close(ends[1]);
    buf_addf(&path, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(settings_load(buf_text(&path), "/", NULL, &s, &problems, &e), 0);
    settings_release(&s);
    close(ends[0]);
}

static void a_profile_holds_without_a_file_too(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF problems = { 0 };
    struct settings_options options = { .profile = "workspace" };
    struct settings s;
    struct err e;
    assert_int_equal(settings_load(NULL, dir, &options, &s, &problems, &e), 0);
    assert_int_equal(s.allow_write.count, 1);
    assert_string_equal(s.source, "built-in defaults");
    settings_release(&s);
    rmdir(dir);
}

static void without_a_home_the_default_file_is_not_guessed(void **state)
{
    static const char *const homes[] = { NULL, "", "relative" };
    for (size_t i = 0; i < COUNT(homes); i++) {
        AUTO_BUF problems = { 0 };
        struct settings s;
        struct err e;
        assert_int_equal(settings_load(NULL, homes[i], NULL, &s, &problems, &e), -1);
        assert_non_null(strstr(buf_text(&problems), "no home directory"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warning_names_its_file),
        cmocka_unit_test(files_are_loaded_or_refused),
        cmocka_unit_test(every_problem_of_a_file_is_said_with_its_name),
        cmocka_unit_test(what_is_no_regular_file_is_named_and_never_waited_for),
        cmocka_unit_test(a_pipe_without_a_name_is_read),
        cmocka_unit_test(a_profile_holds_without_a_file_too),
        cmocka_unit_test(without_a_home_the_default_file_is_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
