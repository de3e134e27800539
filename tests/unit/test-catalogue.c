/* Claims of control/catalogue.h. */
#include "control/catalogue.h"
#include "proto/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define AGENT(tools)                                                                               \
    "{\"name\":\"Ann\",\"model\":{\"id\":\"m\",\"effort\":{\"type\":\"high\"},\"speed\":\"fast\"}" \
    ","                                                                                            \
    "\"system\":\"Be kind.\",\"tools\":[" tools "]}"
#define TOOLSET(configs)                                                                           \
    "{\"type\":\"agent_toolset_20260401\",\"configs\":[" configs "],\"default_config\":null}"
#define WEATHER                                                                                    \
    "{\"type\":\"custom\",\"name\":\"weather\",\"description\":\"What it is like outside\","       \
    "\"input_schema\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}}}}"

static struct catalogue *catalogue(const char *agent, bool web, bool search)
{
    struct catalogue *c;
    struct err e = { 0 };
    const struct server_tools server = { web, search };
    if (catalogue_new(str_of(agent), &server, &c, &e) < 0)
        fail_msg("%s", e.text);
    return c;
}

/* Names of the definitions, blank separated. */
static void names(const struct catalogue *c, struct buf *out)
{
    AUTO_JSON root = NULL;
    struct err e;
    buf_empty(out);
    assert_int_equal(json_parse(buf_str(&c->definitions), &root, &e), 0);
    for (size_t i = 0; i < json_count(root); i++) {
        const struct json *tool = json_at(root, i);
        struct str name, type, description;
        assert_true(json_to_str(json_get(tool, "name"), &name));
        assert_true(json_to_str(json_get(tool, "description"), &description) && description.n);
        assert_true(json_to_str(json_get(json_get(tool, "input_schema"), "type"), &type));
        assert_true(str_eq(type, STR("object")));
        buf_addf(out, "%s%.*s", out->n ? " " : "", STR_ARGS(name));
    }
}

static void the_model_is_told_of_what_is_offered(void **state)
{
    static const struct {
        const char *agent, *names;
        bool web, search;
    } cases[] = {
        { AGENT(""), "", true, true },
        { AGENT(TOOLSET("")), "bash read write edit glob grep", false, false },
        { AGENT(TOOLSET("")), "bash read write edit glob grep web_fetch", true, false },
        { AGENT(TOOLSET("")), "bash read write edit glob grep web_fetch web_search", true, true },
        { AGENT(WEATHER "," TOOLSET("{\"name\":\"bash\",\"enabled\":false}")),
          "weather read write edit glob grep", false, false },
        { AGENT("{\"type\":\"agent_toolset_20260401\",\"default_config\":{\"enabled\":false},"
                "\"configs\":[{\"name\":\"grep\",\"enabled\":true}]}"),
          "grep", true, true },
        { AGENT("{\"type\":\"mcp_toolset\",\"mcp_server_name\":\"x\"}"), "", true, true },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO_BUF got = { 0 };
        struct catalogue *c = catalogue(cases[i].agent, cases[i].web, cases[i].search);
        names(c, &got);
        assert_string_equal(buf_text(&got), cases[i].names);
        catalogue_free(c);
    }
}

static void a_tool_is_found_with_its_rules(void **state)
{
    struct catalogue *c =
        catalogue(AGENT(WEATHER "," TOOLSET(
                      "{\"name\":\"bash\",\"permission_policy\":{\"type\":\"always_ask\"}},"
                      "{\"name\":\"web_fetch\",\"allowed_domains\":[\"a.example\"]},"
                      "{\"name\":\"edit\",\"enabled\":false}")),
                  true, false);
    (void)state;
    const struct tool *bash = catalogue_find(c, STR("bash"));
    assert_true(bash->grant.offered && bash->grant.policy == POLICY_ALWAYS_ASK);
    assert_true(bash->owner == OWNER_WORKER && bash->repeat == REPEAT_NEVER);
    const struct tool *read = catalogue_find(c, STR("read"));
    assert_true(read->grant.policy == POLICY_ALWAYS_ALLOW && read->repeat == REPEAT_SAFE);
    assert_false(catalogue_find(c, STR("edit"))->grant.offered);
    const struct tool *fetch = catalogue_find(c, STR("web_fetch"));
    assert_true(fetch->owner == OWNER_SERVER);
    assert_true(str_eq(fetch->options,
                       STR("{\"name\":\"web_fetch\",\"allowed_domains\":[\"a.example\"]}")));
    assert_false(catalogue_find(c, STR("web_search"))->grant.offered);
    const struct tool *weather = catalogue_find(c, STR("weather"));
    assert_true(weather->grant.custom && weather->owner == OWNER_APPLICATION);
    assert_null(catalogue_find(c, STR("none")));
    catalogue_free(c);
}

static void the_prompt_tells_where_tools_work(void **state)
{
    struct catalogue *plain = catalogue(AGENT(""), false, false);
    struct catalogue *tools = catalogue(AGENT(TOOLSET("")), false, false);
    (void)state;
    assert_string_equal(buf_text(&plain->system), "Be kind.");
    assert_true(str_starts(buf_str(&tools->system), STR("Be kind.\n\n")));
    assert_true(str_has(buf_str(&tools->system), STR("/workspace")));
    assert_true(str_eq(plain->model, STR("m")) && str_eq(plain->effort, STR("high")) &&
                str_eq(plain->speed, STR("fast")) && str_eq(plain->agent_name, STR("Ann")));
    catalogue_free(plain);
    catalogue_free(tools);
}

static void a_damaged_snapshot_is_told(void **state)
{
    static const char *const damaged[] = { "", "{", "{}", "{\"model\":{}}" };
    const struct server_tools server = { false, false };
    (void)state;
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct catalogue *c;
        struct err e = { 0 };
        assert_int_equal(catalogue_new(str_of(damaged[i]), &server, &c, &e), -1);
        assert_int_equal(e.kind, E_BUG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_is_told_of_what_is_offered),
        cmocka_unit_test(a_tool_is_found_with_its_rules),
        cmocka_unit_test(the_prompt_tells_where_tools_work),
        cmocka_unit_test(a_damaged_snapshot_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
