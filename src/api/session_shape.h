/* session_shape.h - bodies that make and change sessions (contract 2.4, 3.8, 3.9). */
#pragma once

#include "api/agent_shape.h"

/* Adds the problems of a body of POST /v1/sessions. *code is a machine code for them, or NULL. */
void session_body_check(const struct json *body, struct problems *p, const char **code);

/* The same for POST /v1/sessions/{id}. */
void session_update_check(const struct json *body, struct problems *p);

/* Which agent a body names, and how it is overridden. */
struct agent_choice {
    struct str id;
    int64_t version;              /* 0: the latest */
    const struct json *overrides; /* NULL: none */
};
struct agent_choice session_agent_choice(const struct json *body);

/* Appends the snapshot of an agent that a session carries: {"id":...,"type":"agent",...}. */
void session_agent_write(struct buf *out, struct str id, int64_t version,
                         const struct agent_draft *draft);

/* Appends a budget in its one form, or null. */
void session_budget_write(struct buf *out, const struct json *budget);
