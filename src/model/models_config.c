#include "model/models_config.h"

#include "base/check.h"
#include "proto/json_write.h"

enum {
    CONFIG_BYTES = 16 << 20,
    CONNECT_MS = 10 * 1000,
    IDLE_MS = 300 * 1000,
    TIMEOUT_MAX_MS = 24 * 3600 * 1000
};

const char *const dialect_words[] = { "messages", "chat", "scripted", NULL };

uint64_t models_default_window(enum provider_dialect dialect)
{
    return dialect == DIALECT_CHAT ? 32768 : 200000;
}

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

static const char *refuse_name(struct str s)
{
    return is_name(s) ? NULL : "may hold letters, digits, dots, dashes and underscores only";
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static const char *refuse_control(struct str s)
{
    return is_printable(s) ? NULL : "must not hold control characters";
}

static const char *refuse_url(struct str s)
{
    if (!str_starts(s, STR("http://")) && !str_starts(s, STR("https://")))
        return "must begin with http:// or https://";
    struct str host = str_skip(s, (size_t)str_index(s, '/') + 2);
    ptrdiff_t slash = str_index(host, '/'), at = str_index(host, '@');
    if (at >= 0 && (slash < 0 || at < slash))
        return "must not hold a user or a password; use key, key_env or key_file";
    if (!is_printable(s) || str_has(s, STR(" ")) || str_index(s, '?') >= 0 ||
        str_index(s, '#') >= 0)
        return "must be a URL without blanks, query and fragment";
    return NULL;
}

static const struct schema_row header_row = { NULL, SCHEMA_STRING, .max = 8192,
                                              .refuses = refuse_control };
static const struct schema_row provider_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 64, .refuses = refuse_name },
    { "dialect", SCHEMA_WORD, SCHEMA_REQUIRED, .words = dialect_words },
    { "base_url", SCHEMA_STRING, .max = 2048, .refuses = refuse_url },
    { "key", SCHEMA_STRING, .min = 1, .max = 8192, .refuses = refuse_control },
    { "key_env", SCHEMA_STRING, .min = 1, .max = 256 },
    { "key_file", SCHEMA_STRING, .min = 1, .max = 4096 },
    { "proxy", SCHEMA_STRING, .max = 2048, .refuses = refuse_control },
    { "no_proxy", SCHEMA_STRING, .max = 8192, .refuses = refuse_control },
    { "ca_file", SCHEMA_STRING, .min = 1, .max = 4096 },
    { "script", SCHEMA_STRING, .min = 1, .max = 4096 },
    { "connect_timeout_ms", SCHEMA_INTEGER, .min = 1, .max = TIMEOUT_MAX_MS },
    { "idle_timeout_ms", SCHEMA_INTEGER, .min = 1, .max = TIMEOUT_MAX_MS },
    { "headers", SCHEMA_MAP, .max = 32, .key_max = 128, .item = &header_row },
};
static const struct schema_table provider_table = { ROWS(provider_rows), .closed = true };
static const struct schema_row provider_object = { NULL, SCHEMA_OBJECT, .table = &provider_table };

static const struct schema_row price_rows[] = {
    { "input", SCHEMA_NUMBER, SCHEMA_REQUIRED },
    { "output", SCHEMA_NUMBER, SCHEMA_REQUIRED },
    { "cache_read", SCHEMA_NUMBER },
    { "cache_write", SCHEMA_NUMBER },
};
static const struct schema_table price_table = { ROWS(price_rows), .closed = true };

static const struct schema_row model_rows[] = {
    { "id", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256, .refuses = refuse_control },
    { "provider", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1 },
    { "upstream", SCHEMA_STRING, .min = 1, .max = 256, .refuses = refuse_control },
    { "display_name", SCHEMA_STRING, .min = 1, .max = 256, .refuses = refuse_control },
    { "context_window", SCHEMA_INTEGER, .min = 1024 },
    { "max_output", SCHEMA_INTEGER, .min = 1 },
    { "prices", SCHEMA_OBJECT, .table = &price_table },
    { "request", SCHEMA_OBJECT },
};
static const struct schema_table model_table = { ROWS(model_rows), .closed = true };
static const struct schema_row model_object = { NULL, SCHEMA_OBJECT, .table = &model_table };

const struct schema_row models_config_rows[2] = {
    { "providers", SCHEMA_ARRAY, .max = 100, .item = &provider_object },
    { "models", SCHEMA_ARRAY, .max = 1000, .item = &model_object },
};

void models_config_init(struct models_config *c)
{
    *c = (struct models_config){ 0 };
    arena_init(&c->arena, CONFIG_BYTES);
}

void models_config_release(struct models_config *c)
{
    for (size_t i = 0; i < c->provider_count; i++)
        secret_release(&c->providers[i].key);
    arena_release(&c->arena);
    *c = (struct models_config){ 0 };
}

/* The limit is above what the bounds of the rows and of YAML_TEXT_MAX let through. */
static void *get(struct models_config *c, size_t n)
{
    void *p = arena_get(&c->arena, n);
    CHECK(p);
    return p;
}

static char *keep(struct models_config *c, struct str s)
{
    char *copy = arena_dup(&c->arena, s);
    CHECK(copy);
    return copy;
}

/* --- what the rows have looked at --- */

static struct str read_text(const struct json *object, const char *key)
{
    struct str text = { 0 };
    const struct json *v = json_get(object, key);
    if (v)
        json_to_str(v, &text);
    return text;
}

static const char *keep_text(struct models_config *c, const struct json *object, const char *key)
{
    struct str text = read_text(object, key);
    return text.p ? keep(c, text) : NULL;
}

static uint64_t read_number(const struct json *object, const char *key, uint64_t otherwise)
{
    const struct json *v = json_get(object, key);
    if (v)
        json_to_u64(v, &otherwise);
    return otherwise;
}

static void read_headers(struct models_config *c, struct provider_config *p,
                         const struct json *headers, struct problems *out)
{
    p->headers = get(c, json_count(headers) * sizeof *p->headers);
    for (struct json_member m = json_first(headers); m.value; m = json_next(headers, m)) {
        struct str value = { 0 };
        json_to_str(m.value, &value);
        p->headers[p->header_count++] =
            (struct provider_header){ { keep(c, m.key), m.key.n }, { keep(c, value), value.n } };
        if (!is_name(m.key))
            problems_add_at(out, "headers",
                            "a name may hold letters, digits, dots, dashes and "
                            "underscores only");
    }
}

static void check_provider(const struct provider_config *p, struct problems *out)
{
    bool scripted = p->dialect == DIALECT_SCRIPTED;
    unsigned keys = !secret_is_none(&p->key) + (p->key_env != NULL) + (p->key_file != NULL);
    if (scripted && !p->script)
        problems_add_at(out, "script", "required by the dialect scripted");
    if (!scripted && p->script)
        problems_add_at(out, "script", "belongs to the dialect scripted");
    if (keys > 1)
        problems_add(out, "key, key_env and key_file: only one of them");
}

static void read_provider(struct models_config *c, const struct json *v, struct problems *out)
{
    struct provider_config *p = &c->providers[c->provider_count];
    *p = (struct provider_config){
        .name = keep_text(c, v, "name"),
        .dialect = (enum provider_dialect)schema_word(dialect_words, read_text(v, "dialect")),
        .base_url = keep_text(c, v, "base_url"),
        .key_env = keep_text(c, v, "key_env"),
        .key_file = keep_text(c, v, "key_file"),
        .proxy = keep_text(c, v, "proxy"),
        .no_proxy = keep_text(c, v, "no_proxy"),
        .ca_file = keep_text(c, v, "ca_file"),
        .script = keep_text(c, v, "script"),
        .connect_ms = read_number(v, "connect_timeout_ms", CONNECT_MS),
        .idle_ms = read_number(v, "idle_timeout_ms", IDLE_MS),
    };
    secret_set(&p->key, read_text(v, "key"));
    for (size_t i = 0; i < c->provider_count; i++)
        if (strcmp(c->providers[i].name, p->name) == 0)
            problems_add_at(out, "name", "another provider has this name");
    c->provider_count++;
    const struct json *headers = json_get(v, "headers");
    if (headers)
        read_headers(c, p, headers, out);
    check_provider(p, out);
}

/* Dollars for a million tokens into millionths of a cent for one. */
static uint64_t read_price(const struct json *prices, const char *key, uint64_t otherwise,
                           struct problems *out)
{
    double dollars;
    const struct json *v = json_get(prices, key);
    if (!v || !json_to_real(v, &dollars))
        return otherwise;
    if (dollars < 0 || dollars > 1e6) {
        size_t was = problems_enter_key(out, STR("prices"));
        problems_add_at(out, key, "must be 0 to 1000000 dollars for a million tokens");
        problems_leave(out, was);
        return otherwise;
    }
    return (uint64_t)(dollars * 100 + 0.5);
}

static void read_prices(struct model_config *m, const struct json *prices, struct problems *out)
{
    m->priced = true;
    m->price_input = read_price(prices, "input", 0, out);
    m->price_output = read_price(prices, "output", 0, out);
    m->price_cache_read = read_price(prices, "cache_read", m->price_input, out);
    m->price_cache_write = read_price(prices, "cache_write", m->price_input, out);
}

/* Members that the bodies write themselves. */
static const char *const reserved[] = {
    "model",          "messages", "tools", "tool_choice",      "stream",        "max_tokens",
    "stream_options", "system",   "speed", "reasoning_effort", "output_config", NULL
};

static void read_request(struct models_config *c, struct model_config *m,
                         const struct json *request, struct problems *out)
{
    AUTO_BUF text = { 0 };
    size_t was = problems_enter_key(out, STR("request"));
    for (struct json_member one = json_first(request); one.value; one = json_next(request, one))
        if (schema_word(reserved, one.key) >= 0) {
            size_t at = problems_enter_key(out, one.key);
            problems_add(out, "is set by the server itself");
            problems_leave(out, at);
        }
    problems_leave(out, was);
    json_write_value(&text, request);
    struct str inside = { text.p + 1, text.n - 2 };
    m->members = (struct str){ keep(c, inside), inside.n };
}

static void read_model(struct models_config *c, const struct json *v, struct problems *out)
{
    struct model_config *m = &c->models[c->model_count];
    struct str id = read_text(v, "id"), upstream = read_text(v, "upstream");
    struct str display = read_text(v, "display_name"), provider = read_text(v, "provider");
    *m = (struct model_config){
        .id = { keep(c, id), id.n },
        .upstream = upstream.p ? (struct str){ keep(c, upstream), upstream.n } : id,
        .display_name = display.p ? (struct str){ keep(c, display), display.n } : id,
        .max_output = read_number(v, "max_output", 0),
        .provider = SIZE_MAX,
    };
    if (!upstream.p)
        m->upstream = m->id;
    if (!display.p)
        m->display_name = m->id;
    for (size_t i = 0; i < c->provider_count; i++)
        if (str_eq(str_of(c->providers[i].name), provider))
            m->provider = i;
    if (m->provider == SIZE_MAX)
        problems_add_at(out, "provider", "no provider has this name");
    else
        m->context_window = read_number(v, "context_window",
                                        models_default_window(c->providers[m->provider].dialect));
    for (size_t i = 0; i < c->model_count; i++)
        if (str_eq(c->models[i].id, m->id))
            problems_add_at(out, "id", "another model has this id");
    c->model_count++;
    const struct json *prices = json_get(v, "prices"), *request = json_get(v, "request");
    if (prices)
        read_prices(m, prices, out);
    if (request)
        read_request(c, m, request, out);
}

static void read_items(struct models_config *c, const struct json *items, const char *key,
                       void (*read)(struct models_config *c, const struct json *v,
                                    struct problems *out),
                       struct problems *out)
{
    size_t top = problems_enter_key(out, str_of(key));
    for (size_t i = 0; i < json_count(items); i++) {
        size_t was = problems_enter_index(out, i);
        read(c, json_at(items, i), out);
        problems_leave(out, was);
    }
    problems_leave(out, top);
}

void models_config_read(struct models_config *c, const struct json *providers,
                        const struct json *models, struct problems *out)
{
    if (providers) {
        c->providers = get(c, json_count(providers) * sizeof *c->providers);
        read_items(c, providers, "providers", read_provider, out);
    }
    if (models) {
        c->models = get(c, json_count(models) * sizeof *c->models);
        read_items(c, models, "models", read_model, out);
    }
}

/* --- the environment --- */

static const struct variables {
    const char *name, *url, *key, *base;
    enum provider_dialect dialect;
} variables[] = {
    { "messages", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY", "https://api.anthropic.com",
      DIALECT_MESSAGES },
    { "chat", "OPENAI_BASE_URL", "OPENAI_API_KEY", "https://api.openai.com/v1", DIALECT_CHAT },
};
enum { VARIABLES = sizeof variables / sizeof *variables };

/* Fills in address and key, if the environment has one of them. False: it has not. */
static bool fill(struct models_config *c, struct provider_config *p, const struct variables *v,
                 char *(*get_variable)(const char *))
{
    const char *url = get_variable(v->url), *key = get_variable(v->key);
    bool has_url = url && *url, has_key = key && *key;
    if (!has_url && !has_key)
        return false;
    p->base_url = keep(c, str_of(has_url ? url : v->base));
    if (has_key && secret_is_none(&p->key) && !p->key_env && !p->key_file)
        p->key_env = v->key;
    return true;
}

void models_config_from_environment(struct models_config *c, char *(*get_variable)(const char *))
{
    for (size_t i = 0; i < c->provider_count; i++)
        for (size_t j = 0; j < VARIABLES; j++)
            if (!c->providers[i].base_url && c->providers[i].dialect == variables[j].dialect)
                fill(c, &c->providers[i], &variables[j], get_variable);
    if (c->provider_count)
        return;
    c->providers = get(c, VARIABLES * sizeof *c->providers);
    for (size_t i = 0; i < VARIABLES; i++) {
        struct provider_config p = { .name = variables[i].name,
                                     .dialect = variables[i].dialect,
                                     .connect_ms = CONNECT_MS,
                                     .idle_ms = IDLE_MS };
        if (fill(c, &p, &variables[i], get_variable))
            c->providers[c->provider_count++] = p;
    }
}
