/* `network` (contract 3.3). */
#include "sandbox/settings_rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#define AT(field) offsetof(struct settings, field)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Appends to a list of the policy. */
static void domains_add(struct settings_check *c, const struct json *v, enum domain_list kind,
                        struct domain_patterns *list)
{
    if (!check_array(c, v) || json_count(v) == 0)
        return;
    list->items = mem_grow(list->items, (list->count + json_count(v)) * sizeof *list->items);
    for (size_t i = 0; i < json_count(v); i++) {
        struct str text;
        struct err e;
        size_t was = check_enter_index(c, i);
        if (check_string(c, json_at(v, i), &text)) {
            struct domain_pattern *item = &list->items[list->count];
            AUTO_BUF rule = { 0 };
            if (domain_pattern_parse(text, kind, item, &e) == 0) {
                buf_addf(&rule, "%s (%s)", buf_text(&c->path), item->text);
                item->rule = buf_take(&rule);
                list->count++;
            } else {
                check_problem(c, "%s", e.text);
            }
        }
        check_leave(c, was);
    }
}

static void allowed_read(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    domains_add(c, v, DOMAIN_ALLOWED, &c->s->egress.allowed);
}

static void denied_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    domains_add(c, v, DOMAIN_DENIED, &c->s->egress.denied);
}

/* The row stands behind deniedDomains: the entries are known. */
static void reasons_read(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    struct egress_policy *p = &c->s->egress;
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = check_enter_key(c, m.key);
        check_kind(c, m.value, JSON_IS_STRING);
        check_leave(c, was);
    }
    p->denied_reasons = mem_array(p->denied.count, sizeof *p->denied_reasons);
    for (size_t i = 0; i < p->denied.count; i++) {
        struct str text;
        const struct json *reason = json_get(v, p->denied.items[i].text);
        if (reason && json_to_str(reason, &text) && text.n)
            p->denied_reasons[i] = str_dup(text);
    }
}

static void addresses_read(struct settings_check *c, const struct json *v,
                           const struct settings_row *row)
{
    struct egress_policy *p = &c->s->egress;
    if (!check_array(c, v))
        return;
    p->denied_addresses = mem_array(json_count(v), sizeof *p->denied_addresses);
    for (size_t i = 0; i < json_count(v); i++) {
        struct str text;
        struct err e;
        size_t was = check_enter_index(c, i);
        if (check_string(c, json_at(v, i), &text)) {
            if (ip_block_parse(text, &p->denied_addresses[p->denied_address_count], &e) == 0)
                p->denied_address_count++;
            else
                check_problem(c, "%s", e.text);
        }
        check_leave(c, was);
    }
}

/* allowMachLookup is for macOS; its form is checked everywhere, so that a file is good or bad on all. */
static const char *refuse_inner_star(struct str text)
{
    ptrdiff_t star = str_index(text, '*');
    return star < 0 || (size_t)star == text.n - 1 ? NULL : "'*' may only stand at the end";
}

static void mitm_socket_read(struct settings_check *c, const struct json *v, char **out)
{
    struct str path;
    if (!check_string(c, v, &path))
        return;
    if (path.n >= sizeof((struct sockaddr_un *)0)->sun_path)
        check_problem(c, "is longer than the path of a unix socket can be");
    else
        *out = str_dup(path);
}

static void mitm_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    struct egress_policy *p = &c->s->egress;
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    bool has_socket = false, has_domains = false;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = check_enter_key(c, m.key);
        if (str_eq(m.key, STR("socketPath"))) {
            has_socket = true;
            mitm_socket_read(c, m.value, &p->mitm_socket);
        } else if (str_eq(m.key, STR("domains"))) {
            has_domains = true;
            domains_add(c, m.value, DOMAIN_ALLOWED, &p->mitm_domains);
            if (json_kind_of(m.value) == JSON_IS_ARRAY && json_count(m.value) == 0)
                check_problem(c, "must hold at least one pattern");
        } else {
            check_unknown(c, false, "");
        }
        check_leave(c, was);
    }
    if (!has_socket)
        check_problem(c, "socketPath is required");
    if (!has_domains)
        check_problem(c, "domains is required");
}

static void hop_read(struct settings_check *c, struct str url, struct proxy_hop *out)
{
    struct err e;
    struct proxy_hop hop = { 0 };
    if (proxy_hop_parse(url, &hop, &e) < 0) {
        check_problem(c, "%s", e.text);
        return;
    }
    proxy_hop_release(out);
    *out = hop;
}

static void parent_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    struct egress_policy *p = &c->s->egress;
    struct str http = { 0 };
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    c->parent_proxy_given = true;
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        struct str text;
        size_t was = check_enter_key(c, m.key);
        if (str_eq(m.key, STR("http"))) {
            if (check_string(c, m.value, &http))
                hop_read(c, http, &p->parent_http);
        } else if (str_eq(m.key, STR("https"))) {
            if (check_string(c, m.value, &text))
                hop_read(c, text, &p->parent_https);
        } else if (str_eq(m.key, STR("noProxy"))) {
            if (check_kind(c, m.value, JSON_IS_STRING) && json_to_str(m.value, &text)) {
                free(p->no_proxy);
                p->no_proxy = str_dup(text);
            }
        } else {
            check_unknown(c, false, "");
        }
        check_leave(c, was);
    }
    if (p->parent_http.set && !json_get(v, "https"))
        hop_read(c, http, &p->parent_https);
}

/* The value of the first of two variables that is set and not empty; *name tells which. */
static struct str environment_get(char *const *environment, const char *upper, const char *lower,
                                  const char **name)
{
    const char *const names[] = { upper, lower };
    for (size_t k = 0; k < COUNT(names); k++)
        for (char *const *at = environment; at && *at; at++) {
            size_t n = strlen(names[k]);
            if (strncmp(*at, names[k], n) == 0 && (*at)[n] == '=' && (*at)[n + 1]) {
                *name = names[k];
                return str_of(*at + n + 1);
            }
        }
    return (struct str){ 0 };
}

static void environment_hop(struct settings_check *c, const char *name, struct str url,
                            struct proxy_hop *out)
{
    if (url.n == 0)
        return;
    AUTO_BUF key = { 0 };
    buf_addf(&key, "environment variable %s", name);
    size_t was = check_enter_key(c, buf_str(&key));
    hop_read(c, url, out);
    check_leave(c, was);
}

void network_finish(struct settings_check *c)
{
    struct egress_policy *p = &c->s->egress;
    char *const *environment = c->options->environment;
    const char *name = "";
    p->transparent = c->s->transparent != SETTING_OFF;
    if (!c->s->dns_set)
        p->dns = p->transparent;
    if (c->parent_proxy_given)
        return;
    struct str http = environment_get(environment, "HTTP_PROXY", "http_proxy", &name);
    environment_hop(c, name, http, &p->parent_http);
    struct str https = environment_get(environment, "HTTPS_PROXY", "https_proxy", &name);
    if (https.n || p->parent_http.set)
        environment_hop(c, name, https.n ? https : http, &p->parent_https);
    struct str none = environment_get(environment, "NO_PROXY", "no_proxy", &name);
    if (none.n)
        p->no_proxy = str_dup(none);
}

static bool hop_same(const struct proxy_hop *a, const struct proxy_hop *b)
{
    return a->set == b->set && a->tls == b->tls && a->port == b->port &&
           text_same(a->host, b->host) && text_same(a->authorization, b->authorization);
}

static bool parent_same(const void *a, const void *b)
{
    const struct egress_policy *left = a, *right = b;
    return hop_same(&left->parent_http, &right->parent_http) &&
           hop_same(&left->parent_https, &right->parent_https) &&
           text_same(left->no_proxy, right->no_proxy);
}

/* RFC 9110 5.6.2: a field name is a token. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr("!#$%&'*+-.^_`|~", c, 15))
            return false;
    }
    return true;
}

static void headers_read(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    struct egress_policy *p = &c->s->egress;
    if (!check_array(c, v))
        return;
    p->strip_response_headers = mem_array(json_count(v) + 1, sizeof(char *));
    size_t n = 0;
    for (size_t i = 0; i < json_count(v); i++) {
        struct str name;
        size_t was = check_enter_index(c, i);
        if (check_string(c, json_at(v, i), &name)) {
            if (is_token(name))
                p->strip_response_headers[n++] = str_dup(name);
            else
                check_problem(c, "is no name of a header");
        }
        check_leave(c, was);
    }
}

static bool headers_same(const void *a, const void *b)
{
    char *const *left = *(char *const *const *)a, *const *right = *(char *const *const *)b;
    while (left && *left && right && *right && text_same(*left, *right))
        left++, right++;
    return !(left && *left) && !(right && *right);
}

static void filter_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    check_problem(c, "is a function of the library and cannot stand in a file");
}

static const struct settings_kind KIND_ALLOWED = { allowed_read, NULL };
static const struct settings_kind KIND_DENIED = { denied_read, NULL };
static const struct settings_kind KIND_REASONS = { reasons_read, NULL };
static const struct settings_kind KIND_ADDRESSES = { addresses_read, NULL };
static const struct settings_kind KIND_MITM = { mitm_read, NULL };
static const struct settings_kind KIND_PARENT = { parent_read, parent_same };
static const struct settings_kind KIND_HEADERS = { headers_read, headers_same };
static const struct settings_kind KIND_FILTER = { filter_read, NULL };

static const char *const target_words[] = { "refuse", "asSpelled", "normalize", NULL };

static const struct settings_row rows[] = {
    { "allowedDomains", &KIND_ALLOWED, AT(egress), ROW_REQUIRED | ROW_LIVE },
    { "deniedDomains", &KIND_DENIED, AT(egress), ROW_REQUIRED | ROW_LIVE },
    { "deniedDomainReasons", &KIND_REASONS, AT(egress), ROW_LIVE },
    { "strictAllowlist", &KIND_BOOL, AT(egress.strict_allowlist), ROW_LIVE },
    { "deniedResolvedAddresses", &KIND_ADDRESSES, AT(egress), ROW_LIVE },
    { "allowUnixSockets", &KIND_ENTRIES, AT(unix_sockets), ROW_PLAIN_PATHS },
    { "allowAllUnixSockets", &KIND_BOOL, AT(all_unix_sockets) },
    { "allowLocalBinding", &KIND_BOOL, SETTINGS_NOWHERE },
    { "allowMachLookup", &KIND_NAMES, SETTINGS_NOWHERE, .refuses = refuse_inner_star },
    { "httpProxyPort", &KIND_PORT, AT(egress.http_proxy_port) },
    { "socksProxyPort", &KIND_PORT, AT(egress.socks_proxy_port) },
    { "mitmProxy", &KIND_MITM, AT(egress), ROW_LIVE },
    { "parentProxy", &KIND_PARENT, AT(egress) },
    { "tlsTerminate", &KIND_LATER, SETTINGS_NOWHERE },
    { "filterRequest", &KIND_FILTER, SETTINGS_NOWHERE },
    { "allowPlaintextHeaderSet", &KIND_BOOL, AT(egress.allow_plaintext_header_set) },
    { "stripResponseHeaders", &KIND_HEADERS, AT(egress.strip_response_headers) },
    { "refuseOpaqueTunnels", &KIND_BOOL, AT(egress.refuse_opaque_tunnels) },
    { "requireHostMatch", &KIND_BOOL, AT(egress.require_host_match) },
    { "ambiguousRequestTarget", &KIND_WORD, AT(egress.ambiguous_request_target),
      .words = target_words },
};

const struct settings_table settings_network_table = { rows, COUNT(rows), false };
