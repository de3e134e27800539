/* environments.c - environments (contract 2.2). Only self_hosted ones exist here. */
#include "api/environments.h"

#include "api/api-int.h"
#include "api/handlers.h"
#include "api/metadata.h"
#include "api/page.h"
#include "api/render.h"
#include "proto/json_write.h"

/* What a worker does with it is said in the sandbox contract; it is carried, not judged, here. */
static const struct schema_row config_rows[] = {
    { "sandbox", SCHEMA_OBJECT, SCHEMA_NULLABLE },
};
static const struct schema_table config_table = { ROWS(config_rows) };
static const struct schema_variant config_kinds[] = { { "self_hosted", &config_table },
                                                      { "cloud", NULL },
                                                      { NULL, NULL } };
static const char *const scopes[] = { "organization", NULL };
#define COMMON_ROWS                                                                                \
    { "description", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 2048 },                                \
        { "config", SCHEMA_VARIANT, SCHEMA_NULLABLE, .variants = config_kinds },                   \
    {                                                                                              \
        "scope", SCHEMA_WORD, SCHEMA_NULLABLE, .words = scopes                                     \
    }
static const struct schema_row create_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256 },
    COMMON_ROWS,
    METADATA_ROW,
};
static const struct schema_row update_rows[] = {
    { "name", SCHEMA_STRING, .min = 1, .max = 256 },
    COMMON_ROWS,
    METADATA_PATCH_ROW,
};
static const struct schema_table create_table = { ROWS(create_rows) };
static const struct schema_table update_table = { ROWS(update_rows) };

/* Each the value that will hold. */
struct environment_draft {
    struct str name;
    const struct json *description, *sandbox;
    struct str metadata; /* ready text */
};

static bool is_given(const struct json *v)
{
    return v && json_kind_of(v) != JSON_IS_NULL;
}

static bool is_self_hosted(const struct json *body)
{
    struct str type = { 0 };
    json_to_str(json_get(json_get(body, "config"), "type"), &type);
    return str_eq(type, STR("self_hosted"));
}

static struct str name_of(const struct json *body)
{
    struct str name = { 0 };
    json_to_str(json_get(body, "name"), &name);
    return name;
}

static void write_body(struct buf *out, const struct record *r, const struct environment_draft *d,
                       int64_t updated_at)
{
    struct str description = { 0 };
    json_to_str(d->description, &description);
    json_write_object(out);
    json_member_str(out, "id", id_str(&r->id));
    json_member_text(out, "type", "environment");
    json_member_str(out, "name", d->name);
    json_write_key(out, STR("config"));
    json_write_object(out);
    json_member_text(out, "type", "self_hosted");
    if (is_given(d->sandbox))
        json_member_value(out, "sandbox", d->sandbox);
    json_write_object_end(out);
    render_text(out, "description", description);
    json_write_key(out, STR("metadata"));
    json_write_raw(out, d->metadata);
    json_member_text(out, "scope", "organization");
    render_moment(out, "created_at", r->created_at);
    render_moment(out, "updated_at", updated_at);
    json_write_object_end(out);
}

void environment_body(struct buf *out, const struct record *r, struct str name)
{
    struct environment_draft draft = { .name = name, .metadata = STR("{}") };
    write_body(out, r, &draft, r->created_at);
}

/* A problem with metadata has a code of its own (contract 1.10). */
static void fail_problems(struct errand *x, struct problems *p)
{
    bool metadata = str_starts(buf_str(&p->text), STR("metadata"));
    errand_fail_problems(x, p, metadata ? "invalid_metadata" : NULL);
}

static void answer_kept(struct errand *x)
{
    errand_answer(x, str_of(x->held));
}

static void keep(struct errand *x, const struct record *r)
{
    AUTO_BUF out = { 0 };
    render_record(&out, r, r->archived_at);
    x->held = buf_take(&out);
}

static void put(struct errand *x, const struct record *r)
{
    struct tx *tx = tx_new();
    tx_put(tx, r, r->revision);
    keep(x, r);
    errand_write(x, tx, answer_kept);
}

void environments_create(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_BUF metadata = { 0 };
    AUTO_BUF body = { 0 };
    schema_check(x->body, &create_table, &problems);
    metadata_write(&metadata, NULL, json_get(x->body, "metadata"), &problems);
    if (problems.count == 0 && !is_self_hosted(x->body))
        problems_add_at(&problems, "config",
                        "this server has environments of {\"type\":\"self_hosted\"} only");
    if (problems.count) {
        fail_problems(x, &problems);
        return;
    }
    struct environment_draft draft = {
        .name = name_of(x->body),
        .description = json_get(x->body, "description"),
        .sandbox = json_get(json_get(x->body, "config"), "sandbox"),
        .metadata = buf_str(&metadata),
    };
    struct record r = { .kind = RECORD_ENVIRONMENT,
                        .id = id_make("env_", &x->api->parts.random),
                        .workspace = x->asker.workspace,
                        .created_at = x->now };
    write_body(&body, &r, &draft, x->now);
    r.body = buf_str(&body);
    put(x, &r);
}

static int write_environment(struct errand *x, const struct record *r, struct buf *out,
                             struct err *e)
{
    (void)x;
    (void)e;
    render_record(out, r, r->archived_at);
    return 0;
}

void environments_list(struct errand *x)
{
    struct page page;
    struct record_query query = { .kind = RECORD_ENVIRONMENT };
    if (page_begin(x, &page, "environments", 20, 100) < 0 ||
        errand_bool(x, "include_archived", &query.with_archived) < 0 ||
        page_fits(x, &page, false, 0, 0) < 0)
        return;
    page_answer(x, &page, &query, write_environment);
}

void environments_get(struct errand *x)
{
    struct record r;
    if (errand_environment(x, &r) < 0)
        return;
    keep(x, &r);
    answer_kept(x);
}

/* Merges the body into what is stored. */
static void merge(struct errand *x, const struct json *stored, struct buf *metadata,
                  struct environment_draft *draft, struct problems *problems)
{
    const struct json *config = json_get(x->body, "config"), *stored_config;
    const struct json *description = json_get(x->body, "description");
    const struct json *sandbox = json_get(config, "sandbox");
    stored_config = json_get(stored, "config");
    metadata_write(metadata, json_get(stored, "metadata"), json_get(x->body, "metadata"), problems);
    *draft = (struct environment_draft){
        .name = name_of(json_get(x->body, "name") ? x->body : stored),
        .description = description ? description : json_get(stored, "description"),
        .sandbox = sandbox ? sandbox : json_get(stored_config, "sandbox"),
        .metadata = buf_str(metadata),
    };
}

void environments_update(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    AUTO_JSON stored = NULL;
    AUTO_BUF metadata = { 0 };
    AUTO_BUF body = { 0 };
    struct environment_draft draft;
    struct record r;
    struct err e = { 0 };
    if (errand_environment(x, &r) < 0)
        return;
    if (r.archived_at) {
        errand_fail(x, 400, "environment_archived", "this environment is archived");
        return;
    }
    if (json_parse(r.body, &stored, &e) < 0) {
        errand_fail_store(x, &e);
        return;
    }
    schema_check(x->body, &update_table, &problems);
    merge(x, stored, &metadata, &draft, &problems);
    if (problems.count) {
        fail_problems(x, &problems);
        return;
    }
    if (is_given(json_get(x->body, "config")) && !is_self_hosted(x->body)) {
        errand_fail(x, 400, "invalid_config_type_change",
                    "config.type: an environment stays self_hosted");
        return;
    }
    write_body(&body, &r, &draft, x->now);
    r.body = buf_str(&body);
    put(x, &r);
}

void environments_archive(struct errand *x)
{
    struct record r;
    if (errand_environment(x, &r) < 0)
        return;
    if (r.archived_at) {
        keep(x, &r);
        answer_kept(x);
        return;
    }
    r.archived_at = x->now;
    put(x, &r);
}

/* How many records of a kind hang on the environment, one at most. -1: answered. */
static int has_live_sessions(struct errand *x, const struct id *environment)
{
    static const struct str live[] = { { "idle", 4 }, { "running", 7 }, { "rescheduling", 12 } };
    struct store *store = x->api->parts.store;
    struct record_list list = { 0 };
    struct err e = { 0 };
    struct record_query query = { .kind = RECORD_SESSION,
                                  .parent = environment,
                                  .states = live,
                                  .state_count = sizeof live / sizeof *live,
                                  .limit = 1 };
    if (store->ops->list(store, &query, &list, &x->arena, &e) == 0)
        return (int)list.count;
    errand_fail_store(x, &e);
    return -1;
}

/* Removes the environment and its keys. 0, or -1 and answered. */
static int remove_all(struct errand *x, const struct record *r, struct tx *tx)
{
    enum { STEP = 200 };
    struct store *store = x->api->parts.store;
    struct record last = { 0 };
    struct record_list list = { .count = STEP };
    struct err e = { 0 };
    struct record_query query = {
        .kind = RECORD_ENVIRONMENT_KEY, .parent = &r->id, .with_archived = true, .limit = STEP
    };
    while (list.count == STEP) {
        if (store->ops->list(store, &query, &list, &x->arena, &e) < 0) {
            errand_fail_store(x, &e);
            return -1;
        }
        for (size_t i = 0; i < list.count; i++)
            tx_remove(tx, RECORD_ENVIRONMENT_KEY, &list.items[i].id, list.items[i].revision);
        if (list.count)
            last = list.items[list.count - 1];
        query.after = &last;
    }
    tx_remove(tx, RECORD_ENVIRONMENT, &r->id, r->revision);
    return 0;
}

static void after_delete(struct errand *x)
{
    AUTO_BUF out = { 0 };
    struct id id = errand_id(x, 2);
    credentials_remove_environment(x->api->parts.credentials, &id);
    render_gone(&out, &id, "environment_deleted");
    errand_answer(x, buf_str(&out));
}

void environments_delete(struct errand *x)
{
    struct record r;
    if (errand_environment(x, &r) < 0)
        return;
    int live = has_live_sessions(x, &r.id);
    if (live < 0)
        return;
    if (live) {
        errand_fail(x, 409, NULL, "sessions of this environment are not archived yet");
        return;
    }
    struct tx *tx = tx_new();
    if (remove_all(x, &r, tx) < 0)
        tx_free(tx);
    else
        errand_write(x, tx, after_delete);
}
