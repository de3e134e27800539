#include "api/credential.h"

#include "base/check.h"
#include "base/table.h"
#include "io/digest.h"
#include "proto/json.h"

#include <stdlib.h>

static const struct {
    enum credential_kind kind;
    const char *prefix;
} kinds[] = {
    { CREDENTIAL_API, "sk-pst-api-" },
    { CREDENTIAL_ENVIRONMENT, "sk-pst-env-" },
    { CREDENTIAL_SESSIONS, "sk-pst-req-" },
};
enum { KINDS = sizeof kinds / sizeof *kinds };

struct key {
    char sha256[DIGEST_SIZE]; /* its name in the table */
    enum asker_kind kind;
    struct id id, workspace, environment;
    int64_t expires_at; /* 0: never */
    bool read_only;
};

struct credentials {
    struct store *store;
    struct clock clock;
    struct table keys;
};

void credential_make(enum credential_kind kind, const struct random_source *random,
                     char text[CREDENTIAL_SIZE], unsigned char sha256[32])
{
    size_t n = 0;
    for (size_t i = 0; i < KINDS; i++)
        if (kinds[i].kind == kind) {
            n = strlen(kinds[i].prefix);
            memcpy(text, kinds[i].prefix, n);
        }
    CHECK(n > 0);
    id_chance(text + n, CREDENTIAL_CHANCE, random);
    digest_sha256(str_of(text), sha256);
}

unsigned credential_kind_of(struct str text)
{
    for (size_t i = 0; i < KINDS; i++)
        if (str_starts(text, str_of(kinds[i].prefix)))
            return kinds[i].kind;
    return 0;
}

static struct str name_of(const struct key *k)
{
    return (struct str){ k->sha256, sizeof k->sha256 };
}

void credentials_add(struct credentials *c, const struct record *record)
{
    if (record->secret.n != DIGEST_SIZE || record->archived_at)
        return;
    credentials_remove(c, record->secret);
    struct key *k = mem_get(sizeof *k);
    struct err ignored = { 0 };
    struct json *body = NULL;
    struct str role = { 0 };
    CHECK(json_parse(record->body, &body, &ignored) == 0); /* we wrote it */
    json_to_str(json_get(body, "role"), &role);
    memcpy(k->sha256, record->secret.p, DIGEST_SIZE);
    k->kind = record->kind == RECORD_API_KEY ? ASKER_API_KEY : ASKER_ENVIRONMENT_KEY;
    k->id = record->id;
    k->workspace = record->workspace;
    k->environment = record->parent;
    k->expires_at = record->due_at;
    k->read_only = str_eq(role, STR("read_only"));
    json_free(body);
    table_put(&c->keys, name_of(k), k);
}

void credentials_remove(struct credentials *c, struct str sha256)
{
    free(table_drop(&c->keys, sha256));
}

void credentials_remove_environment(struct credentials *c, const struct id *environment)
{
    struct key *k;
    size_t at = 0;
    while ((k = table_next(&c->keys, &at)))
        if (k->kind == ASKER_ENVIRONMENT_KEY && id_eq(&k->environment, environment)) {
            credentials_remove(c, name_of(k));
            at = 0; /* the table has moved */
        }
}

static int read_all(struct credentials *c, enum record_kind kind, struct err *e)
{
    enum { STEP = 200 };
    struct record last = { 0 };
    bool more = true, begun = false;
    while (more) {
        AUTO_ARENA arena;
        struct record_list list = { 0 };
        arena_init(&arena, 16 << 20);
        struct record_query query = {
            .kind = kind, .oldest_first = true, .after = begun ? &last : NULL, .limit = STEP
        };
        if (c->store->ops->list(c->store, &query, &list, &arena, e) < 0)
            return err_while(e, "read the keys");
        for (size_t i = 0; i < list.count; i++)
            credentials_add(c, &list.items[i]);
        more = list.count == STEP;
        if (list.count) {
            const struct record *r = &list.items[list.count - 1];
            last = (struct record){ .id = r->id, .created_at = r->created_at, .number = r->number };
            begun = true;
        }
    }
    return 0;
}

int credentials_new(struct store *store, struct clock clock, struct credentials **out,
                    struct err *e)
{
    struct credentials *c = mem_get(sizeof *c);
    c->store = store;
    c->clock = clock;
    if (read_all(c, RECORD_API_KEY, e) < 0 || read_all(c, RECORD_ENVIRONMENT_KEY, e) < 0) {
        credentials_free(c);
        return -1;
    }
    *out = c;
    return 0;
}

void credentials_free(struct credentials *c)
{
    if (!c)
        return;
    struct key *k;
    size_t at = 0;
    while ((k = table_next(&c->keys, &at)))
        free(k);
    table_release(&c->keys);
    free(c);
}

size_t credentials_count(const struct credentials *c)
{
    return c->keys.count;
}

struct str credential_of_request(const struct request *r)
{
    struct str text = http1_field(&r->head, STR("authorization"));
    struct str scheme = { text.p, text.n < 7 ? text.n : 7 };
    if (str_eq_nocase(scheme, STR("bearer ")))
        return str_trim(str_skip(text, 7));
    if (text.n)
        return (struct str){ 0 }; /* another scheme says that this is no key of ours */
    return http1_field(&r->head, STR("x-api-key"));
}

bool credentials_find(const struct credentials *c, struct str text, struct asker *out,
                      bool *read_only)
{
    unsigned char sha256[DIGEST_SIZE];
    digest_sha256(text, sha256);
    struct str digest = { (const char *)sha256, sizeof sha256 };
    const struct key *k = table_find(&c->keys, digest);
    if (!k || !digest_same(name_of(k), digest) ||
        (k->expires_at && k->expires_at <= clock_now(&c->clock)))
        return false;
    *out = (struct asker){
        .kind = k->kind, .key = k->id, .workspace = k->workspace, .environment = k->environment
    };
    *read_only = k->read_only;
    return true;
}
