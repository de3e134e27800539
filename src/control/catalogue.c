#include "control/catalogue.h"

#include "control/builtin.h"
#include "proto/json.h"
#include "proto/json_write.h"

#include <stdlib.h>

enum { CATALOGUE_BYTES_MAX = 64 << 20 };

/* What a toolset says of one of its tools. */
struct setting {
    bool enabled;
    enum policy policy;
};

struct building {
    struct catalogue *c;
    const struct server_tools *server;
    size_t room;
    bool works; /* a tool of the worker is offered */
};

static struct str keep(struct building *b, struct str text)
{
    char *copy = arena_dup(&b->c->arena, text);
    return copy ? (struct str){ copy, text.n } : (struct str){ "", 0 };
}

static struct str member_str(const struct json *object, const char *key)
{
    struct str text = { "", 0 };
    json_to_str(json_get(object, key), &text);
    return text;
}

static void definition_write(struct buf *b, struct str name, struct str description,
                             struct str schema)
{
    json_write_object(b);
    json_member_str(b, "name", name);
    json_member_str(b, "description", description);
    json_write_key(b, STR("input_schema"));
    json_write_raw(b, schema);
    json_write_object_end(b);
}

static void tool_add(struct building *b, const struct tool *tool)
{
    struct catalogue *c = b->c;
    if (c->tool_count == b->room) {
        b->room = b->room ? 2 * b->room : 16;
        c->tools = mem_grow(c->tools, b->room * sizeof *c->tools);
    }
    c->tools[c->tool_count++] = *tool;
}

/* Reads what is said, keeps what is not. */
static void setting_read(const struct json *config, struct setting *s)
{
    static const struct {
        const char *word;
        enum policy policy;
    } policies[] = {
        { "always_allow", POLICY_ALWAYS_ALLOW },
        { "always_ask", POLICY_ALWAYS_ASK },
        { "auto", POLICY_AUTO },
    };
    struct str word = member_str(json_get(config, "permission_policy"), "type");
    json_to_bool(json_get(config, "enabled"), &s->enabled);
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++)
        if (str_eq(word, str_of(policies[i].word)))
            s->policy = policies[i].policy;
}

static const struct json *config_of(const struct json *toolset, const char *name)
{
    const struct json *configs = json_get(toolset, "configs");
    for (size_t i = 0; i < json_count(configs); i++)
        if (str_eq(member_str(json_at(configs, i), "name"), str_of(name)))
            return json_at(configs, i);
    return NULL;
}

static bool can_run(const struct building *b, const struct builtin *t)
{
    return t->owner == OWNER_WORKER || (t->searches ? b->server->search : b->server->web);
}

static void toolset_add(struct building *b, const struct json *toolset)
{
    struct setting usual = { true, POLICY_ALWAYS_ALLOW };
    setting_read(json_get(toolset, "default_config"), &usual);
    for (size_t i = 0; i < BUILTIN_COUNT; i++) {
        const struct builtin *t = &builtins[i];
        const struct json *config = config_of(toolset, t->name);
        struct setting s = usual;
        if (config)
            setting_read(config, &s);
        AUTO_BUF options = { 0 };
        if (config)
            json_write_value(&options, config);
        struct tool tool = {
            .name = str_of(t->name),
            .owner = t->owner,
            .repeat = policy_repeat(str_of(t->name)),
            .grant = { .offered = s.enabled && can_run(b, t), .policy = s.policy },
            .options = config ? keep(b, buf_str(&options)) : STR("{}"),
        };
        tool_add(b, &tool);
        if (!tool.grant.offered)
            continue;
        b->works |= t->owner == OWNER_WORKER;
        definition_write(&b->c->definitions, tool.name, str_of(t->description), str_of(t->schema));
    }
}

static void custom_add(struct building *b, const struct json *custom)
{
    struct str name = member_str(custom, "name");
    struct tool tool = {
        .name = keep(b, name),
        .owner = OWNER_APPLICATION,
        .repeat = REPEAT_NEVER, /* whatever it is called: nobody here knows what it does */
        .grant = { .offered = true, .custom = true },
        .options = STR("{}"),
    };
    AUTO_BUF schema = { 0 };
    json_write_value(&schema, json_get(custom, "input_schema"));
    tool_add(b, &tool);
    definition_write(&b->c->definitions, name, member_str(custom, "description"), buf_str(&schema));
}

static void tools_add(struct building *b, const struct json *tools)
{
    json_write_array(&b->c->definitions);
    for (size_t i = 0; i < json_count(tools); i++) {
        struct str type = member_str(json_at(tools, i), "type");
        if (str_eq(type, STR("agent_toolset_20260401")))
            toolset_add(b, json_at(tools, i));
        else if (str_eq(type, STR("custom")))
            custom_add(b, json_at(tools, i));
    }
    json_write_array_end(&b->c->definitions);
}

static void system_write(struct building *b, struct str own)
{
    struct buf *s = &b->c->system;
    buf_add(s, own);
    if (!b->works)
        return;
    if (s->n)
        buf_add(s, STR("\n\n"));
    buf_add(s,
            STR("Your tools work in a directory of their own, usually /workspace. Relative paths "
                "start there."));
}

static int catalogue_read(struct building *b, struct str agent, struct err *e)
{
    AUTO_JSON root = NULL;
    struct err why;
    if (json_parse(agent, &root, &why) < 0)
        return err_set(e, E_BUG, 0, "read the agent of a session: %s", why.text);
    const struct json *model = json_get(root, "model");
    struct catalogue *c = b->c;
    c->agent_name = keep(b, member_str(root, "name"));
    c->model = keep(b, member_str(model, "id"));
    c->effort = keep(b, member_str(json_get(model, "effort"), "type"));
    c->speed = keep(b, member_str(model, "speed"));
    if (c->model.n == 0)
        return err_set(e, E_BUG, 0, "the agent of a session names no model");
    tools_add(b, json_get(root, "tools"));
    system_write(b, member_str(root, "system"));
    return 0;
}

int catalogue_new(struct str agent, const struct server_tools *server, struct catalogue **out,
                  struct err *e)
{
    struct building b = { .c = mem_get(sizeof(struct catalogue)), .server = server };
    arena_init(&b.c->arena, CATALOGUE_BYTES_MAX);
    if (catalogue_read(&b, agent, e) < 0) {
        catalogue_free(b.c);
        return -1;
    }
    *out = b.c;
    return 0;
}

void catalogue_free(struct catalogue *c)
{
    if (!c)
        return;
    free(c->tools);
    buf_release(&c->system);
    buf_release(&c->definitions);
    arena_release(&c->arena);
    free(c);
}

const struct tool *catalogue_find(const struct catalogue *c, struct str name)
{
    for (size_t i = 0; i < c->tool_count; i++)
        if (str_eq(c->tools[i].name, name))
            return &c->tools[i];
    return NULL;
}
