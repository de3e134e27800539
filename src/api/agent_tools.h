/* agent_tools.h - the tools and MCP servers of an agent: what may be asked for, and the resolved form
 * that the API shows (contract 2.1).
 *
 * A form that was resolved once resolves to itself, so what is stored can be taken again.
 */
#pragma once

#include "proto/schema.h"

/* Rows for the members "tools" and "mcp_servers" of a body; null clears them. */
extern const struct schema_row agent_tool_item, agent_mcp_server_item;
#define AGENT_TOOL_ROWS                                                                            \
    { "tools", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 256, .item = &agent_tool_item },              \
    {                                                                                              \
        "mcp_servers", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 20, .item = &agent_mcp_server_item    \
    }

/* What rows cannot say: names that must be unique or must fit together. Both values have passed their
 * rows, or are NULL or null. */
void agent_tools_check(const struct json *tools, const struct json *servers, struct problems *p);

/* Whether the agent toolset is there with `tool` switched on. */
bool agent_tools_offer(const struct json *tools, struct str tool);

/* Appends the resolved array. */
void agent_tools_write(struct buf *out, const struct json *tools);
void agent_servers_write(struct buf *out, const struct json *servers);
