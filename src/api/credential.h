/* credential.h - keys and tokens: how they look, which are valid, whose they are (contract 1.2).
 *
 * Only the SHA-256 of a key is kept. Valid API keys and environment keys stand in an index in memory,
 * so that a request costs no read of the store; whoever makes or revokes one in this process tells the
 * index once that is durable. A state directory belongs to one process, so nobody else changes them.
 * Sessions tokens are the engine's (engine_token).
 */
#pragma once

#include "control/engine.h"
#include "net/request.h"

enum credential_kind {
    CREDENTIAL_API = 1 << 0,
    CREDENTIAL_ENVIRONMENT = 1 << 1,
    CREDENTIAL_SESSIONS = 1 << 2
};

enum { CREDENTIAL_CHANCE = 43, CREDENTIAL_SIZE = 64 }; /* 43 base62 characters hold 32 bytes */

/* A fresh key, "sk-pst-api-...", and its SHA-256. The text is shown once and wiped by the caller. */
void credential_make(enum credential_kind kind, const struct random_source *random,
                     char text[CREDENTIAL_SIZE], unsigned char sha256[32]);

/* The kind that the text says it is, whatever header it came in; 0: none. */
unsigned credential_kind_of(struct str text);

struct credentials;

/* Reads all keys from the store. The caller frees. */
int credentials_new(struct store *store, struct clock clock, struct credentials **out,
                    struct err *e);
void credentials_free(struct credentials *c); /* NULL is fine */

/* A record of RECORD_API_KEY or RECORD_ENVIRONMENT_KEY is durable, or is gone. */
void credentials_add(struct credentials *c, const struct record *key);
void credentials_remove(struct credentials *c, struct str sha256);

/* The keys of an environment are gone with it. */
void credentials_remove_environment(struct credentials *c, const struct id *environment);

/* The credential that a request carries: "Authorization: Bearer" before "x-api-key"; empty: none. */
struct str credential_of_request(const struct request *r);

/* Whose valid key that is. False: nobody's (401). */
bool credentials_find(const struct credentials *c, struct str text, struct asker *out,
                      bool *read_only);

size_t credentials_count(const struct credentials *c);
