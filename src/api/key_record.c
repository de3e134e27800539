#include "api/key_record.h"

#include "api/render.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

static const char *type_of(enum record_kind kind)
{
    return kind == RECORD_API_KEY ? "api_key" : "environment_key";
}

static void write_key(struct buf *out, const struct record *key, const char *secret)
{
    struct str role = json_slice_get(key->body, "role");
    json_write_object(out);
    json_member_str(out, "id", id_str(&key->id));
    json_member_text(out, "type", type_of(key->kind));
    json_write_key(out, STR("name"));
    json_write_raw(out, json_slice_get(key->body, "name"));
    if (role.n) {
        json_write_key(out, STR("role"));
        json_write_raw(out, role);
    }
    if (key->kind == RECORD_ENVIRONMENT_KEY)
        json_member_str(out, "environment_id", id_str(&key->parent));
    if (secret)
        json_member_text(out, "key", secret);
    render_moment(out, "created_at", key->created_at);
    render_moment(out, "expires_at", key->due_at);
    json_write_object_end(out);
}

void key_write(struct buf *out, const struct record *key)
{
    write_key(out, key, NULL);
}

void key_make(struct key_made *out, const struct key_wish *wish, int64_t now,
              const struct random_source *random)
{
    bool of_api = wish->kind == RECORD_API_KEY;
    *out = (struct key_made){ 0 };
    credential_make(of_api ? CREDENTIAL_API : CREDENTIAL_ENVIRONMENT, random, out->text,
                    out->sha256);
    json_write_object(&out->body);
    render_text(&out->body, "name", wish->name);
    if (of_api)
        json_member_text(&out->body, "role", wish->read_only ? "read_only" : "full");
    json_write_object_end(&out->body);
    out->record = (struct record){
        .kind = wish->kind,
        .id = id_make(of_api ? "apikey_" : "envkey_", random),
        .workspace = wish->workspace,
        .parent = wish->environment,
        .created_at = now,
        .due_at = wish->expires_in ? now + wish->expires_in * 1000000 : 0,
        .secret = { (const char *)out->sha256, sizeof out->sha256 },
        .body = buf_str(&out->body),
    };
    write_key(&out->json, &out->record, out->text);
}

void key_made_release(struct key_made *m)
{
    mem_wipe(m->text, sizeof m->text);
    if (m->json.p)
        mem_wipe(m->json.p, m->json.n);
    buf_release(&m->json);
    buf_release(&m->body);
}

void key_revoke(struct record *key, int64_t now)
{
    key->archived_at = now;
    key->secret = (struct str){ 0 };
}
