#include "api/agent_shape.h"

#include "api/agent_tools.h"
#include "api/metadata.h"
#include "proto/json_write.h"

static const char *const effort_words[] = { "low", "medium", "high", "xhigh", "max", NULL };
static const char *const speed_words[] = { "standard", "fast", NULL };

static const struct schema_row effort_word = { NULL, SCHEMA_WORD, .words = effort_words };
static const struct schema_row effort_rows[] = {
    { "type", SCHEMA_WORD, SCHEMA_REQUIRED, .words = effort_words },
};
static const struct schema_table effort = { ROWS(effort_rows) };
static const struct schema_row model_text = { NULL, SCHEMA_STRING, .min = 1, .max = 256 };
static const struct schema_row model_rows[] = {
    { "id", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256 },
    { "effort", SCHEMA_OBJECT, SCHEMA_NULLABLE, .table = &effort, .either = &effort_word },
    { "speed", SCHEMA_WORD, SCHEMA_NULLABLE, .words = speed_words },
    { "inference_geo", SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 64 },
};
static const struct schema_table model = { ROWS(model_rows) };

static const struct schema_variant identities[] = { { "service_account", NULL }, { NULL, NULL } };

#define NAME_ROW                                                                                   \
    {                                                                                              \
        "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256                               \
    }
#define MODEL_ROW(flags)                                                                           \
    {                                                                                              \
        "model", SCHEMA_OBJECT, flags, .table = &model, .either = &model_text                      \
    }
#define SYSTEM_ROW                                                                                 \
    {                                                                                              \
        "system", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 100000                                    \
    }
#define SKILLS_ROW                                                                                 \
    {                                                                                              \
        "skills", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 500                                        \
    }
#define OTHER_ROWS                                                                                 \
    { "description", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 2048 }, SYSTEM_ROW, AGENT_TOOL_ROWS,   \
        SKILLS_ROW,                                                                                \
    {                                                                                              \
        "execution_identity", SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = identities              \
    }

static const struct schema_row create_rows[] = { NAME_ROW, MODEL_ROW(SCHEMA_REQUIRED), OTHER_ROWS,
                                                 METADATA_ROW };
static const struct schema_row update_rows[] = {
    { "name", SCHEMA_STRING, .min = 1, .max = 256 },
    MODEL_ROW(0),
    OTHER_ROWS,
    METADATA_PATCH_ROW,
    { "version", SCHEMA_INTEGER, SCHEMA_NULLABLE, .min = 1 },
};
static const struct schema_row override_rows[] = { MODEL_ROW(0), SYSTEM_ROW, AGENT_TOOL_ROWS,
                                                   SKILLS_ROW };
static const struct schema_row session_rows[] = { AGENT_TOOL_ROWS };
static const struct schema_table create_table = { ROWS(create_rows) };
static const struct schema_table update_table = { ROWS(update_rows) };
static const struct schema_table override_table = { ROWS(override_rows) };
static const struct schema_table session_table = { ROWS(session_rows) };

static bool is_given(const struct json *v)
{
    return v && json_kind_of(v) != JSON_IS_NULL;
}

static bool has_skills(const struct json *v)
{
    return v && json_kind_of(v) == JSON_IS_ARRAY && json_count(v) > 0;
}

/* What this server does not have yet is refused by name (contract 11, row 17a). */
static void refuse_not_built(const struct json *body, struct problems *p)
{
    if (is_given(json_get(body, "multiagent")))
        problems_add_at(p, "multiagent", "is not supported by this server");
    if (has_skills(json_get(body, "skills")))
        problems_add_at(p, "skills", "is not supported by this server");
}

void agent_body_check(const struct json *body, bool update, struct problems *p)
{
    schema_check(body, update ? &update_table : &create_table, p);
    refuse_not_built(body, p);
}

void agent_override_check(const struct json *agent, struct problems *p)
{
    schema_check(agent, &override_table, p);
    refuse_not_built(agent, p);
}

void agent_session_update_check(const struct json *agent, struct problems *p)
{
    static const char *const fixed[] = { "model", "system", "skills", "name", "description" };
    schema_check(agent, &session_table, p);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (json_get(agent, fixed[i]))
            problems_add_at(p, fixed[i], "can only be chosen when a session is created");
}

void agent_draft_take(struct agent_draft *draft, const struct json *body)
{
    const struct {
        const char *key;
        const struct json **to;
    } members[] = {
        { "name", &draft->name },     { "description", &draft->description },
        { "model", &draft->model },   { "system", &draft->system },
        { "tools", &draft->tools },   { "mcp_servers", &draft->mcp_servers },
        { "skills", &draft->skills },
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct json *given = json_get(body, members[i].key);
        if (given)
            *members[i].to = given;
    }
}

struct str agent_model_id(const struct json *v)
{
    struct str id = { 0 };
    if (!json_to_str(v, &id))
        json_to_str(json_get(v, "id"), &id);
    return id;
}

void agent_draft_check(const struct agent_draft *draft, struct model_set *models,
                       struct problems *p)
{
    struct str id = agent_model_id(draft->model);
    if (!models->ops->find(models, id)) {
        size_t was = problems_enter_key(p, STR("model"));
        problems_add_at(p, "id", "is no model of this server; GET /v1/models lists them");
        problems_leave(p, was);
    }
    agent_tools_check(draft->tools, draft->mcp_servers, p);
}

/* The effort as a word; empty: none. */
static struct str effort_of(const struct json *v)
{
    const struct json *given = json_get(v, "effort");
    struct str word = { 0 };
    if (!json_to_str(given, &word))
        json_to_str(json_get(given, "type"), &word);
    return word;
}

static void write_model(struct buf *out, const struct agent_draft *draft)
{
    static const char *const plain[] = { "speed", "inference_geo" };
    struct str id = agent_model_id(draft->model), word = effort_of(draft->model);
    if (draft->no_effort)
        word = (struct str){ 0 };
    if (!word.n && str_eq(agent_model_id(draft->old_model), id))
        word = effort_of(draft->old_model);
    json_write_object(out);
    json_member_str(out, "id", id);
    if (word.n) {
        json_write_key(out, STR("effort"));
        json_write_object(out);
        json_member_str(out, "type", word);
        json_write_object_end(out);
    }
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (is_given(json_get(draft->model, plain[i])))
            json_member_value(out, plain[i], json_get(draft->model, plain[i]));
    json_write_object_end(out);
}

/* "" and null are the same: none. */
static void write_text(struct buf *out, const char *key, const struct json *v)
{
    struct str text = { 0 };
    json_to_str(v, &text);
    json_write_key(out, str_of(key));
    if (text.n)
        json_write_str(out, text);
    else
        json_write_null(out);
}

void agent_draft_write(struct buf *out, const struct agent_draft *draft)
{
    write_text(out, "name", draft->name);
    write_text(out, "description", draft->description);
    json_write_key(out, STR("model"));
    write_model(out, draft);
    write_text(out, "system", draft->system);
    json_write_key(out, STR("tools"));
    agent_tools_write(out, draft->tools);
    json_write_key(out, STR("mcp_servers"));
    agent_servers_write(out, draft->mcp_servers);
    json_write_raw(out, STR("\"skills\":[],\"multiagent\":null,"
                            "\"execution_identity\":{\"type\":\"service_account\"}"));
}
