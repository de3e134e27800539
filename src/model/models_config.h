/* models_config.h - which providers and models there are: the sections `providers` and `models` of
 * postern.yaml, or the environment.
 *
 * Without a list of models every name is passed on to the provider (contract 8.1): to the one that stands
 * in front of a slash ("chat/llama"), else to the first.
 */
#pragma once

#include "base/arena.h"
#include "base/secret.h"
#include "proto/schema.h"

enum provider_dialect { DIALECT_MESSAGES, DIALECT_CHAT, DIALECT_SCRIPTED };

/* "messages", "chat", "scripted"; NULL-terminated. */
extern const char *const dialect_words[];

struct provider_header {
    struct str name, value; /* the value may be a secret */
};

/* All texts live in the configuration's arena. p NULL or NULL: not given. */
struct provider_config {
    const char *name;
    enum provider_dialect dialect;
    const char *base_url;
    struct secret key; /* or one of the two below */
    const char *key_env, *key_file;
    const char *proxy, *no_proxy, *ca_file; /* as struct fetcher_options */
    const char *script;                     /* path of a script */
    uint64_t connect_ms, idle_ms;
    struct provider_header *headers;
    size_t header_count;
};

struct model_config {
    struct str id, display_name;
    struct str upstream; /* as the provider calls it */
    size_t provider;     /* index */
    uint64_t context_window, max_output;
    bool priced;
    uint64_t price_input, price_output, price_cache_read, price_cache_write; /* as model_info */
    struct str members; /* further members of the request: JSON without braces */
};

struct models_config {
    struct arena arena;
    struct provider_config *providers;
    size_t provider_count;
    struct model_config *models;
    size_t model_count;
};

/* Tokens, where the configuration does not say: what models of that wire hold at least, so that a
 * history is summarised too early rather than too late. */
uint64_t models_default_window(enum provider_dialect dialect);

void models_config_init(struct models_config *c);
void models_config_release(struct models_config *c);
#define AUTO_MODELS_CONFIG CLEANUP(models_config_release) struct models_config

/* Rows "providers" and "models" for the table of postern.yaml. */
extern const struct schema_row models_config_rows[2];

/* Reads both sections (NULL: not there), which the rows have been checked against; what rows cannot
 * say becomes further problems. The path of `out` stands at the object that holds them. */
void models_config_read(struct models_config *c, const struct json *providers,
                        const struct json *models, struct problems *out);

/* ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY are address and key of providers of the dialect messages that
 * have no base_url, OPENAI_BASE_URL and OPENAI_API_KEY those of chat; one of the two is enough. Where no
 * provider is configured they make one: "messages", "chat". `get` is getenv. */
void models_config_from_environment(struct models_config *c, char *(*get)(const char *name));
