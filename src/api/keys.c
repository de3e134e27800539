/* keys.c - the calls for environment keys (contract 2.2) and API keys (13). */
#include "api/api-int.h"
#include "api/handlers.h"
#include "api/key_record.h"
#include "api/page.h"
#include "api/render.h"
#include "proto/json_write.h"
#include "proto/schema.h"

#include <stdio.h>

static const char *const roles[] = { "full", "read_only", NULL };
#define EXPIRES_ROW                                                                                \
    {                                                                                              \
        "expires_in_seconds", SCHEMA_INTEGER, SCHEMA_NULLABLE, .min = 1, .max = INT32_MAX          \
    }
static const struct schema_row environment_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_NULLABLE, .min = 1, .max = 256 },
    EXPIRES_ROW,
};
static const struct schema_row api_rows[] = {
    { "name", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256 },
    { "role", SCHEMA_WORD, SCHEMA_NULLABLE, .words = roles },
    EXPIRES_ROW,
};
static const struct schema_table environment_table = { ROWS(environment_rows) };
static const struct schema_table api_table = { ROWS(api_rows) };

static void release_made(void *held)
{
    key_made_release(held);
}

static void answer_made(struct errand *x)
{
    struct key_made *made = x->held;
    credentials_add(x->api->parts.credentials, &made->record);
    errand_answer(x, buf_str(&made->json));
}

static void create(struct errand *x, const struct schema_table *table, struct key_wish *wish)
{
    AUTO_PROBLEMS problems = { 0 };
    struct str role = { 0 };
    if (x->body)
        schema_check(x->body, table, &problems);
    if (problems.count) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    json_to_str(json_get(x->body, "name"), &wish->name);
    json_to_str(json_get(x->body, "role"), &role);
    json_to_i64(json_get(x->body, "expires_in_seconds"), &wish->expires_in);
    wish->read_only = str_eq(role, STR("read_only"));
    wish->workspace = x->asker.workspace;
    struct key_made *made = x->held = mem_get(sizeof *made);
    x->release = release_made;
    key_make(made, wish, x->now, &x->api->parts.random);
    struct tx *tx = tx_new();
    tx_put(tx, &made->record, 0);
    errand_write(x, tx, answer_made);
}

/* What a revocation has to remember until it is durable. */
struct revoked {
    unsigned char sha256[32];
    size_t n; /* 0: it was revoked before */
};

static void answer_revoked(struct errand *x)
{
    struct revoked *revoked = x->held;
    struct id id = errand_id(x, x->request->segment_count - 1);
    AUTO_BUF out = { 0 };
    credentials_remove(x->api->parts.credentials,
                       (struct str){ (const char *)revoked->sha256, revoked->n });
    render_gone(&out, &id,
                str_starts(id_str(&id), STR("apikey_")) ? "api_key_deleted"
                                                        : "environment_key_deleted");
    errand_answer(x, buf_str(&out));
}

static void revoke(struct errand *x, struct record *key)
{
    if (key->archived_at) {
        errand_fail(x, 404, NULL, "this key is revoked already");
        return;
    }
    struct revoked *revoked = x->held = mem_get(sizeof *revoked);
    revoked->n = key->secret.n;
    memcpy(revoked->sha256, key->secret.p, key->secret.n);
    key_revoke(key, x->now);
    struct tx *tx = tx_new();
    tx_put(tx, key, key->revision);
    errand_write(x, tx, answer_revoked);
}

static int write_key(struct errand *x, const struct record *r, struct buf *out, struct err *e)
{
    (void)x;
    (void)e;
    key_write(out, r);
    return 0;
}

void environment_keys_create(struct errand *x)
{
    struct record environment;
    if (errand_environment(x, &environment) < 0)
        return;
    struct key_wish wish = { .kind = RECORD_ENVIRONMENT_KEY, .environment = environment.id };
    create(x, &environment_table, &wish);
}

void environment_keys_list(struct errand *x)
{
    struct record environment;
    struct page page;
    char list[ID_SIZE + 8];
    if (errand_environment(x, &environment) < 0)
        return;
    snprintf(list, sizeof list, "keys %s", environment.id.text);
    if (page_begin(x, &page, list, 20, 100) < 0)
        return;
    struct record_query query = { .kind = RECORD_ENVIRONMENT_KEY, .parent = &environment.id };
    page_answer(x, &page, &query, write_key);
}

void environment_keys_revoke(struct errand *x)
{
    struct record environment, key;
    struct id id = errand_id(x, 4);
    if (errand_environment(x, &environment) < 0 ||
        errand_record(x, RECORD_ENVIRONMENT_KEY, &id, &key) < 0)
        return;
    if (id_eq(&key.parent, &environment.id))
        revoke(x, &key);
    else
        errand_fail(x, 404, NULL, "there is no such environment key");
}

void api_keys_create(struct errand *x)
{
    struct key_wish wish = { .kind = RECORD_API_KEY };
    create(x, &api_table, &wish);
}

void api_keys_list(struct errand *x)
{
    struct page page;
    struct record_query query = { .kind = RECORD_API_KEY };
    if (page_begin(x, &page, "api_keys", 20, 100) == 0)
        page_answer(x, &page, &query, write_key);
}

void api_keys_revoke(struct errand *x)
{
    struct record key;
    struct id id = errand_id(x, 2);
    if (errand_record(x, RECORD_API_KEY, &id, &key) == 0)
        revoke(x, &key);
}
