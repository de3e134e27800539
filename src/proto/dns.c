#include "proto/dns.h"

#include "base/check.h"

enum {
    HEADER = 12,
    LABEL_MAX = 63,
    WIRE_NAME_MAX = 255,
    CLASS_IN = 1,
    TYPE_OPT = 41,
    OUR_UDP_SIZE = 1232 /* what we say with EDNS; our answers are shorter */
};

/* Flags of the second header word, RFC 1035 4.1.1 */
enum { FLAG_RESPONSE = 0x8000, FLAG_TRUNCATED = 0x0200, FLAG_RD = 0x0100, FLAG_RA = 0x0080 };

/* Reads from the front of `rest`; false when it is used up. */
static bool take_u16(struct str *rest, uint16_t *out)
{
    if (rest->n < 2)
        return false;
    const unsigned char *p = (const unsigned char *)rest->p;
    *out = (uint16_t)(p[0] << 8 | p[1]);
    *rest = str_skip(*rest, 2);
    return true;
}

static bool take_byte(struct str *rest, unsigned char *out)
{
    if (rest->n == 0)
        return false;
    *out = (unsigned char)rest->p[0];
    *rest = str_skip(*rest, 1);
    return true;
}

/* One label and the dot behind it. A dot inside a label would make two names one text. */
static bool take_label(struct str *rest, size_t length, char *name, size_t *n)
{
    if (length > LABEL_MAX || length > rest->n || *n + length + 1 >= DNS_NAME_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)rest->p[i];
        if (c < 0x21 || c > 0x7e || c == '.')
            return false;
        name[(*n)++] = (char)c;
    }
    name[(*n)++] = '.';
    *rest = str_skip(*rest, length);
    return true;
}

/* A compression pointer has no sense in a question and its first byte is no length of a label. */
static bool take_name(struct str *rest, char *name)
{
    size_t n = 0;
    for (unsigned char length;;) {
        if (!take_byte(rest, &length))
            return false;
        if (length == 0)
            break;
        if (!take_label(rest, length, name, &n))
            return false;
    }
    name[n ? n - 1 : 0] = '\0';
    return true;
}

/* RFC 6891 6.1.2; its options do not concern us. */
static bool take_edns(struct str *rest)
{
    unsigned char root;
    uint16_t type, size, extended, flags, length;
    bool whole = take_byte(rest, &root) && take_u16(rest, &type) && take_u16(rest, &size) &&
                 take_u16(rest, &extended) && take_u16(rest, &flags) && take_u16(rest, &length);
    bool version_0 = whole && (extended & 0xff) == 0;
    if (!version_0 || root != 0 || type != TYPE_OPT || length > rest->n)
        return false;
    *rest = str_skip(*rest, length);
    return true;
}

enum dns_verdict dns_query_parse(struct str message, struct dns_query *out)
{
    struct str rest = message;
    uint16_t flags, questions, answers, authorities, additional, class;
    *out = (struct dns_query){ 0 };
    if (!take_u16(&rest, &out->id) || !take_u16(&rest, &flags) || !take_u16(&rest, &questions) ||
        !take_u16(&rest, &answers) || !take_u16(&rest, &authorities) ||
        !take_u16(&rest, &additional) || (flags & FLAG_RESPONSE))
        return DNS_NO_ANSWER;
    out->opcode = flags >> 11 & 0xf;
    out->recursion_desired = (flags & FLAG_RD) != 0;
    if (out->opcode != 0)
        return DNS_NOTIMP;
    if ((flags & FLAG_TRUNCATED) || questions != 1 || answers || authorities || additional > 1)
        return DNS_FORMERR;
    struct str question = rest;
    if (!take_name(&rest, out->name) || !take_u16(&rest, &out->type) || !take_u16(&rest, &class))
        return DNS_FORMERR;
    question.n -= rest.n;
    out->edns = additional == 1;
    if ((out->edns && !take_edns(&rest)) || rest.n)
        return DNS_FORMERR;
    out->question = question;
    return class == CLASS_IN ? DNS_QUERY : DNS_NOTIMP;
}

static void put_u16(char **at, unsigned value)
{
    *(*at)++ = (char)(value >> 8);
    *(*at)++ = (char)value;
}

static void put_header(char **at, const struct dns_query *q, enum dns_rcode rcode, unsigned answers)
{
    put_u16(at, q->id);
    put_u16(at, FLAG_RESPONSE | FLAG_RA | (unsigned)q->opcode << 11 |
                    (q->recursion_desired ? FLAG_RD : 0) | (unsigned)rcode);
    put_u16(at, q->question.n > 0);
    put_u16(at, answers);
    put_u16(at, 0);
    put_u16(at, q->edns);
    CHECK(q->question.n <= WIRE_NAME_MAX + 4);
    if (q->question.n)
        memcpy(*at, q->question.p, q->question.n);
    *at += q->question.n;
}

/* Who asks with EDNS is answered with EDNS (RFC 6891 7). */
static void put_edns(char **at, const struct dns_query *q)
{
    if (!q->edns)
        return;
    *(*at)++ = 0;
    put_u16(at, TYPE_OPT);
    put_u16(at, OUR_UDP_SIZE);
    put_u16(at, 0);
    put_u16(at, 0);
    put_u16(at, 0);
}

size_t dns_write(const struct dns_query *q, enum dns_rcode rcode, char *out)
{
    char *at = out;
    put_header(&at, q, rcode, 0);
    put_edns(&at, q);
    return (size_t)(at - out);
}

size_t dns_write_a(const struct dns_query *q, struct in_addr address, uint32_t ttl, char *out)
{
    char *at = out;
    put_header(&at, q, DNS_RCODE_NOERROR, 1);
    put_u16(&at, 0xc000 | HEADER); /* the name is that of the question */
    put_u16(&at, DNS_TYPE_A);
    put_u16(&at, CLASS_IN);
    put_u16(&at, ttl >> 16);
    put_u16(&at, ttl & 0xffff);
    put_u16(&at, sizeof address);
    memcpy(at, &address, sizeof address);
    at += sizeof address;
    put_edns(&at, q);
    return (size_t)(at - out);
}

int dns_tcp_length(struct str bytes)
{
    uint16_t length;
    return take_u16(&bytes, &length) ? length : -1;
}

void dns_tcp_put_length(size_t n, char out[2])
{
    CHECK(n <= UINT16_MAX);
    put_u16(&out, (unsigned)n);
}
