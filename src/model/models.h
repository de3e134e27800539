/* models.h - the models of this server: what is configured, served by the three dialects. */
#pragma once

#include "io/loop.h"
#include "model/models_config.h"
#include "postern/model.h"

/* Reads keys and scripts, connects to nobody. Paths of files are taken from the working directory.
 * `config` is not needed afterwards. The caller frees. */
int models_new(struct loop *l, const struct models_config *config, struct model_set **out,
               struct err *e);

/* Every request must have ended or been cancelled before. NULL is fine. */
void models_free(struct model_set *set);
