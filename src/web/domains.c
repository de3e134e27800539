#include "web/domains.h"

static bool is_label(struct str label)
{
    if (label.n < 1 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
        return false;
    for (size_t i = 0; i < label.n; i++) {
        char c = label.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

const char *web_domain_refuses(struct str domain)
{
    struct str rest = domain, label = { 0 };
    size_t labels = 0;
    while (str_cut(&rest, '.', &label)) {
        if (!is_label(label))
            return "must be a plain host name, without scheme, port, path or wildcard";
        labels++;
    }
    if (labels < 2)
        return "must be a host name with at least two labels";
    if (label.p[0] >= '0' && label.p[0] <= '9')
        return "must be a name, not an address"; /* no top-level domain begins with a digit */
    if (str_eq_nocase(label, STR("localhost")) || str_eq_nocase(label, STR("local")) ||
        str_eq_nocase(label, STR("internal")))
        return "must not be a name of the local network";
    return NULL;
}

bool web_domain_covers(struct str domain, struct str host)
{
    if (host.n < domain.n)
        return false;
    struct str end = str_skip(host, host.n - domain.n);
    return str_eq_nocase(end, domain) &&
           (host.n == domain.n || host.p[host.n - domain.n - 1] == '.');
}
