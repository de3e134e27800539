/* remote.h - requests to a provider over HTTP, in either wire.
 *
 * A remote is one provider: where it is, what opens it, and the connections that can be used again. The
 * key goes into the head of a request and nowhere else.
 */
#pragma once

#include "io/loop.h"
#include "model/body.h"
#include "model/models_config.h"

struct remote;

/* Looks the key up where the configuration says (environment, file). Everything is copied but `loop`.
 * The caller frees. */
int remote_new(struct loop *l, const struct provider_config *config, struct remote **out,
               struct err *e);

/* Ends its requests without a word. NULL is fine. */
void remote_free(struct remote *r);

/* As model_ops.start; the texts of `upstream` are borrowed like those of the request. */
struct model_call *remote_start(struct remote *r, const struct model_request *request,
                                const struct upstream *upstream, const struct model_events *events,
                                void *ctx);
