/* Answers that are kept for a project: contract 8. */
#include "base/fd.h"
#include "sandbox/project_rules.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char root[] = "/tmp/test-project-rules-XXXXXX";
static char config[80], folder[96], file[128];

static int set_up(void **state)
{
    assert_non_null(mkdtemp(root));
    snprintf(config, sizeof config, "%s/config", root);
    snprintf(folder, sizeof folder, "%s/rules.d", config);
    snprintf(file, sizeof file, "%s/mine.json", folder);
    return 0;
}

static int empty(void **state)
{
    static const char *const names[] = { "mine.json", "other.json", "app-70467eff.json" };
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
    rmdir(config);
    return 0;
}

static int tear_down(void **state)
{
    empty(state);
    return rmdir(root);
}

static void write_file(const char *text, mode_t mode)
{
    mkdir(config, 0700);
    mkdir(folder, 0700);
    unlink(file);
    AUTO_FD fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
}

static struct project_rules *open_for(const char *project)
{
    struct project_rules_options o = { .folder = folder, .project = project };
    struct project_rules *r;
    struct err e;
    if (project_rules_open(&o, &r, &e) < 0)
        fail_msg("%s", e.text);
    return r;
}

static void refused(const char *words)
{
    struct project_rules_options o = { .folder = folder, .project = "/work/app" };
    struct project_rules *r;
    struct err e;
    assert_int_equal(project_rules_open(&o, &r, &e), -1);
    assert_int_equal(e.kind, E_INPUT);
    if (!strstr(e.text, words) || !strstr(e.text, "mine.json"))
        fail_msg("'%s' does not say '%s'", e.text, words);
}

static void add_text(void *ctx, const struct question *q, bool allow)
{
    AUTO_BUF object = { 0 };
    question_object(&object, q);
    buf_addf(ctx, "%s %s %s;", allow ? "allow" : "deny", question_kind_name(q->kind),
             buf_text(&object));
}

static void assert_rules(const struct project_rules *r, const char *want)
{
    AUTO_BUF got = { 0 };
    project_rules_each(r, add_text, &got);
    assert_string_equal(buf_text(&got), want);
}

static void an_absent_folder_has_no_rules(void **state)
{
    struct project_rules *r = open_for("/work/app");
    assert_null(project_rules_refusal(r));
    assert_rules(r, "");
    project_rules_free(r);
    project_rules_free(NULL);
}

static void what_is_added_is_there_in_the_next_run(void **state)
{
    struct question net = { .kind = QUESTION_NETWORK,
                            .host = "a.example",
                            .port = 443,
                            .text = "curl \"https://a.example/\"\n" };
    struct question path = { .kind = QUESTION_FILE_WRITE, .path = "/odd\n\"name" };
    struct question bytes = { .kind = QUESTION_FILE_WRITE, .path = "/odd\xff" };
    struct question request = { .kind = QUESTION_REQUEST, .host = "a.example", .port = 443 };
    struct err e;
    struct project_rules *r = open_for("/work/app");
    assert_int_equal(project_rules_add(r, &net, true, 0, &e), 0);
    assert_int_equal(project_rules_add(r, &path, false, 0, &e), 0);
    assert_int_equal(project_rules_add(r, &request, true, 0, &e), -1);
    assert_int_equal(project_rules_add(r, &bytes, true, 0, &e), -1);
    project_rules_free(r);
    r = open_for("/work/app");
    assert_rules(r, "allow network a.example:443;deny file-write /odd\n\"name;");
    project_rules_free(r);
    r = open_for("/work/other/app");
    assert_rules(r, "");
    project_rules_free(r);
}

static void a_person_can_read_the_file(void **state)
{
    struct question net = {
        .kind = QUESTION_NETWORK, .host = "a.example", .port = 443, .text = "make"
    };
    struct err e;
    struct project_rules *r = open_for("/work/app");
    assert_int_equal(project_rules_add(r, &net, true, 86400, &e), 0);
    project_rules_free(r);
    char path[256], text[1024] = "";
    struct stat st;
    snprintf(path, sizeof path, "%s/app-70467eff.json", folder);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && read(fd, text, sizeof text - 1) > 0);
    assert_string_equal(
        text, "{ \"project\": \"/work/app\",\n  \"rules\": [\n"
              "    {\"allow\":true,\"kind\":\"network\",\"host\":\"a.example\",\"port\":443,"
              "\"date\":\"1970-01-02T00:00:00Z\",\"command\":\"make\"}\n  ] }\n");
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void two_runs_do_not_lose_each_others_answers(void **state)
{
    struct question a = { .kind = QUESTION_NETWORK, .host = "a.example", .port = 1 };
    struct question b = { .kind = QUESTION_NETWORK, .host = "b.example", .port = 2 };
    struct err e;
    struct project_rules *one = open_for("/work/app"), *two = open_for("/work/app");
    assert_int_equal(project_rules_add(one, &a, true, 0, &e), 0);
    assert_int_equal(project_rules_add(two, &b, false, 0, &e), 0);
    project_rules_free(one);
    project_rules_free(two);
    one = open_for("/work/app");
    assert_rules(one, "allow network a.example:1;deny network b.example:2;");
    project_rules_free(one);
}

static void files_of_a_person_are_read_too(void **state)
{
    write_file("{\"project\":\"/work/app\",\"rules\":[{\"allow\":false,\"kind\":\"network\","
               "\"host\":\"B.Example.\",\"port\":443}]}",
               0600);
    struct project_rules *r = open_for("/work/app");
    assert_rules(r, "deny network b.example:443;");
    struct question a = { .kind = QUESTION_NETWORK, .host = "a.example", .port = 1 };
    struct err e;
    assert_int_equal(project_rules_add(r, &a, true, 0, &e), 0);
    project_rules_free(r);
    r = open_for("/work/app"); /* the person's rule stays in the person's file, once */
    AUTO_BUF got = { 0 };
    project_rules_each(r, add_text, &got);
    assert_int_equal(got.n, strlen("deny network b.example:443;allow network a.example:1;"));
    project_rules_free(r);
}

static void a_malformed_file_is_refused_with_its_name(void **state)
{
#define RULE(text) "{\"project\":\"/work/app\",\"rules\":[" text "]}"
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "" },
        { "[]", "object" },
        { "{}", "project" },
        { "{\"project\":\"work\",\"rules\":[]}", "project" },
        { "{\"project\":\"/work/app\"}", "rules" },
        { "{\"project\":\"/work/app\",\"rules\":{}}", "rules" },
        { "{\"project\":\"/other\",\"rules\":[],\"extra\":1}", "extra" },
        { RULE("1"), "rules[0]" },
        { RULE("{\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}"), "allow" },
        { RULE("{\"allow\":\"true\",\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}"), "allow" },
        { RULE("{\"allow\":1,\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}"), "allow" },
        { RULE("{\"allow\":true,\"alow\":true,\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}"),
          "alow" },
        { RULE("{\"allow\":true,\"host\":\"a.b\",\"port\":1}"), "kind" },
        { RULE("{\"allow\":true,\"kind\":\"limit\"}"), "kind" },
        { RULE("{\"allow\":true,\"kind\":\"network\",\"host\":\"a b\",\"port\":1}"), "host" },
        { RULE("{\"allow\":true,\"kind\":\"network\",\"host\":\"a.b\"}"), "port" },
        { RULE("{\"allow\":true,\"kind\":\"network\",\"host\":\"a.b\",\"port\":0}"), "port" },
        { RULE("{\"allow\":true,\"kind\":\"network\",\"host\":\"a.b\",\"port\":65536}"), "port" },
        { RULE("{\"allow\":true,\"kind\":\"file-read\",\"path\":\"x\"}"), "path" },
        { RULE("{\"allow\":true,\"allow\":false,\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}"),
          "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(rows[i].text, 0600);
        refused(rows[i].words);
    }
}

static void a_file_that_others_can_write_is_refused(void **state)
{
    write_file("{\"project\":\"/work/app\",\"rules\":[]}", 0622);
    refused("only you can write");
    unlink(file);
    assert_int_equal(symlink("/etc/passwd", file), 0);
    refused("");
}

static void a_folder_that_others_can_write_is_not_used(void **state)
{
    write_file(
        "{\"project\":\"/work/"
        "app\",\"rules\":[{\"allow\":true,\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}]}",
        0600);
    assert_int_equal(chmod(folder, 0777), 0);
    struct project_rules *r = open_for("/work/app");
    struct question a = { .kind = QUESTION_NETWORK, .host = "a.example", .port = 1 };
    struct err e;
    assert_rules(r, "");
    assert_non_null(project_rules_refusal(r));
    assert_int_equal(project_rules_add(r, &a, true, 0, &e), -1);
    project_rules_free(r);
}

static void a_folder_below_an_allowed_write_path_is_not_used(void **state)
{
    char link[96];
    snprintf(link, sizeof link, "%s/link", root);
    const char *roots[] = { "/nowhere", root };
    write_file(
        "{\"project\":\"/work/"
        "app\",\"rules\":[{\"allow\":true,\"kind\":\"network\",\"host\":\"a.b\",\"port\":1}]}",
        0600);
    assert_int_equal(symlink(root, link), 0);
    char through[160], absent[160];
    snprintf(through, sizeof through, "%s/config/rules.d", link);
    snprintf(absent, sizeof absent, "%s/not/yet/there", link);
    const char *folders[] = { folder, through, absent };
    for (size_t i = 0; i < 3; i++) {
        struct project_rules_options o = { folders[i], "/work/app", roots, 2 };
        struct project_rules *r;
        struct err e;
        assert_int_equal(project_rules_open(&o, &r, &e), 0);
        assert_rules(r, "");
        assert_non_null(strstr(project_rules_refusal(r), "which the command may write"));
        project_rules_free(r);
    }
    unlink(link);
}

static void the_folder_follows_xdg(void **state)
{
    static const struct {
        const char *xdg, *want;
    } rows[] = {
        { NULL, "/home/me/.config/postern/rules.d" },
        { "", "/home/me/.config/postern/rules.d" },
        { "relative", "/home/me/.config/postern/rules.d" },
        { "/xdg", "/xdg/postern/rules.d" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        project_rules_folder(&out, rows[i].xdg, "/home/me");
        assert_string_equal(buf_text(&out), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_absent_folder_has_no_rules, empty),
        cmocka_unit_test_setup(what_is_added_is_there_in_the_next_run, empty),
        cmocka_unit_test_setup(a_person_can_read_the_file, empty),
        cmocka_unit_test_setup(two_runs_do_not_lose_each_others_answers, empty),
        cmocka_unit_test_setup(files_of_a_person_are_read_too, empty),
        cmocka_unit_test_setup(a_malformed_file_is_refused_with_its_name, empty),
        cmocka_unit_test_setup(a_file_that_others_can_write_is_refused, empty),
        cmocka_unit_test_setup(a_folder_that_others_can_write_is_not_used, empty),
        cmocka_unit_test_setup(a_folder_below_an_allowed_write_path_is_not_used, empty),
        cmocka_unit_test(the_folder_follows_xdg),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
