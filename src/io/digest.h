/* digest.h - SHA-256 and HMAC-SHA-256, and comparing without a hint (by OpenSSL).
 *
 * Whoever compares something secret uses digest_same: how long it takes says nothing of the bytes.
 */
#pragma once

#include "base/str.h"

enum { DIGEST_SIZE = 32 };

void digest_sha256(struct str bytes, unsigned char out[DIGEST_SIZE]);

/* RFC 2104. A key of any length. */
void digest_hmac(struct str key, struct str bytes, unsigned char out[DIGEST_SIZE]);

/* Same bytes. Only the lengths show in the time it takes. */
bool digest_same(struct str a, struct str b);

/* Lower-case hexadecimal and a NUL. */
void digest_hex(const unsigned char digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1]);
