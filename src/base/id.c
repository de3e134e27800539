#include "base/id.h"
#include "base/check.h"

#include <stdio.h>

void id_chance(char *out, size_t n, const struct random_source *r)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t have = 0;
    while (have < n) {
        unsigned char bytes[32];
        random_fill(r, bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes && have < n; i++)
            if (bytes[i] < 4 * 62) /* the rest would make some characters likelier than others */
                out[have++] = digits[bytes[i] % 62];
    }
    out[n] = 0;
}

struct id id_make(const char *prefix, const struct random_source *r)
{
    struct id id = { 0 };
    size_t n = strlen(prefix);
    CHECK(n + ID_CHANCE < ID_SIZE);
    memcpy(id.text, prefix, n);
    id_chance(id.text + n, ID_CHANCE, r);
    return id;
}

static bool is_id_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-';
}

bool id_read(struct str text, struct id *out)
{
    *out = (struct id){ 0 };
    if (text.n == 0 || text.n >= ID_SIZE)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_id_byte(text.p[i]))
            return false;
    memcpy(out->text, text.p, text.n);
    return true;
}

bool id_eq(const struct id *a, const struct id *b)
{
    return strcmp(a->text, b->text) == 0;
}
