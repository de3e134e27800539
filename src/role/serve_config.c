#include "role/serve_config.h"

#include "base/fd.h"
#include "proto/schema.h"
#include "proto/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* --- rows --- */

static const char *const beta_words[] = { "lenient", "strict", NULL };
static const char *const update_words[] = { "between_turns", "while_running", NULL };
static const char *const log_words[] = { "text", "json", NULL };

enum { DAY = 86400, MINUTE_CALLS = 1000000 };

static const struct schema_row address = { NULL, SCHEMA_STRING, .min = 1, .max = 256 };
static const struct schema_row listen_list = { NULL, SCHEMA_ARRAY, .min = 1,
                                               .max = SERVE_LISTEN_MAX, .item = &address };
#define PATH_ROW(name, flags)                                                                      \
    {                                                                                              \
        name, SCHEMA_STRING, flags, .min = 1, .max = 4000                                          \
    }
static const struct schema_row tls_rows[] = { PATH_ROW("certificate", SCHEMA_REQUIRED),
                                              PATH_ROW("key", SCHEMA_REQUIRED) };
static const struct schema_row stream_rows[] = {
    { "ping_seconds", SCHEMA_INTEGER, .min = 1, .max = 3600 },
};
static const struct schema_row limit_rows[] = {
    { "connections", SCHEMA_INTEGER, .min = 1, .max = 1000000 },
    { "body_bytes", SCHEMA_INTEGER, .min = 1024, .max = 1LL << 30 },
    { "memory_bytes", SCHEMA_INTEGER, .min = 1 << 20, .max = 1LL << 40 },
    { "creates_per_minute", SCHEMA_INTEGER, .max = MINUTE_CALLS },
    { "reads_per_minute", SCHEMA_INTEGER, .max = MINUTE_CALLS },
};
static const struct schema_row work_rows[] = {
    { "lease_seconds", SCHEMA_INTEGER, .min = 10, .max = 600 },
    { "start_timeout_seconds", SCHEMA_INTEGER, .min = 1, .max = DAY },
    { "stop_timeout_seconds", SCHEMA_INTEGER, .min = 1, .max = DAY },
    { "max_attempts", SCHEMA_INTEGER, .min = 1, .max = 1000 },
};
static const struct schema_row agent_rows[] = {
    { "max_rounds", SCHEMA_INTEGER, .min = 1, .max = 100000 },
    { "max_retries", SCHEMA_INTEGER, .min = 1, .max = 100 },
};
static const struct schema_row search_rows[] = {
    { "url", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 2048 },
    { "key_env", SCHEMA_STRING, .min = 1, .max = 256 },
};
static const struct schema_table search = { ROWS(search_rows), .closed = true };
static const struct schema_row web_rows[] = {
    { "fetch", SCHEMA_BOOL },
    { "allow_private_addresses", SCHEMA_BOOL },
    { "proxy", SCHEMA_STRING, .min = 1, .max = 2048 },
    { "search", SCHEMA_OBJECT, .table = &search },
};
static const struct schema_table tls = { ROWS(tls_rows), .closed = true };
static const struct schema_table streams = { ROWS(stream_rows), .closed = true };
static const struct schema_table limits = { ROWS(limit_rows), .closed = true };
static const struct schema_table work = { ROWS(work_rows), .closed = true };
static const struct schema_table agent = { ROWS(agent_rows), .closed = true };
static const struct schema_table web = { ROWS(web_rows), .closed = true };

/* What stands under "providers" and "models" has rows of its own (models_config.h). */
static const struct schema_row rows[] = {
    { "listen", SCHEMA_STRING, .min = 1, .max = 256, .either = &listen_list },
    { "insecure_listen", SCHEMA_BOOL },
    { "tls", SCHEMA_OBJECT, .table = &tls },
    PATH_ROW("state", 0),
    { "log", SCHEMA_WORD, .words = log_words },
    { "beta_headers", SCHEMA_WORD, .words = beta_words },
    { "session_updates", SCHEMA_WORD, .words = update_words },
    { "streams", SCHEMA_OBJECT, .table = &streams },
    { "limits", SCHEMA_OBJECT, .table = &limits },
    { "work", SCHEMA_OBJECT, .table = &work },
    { "agent", SCHEMA_OBJECT, .table = &agent },
    { "web", SCHEMA_OBJECT, .table = &web },
    { "providers", SCHEMA_ANY },
    { "models", SCHEMA_ANY },
};
static const struct schema_table table = { ROWS(rows), .closed = true };
static const struct schema_table models_table = {
    .rows = models_config_rows, .count = sizeof models_config_rows / sizeof *models_config_rows
};

/* --- from the tree --- */

void serve_config_init(struct serve_config *c)
{
    *c = (struct serve_config){
        .server = server_options_default,
        .api = { .ping_ms = 15000 },
        .engine = engine_settings_default,
        .web = { .fetch = true },
    };
    models_config_init(&c->models);
}

static const char *text_of(const struct json *object, const char *key, const char *otherwise)
{
    struct str text = { 0 };
    return json_to_str(json_get(object, key), &text) ? text.p : otherwise;
}

static bool word_is(const struct json *object, const char *key, const char *word)
{
    return str_eq(str_of(text_of(object, key, "")), str_of(word));
}

static void take_listen(struct serve_config *c, const struct json *v)
{
    struct str text = { 0 };
    if (json_to_str(v, &text))
        c->listen[c->listen_count++] = text.p;
    for (size_t i = 0; i < json_count(v); i++)
        if (json_to_str(json_at(v, i), &text))
            c->listen[c->listen_count++] = text.p;
}

/* Integers that go somewhere as they stand, or times a unit. */
static void take_numbers(struct serve_config *c, const struct json *tree)
{
    const struct json *limit = json_get(tree, "limits"), *item = json_get(tree, "work"),
                      *loop = json_get(tree, "agent");
    uint64_t n;
    if (json_to_u64(json_get(json_get(tree, "streams"), "ping_seconds"), &n))
        c->api.ping_ms = n * 1000;
    if (json_to_u64(json_get(limit, "connections"), &n))
        c->server.connections = n;
    if (json_to_u64(json_get(limit, "body_bytes"), &n))
        c->server.body_limit = n;
    if (json_to_u64(json_get(limit, "memory_bytes"), &n))
        c->server.memory_budget = n;
    if (json_to_u64(json_get(limit, "creates_per_minute"), &n))
        c->api.creates_per_minute = (unsigned)n;
    if (json_to_u64(json_get(limit, "reads_per_minute"), &n))
        c->api.reads_per_minute = (unsigned)n;
    if (json_to_u64(json_get(item, "lease_seconds"), &n))
        c->engine.lease = (int64_t)n * 1000000;
    if (json_to_u64(json_get(item, "start_timeout_seconds"), &n))
        c->engine.start_timeout = (int64_t)n * 1000000;
    if (json_to_u64(json_get(item, "stop_timeout_seconds"), &n))
        c->engine.stop_timeout = (int64_t)n * 1000000;
    if (json_to_u64(json_get(item, "max_attempts"), &n))
        c->engine.max_attempts = (unsigned)n;
    if (json_to_u64(json_get(loop, "max_rounds"), &n))
        c->engine.max_rounds = (unsigned)n;
    if (json_to_u64(json_get(loop, "max_retries"), &n))
        c->engine.max_retries = (unsigned)n;
}

static void take(struct serve_config *c, const struct json *tree)
{
    const struct json *certs = json_get(tree, "tls"), *tools = json_get(tree, "web");
    const struct json *provider = json_get(tools, "search");
    take_listen(c, json_get(tree, "listen"));
    take_numbers(c, tree);
    json_to_bool(json_get(tree, "insecure_listen"), &c->server.allow_plain);
    c->certificate = text_of(certs, "certificate", NULL);
    c->key = text_of(certs, "key", NULL);
    c->state = text_of(tree, "state", NULL);
    c->log = word_is(tree, "log", "json") ? LOG_AS_JSON : LOG_AS_TEXT;
    c->api.strict_betas = word_is(tree, "beta_headers", "strict");
    c->engine.update_while_running = word_is(tree, "session_updates", "while_running");
    c->api.update_while_running = c->engine.update_while_running;
    json_to_bool(json_get(tools, "fetch"), &c->web.fetch);
    json_to_bool(json_get(tools, "allow_private_addresses"), &c->web.allow_private);
    c->web.proxy = text_of(tools, "proxy", NULL);
    c->web.search_url = text_of(provider, "url", NULL);
    c->web.search_key_env = text_of(provider, "key_env", NULL);
}

/* The whole file. 0 and out->p owned, or -1. */
static int read_file(const char *path, struct buf *out, struct err *e)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? E_MISSING : E_IO, errno, "open");
    for (;;) {
        ssize_t n = read(fd, buf_room(out, 65536), 65536);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set(e, E_IO, errno, "read");
        if (n == 0)
            return 0;
        buf_grew(out, (size_t)n);
        if (out->n > YAML_TEXT_MAX)
            return err_set(e, E_INPUT, 0, "is larger than any configuration");
    }
}

/* A path as it is to be opened; the caller frees. */
static char *beside_file(const struct serve_config *c, const char *path)
{
    AUTO_BUF out = { 0 };
    ptrdiff_t slash = c->file ? str_last_index(str_of(c->file), '/') : -1;
    if (path[0] != '/' && slash >= 0)
        buf_add(&out, (struct str){ c->file, (size_t)slash + 1 });
    buf_add(&out, str_of(path));
    return buf_take(&out);
}

/* Paths of a configuration begin where its file lies. */
static int place_path(struct serve_config *c, const char **path, struct err *e)
{
    if (!*path)
        return 0;
    AUTO_FREE char *placed = beside_file(c, *path);
    *path = arena_dup(&c->models.arena, str_of(placed));
    return *path ? 0 : err_set(e, E_INPUT, 0, "the configuration is too large");
}

static int place_paths(struct serve_config *c, struct err *e)
{
    if (place_path(c, &c->state, e) < 0 || place_path(c, &c->certificate, e) < 0 ||
        place_path(c, &c->key, e) < 0)
        return -1;
    for (size_t i = 0; i < c->models.provider_count; i++) {
        struct provider_config *p = &c->models.providers[i];
        if (place_path(c, &p->script, e) < 0 || place_path(c, &p->key_file, e) < 0 ||
            place_path(c, &p->ca_file, e) < 0)
            return -1;
    }
    return 0;
}

int serve_config_read(struct serve_config *c, const char *path, struct err *e)
{
    AUTO_BUF text = { 0 };
    AUTO_PROBLEMS problems = { 0 };
    c->file = str_dup(str_of(path));
    if (read_file(path, &text, e) < 0 || yaml_parse(buf_str(&text), &c->tree, &c->places, e) < 0)
        return err_while(e, "%s", path);
    if (json_kind_of(c->tree) == JSON_IS_NULL)
        return 0; /* an empty file says nothing */
    problems.places = c->places;
    static const struct schema_row whole = { NULL, SCHEMA_OBJECT, .table = &table };
    if (schema_check_value(c->tree, &whole, &problems) &&
        schema_check(c->tree, &models_table, &problems))
        models_config_read(&c->models, json_get(c->tree, "providers"), json_get(c->tree, "models"),
                           &problems);
    if (problems_fail(&problems, e) < 0)
        return err_while(e, "%s", path);
    take(c, c->tree);
    return place_paths(c, e);
}

void serve_config_release(struct serve_config *c)
{
    models_config_release(&c->models);
    json_free(c->tree);
    places_free(c->places);
    free(c->file);
    c->tree = NULL;
    c->places = NULL;
    c->file = NULL;
}
