/* Agents: what may be asked for, and what comes of it (contract 2.1). */
#include "api/agent_shape.h"
#include "api/agent_tools.h"
#include "api/metadata.h"
#include "web/domains.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct model_info *find(struct model_set *set, struct str id)
{
    static const struct model_info info = { .id = { "m1", 2 } };
    (void)set;
    return str_eq(id, info.id) ? &info : NULL;
}
static const struct model_ops ops = { .find = find };
static struct model_set models = { &ops };

/* The problems of a create body, as one text. */
static void problems_of(struct str text, struct buf *out)
{
    AUTO_PROBLEMS p = { 0 };
    AUTO_JSON body = NULL;
    struct err e = { 0 };
    struct agent_draft draft = { 0 };
    assert_int_equal(json_parse(text, &body, &e), 0);
    agent_body_check(body, false, &p);
    agent_draft_take(&draft, body);
    if (!p.count)
        agent_draft_check(&draft, &models, &p);
    problems_finish(&p);
    buf_empty(out);
    buf_add(out, buf_str(&p.text));
}

#define AGENT(members) "{\"name\":\"a\",\"model\":\"m1\"" members "}"
#define CUSTOM(name, schema)                                                                       \
    "{\"type\":\"custom\",\"name\":\"" name "\",\"description\":\"d\",\"input_schema\":" schema "}"
#define TOOLSET(configs) "{\"type\":\"agent_toolset_20260401\",\"configs\":[" configs "]}"

static void bodies_are_taken_or_refused_with_the_place(void **state)
{
    static const struct {
        const char *body, *problem; /* "": fine; else a part of it */
    } rows[] = {
        { AGENT(""), "" },
        { "{}", "name: required; model: required" },
        { "{\"name\":\"\",\"model\":\"m1\"}", "name: must not be empty" },
        { "{\"name\":null,\"model\":\"m1\"}", "name: must be a string" },
        { "{\"name\":\"a\",\"model\":\"m2\"}", "model.id: is no model" },
        { "{\"name\":\"a\",\"model\":{\"id\":\"m1\",\"effort\":\"high\"}}", "" },
        { "{\"name\":\"a\",\"model\":{\"id\":\"m1\",\"effort\":{\"type\":\"high\"}}}", "" },
        { "{\"name\":\"a\",\"model\":{\"id\":\"m1\",\"effort\":\"huge\"}}", "model.effort" },
        { AGENT(",\"unknown_field\":1"), "" },
        { AGENT(",\"multiagent\":{}"), "multiagent: is not supported" },
        { AGENT(",\"multiagent\":null"), "" },
        { AGENT(",\"skills\":[{}]"), "skills: is not supported" },
        { AGENT(",\"skills\":[]"), "" },
        { AGENT(",\"execution_identity\":{\"type\":\"aws_role\"}"), "execution_identity.type" },
        { AGENT(",\"execution_identity\":{\"type\":\"service_account\"}"), "" },
        { AGENT(",\"metadata\":{\"k\":1}"), "metadata.k" },
        { AGENT(",\"tools\":[{\"type\":\"browser_toolset_20260801\"}]"), "tools[0].type" },
        { AGENT(",\"tools\":[" TOOLSET("") "," TOOLSET("") "]"), "tools[1]: there may be one" },
        { AGENT(",\"tools\":[" TOOLSET("{\"name\":\"bash\"},{\"name\":\"bash\"}") "]"),
          "tools[0].configs[1].name: stands twice" },
        { AGENT(",\"tools\":[" TOOLSET("{\"name\":\"sh\"}") "]"), "tools[0].configs[0].name" },
        { AGENT(",\"tools\":[" TOOLSET("{\"name\":\"bash\",\"type\":\"read\"}") "]"),
          "tools[0].configs[0].type" },
        { AGENT(",\"tools\":[" TOOLSET("{\"name\":\"web_fetch\",\"allowed_domains\":[]}") "]"),
          "allowed_domains: must not be empty" },
        { AGENT(",\"tools\":[" TOOLSET(
              "{\"name\":\"web_fetch\",\"allowed_domains\":[\"a.example\",\"A.example\"]}") "]"),
          "names a domain twice" },
        { AGENT(
              ",\"tools\":[" TOOLSET("{\"name\":\"web_fetch\",\"allowed_domains\":[\"a.example\"],"
                                     "\"blocked_domains\":[\"b.example\"]}") "]"),
          "not both" },
        { AGENT(",\"tools\":[" TOOLSET("{\"name\":\"web_fetch\",\"max_content_tokens\":0}") "]"),
          "max_content_tokens" },
        { AGENT(",\"tools\":[" CUSTOM("t", "{\"type\":\"object\"}") "]"), "" },
        { AGENT(",\"tools\":[" CUSTOM("bash", "{\"type\":\"object\"}") "]"), "tools[0].name" },
        { AGENT(",\"tools\":[" CUSTOM("mcp__x", "{\"type\":\"object\"}") "]"), "tools[0].name" },
        { AGENT(",\"tools\":[" CUSTOM("a b", "{\"type\":\"object\"}") "]"), "tools[0].name" },
        { AGENT(",\"tools\":[" CUSTOM("t", "{\"type\":\"array\"}") "]"), "input_schema.type" },
        { AGENT(",\"tools\":[" CUSTOM("t", "{\"type\":\"object\",\"anyOf\":[]}") "]"),
          "input_schema.anyOf" },
        { AGENT(",\"tools\":[" CUSTOM("t", "{\"type\":\"object\",\"properties\":{\"a\":"
                                           "{\"items\":[{\"$ref\":\"#\"}]}}}") "]"),
          "may not hold $ref" },
        { AGENT(
              ",\"tools\":[" CUSTOM("t", "{\"type\":\"object\",\"properties\":{\"a b\":{}}}") "]"),
          "input_schema.properties" },
        { AGENT(",\"tools\":[" CUSTOM("t", "{\"type\":\"object\"}") "," CUSTOM(
              "t", "{\"type\":\"object\"}") "]"),
          "tools[1].name: stands twice" },
        { AGENT(",\"mcp_servers\":[{\"type\":\"url\",\"name\":\"s\",\"url\":\"https://x\"}]"),
          "mcp_servers[0].name: must be named by exactly one" },
        { AGENT(",\"tools\":[{\"type\":\"mcp_toolset\",\"mcp_server_name\":\"s\"}]"),
          "tools[0].mcp_server_name: names no entry" },
        { AGENT(",\"mcp_servers\":[{\"type\":\"url\",\"name\":\"s\",\"url\":\"https://x\"}],"
                "\"tools\":[{\"type\":\"mcp_toolset\",\"mcp_server_name\":\"s\"}]"),
          "" },
        { AGENT(",\"mcp_servers\":[{\"type\":\"worker\",\"name\":\"s\"}]"), "mcp_servers[0].type" },
        { AGENT(",\"mcp_servers\":[{\"type\":\"url\",\"name\":\"s\",\"url\":\"ftp://x\"}]"),
          "mcp_servers[0].url" },
    };
    AUTO_BUF found = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        problems_of(str_of(rows[i].body), &found);
        if (rows[i].problem[0] ? !str_has(buf_str(&found), str_of(rows[i].problem)) : found.n > 0)
            fail_msg("%s\n  gives '%s', not '%s'", rows[i].body, buf_text(&found), rows[i].problem);
    }
}

/* The members that an agent of this body has. */
static void written(struct str text, struct buf *out)
{
    AUTO_JSON body = NULL;
    struct err e = { 0 };
    struct agent_draft draft = { 0 };
    assert_int_equal(json_parse(text, &body, &e), 0);
    agent_draft_take(&draft, body);
    buf_empty(out);
    agent_draft_write(out, &draft);
}

static void defaults_are_written_out(void **state)
{
    AUTO_BUF out = { 0 };
    written(STR(AGENT(",\"system\":\"\",\"tools\":[{\"type\":\"agent_toolset_20260401\"}]")), &out);
    assert_string_equal(
        buf_text(&out),
        "\"name\":\"a\",\"description\":null,\"model\":{\"id\":\"m1\"},\"system\":null,"
        "\"tools\":[{\"type\":\"agent_toolset_20260401\",\"configs\":[],\"default_config\":"
        "{\"enabled\":true,\"permission_policy\":{\"type\":\"always_allow\"}}}],"
        "\"mcp_servers\":[],\"skills\":[],\"multiagent\":null,"
        "\"execution_identity\":{\"type\":\"service_account\"}");
}

static void an_entry_overrides_the_default_field_by_field(void **state)
{
    AUTO_BUF out = { 0 };
    written(STR(AGENT(",\"tools\":[{\"type\":\"agent_toolset_20260401\",\"default_config\":"
                      "{\"enabled\":false,\"permission_policy\":{\"type\":\"always_ask\"}},"
                      "\"configs\":[{\"name\":\"read\",\"enabled\":true},"
                      "{\"name\":\"web_fetch\",\"url_sources\":{\"user_input\":\"all\"}}]}]")),
            &out);
    assert_true(str_has(buf_str(&out), STR("{\"name\":\"read\",\"type\":\"read\",\"enabled\":true,"
                                           "\"permission_policy\":{\"type\":\"always_ask\"}}")));
    assert_true(str_has(buf_str(&out), STR("\"url_sources\":{\"user_input\":{\"type\":\"all\"},"
                                           "\"client_tool_results\":null,"
                                           "\"server_tool_results\":null}")));
    assert_true(str_has(buf_str(&out), STR("\"max_content_tokens\":null")));
}

static void what_was_resolved_resolves_to_itself(void **state)
{
    AUTO_BUF once = { 0 };
    AUTO_BUF whole = { 0 };
    AUTO_BUF twice = { 0 };
    written(STR(AGENT(",\"description\":\"d\",\"tools\":[{\"type\":\"agent_toolset_20260401\","
                      "\"configs\":[{\"name\":\"web_search\",\"user_location\":"
                      "{\"type\":\"approximate\",\"city\":\"Ulm\"}},{\"name\":\"web_fetch\","
                      "\"allowed_domains\":[\"a.example\"],\"url_sources\":{\"user_input\":{"
                      "\"type\":\"only\",\"tools\":[{\"type\":\"tool_reference\",\"name\":\"t\"}]}}"
                      "}]}," CUSTOM("t", "{\"type\":\"object\",\"x\":1.5}") "]")),
            &once);
    buf_addf(&whole, "{%s}", buf_text(&once));
    written(buf_str(&whole), &twice);
    assert_string_equal(buf_text(&once), buf_text(&twice));
}

static void model_of(const char *old, const char *new, bool override, struct buf *out)
{
    AUTO_JSON before = NULL;
    AUTO_JSON after = NULL;
    struct err e = { 0 };
    assert_int_equal(json_parse(str_of(old), &before, &e), 0);
    assert_int_equal(json_parse(str_of(new), &after, &e), 0);
    struct agent_draft draft = { .model = after, .old_model = before, .no_effort = override };
    buf_empty(out);
    agent_draft_write(out, &draft);
}

static void an_effort_stays_with_its_model_only(void **state)
{
    AUTO_BUF out = { 0 };
    const char *old = "{\"id\":\"m1\",\"effort\":{\"type\":\"high\"}}";
    model_of(old, "{\"id\":\"m1\"}", false, &out);
    assert_true(str_has(buf_str(&out), STR("{\"id\":\"m1\",\"effort\":{\"type\":\"high\"}}")));
    model_of(old, "\"m1\"", false, &out);
    assert_true(str_has(buf_str(&out), STR("{\"id\":\"m1\",\"effort\":{\"type\":\"high\"}}")));
    model_of(old, "\"m2\"", false, &out);
    assert_true(str_has(buf_str(&out), STR("\"model\":{\"id\":\"m2\"}")));
    model_of(old, "{\"id\":\"m2\",\"effort\":\"low\"}", true, &out);
    assert_true(str_has(buf_str(&out), STR("\"model\":{\"id\":\"m2\"}")));
}

static void metadata_is_merged_and_null_deletes(void **state)
{
    static const struct {
        const char *current, *patch, *result;
    } rows[] = {
        { "{}", "{\"a\":\"1\"}", "{\"a\":\"1\"}" },
        { "{\"a\":\"1\",\"b\":\"2\"}", "{\"a\":null,\"c\":\"3\"}", "{\"b\":\"2\",\"c\":\"3\"}" },
        { "{\"a\":\"1\"}", "{\"a\":\"2\"}", "{\"a\":\"2\"}" },
        { "{\"a\":\"1\"}", "null", "{\"a\":\"1\"}" },
        { "{}", "{\"a\":null}", "{}" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_JSON current = NULL;
        AUTO_JSON patch = NULL;
        AUTO_PROBLEMS p = { 0 };
        AUTO_BUF out = { 0 };
        struct err e = { 0 };
        assert_int_equal(json_parse(str_of(rows[i].current), &current, &e), 0);
        assert_int_equal(json_parse(str_of(rows[i].patch), &patch, &e), 0);
        assert_true(metadata_write(&out, current, patch, &p));
        assert_string_equal(buf_text(&out), rows[i].result);
    }
}

static void metadata_has_sixteen_pairs_at_most(void **state)
{
    AUTO_BUF text = { 0 };
    AUTO_BUF out = { 0 };
    AUTO_JSON current = NULL;
    AUTO_JSON patch = NULL;
    AUTO_PROBLEMS p = { 0 };
    struct err e = { 0 };
    for (int i = 0; i < 16; i++)
        buf_addf(&text, "%s\"k%d\":\"v\"", i ? "," : "{", i);
    buf_add_byte(&text, '}');
    assert_int_equal(json_parse(buf_str(&text), &current, &e), 0);
    assert_int_equal(json_parse(STR("{\"one_more\":\"v\"}"), &patch, &e), 0);
    assert_true(metadata_write(&out, current, NULL, &p));
    assert_false(metadata_write(&out, current, patch, &p));
}

static void domains_of_the_web_tools_are_plain_names(void **state)
{
    static const char *const fine[] = { "example.com", "a.b.example", "xn--bcher-kva.example" };
    static const char *const bad[] = { "https://example.com",
                                       "example.com:80",
                                       "*.example.com",
                                       "example",
                                       "localhost",
                                       "a.local",
                                       "db.internal",
                                       "10.0.0.1",
                                       "a..b",
                                       ".example.com",
                                       "example.com/x",
                                       "b\xc3\xbc.de" };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        assert_null(web_domain_refuses(str_of(fine[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!web_domain_refuses(str_of(bad[i])))
            fail_msg("'%s' is taken", bad[i]);
    assert_true(web_domain_covers(STR("example.com"), STR("WWW.example.com")));
    assert_true(web_domain_covers(STR("example.com"), STR("example.com")));
    assert_false(web_domain_covers(STR("example.com"), STR("badexample.com")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken_or_refused_with_the_place),
        cmocka_unit_test(defaults_are_written_out),
        cmocka_unit_test(an_entry_overrides_the_default_field_by_field),
        cmocka_unit_test(what_was_resolved_resolves_to_itself),
        cmocka_unit_test(an_effort_stays_with_its_model_only),
        cmocka_unit_test(metadata_is_merged_and_null_deletes),
        cmocka_unit_test(metadata_has_sixteen_pairs_at_most),
        cmocka_unit_test(domains_of_the_web_tools_are_plain_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
