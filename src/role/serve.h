/* serve.h - `postern serve`: the process that is the control plane.
 *
 * One loop thread for HTTP, engine and models, one thread of the store, a few of the pool. Before any of
 * them exists the process gives up what it does not need.
 */
#pragma once

#include "role/serve_config.h"

/* Serves until SIGTERM or SIGINT: then streams are told, turns parked, and what was accepted is made
 * durable; a second signal ends at once. SIGHUP reads the certificate again. Prints its own errors.
 * Returns the exit status. */
int role_serve(struct serve_config *config);
