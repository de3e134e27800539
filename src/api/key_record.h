/* key_record.h - API keys and environment keys as records (contract 1.2, 2.2, 13).
 *
 * Used by the API and by the command line (operator.h), so that both make and show the same.
 */
#pragma once

#include "api/credential.h"
#include "postern/store.h"

struct key_wish {
    enum record_kind kind; /* RECORD_API_KEY or RECORD_ENVIRONMENT_KEY */
    struct id workspace;
    struct id environment; /* of an environment key */
    struct str name;
    bool read_only;     /* of an API key */
    int64_t expires_in; /* seconds; 0: never */
};

/* A new key: what has to be put into the store, and the object that shows it, with the key itself,
 * once. Not to be moved: the record's texts lie in it. */
struct key_made {
    struct record record;
    struct buf body, json;      /* owned; json is wiped at the end */
    char text[CREDENTIAL_SIZE]; /* the key; wiped at the end */
    unsigned char sha256[32];
};
void key_make(struct key_made *out, const struct key_wish *wish, int64_t now,
              const struct random_source *random);
void key_made_release(struct key_made *m);

/* The object without the key. */
void key_write(struct buf *out, const struct record *key);

/* What remains of a revoked key: nobody can use it, lists with_archived show it. */
void key_revoke(struct record *key, int64_t now);
