#include "egress/credential.h"

#include "base/buf.h"
#include "egress/clean.h"

enum { USER_MAX = 255, DECODED_MAX = 1024, KEY_CHARACTERS = 100 };

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 section 4, padding optional. Bytes written, or -1. `out` holds 3/4 of text.n. */
static ptrdiff_t base64_decode(struct str text, char *out)
{
    for (int i = 0; i < 2 && text.n && text.p[text.n - 1] == '='; i++)
        text.n--;
    uint32_t bits = 0;
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64_value(text.p[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4)
            out[n++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return text.n % 4 == 1 ? -1 : (ptrdiff_t)n;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Some clients send the user name as it stands in the URL, percent signs and all. */
static size_t percent_decode(struct str text, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        bool coded = text.p[i] == '%' && i + 2 < text.n && hex_value(text.p[i + 1]) >= 0 &&
                     hex_value(text.p[i + 2]) >= 0;
        out[n++] =
            coded ? (char)(hex_value(text.p[i + 1]) << 4 | hex_value(text.p[i + 2])) : text.p[i];
        i += coded ? 2 : 0;
    }
    return n;
}

/* Takes the same time wherever the first difference is. The length is no secret. */
static bool same_secret(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    volatile unsigned char differ = 0;
    for (size_t i = 0; i < a.n; i++)
        differ = (unsigned char)(differ | ((unsigned char)a.p[i] ^ (unsigned char)b.p[i]));
    return differ == 0;
}

/* The attribution key behind "srt."; false when it is no base64. */
static bool read_key(struct str coded, char *key)
{
    char plain[USER_MAX], bytes[USER_MAX];
    struct str text = { plain, percent_decode(coded, plain) };
    ptrdiff_t n = base64_decode(text, bytes);
    if (n < 0)
        return false;
    AUTO_BUF clean = { 0 };
    clean_text(&clean, (struct str){ bytes, (size_t)n }, KEY_CHARACTERS);
    memcpy(key, buf_text(&clean), clean.n + 1);
    return true;
}

enum credential credential_check(struct str token, struct str user, struct str password, char *key)
{
    key[0] = '\0';
    bool known = same_secret(token, password) && token.n > 0;
    if (!known || user.n > USER_MAX)
        return CREDENTIAL_WRONG;
    if (str_eq(user, STR("srt")))
        return CREDENTIAL_RIGHT;
    if (str_starts(user, STR("srt.")) && read_key(str_skip(user, 4), key))
        return CREDENTIAL_RIGHT;
    key[0] = '\0';
    return CREDENTIAL_WRONG;
}

enum credential credential_check_basic(struct str token, struct str value, char *key)
{
    key[0] = '\0';
    if (!value.p)
        return CREDENTIAL_ABSENT;
    struct str scheme = { value.p, value.n < 6 ? value.n : 6 };
    if (!str_eq_nocase(scheme, STR("Basic ")))
        return CREDENTIAL_WRONG;
    struct str coded = str_trim(str_skip(value, 6));
    char plain[DECODED_MAX];
    if (coded.n > sizeof plain)
        return CREDENTIAL_WRONG;
    ptrdiff_t n = base64_decode(coded, plain);
    struct str password = { plain, n < 0 ? 0 : (size_t)n }, user;
    enum credential result = CREDENTIAL_WRONG;
    if (n > 0 && str_index(password, ':') >= 0 && str_cut(&password, ':', &user))
        result = credential_check(token, user, password, key);
    mem_wipe(plain, sizeof plain);
    return result;
}
