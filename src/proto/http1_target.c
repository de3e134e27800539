#include "proto/http1_target.h"

static bool is_host(struct str s)
{
    bool bracketed = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';
    if (bracketed)
        s = (struct str){ s.p + 1, s.n - 2 };
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i], lower = (char)(c | 0x20);
        bool digit = c >= '0' && c <= '9';
        bool v6 = digit || c == ':' || c == '.' || (lower >= 'a' && lower <= 'f');
        bool name = digit || (lower >= 'a' && lower <= 'z') || c == '.' || c == '-' || c == '_';
        if (bracketed ? !v6 : !name)
            return false;
    }
    return s.n > 0;
}

/* Splits host and port; *port is 0 when none is written. False when what stands behind the host is no
 * port. More than one colon without brackets is no port, but a host that nobody can read. */
static bool split_port(struct str text, struct str *host, uint16_t *port)
{
    struct str digits;
    ptrdiff_t close = text.n && text.p[0] == '[' ? str_index(text, ']') : -1;
    ptrdiff_t colon = close >= 0 ? close + 1 : str_index(text, ':');
    bool whole = close < 0 ? colon < 0 || colon != str_last_index(text, ':')
                           : (size_t)colon < text.n && text.p[colon] != ':';
    *host = (struct str){ text.p, whole ? text.n : (size_t)colon };
    *port = 0;
    digits = str_skip(text, host->n);
    if (digits.n == 0)
        return true;
    uint64_t value;
    if (digits.n > 6 || !str_to_u64(str_skip(digits, 1), &value) || digits.p[1] == '0' ||
        value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

int http1_authority_parse(struct str text, uint16_t default_port, struct str *host, uint16_t *port,
                          struct err *e)
{
    ptrdiff_t at = str_last_index(text, '@');
    bool good_port = split_port(str_skip(text, (size_t)(at + 1)), host, port);
    if (good_port && *port == 0)
        *port = default_port;
    if (at >= 0 || !is_host(*host))
        return err_set(e, E_DENIED, 0, "malformed host");
    return good_port ? 0 : err_set(e, E_INPUT, 0, "malformed port");
}

static bool cut_scheme(struct str *target, struct str scheme)
{
    if (target->n < scheme.n || !str_eq_nocase((struct str){ target->p, scheme.n }, scheme))
        return false;
    *target = str_skip(*target, scheme.n);
    return true;
}

/* A path is carried as spelled; a fragment never belongs into a request. */
static bool is_path(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == '#')
            return false;
    return true;
}

static int absolute_parse(struct str rest, struct http1_target *out, struct err *e)
{
    out->form = HTTP1_ABSOLUTE;
    out->tls = cut_scheme(&rest, STR("https://"));
    if (!out->tls && !cut_scheme(&rest, STR("http://")))
        return err_set(e, E_INPUT, 0, "the request target has no form that a proxy can use");
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' && rest.p[n] != '#')
        n++;
    struct str authority = { rest.p, n };
    out->path = str_skip(rest, n);
    if (!is_path(out->path))
        return err_set(e, E_INPUT, 0, "the path of the request target is malformed");
    return http1_authority_parse(authority, out->tls ? 443 : 80, &out->host, &out->port, e);
}

int http1_target_parse(struct str method, struct str target, struct http1_target *out,
                       struct err *e)
{
    *out = (struct http1_target){ 0 };
    if (str_eq(method, STR("CONNECT"))) {
        out->form = HTTP1_AUTHORITY;
        if (http1_authority_parse(target, 0, &out->host, &out->port, e) != 0)
            return -1;
        return out->port ? 0 : err_set(e, E_INPUT, 0, "CONNECT needs host:port");
    }
    if (str_eq(target, STR("*")) && str_eq(method, STR("OPTIONS"))) {
        out->form = HTTP1_ASTERISK;
        out->path = target;
        return 0;
    }
    if (!str_starts(target, STR("/")))
        return absolute_parse(target, out, e);
    out->form = HTTP1_ORIGIN;
    out->path = target;
    if (!is_path(target))
        return err_set(e, E_INPUT, 0, "the path of the request target is malformed");
    return 0;
}
