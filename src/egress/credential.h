/* credential.h - who may use the proxy: the run's token, and whom a connection is attributed to.
 *
 * The user name is "srt", or "srt." and the base64 of the attribution key (contract 2.1); the
 * password is the token. The token is a secret: compared in constant time, never printed.
 */
#pragma once

#include "base/str.h"

/* Room for 100 characters of UTF-8 and a NUL. */
enum { CREDENTIAL_KEY_MAX = 401 };

enum credential { CREDENTIAL_ABSENT, CREDENTIAL_WRONG, CREDENTIAL_RIGHT };

/* Judges user and password. With CREDENTIAL_RIGHT, `key` (CREDENTIAL_KEY_MAX bytes) holds the
 * attribution key, cleaned for logs, or "". */
enum credential credential_check(struct str token, struct str user, struct str password, char *key);

/* The same for the value of a Proxy-Authorization field: "Basic " and base64. A NULL value is
 * CREDENTIAL_ABSENT. */
enum credential credential_check_basic(struct str token, struct str value, char *key);
