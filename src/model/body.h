/* body.h - the body of a request to a provider, from a request of the agent loop. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "postern/model.h"

/* What the configuration says about the model that is asked. */
struct upstream {
    struct str model;    /* as the provider calls it */
    uint64_t max_output; /* tokens; 0: not said */
    struct str members;  /* further members of the body: ready JSON without braces, or empty */
};

/* Appends the body for POST /v1/messages: messages and tools as they are, with marks that tell the
 * provider how far it may keep what it has read (behind the tools, the system text, and the last
 * words of the user's side). Fails when the request's JSON is none. */
int messages_body(struct buf *out, const struct model_request *r, const struct upstream *u,
                  struct err *e);

/* Appends the body for POST .../chat/completions. *answers is how many answers the messages hold. */
int chat_body(struct buf *out, const struct model_request *r, const struct upstream *u,
              uint64_t *answers, struct err *e);
