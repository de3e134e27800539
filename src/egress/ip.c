#include "egress/domains.h"

#include <arpa/inet.h>

bool ip_equal(const struct ip_address *a, const struct ip_address *b)
{
    if (a->family != b->family)
        return false;
    if (a->family == AF_INET)
        return a->v4.s_addr == b->v4.s_addr;
    return memcmp(&a->v6, &b->v6, sizeof a->v6) == 0;
}

void ip_text(const struct ip_address *a, char *out)
{
    const void *bytes = a->family == AF_INET ? (const void *)&a->v4 : (const void *)&a->v6;
    inet_ntop(a->family, bytes, out, INET6_ADDRSTRLEN);
}

bool ip_parse(struct str text, struct ip_address *out)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, '\0', text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';

    *out = (struct ip_address){ .family = AF_INET };
    if (str_index(text, ':') < 0)
        return inet_pton(AF_INET, copy, &out->v4) == 1;
    out->family = AF_INET6;
    if (inet_pton(AF_INET6, copy, &out->v6) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&out->v6)) {
        struct in_addr v4;
        memcpy(&v4, out->v6.s6_addr + 12, sizeof v4);
        *out = (struct ip_address){ .family = AF_INET, .v4 = v4 };
    }
    return true;
}

/* The bytes of an address, first bit first, and how many bits they are. */
static const unsigned char *ip_bits(const struct ip_address *a, unsigned *bits)
{
    *bits = a->family == AF_INET ? 32 : 128;
    return a->family == AF_INET ? (const unsigned char *)&a->v4 : a->v6.s6_addr;
}

int ip_block_parse(struct str text, struct ip_block *out, struct err *e)
{
    struct str rest = text, address = { 0 };
    str_cut(&rest, '/', &address);
    if (!ip_parse(address, &out->base))
        return err_set(e, E_INPUT, 0,
                       "not an IP address or CIDR block such as 10.0.0.0/8 or fd00::/8");

    unsigned width;
    ip_bits(&out->base, &width);
    out->bits = width;
    if (!rest.p)
        return 0;

    /* "::ffff:10.0.0.0/104" counts the bits of the IPv6 form. */
    bool mapped = width == 32 && str_index(address, ':') >= 0;
    unsigned first = mapped ? 96 : 0;
    uint64_t bits;
    if (rest.n > 3 || !str_to_u64(rest, &bits) || bits < first || bits > first + width ||
        (rest.n > 1 && rest.p[0] == '0'))
        return err_set(e, E_INPUT, 0, "the prefix length must be a number from %u to %u", first,
                       first + width);
    out->bits = (unsigned)bits - first;
    return 0;
}

bool ip_block_has(const struct ip_block *block, const struct ip_address *address)
{
    if (block->base.family != address->family)
        return false;
    unsigned width;
    const unsigned char *a = ip_bits(&block->base, &width), *b = ip_bits(address, &width);
    unsigned whole = block->bits / 8, odd = block->bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return odd == 0 || ((a[whole] ^ b[whole]) >> (8 - odd)) == 0;
}
