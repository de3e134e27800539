#include "api/agent_tools.h"

#include "api/input_schema.h"
#include "web/domains.h"
#include "proto/json_write.h"

static const char *const built_in[] = { "bash", "edit",      "read",       "write", "glob",
                                        "grep", "web_fetch", "web_search", NULL };
#define TOOLSET "agent_toolset_20260401"

/* --- rows --- */

static const struct schema_variant policies[] = {
    { "always_allow", NULL }, { "always_ask", NULL }, { "auto", NULL }, { NULL, NULL }
};
#define SWITCH_ROWS                                                                                \
    { "enabled", SCHEMA_BOOL, SCHEMA_NULLABLE },                                                   \
    {                                                                                              \
        "permission_policy", SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = policies                 \
    }

static const struct schema_row switch_rows[] = { SWITCH_ROWS };
static const struct schema_table switches = { ROWS(switch_rows) };

static const struct schema_row domain = { NULL, SCHEMA_STRING, .min = 1, .max = 255,
                                          .refuses = web_domain_refuses };
static const struct schema_row reference_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 128 },
};
static const struct schema_table reference = { ROWS(reference_rows) };
static const struct schema_variant references[] = { { "tool_reference", &reference },
                                                    { NULL, NULL } };
static const struct schema_row reference_item = { NULL, SCHEMA_VARIANT, .variants = references };
static const struct schema_row source_rows[] = {
    { "tools", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = 256, .item = &reference_item },
};
static const struct schema_table source_list = { ROWS(source_rows) };
static const struct schema_variant sources[] = { { "all", NULL },
                                                 { "none", NULL },
                                                 { "only", &source_list },
                                                 { "except", &source_list },
                                                 { NULL, NULL } };
static const char *const source_words[] = { "all", "none", NULL };
static const struct schema_row source_word = { NULL, SCHEMA_WORD, .words = source_words };
#define SOURCE_ROW(name)                                                                           \
    {                                                                                              \
        name, SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = sources, .either = &source_word         \
    }
static const char *const source_names[] = { "user_input", "client_tool_results",
                                            "server_tool_results" };
static const struct schema_row url_source_rows[] = {
    SOURCE_ROW("user_input"),
    SOURCE_ROW("client_tool_results"),
    SOURCE_ROW("server_tool_results"),
};
static const struct schema_table url_sources = { ROWS(url_source_rows) };
static const char *const place_names[] = { "city", "region", "country", "timezone" };
#define PLACE_ROW(name)                                                                            \
    {                                                                                              \
        name, SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 255                                 \
    }
static const struct schema_row place_rows[] = {
    PLACE_ROW("city"),
    PLACE_ROW("region"),
    PLACE_ROW("country"),
    PLACE_ROW("timezone"),
};
static const struct schema_table place = { ROWS(place_rows) };
static const struct schema_variant places[] = { { "approximate", &place }, { NULL, NULL } };

static const struct schema_row config_rows[] = {
    { "name", SCHEMA_WORD, SCHEMA_REQUIRED, .words = built_in },
    { "type", SCHEMA_WORD, SCHEMA_NULLABLE, .words = built_in },
    SWITCH_ROWS,
    { "allowed_domains", SCHEMA_ARRAY, SCHEMA_NULLABLE, .min = 1, .max = 64, .item = &domain },
    { "blocked_domains", SCHEMA_ARRAY, SCHEMA_NULLABLE, .min = 1, .max = 64, .item = &domain },
    { "max_content_tokens", SCHEMA_INTEGER, SCHEMA_NULLABLE, .min = 1 },
    { "url_sources", SCHEMA_OBJECT, SCHEMA_NULLABLE, .table = &url_sources },
    { "user_location", SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = places },
};
static const struct schema_table config = { ROWS(config_rows) };
static const struct schema_row config_item = { NULL, SCHEMA_OBJECT, .table = &config };
static const struct schema_row toolset_rows[] = {
    { "configs", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 256, .item = &config_item },
    { "default_config", SCHEMA_OBJECT, SCHEMA_NULLABLE, .table = &switches },
};
static const struct schema_table toolset = { ROWS(toolset_rows) };

static const struct schema_row mcp_config_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 128 },
    SWITCH_ROWS,
};
static const struct schema_table mcp_config = { ROWS(mcp_config_rows) };
static const struct schema_row mcp_config_item = { NULL, SCHEMA_OBJECT, .table = &mcp_config };
static const struct schema_row mcp_toolset_rows[] = {
    { "mcp_server_name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 255 },
    { "configs", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 256, .item = &mcp_config_item },
    { "default_config", SCHEMA_OBJECT, SCHEMA_NULLABLE, .table = &switches },
};
static const struct schema_table mcp_toolset = { ROWS(mcp_toolset_rows) };

static const char *custom_name_refuses(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '_' || c == '-'))
            return "may hold letters, digits, '_' and '-' only";
    }
    if (schema_word(built_in, name) >= 0)
        return "is the name of a built-in tool";
    return str_starts(name, STR("mcp__")) ? "must not start with mcp__" : NULL;
}

static const struct schema_row custom_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 128,
      .refuses = custom_name_refuses },
    { "description", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1 },
    { "input_schema", SCHEMA_OBJECT, SCHEMA_REQUIRED },
};
static const struct schema_table custom = { ROWS(custom_rows) };
static const struct schema_variant tool_kinds[] = {
    { TOOLSET, &toolset }, { "mcp_toolset", &mcp_toolset }, { "custom", &custom }, { NULL, NULL }
};
const struct schema_row agent_tool_item = { NULL, SCHEMA_VARIANT, .variants = tool_kinds };

static const char *url_refuses(struct str url)
{
    return str_starts(url, STR("https://")) || str_starts(url, STR("http://"))
               ? NULL
               : "must start with https:// or http://";
}

/* Servers that a worker reaches are an extension that this server does not have: "at" may only say
 * what holds anyhow. */
static const char *const server_places[] = { "control", NULL };
static const struct schema_row server_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 255 },
    { "url", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 2048, .refuses = url_refuses },
    { "at", SCHEMA_WORD, SCHEMA_NULLABLE, .words = server_places },
};
static const struct schema_table server = { ROWS(server_rows) };
static const struct schema_variant server_kinds[] = { { "url", &server }, { NULL, NULL } };
const struct schema_row agent_mcp_server_item = { NULL, SCHEMA_VARIANT, .variants = server_kinds };

/* --- checks across members --- */

static struct str text_of(const struct json *object, const char *key)
{
    struct str text = { 0 };
    json_to_str(json_get(object, key), &text);
    return text;
}

/* Whether an earlier item of the array has the same text there. */
static bool stands_before(const struct json *array, size_t i, const char *key)
{
    struct str text = text_of(json_at(array, i), key);
    for (size_t j = 0; j < i; j++)
        if (str_eq(text_of(json_at(array, j), key), text))
            return true;
    return false;
}

static bool is_given(const struct json *v)
{
    return v && json_kind_of(v) != JSON_IS_NULL;
}

static void check_domains(const struct json *entry, struct problems *p)
{
    static const char *const lists[] = { "allowed_domains", "blocked_domains" };
    if (is_given(json_get(entry, lists[0])) && is_given(json_get(entry, lists[1])))
        problems_add(p, "takes allowed_domains or blocked_domains, not both");
    for (size_t l = 0; l < 2; l++) {
        const struct json *list = json_get(entry, lists[l]);
        for (size_t i = 1; i < json_count(list); i++)
            for (size_t j = 0; j < i; j++) {
                struct str one = { 0 }, other = { 0 };
                json_to_str(json_at(list, i), &one);
                json_to_str(json_at(list, j), &other);
                if (str_eq_nocase(one, other)) {
                    problems_add_at(p, lists[l], "names a domain twice");
                    i = json_count(list);
                    break;
                }
            }
    }
}

static void check_configs(const struct json *configs, struct problems *p)
{
    size_t was = problems_enter_key(p, STR("configs"));
    for (size_t i = 0; i < json_count(configs); i++) {
        const struct json *entry = json_at(configs, i);
        size_t here = problems_enter_index(p, i);
        if (stands_before(configs, i, "name"))
            problems_add_at(p, "name", "stands twice");
        struct str type = text_of(entry, "type");
        if (type.n && !str_eq(type, text_of(entry, "name")))
            problems_add_at(p, "type", "must be the same as name");
        check_domains(entry, p);
        problems_leave(p, here);
    }
    problems_leave(p, was);
}

static void check_servers(const struct json *servers, const struct json *tools, struct problems *p)
{
    size_t was = problems_enter_key(p, STR("mcp_servers"));
    for (size_t i = 0; i < json_count(servers); i++) {
        size_t here = problems_enter_index(p, i), uses = 0;
        if (stands_before(servers, i, "name"))
            problems_add_at(p, "name", "stands twice");
        for (size_t j = 0; j < json_count(tools); j++)
            uses += str_eq(text_of(json_at(tools, j), "mcp_server_name"),
                           text_of(json_at(servers, i), "name"));
        if (uses != 1)
            problems_add_at(p, "name", "must be named by exactly one mcp_toolset in tools, not %zu",
                            uses);
        problems_leave(p, here);
    }
    problems_leave(p, was);
}

static bool server_is_there(const struct json *servers, struct str name)
{
    for (size_t i = 0; i < json_count(servers); i++)
        if (str_eq(text_of(json_at(servers, i), "name"), name))
            return true;
    return false;
}

void agent_tools_check(const struct json *tools, const struct json *servers, struct problems *p)
{
    size_t toolsets = 0, was = problems_enter_key(p, STR("tools"));
    for (size_t i = 0; i < json_count(tools); i++) {
        const struct json *tool = json_at(tools, i);
        struct str type = text_of(tool, "type");
        size_t here = problems_enter_index(p, i);
        if (str_eq(type, STR("custom"))) {
            if (stands_before(tools, i, "name"))
                problems_add_at(p, "name", "stands twice");
            size_t inside = problems_enter_key(p, STR("input_schema"));
            input_schema_check(json_get(tool, "input_schema"), p);
            problems_leave(p, inside);
        } else {
            check_configs(json_get(tool, "configs"), p);
        }
        if (str_eq(type, STR(TOOLSET)) && ++toolsets > 1)
            problems_add(p, "there may be one " TOOLSET " only");
        if (str_eq(type, STR("mcp_toolset")) &&
            !server_is_there(servers, text_of(tool, "mcp_server_name")))
            problems_add_at(p, "mcp_server_name", "names no entry of mcp_servers");
        problems_leave(p, here);
    }
    problems_leave(p, was);
    check_servers(servers, tools, p);
}

/* --- the resolved form --- */

struct resolved {
    bool enabled;
    struct str policy;
};

/* What `given` says, and `otherwise` where it says nothing. */
static struct resolved resolve(const struct json *given, struct resolved otherwise)
{
    struct resolved r = otherwise;
    json_to_bool(json_get(given, "enabled"), &r.enabled);
    json_to_str(json_get(json_get(given, "permission_policy"), "type"), &r.policy);
    return r;
}

static struct resolved resolve_default(const struct json *tool)
{
    bool ours = str_eq(text_of(tool, "type"), STR(TOOLSET));
    struct resolved usual = { true, ours ? STR("always_allow") : STR("always_ask") };
    return resolve(json_get(tool, "default_config"), usual);
}

bool agent_tools_offer(const struct json *tools, struct str name)
{
    for (size_t i = 0; i < json_count(tools); i++) {
        const struct json *tool = json_at(tools, i), *configs = json_get(tool, "configs");
        if (!str_eq(text_of(tool, "type"), STR(TOOLSET)))
            continue;
        struct resolved r = resolve_default(tool);
        for (size_t j = 0; j < json_count(configs); j++)
            if (str_eq(text_of(json_at(configs, j), "name"), name))
                r = resolve(json_at(configs, j), r);
        return r.enabled;
    }
    return false;
}

static void write_switches(struct buf *out, struct resolved r)
{
    json_member_bool(out, "enabled", r.enabled);
    json_write_key(out, STR("permission_policy"));
    json_write_object(out);
    json_member_str(out, "type", r.policy);
    json_write_object_end(out);
}

/* The member as it was given, or null. */
static void write_or_null(struct buf *out, const struct json *object, const char *key)
{
    const struct json *value = json_get(object, key);
    json_write_key(out, str_of(key));
    if (is_given(value))
        json_write_value(out, value);
    else
        json_write_null(out);
}

static void write_source(struct buf *out, const struct json *source)
{
    struct str word = { 0 };
    if (!is_given(source)) {
        json_write_null(out);
        return;
    }
    if (!json_to_str(source, &word)) {
        json_write_value(out, source);
        return;
    }
    json_write_object(out);
    json_member_str(out, "type", word);
    json_write_object_end(out);
}

static void write_url_sources(struct buf *out, const struct json *entry)
{
    const struct json *given = json_get(entry, "url_sources");
    json_write_key(out, STR("url_sources"));
    if (!is_given(given)) {
        json_write_null(out);
        return;
    }
    json_write_object(out);
    for (size_t i = 0; i < sizeof source_names / sizeof *source_names; i++) {
        json_write_key(out, str_of(source_names[i]));
        write_source(out, json_get(given, source_names[i]));
    }
    json_write_object_end(out);
}

static void write_location(struct buf *out, const struct json *entry)
{
    const struct json *given = json_get(entry, "user_location");
    json_write_key(out, STR("user_location"));
    if (!is_given(given)) {
        json_write_null(out);
        return;
    }
    json_write_object(out);
    json_member_text(out, "type", "approximate");
    for (size_t i = 0; i < sizeof place_names / sizeof *place_names; i++)
        write_or_null(out, given, place_names[i]);
    json_write_object_end(out);
}

static void write_entry(struct buf *out, const struct json *entry, struct resolved otherwise,
                        bool ours)
{
    struct str name = text_of(entry, "name");
    json_write_object(out);
    json_member_str(out, "name", name);
    if (ours)
        json_member_str(out, "type", name);
    write_switches(out, resolve(entry, otherwise));
    if (ours && str_starts(name, STR("web_"))) {
        write_or_null(out, entry, "allowed_domains");
        write_or_null(out, entry, "blocked_domains");
    }
    if (ours && str_eq(name, STR("web_fetch"))) {
        write_or_null(out, entry, "max_content_tokens");
        write_url_sources(out, entry);
    }
    if (ours && str_eq(name, STR("web_search")))
        write_location(out, entry);
    json_write_object_end(out);
}

static void write_tool(struct buf *out, const struct json *tool)
{
    struct str type = text_of(tool, "type");
    bool ours = str_eq(type, STR(TOOLSET));
    json_write_object(out);
    json_member_str(out, "type", type);
    if (str_eq(type, STR("custom"))) {
        json_member_str(out, "name", text_of(tool, "name"));
        json_member_str(out, "description", text_of(tool, "description"));
        json_member_value(out, "input_schema", json_get(tool, "input_schema"));
        json_write_object_end(out);
        return;
    }
    struct resolved otherwise = resolve_default(tool);
    const struct json *configs = json_get(tool, "configs");
    if (!ours)
        json_member_str(out, "mcp_server_name", text_of(tool, "mcp_server_name"));
    json_write_key(out, STR("configs"));
    json_write_array(out);
    for (size_t i = 0; i < json_count(configs); i++)
        write_entry(out, json_at(configs, i), otherwise, ours);
    json_write_array_end(out);
    json_write_key(out, STR("default_config"));
    json_write_object(out);
    write_switches(out, otherwise);
    json_write_object_end(out);
    json_write_object_end(out);
}

void agent_tools_write(struct buf *out, const struct json *tools)
{
    json_write_array(out);
    for (size_t i = 0; i < json_count(tools); i++)
        write_tool(out, json_at(tools, i));
    json_write_array_end(out);
}

void agent_servers_write(struct buf *out, const struct json *servers)
{
    json_write_array(out);
    for (size_t i = 0; i < json_count(servers); i++) {
        json_write_object(out);
        json_member_text(out, "type", "url");
        json_member_str(out, "name", text_of(json_at(servers, i), "name"));
        json_member_str(out, "url", text_of(json_at(servers, i), "url"));
        json_write_object_end(out);
    }
    json_write_array_end(out);
}
