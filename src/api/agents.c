/* agents.c - agents and their versions (contract 2.1).
 *
 * Each version is a record whose body is the agent as the API shows it, but for archived_at; the
 * agent's own record holds the latest one. Only the agent's record knows whether it is archived.
 */
#include "api/agent_shape.h"
#include "api/agents.h"
#include "api/api-int.h"
#include "api/handlers.h"
#include "api/metadata.h"
#include "api/page.h"
#include "api/render.h"
#include "base/check.h"
#include "base/moment.h"
#include "proto/json_write.h"

#include <stdio.h>

struct id agent_version_id(const struct id *agent, int64_t version)
{
    struct id id = { 0 };
    int n = snprintf(id.text, sizeof id.text, "%s-%lld", agent->text, (long long)version);
    CHECK(n > 0 && (size_t)n < sizeof id.text);
    return id;
}

/* What differs between two versions and is compared: everything that an update can change. */
static void write_core(struct buf *out, const struct agent_draft *draft, struct str metadata)
{
    agent_draft_write(out, draft);
    json_write_key(out, STR("metadata"));
    json_write_raw(out, metadata);
}

/* The whole text of a version, without archived_at. */
static void write_body(struct buf *out, const struct record *r, struct str core, int64_t updated_at)
{
    json_write_object(out);
    json_member_str(out, "id", id_str(&r->id));
    json_member_text(out, "type", "agent");
    json_member_i64(out, "version", r->number);
    json_write_raw(out, core);
    render_moment(out, "created_at", r->created_at);
    render_moment(out, "updated_at", updated_at);
    json_write_object_end(out);
}

/* Puts the agent and its version. */
static void put_version(struct tx *tx, const struct record *agent)
{
    struct record version = *agent;
    version.kind = RECORD_AGENT_VERSION;
    version.id = agent_version_id(&agent->id, agent->number);
    version.parent = agent->id;
    tx_put(tx, agent, agent->revision);
    tx_put(tx, &version, 0);
}

/* Once durable, the object is read again from what was kept for the answer. */
static void answer_kept(struct errand *x)
{
    errand_answer(x, str_of(x->held));
}

static void keep(struct errand *x, const struct record *r, int64_t archived_at)
{
    AUTO_BUF out = { 0 };
    render_record(&out, r, archived_at);
    x->held = buf_take(&out);
}

void agents_create(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_BUF metadata = { 0 };
    AUTO_BUF core = { 0 };
    AUTO_BUF body = { 0 };
    struct agent_draft draft = { 0 };
    agent_body_check(x->body, false, &problems);
    agent_draft_take(&draft, x->body);
    if (problems.count == 0)
        agent_draft_check(&draft, x->api->parts.models, &problems);
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    metadata_write(&metadata, NULL, json_get(x->body, "metadata"), &problems);
    write_core(&core, &draft, buf_str(&metadata));
    struct record agent = { .kind = RECORD_AGENT,
                            .id = id_make("agent_", &x->api->parts.random),
                            .workspace = x->asker.workspace,
                            .number = 1,
                            .created_at = x->now };
    write_body(&body, &agent, buf_str(&core), x->now);
    agent.body = buf_str(&body);
    struct tx *tx = tx_new();
    put_version(tx, &agent);
    keep(x, &agent, 0);
    errand_write(x, tx, answer_kept);
}

static int write_agent(struct errand *x, const struct record *r, struct buf *out, struct err *e)
{
    (void)x;
    (void)e;
    render_record(out, r, r->archived_at);
    return 0;
}

void agents_list(struct errand *x)
{
    struct page page;
    struct record_query query = { .kind = RECORD_AGENT };
    if (page_begin(x, &page, "agents", 20, 100) < 0 ||
        errand_bool(x, "include_archived", &query.with_archived) < 0 ||
        errand_range(x, &query.created_from, &query.created_before) < 0 ||
        page_fits(x, &page, false, query.created_from, query.created_before) < 0)
        return;
    page_answer(x, &page, &query, write_agent);
}

void agents_get(struct errand *x)
{
    struct record agent, version;
    int64_t number = 0;
    struct id id = errand_id(x, 2);
    AUTO_BUF out = { 0 };
    if (errand_integer(x, "version", 1, INT32_MAX, &number) < 0 ||
        errand_record(x, RECORD_AGENT, &id, &agent) < 0)
        return;
    version = agent;
    struct id wanted = agent_version_id(&agent.id, number);
    if (number && number != agent.number &&
        errand_record(x, RECORD_AGENT_VERSION, &wanted, &version) < 0)
        return;
    render_record(&out, &version, agent.archived_at);
    errand_answer(x, buf_str(&out));
}

/* Versions show whether their agent is archived. */
static int write_version(struct errand *x, const struct record *r, struct buf *out, struct err *e)
{
    struct record agent;
    struct store *store = x->api->parts.store;
    int found = store->ops->get(store, RECORD_AGENT, &r->parent, &agent, &x->arena, e);
    if (found < 0)
        return -1;
    render_record(out, r, found ? agent.archived_at : 0);
    return 0;
}

void agents_versions(struct errand *x)
{
    struct record agent;
    struct page page;
    struct id id = errand_id(x, 2);
    char list[ID_SIZE + 16];
    if (errand_record(x, RECORD_AGENT, &id, &agent) < 0)
        return;
    snprintf(list, sizeof list, "versions %s", id.text);
    if (page_begin(x, &page, list, 20, 100) < 0)
        return;
    page.by_number = true;
    struct record_query query = { .kind = RECORD_AGENT_VERSION,
                                  .parent = &agent.id,
                                  .with_archived = true };
    page_answer(x, &page, &query, write_version);
}

/* The members that an update compares, from a stored body. */
static void write_stored_core(struct buf *out, const struct json *stored)
{
    struct agent_draft draft = { 0 };
    AUTO_BUF metadata = { 0 };
    AUTO_PROBLEMS none = { 0 };
    agent_draft_take(&draft, stored);
    metadata_write(&metadata, json_get(stored, "metadata"), NULL, &none);
    write_core(out, &draft, buf_str(&metadata));
}

/* Merges the body into what is stored: the core members of the next version. */
static void merge(struct errand *x, const struct json *stored, struct buf *core,
                  struct problems *problems)
{
    struct agent_draft draft = { 0 };
    AUTO_BUF metadata = { 0 };
    agent_body_check(x->body, true, problems);
    agent_draft_take(&draft, stored);
    draft.old_model = draft.model;
    agent_draft_take(&draft, x->body);
    if (problems->count == 0)
        agent_draft_check(&draft, x->api->parts.models, problems);
    if (problems->count)
        return;
    metadata_write(&metadata, json_get(stored, "metadata"), json_get(x->body, "metadata"),
                   problems);
    write_core(core, &draft, buf_str(&metadata));
}

/* False, and answered, when this is not the version that the client saw, or the agent is archived. */
static bool may_update(struct errand *x, const struct record *agent)
{
    int64_t version = agent->number;
    if (agent->archived_at) {
        errand_fail(x, 400, NULL, "this agent is archived");
        return false;
    }
    json_to_i64(json_get(x->body, "version"), &version);
    if (version == agent->number)
        return true;
    errand_fail(x, 409, NULL, "version: the agent has version %lld now", (long long)agent->number);
    return false;
}

void agents_update(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_JSON stored = NULL;
    AUTO_BUF core = { 0 };
    AUTO_BUF before = { 0 };
    AUTO_BUF body = { 0 };
    struct record agent;
    struct err e = { 0 };
    struct id id = errand_id(x, 2);
    if (errand_record(x, RECORD_AGENT, &id, &agent) < 0)
        return;
    if (json_parse(agent.body, &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    merge(x, stored, &core, &problems);
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    if (!may_update(x, &agent))
        return;
    write_stored_core(&before, stored);
    if (str_eq(buf_str(&before), buf_str(&core))) {
        keep(x, &agent, 0);
        answer_kept(x);
        return;
    }
    agent.number++;
    write_body(&body, &agent, buf_str(&core), x->now);
    agent.body = buf_str(&body);
    struct tx *tx = tx_new();
    put_version(tx, &agent);
    keep(x, &agent, 0);
    errand_write(x, tx, answer_kept);
}

void agents_archive(struct errand *x)
{
    struct record agent;
    struct id id = errand_id(x, 2);
    if (errand_record(x, RECORD_AGENT, &id, &agent) < 0)
        return;
    if (agent.archived_at) {
        keep(x, &agent, agent.archived_at);
        answer_kept(x);
        return;
    }
    agent.archived_at = x->now;
    struct tx *tx = tx_new();
    tx_put(tx, &agent, agent.revision);
    keep(x, &agent, agent.archived_at);
    errand_write(x, tx, answer_kept);
}
