/* catalogue.h - what an agent is, read once from its snapshot in the session: model, system prompt,
 * tools as the model is told of them (contract 2.1, 6, 8.2, 8.3).
 *
 * The order of the definitions is that of the snapshot and of section 6, so the same snapshot gives
 * the same bytes.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "core/policy.h"

struct tool {
    struct str name;
    enum tool_owner owner;
    enum repeat repeat;
    struct tool_grant grant;
    struct str options; /* of a web tool: its resolved configuration, JSON object */
};

/* What the server itself can run. */
struct server_tools {
    bool web, search;
};

struct catalogue {
    struct str agent_name, model, effort, speed; /* the last two may be empty */
    struct buf system;                           /* plain text */
    struct buf definitions;                      /* JSON array for model_request.tools */
    struct tool *tools;
    size_t tool_count;
    struct arena arena; /* everything that is borrowed above */
};

/* `agent` is the snapshot, JSON text. Owned by the caller: catalogue_free. -1 with *e (E_BUG): it is
 * not as the API wrote it. */
int catalogue_new(struct str agent, const struct server_tools *server, struct catalogue **out,
                  struct err *e);
void catalogue_free(struct catalogue *c); /* NULL is fine */

/* The tool that a model calls by this name, offered or not; NULL: there is none. */
const struct tool *catalogue_find(const struct catalogue *c, struct str name);
