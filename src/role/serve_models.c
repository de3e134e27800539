#include "role/serve_models.h"

#include <stdlib.h>

/* The variable is gone, and so are its bytes in our environment block. */
static void wipe(const char *name)
{
    char *value = name ? getenv(name) : NULL;
    if (!value)
        return;
    mem_wipe(value, strlen(value));
    unsetenv(name);
}

static void *get(struct models_config *c, size_t n, struct err *e)
{
    void *p = arena_get(&c->arena, n);
    if (!p)
        err_set(e, E_INPUT, 0, "the configuration of models is too large");
    return p;
}

/* One provider and one model more, both "scripted". */
static int add_script(struct models_config *c, const char *script, struct err *e)
{
    struct provider_config *providers = get(c, (c->provider_count + 1) * sizeof *providers, e);
    struct model_config *models = get(c, (c->model_count + 1) * sizeof *models, e);
    if (!providers || !models)
        return -1;
    if (c->provider_count)
        memcpy(providers, c->providers, c->provider_count * sizeof *providers);
    if (c->model_count)
        memcpy(models, c->models, c->model_count * sizeof *models);
    models[c->model_count++] =
        (struct model_config){ .id = STR("scripted"),
                               .display_name = STR("scripted"),
                               .upstream = STR("scripted"),
                               .provider = c->provider_count,
                               .context_window = models_default_window(DIALECT_SCRIPTED) };
    providers[c->provider_count++] = (struct provider_config){ .name = "scripted",
                                                               .dialect = DIALECT_SCRIPTED,
                                                               .script = script };
    c->providers = providers;
    c->models = models;
    return 0;
}

int serve_models(struct serve_config *config, struct loop *l, struct model_set **out, struct err *e)
{
    struct models_config *c = &config->models;
    models_config_from_environment(c, getenv);
    if (config->script && add_script(c, config->script, e) < 0)
        return -1;
    if (models_new(l, c, out, e) < 0)
        return -1;
    for (size_t i = 0; i < c->provider_count; i++)
        wipe(c->providers[i].key_env);
    wipe(config->web.search_key_env);
    wipe("ANTHROPIC_API_KEY");
    wipe("OPENAI_API_KEY");
    config->api.has_models = c->provider_count > 0;
    return 0;
}
