/* serve_models.h - the models of a control plane: those of postern.yaml and of the environment, and
 * the scripted one of --script. */
#pragma once

#include "role/serve_config.h"

struct serve_models;

/* Reads configuration, scripts and variables of the environment, from which keys are then wiped. */
int serve_models_new(struct serve_models **out, const struct serve_config *config, struct loop *l,
                     struct err *e);

/* After the engine. NULL is fine. */
void serve_models_free(struct serve_models *m);

struct model_set *serve_models_set(struct serve_models *m);
