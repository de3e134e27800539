/* bootstrap.h - the first objects of a control plane, and a file that says what they are.
 *
 * What is there is used: the oldest workspace, its oldest environment that is not archived. Keys
 * cannot be shown again, so when the file holds keys of this workspace and environment that are still
 * valid they stay; else a new pair is made. Keys that are not in the file any more stay valid until
 * somebody revokes them.
 */
#pragma once

#include "api/credential.h"
#include "io/loop.h"

/* What the file says: POSTERN_URL, POSTERN_API_KEY, POSTERN_ENVIRONMENT_ID, POSTERN_ENVIRONMENT_KEY. */
struct bootstrap {
    struct id workspace, environment;
    char api_key[CREDENTIAL_SIZE], environment_key[CREDENTIAL_SIZE];
};

/* Makes what is missing; runs the loop until it is durable, so nothing else may hang on it yet.
 * `env_file` may be NULL or not there. */
int bootstrap_make(struct bootstrap *out, struct loop *l, struct store *store,
                   struct credentials *credentials, const struct random_source *random,
                   const char *env_file, struct err *e);

/* Writes the file, mode 0600, all at once; and wipes the keys in `b`. */
int bootstrap_write(struct bootstrap *b, const char *env_file, const char *url, struct err *e);
