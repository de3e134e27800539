/* operate.h - commands that ask a control plane on this machine: `postern key`, `postern workspace`. */
#pragma once

#include "base/err.h"
#include "proto/json.h"

/* Has one request of api/operator.h done: by the server that runs on this state, or directly. *out is
 * the caller's (json_free). */
int operate(const char *state, struct str request, struct json **out, struct err *e);

/* A member of an answer as text; "" when it is none. */
const char *operate_text(const struct json *object, const char *key);
