/* sessions.c - sessions (contract 2.4, 3.8). What a session does is the engine's; here it is made and
 * changed in whole, checked texts. */
#include "api/session_shape.h"

#include "api/agent_tools.h"
#include "api/agents.h"
#include "api/api-int.h"
#include "api/event_shape.h"
#include "api/handlers.h"
#include "api/metadata.h"
#include "api/page.h"
#include "api/turn.h"
#include "api/wall.h"
#include "proto/json_write.h"

/* --- creating --- */

/* The agent that the body names, in the version it names. 0, or -1 and answered. */
static int find_agent(struct errand *x, const struct agent_choice *choice, struct record *out)
{
    struct id id = { 0 };
    struct record agent;
    id_read(choice->id, &id);
    if (errand_record(x, RECORD_AGENT, &id, &agent) < 0)
        return -1;
    if (agent.archived_at) {
        errand_fail(x, 400, NULL, "agent: this agent is archived");
        return -1;
    }
    *out = agent;
    if (!choice->version || choice->version == agent.number)
        return 0;
    struct id version = agent_version_id(&agent.id, choice->version);
    return errand_record(x, RECORD_AGENT_VERSION, &version, out);
}

static int find_environment(struct errand *x, struct record *out)
{
    struct str text = { 0 };
    struct id id = { 0 };
    json_to_str(json_get(x->body, "environment_id"), &text);
    id_read(text, &id);
    if (errand_record(x, RECORD_ENVIRONMENT, &id, out) < 0)
        return -1;
    if (!out->archived_at)
        return 0;
    errand_fail(x, 400, "environment_archived", "environment_id: this environment is archived");
    return -1;
}

static bool is_given(const struct json *v)
{
    return v && json_kind_of(v) != JSON_IS_NULL;
}

/* A budget needs a model with a price (contract 2.4). False: answered. */
static bool budget_fits(struct errand *x, const struct agent_draft *draft)
{
    struct model_set *models = x->api->parts.models;
    const struct model_info *m = models->ops->find(models, agent_model_id(draft->model));
    if (!is_given(json_get(x->body, "budget")) || (m && m->priced))
        return true;
    errand_fail(x, 400, "model_not_budgetable", "budget: this server knows no price of the model");
    return false;
}

static void write_members(struct errand *x, struct buf *out, struct str agent)
{
    AUTO_BUF metadata = { 0 };
    AUTO_PROBLEMS none = { 0 };
    const struct json *title = json_get(x->body, "title");
    metadata_write(&metadata, NULL, json_get(x->body, "metadata"), &none);
    json_write_key(out, STR("agent"));
    json_write_raw(out, agent);
    json_write_key(out, STR("title"));
    if (title)
        json_write_value(out, title);
    else
        json_write_null(out);
    json_write_key(out, STR("metadata"));
    json_write_raw(out, buf_str(&metadata));
    json_write_raw(out, STR("\"resources\":[],\"vault_ids\":[]"));
    json_write_key(out, STR("budget"));
    session_budget_write(out, json_get(x->body, "budget"));
    json_write_raw(out, STR("\"deployment_id\":null"));
}

/* Base and overrides together. False: answered. */
static bool effective_agent(struct errand *x, const struct agent_choice *choice,
                            const struct json *stored, struct agent_draft *draft)
{
    AUTO_PROBLEMS problems = { 0 };
    agent_draft_take(draft, stored);
    draft->old_model = draft->model;
    if (choice->overrides) {
        draft->no_effort = json_get(choice->overrides, "model");
        agent_draft_take(draft, choice->overrides);
        draft->name = json_get(stored, "name");
        draft->description = json_get(stored, "description");
    }
    size_t was = problems_enter_key(&problems, STR("agent"));
    agent_draft_check(draft, x->api->parts.models, &problems);
    problems_leave(&problems, was);
    if (problems.count == 0)
        return true;
    errand_fail_problems(x, &problems, NULL);
    return false;
}

static void create(struct errand *x, const struct record *agent, const struct record *environment,
                   const struct agent_draft *draft)
{
    const struct json *events = json_get(x->body, "initial_events");
    size_t count = json_count(events);
    AUTO_BUF snapshot = { 0 };
    AUTO_BUF members = { 0 };
    struct session_draft session = { .workspace = x->asker.workspace,
                                     .environment = environment->id,
                                     .agent =
                                         agent->kind == RECORD_AGENT ? agent->id : agent->parent,
                                     .agent_version = agent->number,
                                     .event_count = count };
    session_agent_write(&snapshot, id_str(&session.agent), agent->number, draft);
    write_members(x, &members, buf_str(&snapshot));
    session.members = buf_str(&members);
    struct event *list = x->held = mem_array(count, sizeof *list);
    session.events = list;
    if (events_take(events, list, &x->arena))
        engine_session_create(x->api->parts.engine, &session, errand_engine, x);
    else
        errand_fail(x, 413, NULL, "initial_events: these are too large");
}

void sessions_create(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_JSON stored = NULL;
    struct record agent, environment;
    struct agent_draft draft = { 0 };
    struct err e = { 0 };
    const char *code = NULL;
    session_body_check(x->body, &problems, &code);
    if (problems.count) {
        errand_fail_problems(x, &problems, code);
        return;
    }
    struct agent_choice choice = session_agent_choice(x->body);
    if (find_environment(x, &environment) < 0 || find_agent(x, &choice, &agent) < 0)
        return;
    if (json_parse(agent.body, &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    if (effective_agent(x, &choice, stored, &draft) && budget_fits(x, &draft))
        create(x, &agent, &environment, &draft);
}

/* --- reading --- */

static int write_session(struct errand *x, const struct record *r, struct buf *out, struct err *e)
{
    return session_json(r, x->now, out, e);
}

static const char *const status_words[] = { "idle", "running", "rescheduling", "terminated", NULL };

/* The number of statuses asked for, or -1 and answered. */
static int read_statuses(struct errand *x, struct str *out, size_t room)
{
    int count = errand_texts(x, "statuses", out, room);
    for (int i = 0; i < count; i++)
        if (schema_word(status_words, out[i]) < 0) {
            errand_fail(x, 400, NULL, "statuses: takes idle, running, rescheduling, terminated");
            return -1;
        }
    return count;
}

void sessions_list(struct errand *x)
{
    enum { STATUSES = 8 };
    struct page page;
    struct str statuses[STATUSES];
    struct id agent = { 0 };
    struct str text = request_parameter(x->request, STR("agent_id"));
    struct record_query query = { .kind = RECORD_SESSION };
    if (page_begin(x, &page, "sessions", 20, 100) < 0 || errand_order(x, &query.oldest_first) < 0 ||
        errand_bool(x, "include_archived", &query.with_archived) < 0 ||
        errand_integer(x, "agent_version", 1, INT32_MAX, &query.number) < 0 ||
        errand_range(x, &query.created_from, &query.created_before) < 0 ||
        page_fits(x, &page, query.oldest_first, query.created_from, query.created_before) < 0)
        return;
    int count = read_statuses(x, statuses, STATUSES);
    if (count < 0)
        return;
    if (request_parameter(x->request, STR("deployment_id")).n ||
        request_parameter(x->request, STR("memory_store_id")).n ||
        (text.n && !id_read(text, &agent))) {
        errand_answer(x, STR("{\"data\":[],\"next_page\":null,\"prev_page\":null}"));
        return; /* no session here has one */
    }
    query.states = statuses;
    query.state_count = (size_t)count;
    query.group = text.n ? &agent : NULL;
    page.both = true;
    page_answer(x, &page, &query, write_session);
}

void sessions_get(struct errand *x)
{
    struct record session;
    struct err e = { 0 };
    AUTO_BUF out = { 0 };
    if (errand_session(x, &session) < 0)
        return;
    if (session_json(&session, x->now, &out, &e) < 0)
        errand_fail_store(x, &e);
    else
        errand_answer(x, buf_str(&out));
}

/* --- changing --- */

/* The texts of a patch. One that says what holds already stays empty, so that an update that changes
 * nothing is none (contract 3.8). */
struct patch_texts {
    struct buf title, metadata, budget, agent;
};

static void patch_texts_release(struct patch_texts *t)
{
    buf_release(&t->title);
    buf_release(&t->metadata);
    buf_release(&t->budget);
    buf_release(&t->agent);
}

static void keep_if_new(struct buf *text, const struct json *stored)
{
    AUTO_BUF before = { 0 };
    if (stored)
        json_write_value(&before, stored);
    if (str_eq(buf_str(&before), buf_str(text)))
        buf_empty(text);
}

static void patch_agent(struct errand *x, const struct json *stored, struct patch_texts *t,
                        struct problems *problems)
{
    const struct json *given = json_get(x->body, "agent"), *agent = json_get(stored, "agent");
    struct agent_draft draft = { 0 };
    struct str id = { 0 };
    int64_t version = 0;
    if (!is_given(given))
        return;
    agent_draft_take(&draft, agent);
    if (json_get(given, "tools"))
        draft.tools = json_get(given, "tools");
    if (json_get(given, "mcp_servers"))
        draft.mcp_servers = json_get(given, "mcp_servers");
    size_t was = problems_enter_key(problems, STR("agent"));
    agent_tools_check(draft.tools, draft.mcp_servers, problems);
    problems_leave(problems, was);
    json_to_str(json_get(agent, "id"), &id);
    json_to_i64(json_get(agent, "version"), &version);
    if (problems->count == 0)
        session_agent_write(&t->agent, id, version, &draft);
    keep_if_new(&t->agent, agent);
}

static void patch_rest(struct errand *x, const struct json *stored, struct patch_texts *t,
                       struct problems *problems)
{
    const struct json *title = json_get(x->body, "title"), *budget = json_get(x->body, "budget");
    const struct json *metadata = json_get(stored, "metadata");
    if (title) {
        json_write_value(&t->title, title);
        keep_if_new(&t->title, json_get(stored, "title"));
    }
    if (budget) {
        session_budget_write(&t->budget, budget);
        keep_if_new(&t->budget, json_get(stored, "budget"));
    }
    metadata_write(&t->metadata, metadata, json_get(x->body, "metadata"), problems);
    keep_if_new(&t->metadata, metadata);
}

static bool is_busy(const struct record *session)
{
    return str_eq(session->state, STR("running")) || str_eq(session->state, STR("rescheduling"));
}

static void update(struct errand *x, const struct record *session, const struct json *stored,
                   struct patch_texts *t, struct str shown)
{
    AUTO_PROBLEMS problems = { 0 };
    patch_rest(x, stored, t, &problems);
    patch_agent(x, stored, t, &problems);
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    if (is_given(json_get(x->body, "agent")) && is_busy(session) &&
        !x->api->settings.update_while_running) {
        errand_fail(x, 400, NULL,
                    "agent: tools of a session that runs are changed by PATCH "
                    "/v1/sessions/{id}/tools, not here");
        return;
    }
    if (t->budget.n && !is_given(json_get(stored, "budget"))) {
        errand_fail(x, 400, "budget_create_only",
                    "budget: can only be given when a session is created");
        return;
    }
    struct session_patch patch = { .title = buf_str(&t->title),
                                   .metadata = buf_str(&t->metadata),
                                   .budget = buf_str(&t->budget),
                                   .agent = buf_str(&t->agent) };
    struct id id = session->id;
    if (patch.title.n || patch.metadata.n || patch.budget.n || patch.agent.n)
        engine_session_update(x->api->parts.engine, &x->asker, &id, &patch, errand_engine, x);
    else
        errand_answer(x, shown);
}

void sessions_update(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_BUF shown = { 0 };
    AUTO_JSON stored = NULL;
    CLEANUP(patch_texts_release) struct patch_texts texts = { 0 };
    struct record session;
    struct err e = { 0 };
    session_update_check(x->body, &problems);
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    struct id id = errand_id(x, 2);
    if (!turn_take(x, &id) || errand_session(x, &session) < 0)
        return;
    if (session_json(&session, x->now, &shown, &e) < 0 ||
        json_parse(buf_str(&shown), &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    update(x, &session, stored, &texts, buf_str(&shown));
}

void sessions_archive(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) < 0)
        return;
    struct id id = session.id;
    engine_session_archive(x->api->parts.engine, &x->asker, &id, errand_engine, x);
}

static void on_deleted(void *ctx, const struct refusal *refusal, struct str json)
{
    struct errand *x = ctx;
    struct id id = errand_id(x, 2);
    if (!refusal || !refusal->status)
        wall_forget(x->api, &id);
    errand_engine(x, refusal, json);
}

void sessions_delete(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) < 0)
        return;
    struct id id = session.id;
    engine_session_delete(x->api->parts.engine, &x->asker, &id, on_deleted, x);
}
