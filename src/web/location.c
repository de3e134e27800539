#include "web/location.h"

/* Where the path begins; `url` has a scheme and "//". */
static size_t authority_end(struct str url, size_t from)
{
    while (from < url.n && url.p[from] != '/' && url.p[from] != '?' && url.p[from] != '#')
        from++;
    return from;
}

static size_t scheme_length(struct str url)
{
    static const struct str schemes[] = { { "https://", 8 }, { "http://", 7 } };
    for (size_t i = 0; i < 2; i++)
        if (url.n > schemes[i].n && str_eq_nocase((struct str){ url.p, schemes[i].n }, schemes[i]))
            return schemes[i].n;
    return 0;
}

static bool is_clean(struct str url)
{
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || (unsigned char)url.p[i] >= 0x7f || url.p[i] == '\\' ||
            url.p[i] == '"' || url.p[i] == '<' || url.p[i] == '>')
            return false;
    return true;
}

static bool is_host(struct str host)
{
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-' || c == '.' || c == '_'))
            return false;
    }
    return host.n > 0;
}

struct str location_host(struct str url)
{
    const struct str none = { NULL, 0 };
    size_t from = scheme_length(url), end = authority_end(url, from);
    struct str host = { url.p + from, end - from }, port = { NULL, 0 };
    uint64_t number = 0;
    if (!from || !is_clean(url))
        return none;
    if (host.n && host.p[0] == '[') { /* an IPv6 address: no name, but it may be fetched by guard */
        ptrdiff_t close = str_index(host, ']');
        if (close < 2)
            return none;
        port = str_skip(host, (size_t)close + 1);
        host.n = (size_t)close + 1;
    } else {
        ptrdiff_t colon = str_index(host, ':');
        if (colon >= 0) {
            port = str_skip(host, (size_t)colon);
            host.n = (size_t)colon;
        }
        if (!is_host(host))
            return none;
    }
    if (port.n && (port.p[0] != ':' || !str_to_u64(str_skip(port, 1), &number) || number == 0 ||
                   number > 65535))
        return none;
    return host;
}

bool location_resolve(struct buf *out, struct str url, struct str location)
{
    size_t from = scheme_length(url), end = authority_end(url, from), start = out->n;
    ptrdiff_t hash = str_index(location, '#');
    if (hash >= 0)
        location.n = (size_t)hash; /* a fragment is the reader's business */
    if (!from || location.n == 0)
        return false;
    if (scheme_length(location)) {
        buf_add(out, location);
    } else if (str_starts(location, STR("//"))) {
        buf_add(out, (struct str){ url.p, from - 2 });
        buf_add(out, location);
    } else if (location.p[0] == '/') {
        buf_add(out, (struct str){ url.p, end });
        buf_add(out, location);
    } else if (location.p[0] == '?') {
        size_t query = end;
        while (query < url.n && url.p[query] != '?' && url.p[query] != '#')
            query++;
        buf_add(out, (struct str){ url.p, query });
        buf_add(out, location);
    } else if (str_index(location, ':') >= 0) {
        return false; /* another scheme, or something like one */
    } else {
        size_t folder = end;
        for (size_t i = end; i < url.n && url.p[i] != '?' && url.p[i] != '#'; i++)
            if (url.p[i] == '/')
                folder = i;
        buf_add(out, (struct str){ url.p, folder });
        buf_add_byte(out, '/');
        buf_add(out, location);
    }
    return location_host(str_skip(buf_str(out), start)).n > 0;
}
