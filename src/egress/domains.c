#include "egress/domains.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOST_MAX = 255, LABEL_MAX = 63 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '-' || c == '_';
}

/* One part of an inet_aton address, lower case: decimal, octal with a leading 0, hexadecimal with
 * 0x. False when it is no such number or exceeds 32 bits. */
static bool number_parse(struct str part, uint32_t *out)
{
    unsigned base = 10;
    if (part.n > 1 && part.p[0] == '0') {
        base = part.p[1] == 'x' ? 16 : 8;
        part = str_skip(part, base == 16 ? 2 : 1);
    }
    uint64_t value = 0;
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];
        if (!is_hex(c))
            return false;
        unsigned digit = is_digit(c) ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
        if (digit >= base)
            return false;
        value = value * base + digit;
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return part.n > 0;
}

/* True when a resolver somewhere might take this name for a number: its last label is all digits,
 * or 0x and hexadecimal digits (even none). Such a host is an IPv4 address or nothing. */
static bool ends_in_number(struct str name)
{
    struct str last = str_skip(name, (size_t)(str_last_index(name, '.') + 1));
    bool hex = last.n >= 2 && last.p[0] == '0' && last.p[1] == 'x';
    for (size_t i = hex ? 2 : 0; i < last.n; i++)
        if (hex ? !is_hex(last.p[i]) : !is_digit(last.p[i]))
            return false;
    return last.n > 0;
}

/* The inet_aton forms: a, a.b, a.b.c, a.b.c.d; the last part fills the bytes that are left. */
static bool inet_aton_parse(struct str name, struct in_addr *out)
{
    uint32_t parts[4] = { 0 }, address = 0;
    size_t count = 0;
    for (struct str part; str_cut(&name, '.', &part); count++)
        if (count == 4 || !number_parse(part, &parts[count]))
            return false;
    for (size_t i = 0; i + 1 < count; i++) {
        if (parts[i] > 255)
            return false;
        address |= parts[i] << (24 - 8 * i);
    }
    uint32_t last = parts[count - 1];
    if (count > 1 && last >> (8 * (5 - count)))
        return false;
    out->s_addr = htonl(address | last);
    return true;
}

/* Every label has 1 to 63 bytes. An empty one ("a..b", ".a") would let two texts be one name. */
static bool labels_fit(struct str name)
{
    for (struct str label; str_cut(&name, '.', &label);)
        if (label.n == 0 || label.n > LABEL_MAX)
            return false;
    return true;
}

/* The text part of a canonical host: lower case, one trailing dot removed, no byte that is not
 * allowed in a name. */
static bool host_name(struct str raw, struct host *out)
{
    if (raw.n > 1 && raw.p[raw.n - 1] == '.')
        raw.n--;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!is_name_byte(c))
            return false;
        out->text[i] = c;
    }
    out->text[raw.n] = '\0';

    struct str name = { out->text, raw.n };
    if (!labels_fit(name))
        return false;
    if (!ends_in_number(name))
        return true;
    out->is_ip = true;
    out->ip.family = AF_INET;
    return inet_aton_parse(name, &out->ip.v4);
}

int host_parse(struct str raw, struct host *out, struct err *e)
{
    *out = (struct host){ 0 };
    bool bracketed = raw.n > 2 && raw.p[0] == '[' && raw.p[raw.n - 1] == ']';
    bool fits = raw.n > 0 && raw.n <= HOST_MAX, good;
    if (fits && (bracketed || str_index(raw, ':') >= 0)) {
        struct str inner = bracketed ? (struct str){ raw.p + 1, raw.n - 2 } : raw;
        out->is_ip = true;
        good = str_index(inner, ':') >= 0 && ip_parse(inner, &out->ip);
    } else {
        good = fits && host_name(raw, out);
    }
    if (!good)
        return err_set(e, E_INPUT, 0, "malformed host");
    if (out->is_ip)
        ip_text(&out->ip, out->text);
    return 0;
}

void host_authority(const struct host *h, uint16_t port, uint16_t default_port, char *out)
{
    enum { ROOM = 270 };
    bool v6 = h->is_ip && h->ip.family == AF_INET6;
    int n = snprintf(out, ROOM, "%s%s%s", v6 ? "[" : "", h->text, v6 ? "]" : "");
    if (port != default_port)
        n += snprintf(out + n, ROOM - (size_t)n, ":%u", (unsigned)port);
    CHECK(n < ROOM);
}

/* Splits "host:port" or "[v6]:port". *port is 0 when there is none. */
static int pattern_split(struct str text, struct str *host, uint16_t *port, struct err *e)
{
    struct str digits = { 0 };
    *port = 0;
    if (text.n && text.p[0] == '[') {
        ptrdiff_t end = str_index(text, ']');
        if (end < 0)
            return err_set(e, E_INPUT, 0, "the bracket of the IPv6 address is not closed");
        *host = (struct str){ text.p, (size_t)end + 1 };
        digits = str_skip(text, host->n);
        if (digits.n == 0)
            return 0;
        if (digits.p[0] != ':')
            return err_set(e, E_INPUT, 0, "only a port (\":443\") may stand behind \"]\"");
        digits = str_skip(digits, 1);
    } else {
        ptrdiff_t first = str_index(text, ':');
        if (first < 0)
            return *host = text, 0;
        if (first != str_last_index(text, ':'))
            return err_set(e, E_INPUT, 0, "an IPv6 address must be in brackets, such as \"[::1]\"");
        *host = (struct str){ text.p, (size_t)first };
        digits = str_skip(text, (size_t)first + 1);
    }
    uint64_t value;
    if (digits.n > 5 || !str_to_u64(digits, &value) || digits.p[0] == '0' || value > 65535)
        return err_set(e, E_INPUT, 0, "the port must be a number from 1 to 65535");
    *port = (uint16_t)value;
    return 0;
}

/* "[fe80::1%eth0]" -> "fe80::1"; a zone means nothing in a rule. */
static struct str without_zone(struct str bracketed)
{
    struct str inner = { bracketed.p + 1, bracketed.n - 2 };
    ptrdiff_t zone = str_index(inner, '%');
    return zone < 0 ? inner : (struct str){ inner.p, (size_t)zone };
}

static int pattern_host(struct str text, enum domain_list list, struct domain_pattern *out,
                        struct err *e)
{
    if (text.n && text.p[0] == '[') {
        struct str inner = without_zone(text);
        if (str_index(inner, ':') < 0 || host_parse(inner, &out->host, e) != 0)
            return err_set(e, E_INPUT, 0, "no IPv6 address in the brackets");
        return 0;
    }
    if (str_eq(text, STR("*"))) {
        if (list != DOMAIN_DENIED)
            return err_set(e, E_INPUT, 0, "\"*\" is possible in deniedDomains only");
        out->any = true;
        return 0;
    }
    if (str_starts(text, STR("*."))) {
        out->wildcard = true;
        text = str_skip(text, 2);
    }
    if (str_index(text, '*') >= 0)
        return err_set(e, E_INPUT, 0, "\"*\" may only stand at the start, as in \"*.example.com\"");
    bool dotted = text.n > 2 && str_index(text, '.') > 0 && text.p[text.n - 1] != '.';
    bool localhost = !out->wildcard && str_eq_nocase(text, STR("localhost"));
    if (!dotted && !localhost)
        return err_set(e, E_INPUT, 0,
                       out->wildcard ? "what follows \"*.\" needs two labels, as in "
                                       "\"*.example.com\""
                                     : "a host needs a dot, not at either end, as in "
                                       "\"example.com\"");
    if (host_parse(text, &out->host, e) != 0)
        return err_set(e, E_INPUT, 0,
                       "not a host name (letters, digits, \".\", \"-\", \"_\"; international "
                       "names in their xn-- form) or IP address");
    if (out->wildcard && out->host.is_ip)
        return err_set(e, E_INPUT, 0, "\"*.\" cannot stand before an IP address");
    return 0;
}

int domain_pattern_parse(struct str text, enum domain_list list, struct domain_pattern *out,
                         struct err *e)
{
    *out = (struct domain_pattern){ 0 };
    if (text.n == 0)
        return err_set(e, E_INPUT, 0, "empty; write a host such as \"example.com\"");
    if (str_index(text, '/') >= 0)
        return err_set(e, E_INPUT, 0,
                       "write the host alone, such as \"example.com\": no scheme and no path");
    struct str host = { 0 };
    if (pattern_split(text, &host, &out->port, e) != 0 || pattern_host(host, list, out, e) != 0)
        return -1;
    out->text = str_dup(text);
    return 0;
}

void domain_pattern_release(struct domain_pattern *p)
{
    free(p->text);
    free(p->rule);
    *p = (struct domain_pattern){ 0 };
}

bool domain_pattern_matches(const struct domain_pattern *p, const struct host *h, uint16_t port)
{
    if (p->port && p->port != port)
        return false;
    if (p->any)
        return true;
    if (h->is_ip)
        return p->host.is_ip && ip_equal(&p->host.ip, &h->ip);
    struct str name = str_of(h->text), wanted = str_of(p->host.text);
    if (!p->wildcard)
        return !p->host.is_ip && str_eq(name, wanted);
    return name.n > wanted.n + 1 && str_ends(name, wanted) && name.p[name.n - wanted.n - 1] == '.';
}
