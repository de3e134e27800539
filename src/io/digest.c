#include "io/digest.h"

#include "base/check.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void digest_sha256(struct str bytes, unsigned char out[DIGEST_SIZE])
{
    unsigned n = 0;
    CHECK(EVP_Digest(bytes.p ? bytes.p : "", bytes.n, out, &n, EVP_sha256(), NULL) == 1 &&
          n == DIGEST_SIZE);
}

void digest_hmac(struct str key, struct str bytes, unsigned char out[DIGEST_SIZE])
{
    unsigned n = 0;
    CHECK(key.n <= INT_MAX);
    CHECK(HMAC(EVP_sha256(), key.p ? key.p : "", (int)key.n,
               (const unsigned char *)(bytes.p ? bytes.p : ""), bytes.n, out, &n) != NULL &&
          n == DIGEST_SIZE);
}

bool digest_same(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || CRYPTO_memcmp(a.p, b.p, a.n) == 0);
}

void digest_hex(const unsigned char digest[DIGEST_SIZE], char out[2 * DIGEST_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[2 * DIGEST_SIZE] = 0;
}
