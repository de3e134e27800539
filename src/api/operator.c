#include "api/operator.h"

#include "api/key_record.h"
#include "api/render.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"
#include "proto/schema.h"

#include <stdlib.h>

enum { STEP = 100 };

struct job {
    struct operator_parts parts;
    operator_done *done;
    void *ctx;
    struct arena arena;
    struct buf answer;
    struct key_made made;     /* key.create */
    unsigned char sha256[32]; /* key.revoke */
    size_t sha256_n;
};

static void job_free(struct job *j)
{
    arena_release(&j->arena);
    if (j->answer.p)
        mem_wipe(j->answer.p, j->answer.n); /* may show a key */
    buf_release(&j->answer);
    key_made_release(&j->made);
    free(j);
}

static void finish(struct job *j, const struct err *e)
{
    j->done(j->ctx, e, buf_str(&j->answer));
    job_free(j);
}

static void on_durable(void *ctx, const struct err *e)
{
    struct job *j = ctx;
    if (e->kind == E_NONE && j->parts.credentials && j->made.record.secret.n)
        credentials_add(j->parts.credentials, &j->made.record);
    if (e->kind == E_NONE && j->parts.credentials && j->sha256_n)
        credentials_remove(j->parts.credentials,
                           (struct str){ (const char *)j->sha256, j->sha256_n });
    finish(j, e);
}

static int submit_record(struct job *j, const struct record *r)
{
    struct store *store = j->parts.store;
    struct tx *tx = tx_new();
    tx_put(tx, r, r->revision);
    store->ops->submit(store, tx, on_durable, j);
    return 1;
}

static struct str text_of(const struct json *request, const char *key)
{
    struct str text = { 0 };
    json_to_str(json_get(request, key), &text);
    return text;
}

/* Finds one that has to be there. */
static int find(struct job *j, enum record_kind kind, struct str name, struct record *out,
                struct err *e)
{
    struct store *store = j->parts.store;
    struct id id = { 0 };
    int found = id_read(name, &id) ? store->ops->get(store, kind, &id, out, &j->arena, e) : 0;
    if (found == 0)
        return err_set(e, E_MISSING, 0, "there is no '%.*s'", name.n < 64 ? (int)name.n : 64,
                       name.p ? name.p : "");
    return found < 0 ? -1 : 0;
}

/* The workspace that a request means. */
static int find_workspace(struct job *j, const struct json *request, struct id *out, struct err *e)
{
    struct store *store = j->parts.store;
    struct str name = text_of(request, "workspace_id");
    struct record r;
    struct record_list list;
    struct record_query query = { .kind = RECORD_WORKSPACE, .oldest_first = true, .limit = 2 };
    if (name.n) {
        if (find(j, RECORD_WORKSPACE, name, &r, e) < 0)
            return -1;
        *out = r.id;
        return 0;
    }
    if (store->ops->list(store, &query, &list, &j->arena, e) < 0)
        return -1;
    if (list.count == 0)
        return err_set(e, E_MISSING, 0, "there is no workspace yet: postern workspace create");
    if (list.count > 1)
        return err_set(e, E_INPUT, 0, "there are several workspaces: say which one");
    *out = list.items[0].id;
    return 0;
}

void workspace_body(struct buf *out, struct str name)
{
    json_write_object(out);
    json_member_str(out, "name", name);
    json_write_object_end(out);
}

/* With its first key, when there is one. */
static void write_new_workspace(struct buf *out, const struct record *r, const struct key_made *key)
{
    json_write_object(out);
    json_member_str(out, "id", id_str(&r->id));
    json_member_text(out, "type", "workspace");
    json_write_key(out, STR("name"));
    json_write_raw(out, json_slice_get(r->body, "name"));
    render_moment(out, "created_at", r->created_at);
    if (key) {
        json_member_str(out, "api_key_id", id_str(&key->record.id));
        json_member_text(out, "key", key->text);
    }
    json_write_object_end(out);
}

static void write_workspace(struct buf *out, const struct record *r)
{
    write_new_workspace(out, r, NULL);
}

/* The operations: 1 submitted, 0 answered in j->answer, -1 with *e. */

static int workspace_create(struct job *j, const struct json *request, struct err *e)
{
    AUTO_BUF body = { 0 };
    struct str name = text_of(request, "name");
    if (name.n == 0 || schema_characters(name) > 256)
        return err_set(e, E_INPUT, 0, "a workspace needs a name of 1 to 256 characters");
    workspace_body(&body, name);
    struct record r = { .kind = RECORD_WORKSPACE,
                        .id = id_make("wrkspc_", &j->parts.random),
                        .created_at = clock_now(&j->parts.clock),
                        .body = buf_str(&body) };
    r.workspace = r.id;
    struct key_wish wish = { .kind = RECORD_API_KEY, .workspace = r.id, .name = STR("first") };
    key_make(&j->made, &wish, r.created_at, &j->parts.random);
    write_new_workspace(&j->answer, &r, &j->made);
    struct store *store = j->parts.store;
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    tx_put(tx, &j->made.record, 0);
    store->ops->submit(store, tx, on_durable, j);
    return 1;
}

/* {"data":[...]} of everything that a query gives. */
static int list_all(struct job *j, struct record_query *query,
                    void (*write)(struct buf *out, const struct record *r), struct err *e)
{
    struct store *store = j->parts.store;
    struct record last;
    struct record_list list = { .count = STEP };
    query->oldest_first = true;
    query->limit = STEP;
    json_write_object(&j->answer);
    json_write_key(&j->answer, STR("data"));
    json_write_array(&j->answer);
    while (list.count == STEP) {
        if (store->ops->list(store, query, &list, &j->arena, e) < 0)
            return -1;
        for (size_t i = 0; i < list.count; i++)
            write(&j->answer, &list.items[i]);
        if (list.count)
            last = list.items[list.count - 1];
        query->after = &last;
    }
    json_write_array_end(&j->answer);
    json_write_object_end(&j->answer);
    return 0;
}

static int workspace_list(struct job *j, const struct json *request, struct err *e)
{
    struct record_query query = { .kind = RECORD_WORKSPACE };
    (void)request;
    return list_all(j, &query, write_workspace, e);
}

/* Whose key it will be. */
static int key_scope(struct job *j, const struct json *request, struct key_wish *wish,
                     struct err *e)
{
    struct str environment = text_of(request, "environment_id");
    struct record r;
    wish->kind = environment.n ? RECORD_ENVIRONMENT_KEY : RECORD_API_KEY;
    if (!environment.n)
        return find_workspace(j, request, &wish->workspace, e);
    if (find(j, RECORD_ENVIRONMENT, environment, &r, e) < 0)
        return -1;
    wish->workspace = r.workspace;
    wish->environment = r.id;
    return 0;
}

static int key_create(struct job *j, const struct json *request, struct err *e)
{
    struct key_wish wish = { .name = text_of(request, "name") };
    struct str role = text_of(request, "role");
    json_to_i64(json_get(request, "expires_in_seconds"), &wish.expires_in);
    wish.read_only = str_eq(role, STR("read_only"));
    if (schema_characters(wish.name) > 256 || wish.expires_in < 0 || wish.expires_in > INT32_MAX)
        return err_set(e, E_INPUT, 0, "name or expiry cannot be used");
    if (key_scope(j, request, &wish, e) < 0)
        return -1;
    key_make(&j->made, &wish, clock_now(&j->parts.clock), &j->parts.random);
    buf_add(&j->answer, buf_str(&j->made.json));
    return submit_record(j, &j->made.record);
}

static int key_list(struct job *j, const struct json *request, struct err *e)
{
    struct key_wish scope = { 0 };
    if (key_scope(j, request, &scope, e) < 0)
        return -1;
    struct record_query query = { .kind = scope.kind, .workspace = &scope.workspace };
    if (scope.kind == RECORD_ENVIRONMENT_KEY)
        query.parent = &scope.environment;
    return list_all(j, &query, key_write, e);
}

static int key_revoke_one(struct job *j, const struct json *request, struct err *e)
{
    struct str id = text_of(request, "id");
    struct record key;
    enum record_kind kind =
        str_starts(id, STR("envkey_")) ? RECORD_ENVIRONMENT_KEY : RECORD_API_KEY;
    if (find(j, kind, id, &key, e) < 0)
        return -1;
    if (key.archived_at)
        return err_set(e, E_CONFLICT, 0, "this key is revoked already");
    j->sha256_n = key.secret.n;
    memcpy(j->sha256, key.secret.p, key.secret.n);
    key_revoke(&key, clock_now(&j->parts.clock));
    key_write(&j->answer, &key);
    return submit_record(j, &key);
}

static const struct {
    const char *name;
    int (*run)(struct job *j, const struct json *request, struct err *e);
} operations[] = {
    { "workspace.create", workspace_create },
    { "workspace.list", workspace_list },
    { "key.create", key_create },
    { "key.list", key_list },
    { "key.revoke", key_revoke_one },
};

void operator_do(const struct operator_parts *parts, const struct json *request,
                 operator_done *done, void *ctx)
{
    struct job *j = mem_get(sizeof *j);
    struct err e = { 0 };
    struct str wanted = text_of(request, "do");
    int state = -1;
    j->parts = *parts;
    j->done = done;
    j->ctx = ctx;
    arena_init(&j->arena, 64 << 20);
    err_set(&e, E_INPUT, 0, "there is no such operation");
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (str_eq(str_of(operations[i].name), wanted)) {
            e = (struct err){ 0 };
            state = operations[i].run(j, request, &e);
        }
    if (state < 0)
        buf_empty(&j->answer);
    if (state <= 0)
        finish(j, &e);
}
