/* Domain patterns and hosts: the input is a pattern, a line feed and a host. A canonical host is its
 * own canonical form, spelling changes no verdict, and a pattern means the same in both lists. */
#include "fuzz.h"

#include "egress/domains.h"

#include <stdlib.h>

static char flip_case(char c)
{
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return letter ? (char)(c ^ 0x20) : c;
}

static bool check_host(struct str raw, struct host *h)
{
    struct err e;
    struct host again, flipped;
    struct ip_address ip;
    char other[256];
    if (host_parse(raw, h, &e) != 0)
        return false;
    CHECK(host_parse(str_of(h->text), &again, &e) == 0);
    CHECK(strcmp(again.text, h->text) == 0 && again.is_ip == h->is_ip);
    CHECK(!h->is_ip || (ip_parse(str_of(h->text), &ip) && ip_equal(&ip, &h->ip)));
    CHECK(h->is_ip || !ip_parse(str_of(h->text), &ip));
    for (size_t i = 0; i < raw.n; i++)
        other[i] = flip_case(raw.p[i]);
    CHECK(host_parse((struct str){ other, raw.n }, &flipped, &e) == 0);
    CHECK(strcmp(flipped.text, h->text) == 0);
    return true;
}

static void check_pattern(const struct domain_pattern *p, const struct host *h)
{
    char authority[270];
    struct domain_pattern again;
    struct err e;
    for (unsigned port = 0; port <= 443; port += 443) {
        bool matches = domain_pattern_matches(p, h, (uint16_t)port);
        CHECK(!matches || p->port == 0 || p->port == port);
        CHECK(!matches || !p->wildcard || !h->is_ip);
        CHECK(!matches || p->any || p->wildcard || strcmp(p->host.text, h->text) == 0);
    }
    if (p->any || p->wildcard)
        return;
    /* What it matches, written as a pattern, is the same pattern. */
    host_authority(&p->host, p->port ? p->port : 1, 0, authority);
    CHECK(domain_pattern_parse(str_of(authority), DOMAIN_ALLOWED, &again, &e) == 0);
    CHECK(domain_pattern_matches(&again, &p->host, again.port));
    domain_pattern_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str raw = { (const char *)bytes, n }, text = { 0 };
    struct domain_pattern allowed, denied;
    struct host h;
    struct err e;
    str_cut(&raw, '\n', &text);
    bool is_host = check_host(raw, &h);
    bool is_denied = domain_pattern_parse(text, DOMAIN_DENIED, &denied, &e) == 0;
    bool is_allowed = domain_pattern_parse(text, DOMAIN_ALLOWED, &allowed, &e) == 0;
    CHECK(is_allowed == (is_denied && !denied.any));
    if (is_allowed) {
        CHECK(allowed.port == denied.port && allowed.wildcard == denied.wildcard &&
              strcmp(allowed.host.text, denied.host.text) == 0);
        domain_pattern_release(&allowed);
    }
    if (is_denied) {
        if (is_host)
            check_pattern(&denied, &h);
        domain_pattern_release(&denied);
    }
    return 0;
}
