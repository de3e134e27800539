#include "proto/url.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool decode(struct str text, bool plus_is_blank, char *out, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text.p[i + 2]) : -1;
            if (low < 0 || high + low == 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        out[(*n)++] = c;
    }
    return true;
}

bool url_decode(struct str text, char *out, size_t *n)
{
    return decode(text, false, out, n);
}

size_t url_segment_count(struct str path)
{
    size_t count = 0;
    for (size_t i = 0; i < path.n; i++)
        count += path.p[i] == '/';
    return count;
}

bool url_path_decode(struct str path, struct str *segments, char *memory)
{
    struct str rest = str_skip(path, 1), segment;
    for (; str_cut(&rest, '/', &segment); segments++) {
        *segments = (struct str){ memory, 0 };
        if (!url_decode(segment, memory, &segments->n))
            return false;
        memory += segments->n;
    }
    return true;
}

size_t url_parameter_count(struct str query)
{
    size_t count = query.n > 0;
    for (size_t i = 0; i < query.n; i++)
        count += query.p[i] == '&';
    return count;
}

static bool decode_into(struct str text, struct str *out, char **memory)
{
    *out = (struct str){ *memory, 0 };
    bool good = decode(text, true, *memory, &out->n);
    *memory += out->n;
    return good;
}

bool url_query_decode(struct str query, struct url_parameter *parameters, size_t *count,
                      char *memory)
{
    struct str value;
    *count = 0;
    while (str_cut(&query, '&', &value)) {
        struct str name;
        if (value.n == 0)
            continue;
        str_cut(&value, '=', &name);
        struct url_parameter *p = &parameters[(*count)++];
        if (!decode_into(name, &p->name, &memory) || !decode_into(value, &p->value, &memory))
            return false;
    }
    return true;
}
