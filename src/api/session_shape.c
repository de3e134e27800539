#include "api/session_shape.h"

#include "api/agent_tools.h"
#include "api/event_shape.h"
#include "api/metadata.h"
#include "proto/json_write.h"

static const char *amount_refuses(struct str text)
{
    uint64_t cents = 0;
    bool fits = str_to_u64(text, &cents) && cents <= 1000000000000;
    return fits ? NULL : "must be whole cents as a decimal text";
}

static const char *const currencies[] = { "USD", NULL };
static const struct schema_row money_rows[] = {
    { "amount", SCHEMA_STRING, SCHEMA_REQUIRED, .refuses = amount_refuses },
    { "currency", SCHEMA_WORD, SCHEMA_REQUIRED, .words = currencies },
};
static const struct schema_table money = { ROWS(money_rows) };
static const struct schema_row limit_rows[] = {
    { "max_list_cost", SCHEMA_OBJECT, SCHEMA_REQUIRED, .table = &money },
};
static const struct schema_table limit = { ROWS(limit_rows) };
static const struct schema_variant budgets[] = { { "limit", &limit }, { NULL, NULL } };

static const struct schema_row agent_text = { NULL, SCHEMA_STRING, .min = 1, .max = 64 };
static const struct schema_row choice_rows[] = {
    { "id", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 64 },
    { "version", SCHEMA_INTEGER, SCHEMA_NULLABLE, .min = 1, .max = INT32_MAX },
};
static const struct schema_table choice = { ROWS(choice_rows) };
static const struct schema_variant choices[] = { { "agent", &choice },
                                                 { "agent_with_overrides", &choice },
                                                 { NULL, NULL } };
static const struct schema_row text_item = { NULL, SCHEMA_STRING };
static const struct schema_row any_item = { NULL, SCHEMA_OBJECT };

#define TITLE_ROW                                                                                  \
    {                                                                                              \
        "title", SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 256                              \
    }
#define BUDGET_ROW                                                                                 \
    {                                                                                              \
        "budget", SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = budgets                             \
    }
static const struct schema_row create_rows[] = {
    { "agent", SCHEMA_VARIANT, SCHEMA_REQUIRED, .variants = choices, .either = &agent_text },
    { "environment_id", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 64 },
    TITLE_ROW,
    METADATA_ROW,
    { "resources", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 508, .item = &any_item },
    { "vault_ids", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 50, .item = &text_item },
    BUDGET_ROW,
    { "initial_events", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = INITIAL_EVENTS_MAX,
      .item = &initial_event_item },
};
static const struct schema_row update_rows[] = {
    TITLE_ROW,
    METADATA_PATCH_ROW,
    BUDGET_ROW,
    { "agent", SCHEMA_OBJECT, SCHEMA_NULLABLE },
};
static const struct schema_table create_table = { ROWS(create_rows) };
static const struct schema_table update_table = { ROWS(update_rows) };

static bool has_items(const struct json *v)
{
    return v && json_kind_of(v) == JSON_IS_ARRAY && json_count(v) > 0;
}

/* None of the kinds of resources can be had here, but each is refused with its own reason. */
static void refuse_resources(const struct json *body, struct problems *p)
{
    const struct json *resources = json_get(body, "resources");
    struct str environment = { 0 };
    json_to_str(json_get(body, "environment_id"), &environment);
    if (environment.n >= ID_SIZE)
        environment.n = ID_SIZE; /* none of ours is longer */
    size_t was = problems_enter_key(p, STR("resources"));
    for (size_t i = 0; i < json_count(resources); i++) {
        struct str type = { 0 };
        size_t here = problems_enter_index(p, i);
        json_to_str(json_get(json_at(resources, i), "type"), &type);
        if (str_eq(type, STR("file")) || str_eq(type, STR("github_repository")))
            problems_add(p,
                         "resources of this kind are not supported for the self-hosted "
                         "environment %.*s",
                         STR_ARGS(environment));
        else
            problems_add(p, "memory stores are not supported by this server");
        problems_leave(p, here);
    }
    problems_leave(p, was);
}

void session_body_check(const struct json *body, struct problems *p, const char **code)
{
    const struct json *agent = json_get(body, "agent"), *model = json_get(agent, "model");
    struct str type = { 0 };
    *code = NULL;
    schema_check(body, &create_table, p);
    refuse_resources(body, p);
    if (has_items(json_get(body, "vault_ids")))
        problems_add_at(p, "vault_ids", "is not supported by this server");
    json_to_str(json_get(agent, "type"), &type);
    if (!str_eq(type, STR("agent_with_overrides")))
        return;
    size_t was = problems_enter_key(p, STR("agent"));
    if (model && json_kind_of(model) == JSON_IS_NULL)
        *code = "agent_model_required";
    agent_override_check(agent, p);
    problems_leave(p, was);
}

void session_update_check(const struct json *body, struct problems *p)
{
    static const char *const fixed[] = { "vault_ids", "resources", "environment_id" };
    const struct json *agent = json_get(body, "agent");
    schema_check(body, &update_table, p);
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        if (json_get(body, fixed[i]))
            problems_add_at(p, fixed[i], "can only be chosen when a session is created");
    if (!agent || json_kind_of(agent) != JSON_IS_OBJECT)
        return;
    size_t was = problems_enter_key(p, STR("agent"));
    agent_session_update_check(agent, p);
    problems_leave(p, was);
}

struct agent_choice session_agent_choice(const struct json *body)
{
    const struct json *agent = json_get(body, "agent");
    struct agent_choice c = { 0 };
    struct str type = { 0 };
    if (json_to_str(agent, &c.id))
        return c;
    json_to_str(json_get(agent, "id"), &c.id);
    json_to_i64(json_get(agent, "version"), &c.version);
    json_to_str(json_get(agent, "type"), &type);
    if (str_eq(type, STR("agent_with_overrides")))
        c.overrides = agent;
    return c;
}

void session_agent_write(struct buf *out, struct str id, int64_t version,
                         const struct agent_draft *draft)
{
    json_write_object(out);
    json_member_str(out, "id", id);
    json_member_text(out, "type", "agent");
    json_member_i64(out, "version", version);
    agent_draft_write(out, draft);
    json_write_object_end(out);
}

void session_budget_write(struct buf *out, const struct json *budget)
{
    const struct json *cost = json_get(budget, "max_list_cost");
    struct str amount = { 0 };
    if (!json_to_str(json_get(cost, "amount"), &amount)) {
        json_write_null(out);
        return;
    }
    json_write_object(out);
    json_member_text(out, "type", "limit");
    json_write_key(out, STR("max_list_cost"));
    json_write_object(out);
    json_member_str(out, "amount", amount);
    json_member_text(out, "currency", "USD");
    json_write_object_end(out);
    json_write_object_end(out);
}
