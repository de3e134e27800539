#include "api/cursor.h"

#include "base/check.h"
#include "io/digest.h"

enum { FORMAT = 1, HEAD = 18, SEAL = 16, PLAIN_MAX = HEAD + ID_SIZE + SEAL };

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_number(unsigned char *to, int64_t n)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)((uint64_t)n >> (56 - 8 * i));
}

static int64_t get_number(const unsigned char *from)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | from[i];
    return (int64_t)n;
}

static void seal(const unsigned char *plain, size_t n, struct str scope,
                 const unsigned char key[CURSOR_KEY], unsigned char out[DIGEST_SIZE])
{
    AUTO_BUF all = { 0 };
    buf_addf(&all, "%zu ", scope.n);
    buf_add(&all, scope);
    buf_add(&all, (struct str){ (const char *)plain, n });
    digest_hmac((struct str){ (const char *)key, CURSOR_KEY }, buf_str(&all), out);
}

void cursor_write(struct buf *out, const struct cursor *c, struct str scope,
                  const unsigned char key[CURSOR_KEY])
{
    unsigned char plain[PLAIN_MAX + 2] = { FORMAT }, sealed[DIGEST_SIZE];
    struct str id = id_str(&c->id);
    plain[1] = (unsigned char)((c->oldest_first ? 1 : 0) | (c->backward ? 2 : 0));
    put_number(plain + 2, c->at);
    put_number(plain + 10, c->number);
    memcpy(plain + HEAD, id.p, id.n);
    size_t n = HEAD + id.n;
    seal(plain, n, scope, key, sealed);
    memcpy(plain + n, sealed, SEAL);
    n += SEAL;
    for (size_t i = 0; i < n; i += 3) {
        unsigned group = (unsigned)plain[i] << 16 | (unsigned)plain[i + 1] << 8 | plain[i + 2];
        for (size_t j = 0; j < 4 && i + j <= n; j++)
            buf_add_byte(out, digits[group >> (18 - 6 * j) & 63]);
    }
}

/* Base64url without padding into at most `room` bytes. */
static bool decode(struct str text, unsigned char *out, size_t room, size_t *n)
{
    uint32_t bits = 0;
    unsigned have = 0;
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(digits, text.p[i]) : NULL;
        if (!at)
            return false;
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8) {
            if (*n == room)
                return false;
            have -= 8;
            out[(*n)++] = (unsigned char)(bits >> have);
        }
    }
    return have < 6 && (bits & ((1u << have) - 1)) == 0; /* one spelling only */
}

bool cursor_read(struct str text, struct str scope, const unsigned char key[CURSOR_KEY],
                 struct cursor *out)
{
    unsigned char plain[PLAIN_MAX], sealed[DIGEST_SIZE];
    size_t n = 0;
    if (!decode(text, plain, sizeof plain, &n) || n < HEAD + SEAL || plain[0] != FORMAT)
        return false;
    n -= SEAL;
    seal(plain, n, scope, key, sealed);
    if (!digest_same((struct str){ (const char *)plain + n, SEAL },
                     (struct str){ (const char *)sealed, SEAL }))
        return false;
    *out = (struct cursor){ .oldest_first = plain[1] & 1,
                            .backward = plain[1] & 2,
                            .at = get_number(plain + 2),
                            .number = get_number(plain + 10) };
    struct str id = { (const char *)plain + HEAD, n - HEAD };
    return id.n == 0 || id_read(id, &out->id);
}
