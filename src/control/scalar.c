#include "control/scalar.h"

#include "base/moment.h"
#include "io/digest.h"
#include "proto/json_write.h"

#include <inttypes.h>

void moment_member(struct buf *b, const char *key, int64_t at)
{
    char text[MOMENT_SIZE];
    moment_write(text, at);
    json_member_text(b, key, at ? text : NULL);
}

void seconds_member(struct buf *b, const char *key, int64_t microseconds)
{
    if (microseconds < 0)
        microseconds = 0;
    json_write_key(b, str_of(key));
    buf_addf(b, "%" PRId64 ".%06" PRId64, microseconds / 1000000, microseconds % 1000000);
}

void sha256_write_value(struct buf *b, const struct sha256 *hash)
{
    char hex[2 * DIGEST_SIZE + 1];
    digest_hex(hash->bytes, hex);
    json_write_text(b, hex);
}

bool sha256_read_value(struct str value, struct sha256 *out)
{
    static const char digits[] = "0123456789abcdef";
    if (value.n != 2 * DIGEST_SIZE + 2 || value.p[0] != '"')
        return false;
    for (size_t i = 0; i < 2 * DIGEST_SIZE; i++) {
        const char *digit = memchr(digits, value.p[1 + i], 16);
        if (!digit)
            return false;
        out->bytes[i / 2] = (unsigned char)(out->bytes[i / 2] << 4 | (digit - digits));
    }
    return true;
}
