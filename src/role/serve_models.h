/* serve_models.h - the models of a control plane: those of postern.yaml, of the environment, and the
 * scripted one of --script.
 */
#pragma once

#include "model/models.h"
#include "role/serve_config.h"

/* Adds to config->models what the environment and --script say, and makes the set; the caller frees it
 * with models_free. Keys are then wiped from the environment. */
int serve_models(struct serve_config *config, struct loop *l, struct model_set **out,
                 struct err *e);
