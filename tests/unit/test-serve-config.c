/* postern.yaml: the example that we show, and mistakes that are told with their line. */
#include "role/serve_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void the_example_is_a_configuration(void **state)
{
    struct serve_config c;
    struct err e = { 0 };
    serve_config_init(&c);
    int rc = serve_config_read(&c, SOURCE_ROOT "/docs/postern.yaml.example", &e);
    if (rc < 0)
        fail_msg("%s", e.text);
    assert_string_equal(c.state, "/var/lib/postern");
    assert_int_equal(c.models.model_count, 2);
    assert_true(c.models.models[0].priced);
    serve_config_release(&c);
}

/* Reads a text as the file "postern.yaml" of a directory of its own. */
static int read_text(struct serve_config *c, const char *text, struct err *e)
{
    char directory[] = "/tmp/test-serve-config-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/postern.yaml", directory);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    serve_config_init(c);
    int rc = serve_config_read(c, path, e);
    unlink(path);
    rmdir(directory);
    return rc;
}

static void what_is_said_holds(void **state)
{
    struct serve_config c;
    struct err e = { 0 };
    assert_int_equal(read_text(&c,
                               "listen: [127.0.0.1:1, '[::1]:2']\n"
                               "beta_headers: strict\nsession_updates: while_running\n"
                               "streams: {ping_seconds: 3}\nwork: {lease_seconds: 20}\n"
                               "limits: {creates_per_minute: 7}\nweb: {fetch: false}\n"
                               "state: there\ntls: {certificate: /a, key: b}\n",
                               &e),
                     0);
    assert_int_equal(c.listen_count, 2);
    assert_string_equal(c.listen[1], "[::1]:2");
    assert_true(c.api.strict_betas && c.api.update_while_running && c.engine.update_while_running);
    assert_int_equal(c.api.ping_ms, 3000);
    assert_true(c.engine.lease == 20000000);
    assert_int_equal(c.api.creates_per_minute, 7);
    assert_false(c.web.fetch);
    assert_string_equal(c.certificate, "/a");
    assert_true(str_ends(str_of(c.key), STR("/b")) && c.key[0] == '/');
    assert_true(str_ends(str_of(c.state), STR("/there")) && c.state[0] == '/');
    serve_config_release(&c);
}

static void a_mistake_is_told_with_file_line_and_key(void **state)
{
    static const struct {
        const char *text, *found;
    } rows[] = {
        { "a: [", "postern.yaml" },
        { "\nfrobnicate: 1\n", "postern.yaml: line 2: frobnicate: unknown key" },
        { "listen: [1]\n", "line 1: listen[0]: must be a string" },
        { "work:\n  lease_seconds: 5\n", "line 2: work.lease_seconds: must be 10 to 600" },
        { "tls: {certificate: x}\n", "tls.key: required" },
        { "models:\n- {id: a, provider: none}\n", "provider" },
        { "- a\n", "must be an object" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct serve_config c;
        struct err e = { 0 };
        assert_int_equal(read_text(&c, rows[i].text, &e), -1);
        if (!str_has(str_of(e.text), str_of(rows[i].found)))
            fail_msg("%s: '%s'", rows[i].text, e.text);
        serve_config_release(&c);
    }
}

static void an_empty_file_changes_nothing(void **state)
{
    struct serve_config c;
    struct err e = { 0 };
    assert_int_equal(read_text(&c, "# nothing\n", &e), 0);
    assert_int_equal(c.listen_count, 0);
    assert_true(c.web.fetch);
    serve_config_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_is_a_configuration),
        cmocka_unit_test(what_is_said_holds),
        cmocka_unit_test(a_mistake_is_told_with_file_line_and_key),
        cmocka_unit_test(an_empty_file_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
