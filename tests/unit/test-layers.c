/* The names of the layers, what a machine without user namespaces is told, and the two forms of the
 * report. */
#include "base/fd.h"
#include "sandbox/layers.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { NOT_GRANTED = 77 };

static void test_every_layer_is_found_by_its_name(void **state)
{
    for (int i = 0; i < LAYERS; i++)
        assert_int_equal(layer_find(layer_name(i)), i);
    assert_string_equal(layer_name(LAYER_NAMESPACES), "namespaces");
    assert_string_equal(layer_name(LAYER_TRANSPARENT), "transparent");
    assert_int_equal(layer_find("Landlock"), -1);
    assert_int_equal(layer_find(""), -1);
}

static void test_every_report_that_is_not_on_says_why(void **state)
{
    struct layers l;
    layers_check(&l);
    for (int i = 0; i < LAYERS; i++) {
        const struct layer_report *r = &l.of[i];
        assert_int_equal(r->state == LAYER_ON, r->why[0] == '\0');
        if (r->state == LAYER_ON)
            assert_string_equal(r->cure, "");
    }
    assert_true(strchr("ABCF", l.grade) && l.grade);
}

/* The brake that also works unprivileged: no further namespaces below one of our own. */
static int claim_no_namespaces(void)
{
    struct layers l;
    char map[32];
    snprintf(map, sizeof map, "%u %u 1", geteuid(), geteuid());
    if (unshare(CLONE_NEWUSER) < 0)
        return NOT_GRANTED;
    AUTO_FD uids = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
    if (uids < 0 || write(uids, map, strlen(map)) < 0)
        return NOT_GRANTED;
    AUTO_FD brake = open("/proc/sys/user/max_user_namespaces", O_WRONLY | O_CLOEXEC);
    if (brake < 0 || write(brake, "0", 1) != 1)
        return NOT_GRANTED;
    layers_check(&l);
    const struct layer_report *r = &l.of[LAYER_NAMESPACES], *net = &l.of[LAYER_NET];
    return l.grade != 'C' || r->state != LAYER_OFF            ? 1
           : !strstr(r->why, "user.max_user_namespaces is 0") ? 2
           : !strstr(r->cure, "sysctl -w user.max_user_")     ? 3
           : strcmp(net->why, "needs the layer 'namespaces'") ? 4
           : net->cure[0]                                     ? 5
                                                              : 0;
}

static void test_without_user_namespaces_the_sysctl_and_its_cure_are_named_once(void **state)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(claim_no_namespaces());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WEXITSTATUS(status) == NOT_GRANTED)
        skip();
    assert_int_equal(status, 0);
}

static const struct layers sample = {
    .of = { [LAYER_CGROUP] = { LAYER_DEGRADED, "no \"group\"", "ask root" },
            [LAYER_KEYRING] = { LAYER_OFF, "no keys", "" } },
    .landlock_abi = 7,
    .placement = "/sys/fs/cgroup/a",
    .grade = 'C',
};

static char *printed(void (*print)(FILE *out))
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    print(out);
    fclose(out);
    return text;
}

static void print_plain(FILE *out)
{
    layers_print(&sample, out, false);
}

static void print_coloured(FILE *out)
{
    layers_print(&sample, out, true);
}

static void print_as_json(FILE *out)
{
    layers_print_json(&sample, out);
}

static void test_the_table_has_colours_only_when_told(void **state)
{
    AUTO_FREE char *plain = printed(print_plain);
    AUTO_FREE char *coloured = printed(print_coloured);
    assert_null(strchr(plain, '\033'));
    assert_non_null(strstr(plain, "cgroup        degraded  no \"group\"\n"));
    assert_non_null(strstr(plain, "cure: ask root\n"));
    assert_non_null(strstr(plain, "namespaces    on\n"));
    assert_non_null(strstr(coloured, "\033[33mdegraded\033[0m"));
}

static void test_json_has_every_layer_and_escapes(void **state)
{
    AUTO_FREE char *text = printed(print_as_json);
    assert_non_null(strstr(text, "{\"grade\":\"C\",\"landlockAbi\":7,"));
    assert_non_null(strstr(
        text,
        "\"cgroup\":{\"state\":\"degraded\",\"why\":\"no \\\"group\\\"\",\"cure\":\"ask root\"}"));
    for (int i = 0; i < LAYERS; i++)
        assert_non_null(strstr(text, layer_name(i)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_layer_is_found_by_its_name),
        cmocka_unit_test(test_the_table_has_colours_only_when_told),
        cmocka_unit_test(test_json_has_every_layer_and_escapes),
        cmocka_unit_test(test_every_report_that_is_not_on_says_why),
        cmocka_unit_test(test_without_user_namespaces_the_sysctl_and_its_cure_are_named_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
