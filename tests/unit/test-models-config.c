/* Claims of model/models_config.h. */
#include "model/models_config.h"
#include "proto/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct schema_table table = { ROWS(models_config_rows), .closed = true };

/* Reads as postern.yaml is read. The problems, or "". */
static void read_yaml(const char *yaml, struct models_config *c, struct problems *found)
{
    struct err e = { 0 };
    AUTO_JSON tree = NULL;
    AUTO_PLACES places = NULL;
    if (yaml_parse(str_of(yaml), &tree, &places, &e) < 0)
        fail_msg("%s", e.text);
    found->places = places;
    if (schema_check(tree, &table, found))
        models_config_read(c, json_get(tree, "providers"), json_get(tree, "models"), found);
    found->places = NULL;
}

static void everything_that_is_given_is_read(void **state)
{
    AUTO_MODELS_CONFIG c;
    AUTO_PROBLEMS found = { 0 };
    models_config_init(&c);
    read_yaml("providers:\n"
              "- name: far\n"
              "  dialect: messages\n"
              "  base_url: https://models.example/v1/\n"
              "  key_env: FAR_KEY\n"
              "  proxy: http://proxy:3128\n"
              "  no_proxy: .example\n"
              "  ca_file: /etc/ca.pem\n"
              "  connect_timeout_ms: 5\n"
              "  idle_timeout_ms: 6\n"
              "  headers: {x-team: blue}\n"
              "- {name: near, dialect: chat, base_url: 'http://127.0.0.1:8000/v1', key: hunter2}\n"
              "models:\n"
              "- id: big\n"
              "  provider: far\n"
              "  upstream: big-2026\n"
              "  display_name: The big one\n"
              "  context_window: 500000\n"
              "  max_output: 4000\n"
              "  prices: {input: 3, output: 15.5, cache_read: 0.3, cache_write: 3.75}\n"
              "  request: {thinking: {type: adaptive}, top_k: 3}\n"
              "- {id: small, provider: near, prices: {input: 0.25, output: 1}}\n",
              &c, &found);
    assert_string_equal(buf_text(&found.text), "");
    assert_int_equal(c.provider_count, 2);
    const struct provider_config *far = &c.providers[0], *near = &c.providers[1];
    assert_string_equal(far->name, "far");
    assert_int_equal(far->dialect, DIALECT_MESSAGES);
    assert_string_equal(far->key_env, "FAR_KEY");
    assert_string_equal(far->proxy, "http://proxy:3128");
    assert_int_equal(far->connect_ms, 5);
    assert_int_equal(far->idle_ms, 6);
    assert_int_equal(far->header_count, 1);
    assert_true(str_eq(far->headers[0].name, STR("x-team")));
    assert_true(str_eq(far->headers[0].value, STR("blue")));
    assert_true(str_eq(secret_reveal(&near->key), STR("hunter2")));
    assert_null(near->proxy);
    assert_int_equal(near->connect_ms, 10000);
    assert_int_equal(near->idle_ms, 300000);

    const struct model_config *big = &c.models[0], *small = &c.models[1];
    assert_true(str_eq(big->upstream, STR("big-2026")));
    assert_int_equal(big->context_window, 500000);
    assert_int_equal(big->price_input, 300);
    assert_int_equal(big->price_output, 1550);
    assert_int_equal(big->price_cache_read, 30);
    assert_int_equal(big->price_cache_write, 375);
    assert_true(str_eq(big->members, STR("\"thinking\":{\"type\":\"adaptive\"},\"top_k\":3")));
    assert_true(str_eq(small->upstream, STR("small")));
    assert_true(str_eq(small->display_name, STR("small")));
    assert_int_equal(small->provider, 1);
    assert_int_equal(small->context_window, models_default_window(DIALECT_CHAT));
    assert_int_equal(small->max_output, 0);
    assert_true(small->priced);
    assert_int_equal(small->price_cache_read, 25);
}

static void mistakes_are_named_and_keys_are_not_repeated(void **state)
{
#define P "providers:\n- {name: a, dialect: chat, base_url: 'http://h/'"
    static const struct {
        const char *yaml, *why;
    } rows[] = {
        { "provider: []", "line 1: provider: unknown key" },
        { "providers:\n- {name: a}", "line 2: providers[0].dialect: required" },
        { "providers:\n- {name: a, dialect: gpt, base_url: 'http://h'}",
          "providers[0].dialect: must be one of \"messages\", \"chat\", \"scripted\"" },
        { "providers:\n- {name: a b, dialect: chat, base_url: 'http://h'}",
          "providers[0].name: may hold letters" },
        { "providers:\n- {name: a, dialect: chat, base_url: 'ftp://h'}",
          "providers[0].base_url: must begin with http" },
        { "providers:\n- {name: a, dialect: chat, base_url: 'http://u:hunter2@h/v1'}",
          "providers[0].base_url: must not hold a user" },
        { "providers:\n- {name: a, dialect: chat, base_url: 'http://h/v1?key=hunter2'}",
          "providers[0].base_url: must be a URL without" },
        { "providers:\n- {name: a, dialect: scripted}", "providers[0].script: required" },
        { P ", script: x}", "providers[0].script: belongs to" },
        { P ", key: hunter2, key_env: B}", "providers[0]: key, key_env and key_file: only one" },
        { P ", key: \"hunter2\\n\"}", "providers[0].key: must not hold control" },
        { P ", headers: {'a b': hunter2}}", "providers[0].headers: a name may hold" },
        { P ", headers: {a: \"hunter2\\r\"}}", "providers[0].headers.a: must not hold control" },
        { P ", timeout: 3}", "providers[0].timeout: unknown key" },
        { P "}\n- {name: a, dialect: chat, base_url: 'http://h'}",
          "line 3: providers[1].name: another provider" },
        { P "}\nmodels:\n- {id: m, provider: b}", "line 4: models[0].provider: no provider has" },
        { P "}\nmodels:\n- {id: m, provider: a}\n- {id: m, provider: a}",
          "line 5: models[1].id: another model" },
        { P "}\nmodels:\n- {id: m, provider: a, prices: {input: -1, output: 2}}",
          "models[0].prices.input: must be 0 to" },
        { P "}\nmodels:\n- {id: m, provider: a, prices: {input: 1}}",
          "models[0].prices.output: required" },
        { P "}\nmodels:\n- {id: m, provider: a, request: {stream: false, x: 1}}",
          "models[0].request.stream: is set by the server" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MODELS_CONFIG c;
        AUTO_PROBLEMS found = { 0 };
        models_config_init(&c);
        read_yaml(rows[i].yaml, &c, &found);
        if (!strstr(buf_text(&found.text), rows[i].why) || found.count != 1)
            fail_msg("row %zu: %s", i, buf_text(&found.text));
        assert_null(strstr(buf_text(&found.text), "hunter2"));
    }
}

static const char *variables[4];

static char *get_variable(const char *name)
{
    static const char *const names[] = { "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY",
                                         "OPENAI_BASE_URL", "OPENAI_API_KEY" };
    for (size_t i = 0; i < COUNT(names); i++)
        if (strcmp(names[i], name) == 0)
            return (char *)variables[i];
    return NULL;
}

static void the_environment_names_up_to_two_providers(void **state)
{
    static const struct {
        const char *variables[4];
        const char *names[2], *urls[2], *keys[2];
    } rows[] = {
        { { NULL }, { NULL }, { NULL }, { NULL } },
        { { "", "", "", "" }, { NULL }, { NULL }, { NULL } },
        { { "http://m", NULL, NULL, NULL }, { "messages" }, { "http://m" }, { NULL } },
        { { NULL, "k", NULL, NULL },
          { "messages" },
          { "https://api.anthropic.com" },
          { "ANTHROPIC_API_KEY" } },
        { { NULL, NULL, "http://c/v1", "k" }, { "chat" }, { "http://c/v1" }, { "OPENAI_API_KEY" } },
        { { "http://m", "k", NULL, "l" },
          { "messages", "chat" },
          { "http://m", "https://api.openai.com/v1" },
          { "ANTHROPIC_API_KEY", "OPENAI_API_KEY" } },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_MODELS_CONFIG c;
        models_config_init(&c);
        memcpy(variables, rows[i].variables, sizeof variables);
        models_config_from_environment(&c, get_variable);
        size_t count = 0;
        for (; count < 2 && rows[i].names[count]; count++) {
            assert_string_equal(c.providers[count].name, rows[i].names[count]);
            assert_string_equal(c.providers[count].base_url, rows[i].urls[count]);
            if (rows[i].keys[count])
                assert_string_equal(c.providers[count].key_env, rows[i].keys[count]);
            else
                assert_null(c.providers[count].key_env);
        }
        assert_int_equal(c.provider_count, count);
        assert_int_equal(c.model_count, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_that_is_given_is_read),
        cmocka_unit_test(mistakes_are_named_and_keys_are_not_repeated),
        cmocka_unit_test(the_environment_names_up_to_two_providers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
