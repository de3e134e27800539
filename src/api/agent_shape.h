/* agent_shape.h - what an agent is made of: bodies checked, merged with what is stored, and written in
 * the form that the API shows (contract 2.1).
 *
 * A draft names for each member the value that will hold, from the request or from what is stored;
 * both resolve to the same text when they mean the same, so comparing texts tells whether an update
 * changes anything.
 */
#pragma once

#include "postern/model.h"
#include "proto/schema.h"

/* Values are borrowed from parsed bodies. NULL or JSON null: none. */
struct agent_draft {
    const struct json *name, *description, *model, *system, *tools, *mcp_servers, *skills;
    const struct json *old_model; /* whose effort stays when `model` has the same id and none */
    bool no_effort;               /* an effort inside `model` does not count (contract 2.4) */
};

/* Adds the problems of a body of POST /v1/agents, or with `update` of POST /v1/agents/{id}. */
void agent_body_check(const struct json *body, bool update, struct problems *p);

/* The same for the object that overrides an agent in a new session, and for the member "agent" of a
 * session update (contract 2.4, 3.8). */
void agent_override_check(const struct json *agent, struct problems *p);
void agent_session_update_check(const struct json *agent, struct problems *p);

/* Takes every member that the body has, also null. */
void agent_draft_take(struct agent_draft *draft, const struct json *body);

/* What holds between the members, and whether the model is one that this server has. */
void agent_draft_check(const struct agent_draft *draft, struct model_set *models,
                       struct problems *p);

/* Appends the members name, description, model, system, tools, mcp_servers, skills, multiagent and
 * execution_identity to an open object. */
void agent_draft_write(struct buf *out, const struct agent_draft *draft);

/* The id inside a model that is given as a text or as an object. */
struct str agent_model_id(const struct json *model);
