/* Which addresses a name may not lead to (contract 3.3.3), and which hosts never go through a
 * parent proxy (3.3.4). */
#include "egress/policy.h"

#define V4(a, b, c, d, bits)                                                                       \
    {                                                                                              \
        { AF_INET, { .v6.s6_addr = { a, b, c, d } } }, bits                                        \
    }
#define V6(bits, ...)                                                                              \
    {                                                                                              \
        { AF_INET6, { .v6.s6_addr = { __VA_ARGS__ } } }, bits                                      \
    }

/* Rows in the order in which a reason is chosen. */
static const struct address_class {
    const char *name;
    struct ip_block block;
} classes[] = {
    { "loopback address", V4(127, 0, 0, 0, 8) },
    { "loopback address", V6(128, [15] = 1) },
    { "unspecified address", V4(0, 0, 0, 0, 8) },
    { "unspecified address", V6(128, 0) },
    { "link-local address", V4(169, 254, 0, 0, 16) },
    { "link-local address", V6(10, 0xfe, 0x80) },
    { "multicast address", V4(224, 0, 0, 0, 4) },
    { "multicast address", V6(8, 0xff) },
    { "broadcast address", V4(255, 255, 255, 255, 32) },
    { "cloud metadata address", V4(100, 100, 100, 200, 32) },
    { "cloud metadata address", V4(168, 63, 129, 16, 32) },
    { "cloud metadata address", V4(192, 0, 0, 192, 32) },
    { "cloud metadata address", V6(32, 0xfd, 0x00, 0x0e, 0xc2) },
    { "cloud metadata address", V6(128, 0xfd, 0x20, 0x00, 0xce, [14] = 0x02, 0x54) },
    { "cloud metadata address", V6(128, 0xfd, 0x00, 0x00, 0xc1, [12] = 0xa9, 0xfe, 0xa9, 0xfe) },
    { "cloud metadata address", V6(128, 0xfd, 0x00, 0x00, 0x42, [15] = 0x42) },
    { "cloud metadata address", V6(128, 0xfd, 0x00, 0xa9, 0xfe, 0xa9, 0xfe, [15] = 0x01) },
    { "cloud metadata address", V6(128, 0xfd, 0x00, 0x01, 0x00, [12] = 0x01, 0x00, 0x02, 0x00) },
};

static const struct ip_block private_blocks[] = {
    V4(10, 0, 0, 0, 8),    V4(172, 16, 0, 0, 12), V4(192, 168, 0, 0, 16),
    V4(100, 64, 0, 0, 10), V6(7, 0xfc),
};

/* Ways to write an IPv4 address as an IPv6 one: the prefix, and where the four bytes stand. */
static const struct {
    struct ip_block prefix;
    unsigned at;
} embeddings[] = {
    { V6(96, [10] = 0xff, 0xff), 12 },      /* mapped ::ffff:a.b.c.d */
    { V6(96, 0), 12 },                      /* compatible ::a.b.c.d */
    { V6(96, [8] = 0xff, 0xff), 12 },       /* translated ::ffff:0:a.b.c.d */
    { V6(96, 0x00, 0x64, 0xff, 0x9b), 12 }, /* NAT64 64:ff9b::/96, RFC 6052 */
    { V6(16, 0x20, 0x02), 2 },              /* 6to4 2002::/16, RFC 3056 */
};

/* The address as it stands and, when it carries one, the IPv4 address inside it. */
struct address_forms {
    struct ip_address form[2];
    size_t count;
};

static struct address_forms forms_of(const struct ip_address *address)
{
    struct address_forms f = { .form = { *address }, .count = 1 };
    for (size_t i = 0; i < sizeof embeddings / sizeof *embeddings && f.count == 1; i++) {
        if (!ip_block_has(&embeddings[i].prefix, address))
            continue;
        f.form[1].family = AF_INET;
        memcpy(&f.form[1].v4, address->v6.s6_addr + embeddings[i].at, sizeof f.form[1].v4);
        f.count = 2;
    }
    return f;
}

static bool forms_in(const struct address_forms *f, const struct ip_block *block)
{
    return ip_block_has(block, &f->form[0]) || (f->count == 2 && ip_block_has(block, &f->form[1]));
}

static bool forms_in_any(const struct address_forms *f, const struct ip_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (forms_in(f, &blocks[i]))
            return true;
    return false;
}

static bool forms_own(const struct address_forms *f, const struct ip_address *own, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < f->count; k++)
            if (ip_equal(&own[i], &f->form[k]))
                return true;
    return false;
}

/* True when an entry of the list is this very address (and port). */
static bool listed_literal(const struct domain_patterns *list, const struct ip_address *address,
                           uint16_t port)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct domain_pattern *p = &list->items[i];
        if (p->host.is_ip && (p->port == 0 || p->port == port) && ip_equal(&p->host.ip, address))
            return true;
    }
    return false;
}

static bool is_loopback(const struct ip_address *address)
{
    return ip_block_has(&classes[0].block, address) || ip_block_has(&classes[1].block, address);
}

static bool is_localhost(const struct host *h)
{
    struct str name = str_of(h->text);
    return !h->is_ip && (str_eq(name, STR("localhost")) || str_ends(name, STR(".localhost")));
}

/* The first class of the table that holds the address, or NULL. */
static const char *class_of(const struct address_forms *f)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (forms_in(f, &classes[i].block))
            return classes[i].name;
    return NULL;
}

const char *egress_address_refused(const struct egress_policy *p, const struct host *h,
                                   const struct ip_address *address, uint16_t port,
                                   const struct ip_address *own, size_t own_count)
{
    const struct address_forms f = forms_of(address);
    for (size_t i = 0; i < f.count; i++)
        if (listed_literal(&p->denied, &f.form[i], port))
            return "deny-listed address";
    if (listed_literal(&p->allowed, address, port))
        return NULL;

    bool localhost = is_localhost(h), own_loopback = localhost && is_loopback(address);
    const char *class = own_loopback ? NULL : class_of(&f);
    if (class)
        return class;
    if (forms_in_any(&f, p->denied_addresses, p->denied_address_count))
        return "denied address";
    if (own_loopback)
        return NULL;
    if (forms_own(&f, own, own_count))
        return "address of this host";
    if (p->refuse_private &&
        forms_in_any(&f, private_blocks, sizeof private_blocks / sizeof *private_blocks))
        return "private address";
    return localhost ? "address that is not loopback" : NULL;
}

/* One entry of a noProxy list without its port: "host:80", "[::1]:80", "fd00::/8". */
static struct str entry_without_port(struct str entry)
{
    if (entry.n && entry.p[0] == '[') {
        ptrdiff_t end = str_index(entry, ']');
        return end < 0 ? entry : (struct str){ entry.p + 1, (size_t)end - 1 };
    }
    ptrdiff_t colon = str_index(entry, ':');
    bool one = colon >= 0 && colon == str_last_index(entry, ':');
    return one ? (struct str){ entry.p, (size_t)colon } : entry;
}

/* An entry that cannot be read matches nothing: the host then goes to the parent proxy. */
static bool entry_covers(struct str entry, const struct host *h)
{
    struct err ignored;
    struct ip_block block;
    struct host wanted;
    entry = entry_without_port(str_trim(entry));
    if (str_eq(entry, STR("*")))
        return true;
    if (str_index(entry, '/') >= 0)
        return h->is_ip && ip_block_parse(entry, &block, &ignored) == 0 &&
               ip_block_has(&block, &h->ip);
    if (str_starts(entry, STR("*.")))
        entry = str_skip(entry, 1);
    if (str_starts(entry, STR(".")))
        entry = str_skip(entry, 1);
    if (host_parse(entry, &wanted, &ignored) != 0)
        return false;
    struct domain_pattern below = { .host = wanted, .wildcard = !wanted.is_ip };
    return domain_pattern_matches(&below, h, 0) || strcmp(wanted.text, h->text) == 0;
}

bool egress_policy_bypasses_parent(const struct egress_policy *p, const struct host *h)
{
    if (is_localhost(h) || (h->is_ip && is_loopback(&h->ip)))
        return true;
    struct str rest = str_of(p->no_proxy);
    for (struct str entry; str_cut(&rest, ',', &entry);)
        if (entry_covers(entry, h))
            return true;
    return false;
}
