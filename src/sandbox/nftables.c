#include "sandbox/nftables.h"

#include "sandbox/netlink.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>

#define TABLE "postern"
#define CHAIN_TRACK "track"
#define CHAIN_REDIRECT "redirect"
#define CHAIN_REFUSE "refuse"

enum {
    PRIORITY_RAW = -300,
    PRIORITY_DSTNAT = -100,
    PRIORITY_FILTER = 0,
    IPV4_DESTINATION = 16, /* offset in the IPv4 header */
    PORT_SOURCE = 0,       /* offsets in the TCP and UDP headers */
    PORT_DESTINATION = 2,
    DNS_PORT = 53,
    ICMP_PORT_UNREACHABLE = 3,
    BATCH_ROOM = 16 << 10, /* bytes; on the stack, and well below the socket's send buffer */
    BATCH_FULL = BATCH_ROOM - 1024, /* one more rule and the end still fit */
};

static struct ip_block block_of(uint32_t base, unsigned bits)
{
    return (struct ip_block){ { AF_INET, { .v4 = { htonl(base) } } }, bits };
}

static struct ip_block loopback(void)
{
    return block_of(0x7f000000, 8);
}

/* The addresses that the resolver hands out: 198.18.0.0/15 (RFC 2544, for tests only). */
static struct ip_block standins(void)
{
    return block_of(0xc6120000, 15);
}

static void message(struct netlink *n, uint16_t type, uint16_t flags)
{
    struct nfgenmsg head = { .nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0 };
    netlink_message(n, (NFNL_SUBSYS_NFTABLES << 8) | type, flags, &head, sizeof head);
}

/* A batch is one transaction: all of its messages hold, or none. */
static void batch_mark(struct netlink *n, uint16_t type)
{
    struct nfgenmsg head = { .version = NFNETLINK_V0, .res_id = htons(NFNL_SUBSYS_NFTABLES) };
    netlink_message(n, type, 0, &head, sizeof head);
}

/* Expressions work on registers: load something into register 1, compare it, go on when it fits. */
struct expression {
    size_t element, data;
};

static struct expression expression_begin(struct netlink *n, const char *name)
{
    struct expression x = { .element = netlink_nest(n, NFTA_LIST_ELEM) };
    netlink_put_text(n, NFTA_EXPR_NAME, name);
    x.data = netlink_nest(n, NFTA_EXPR_DATA);
    return x;
}

static void expression_end(struct netlink *n, struct expression x)
{
    netlink_unnest(n, x.data);
    netlink_unnest(n, x.element);
}

static void put_value(struct netlink *n, uint16_t attribute, const void *value, size_t size)
{
    size_t nest = netlink_nest(n, attribute);
    netlink_put(n, NFTA_DATA_VALUE, value, size);
    netlink_unnest(n, nest);
}

static void load_protocol(struct netlink *n)
{
    struct expression x = expression_begin(n, "meta");
    netlink_put_be32(n, NFTA_META_KEY, NFT_META_L4PROTO);
    netlink_put_be32(n, NFTA_META_DREG, NFT_REG_1);
    expression_end(n, x);
}

static void load_header(struct netlink *n, enum nft_payload_bases base, uint32_t offset,
                        uint32_t size)
{
    struct expression x = expression_begin(n, "payload");
    netlink_put_be32(n, NFTA_PAYLOAD_DREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_PAYLOAD_BASE, base);
    netlink_put_be32(n, NFTA_PAYLOAD_OFFSET, offset);
    netlink_put_be32(n, NFTA_PAYLOAD_LEN, size);
    expression_end(n, x);
}

static void mask_address(struct netlink *n, in_addr_t mask)
{
    const in_addr_t zero = 0;
    struct expression x = expression_begin(n, "bitwise");
    netlink_put_be32(n, NFTA_BITWISE_SREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_BITWISE_DREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_BITWISE_LEN, sizeof mask);
    put_value(n, NFTA_BITWISE_MASK, &mask, sizeof mask);
    put_value(n, NFTA_BITWISE_XOR, &zero, sizeof zero);
    expression_end(n, x);
}

static void compare(struct netlink *n, enum nft_cmp_ops how, const void *value, size_t size)
{
    struct expression x = expression_begin(n, "cmp");
    netlink_put_be32(n, NFTA_CMP_SREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_CMP_OP, how);
    put_value(n, NFTA_CMP_DATA, value, size);
    expression_end(n, x);
}

static void match_protocol(struct netlink *n, uint8_t protocol)
{
    load_protocol(n);
    compare(n, NFT_CMP_EQ, &protocol, sizeof protocol);
}

static void match_destination(struct netlink *n, enum nft_cmp_ops how, struct ip_block block)
{
    in_addr_t mask = block.bits ? htonl(~0u << (32 - block.bits)) : 0;
    in_addr_t base = block.base.v4.s_addr & mask;
    load_header(n, NFT_PAYLOAD_NETWORK_HEADER, IPV4_DESTINATION, sizeof base);
    if (block.bits < 32)
        mask_address(n, mask);
    compare(n, how, &base, sizeof base);
}

static void match_port(struct netlink *n, uint32_t offset, enum nft_cmp_ops how, uint16_t port)
{
    uint16_t wire = htons(port);
    load_header(n, NFT_PAYLOAD_TRANSPORT_HEADER, offset, sizeof wire);
    compare(n, how, &wire, sizeof wire);
}

/* On the output hook this rewrites the destination to 127.0.0.1 and `port`. */
static void redirect_to(struct netlink *n, uint16_t port)
{
    uint16_t wire = htons(port);
    struct expression x = expression_begin(n, "immediate");
    netlink_put_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    put_value(n, NFTA_IMMEDIATE_DATA, &wire, sizeof wire);
    expression_end(n, x);
    x = expression_begin(n, "redir");
    netlink_put_be32(n, NFTA_REDIR_REG_PROTO_MIN, NFT_REG_1);
    expression_end(n, x);
}

static void accept_packet(struct netlink *n)
{
    struct expression x = expression_begin(n, "immediate");
    netlink_put_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    size_t data = netlink_nest(n, NFTA_IMMEDIATE_DATA);
    size_t verdict = netlink_nest(n, NFTA_DATA_VERDICT);
    netlink_put_be32(n, NFTA_VERDICT_CODE, NF_ACCEPT);
    netlink_unnest(n, verdict);
    netlink_unnest(n, data);
    expression_end(n, x);
}

static void reject_packet(struct netlink *n, enum nft_reject_types how)
{
    uint8_t code = ICMP_PORT_UNREACHABLE;
    struct expression x = expression_begin(n, "reject");
    netlink_put_be32(n, NFTA_REJECT_TYPE, how);
    if (how == NFT_REJECT_ICMP_UNREACH)
        netlink_put(n, NFTA_REJECT_ICMP_CODE, &code, sizeof code);
    expression_end(n, x);
}

static void leave_untracked(struct netlink *n)
{
    struct expression x = expression_begin(n, "notrack");
    expression_end(n, x);
}

static void table(struct netlink *n)
{
    message(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    netlink_put_text(n, NFTA_TABLE_NAME, TABLE);
}

static void chain(struct netlink *n, const char *name, const char *type, int priority)
{
    message(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    netlink_put_text(n, NFTA_CHAIN_TABLE, TABLE);
    netlink_put_text(n, NFTA_CHAIN_NAME, name);
    size_t hook = netlink_nest(n, NFTA_CHAIN_HOOK);
    netlink_put_be32(n, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
    netlink_put_be32(n, NFTA_HOOK_PRIORITY, (uint32_t)priority);
    netlink_unnest(n, hook);
    netlink_put_text(n, NFTA_CHAIN_TYPE, type);
}

static size_t rule_begin(struct netlink *n, const char *chain_name)
{
    message(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    netlink_put_text(n, NFTA_RULE_TABLE, TABLE);
    netlink_put_text(n, NFTA_RULE_CHAIN, chain_name);
    return netlink_nest(n, NFTA_RULE_EXPRESSIONS);
}

static void rule_end(struct netlink *n, size_t expressions)
{
    netlink_unnest(n, expressions);
}

/* Answers of our listeners and look-ups must be tracked, or the redirect is not undone for them.
 * What else stays inside 127.0.0.0/8 need not fill the host's table of connections. */
static void track_rules(struct netlink *n, const struct nftables_redirect *r)
{
    const struct {
        uint8_t protocol;
        uint16_t ours[2];
    } rows[] = {
        { IPPROTO_TCP, { r->transparent_port, r->dns_tcp_port } },
        { IPPROTO_UDP, { r->dns_udp_port, 0 } },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t rule = rule_begin(n, CHAIN_TRACK);
        match_protocol(n, rows[i].protocol);
        match_destination(n, NFT_CMP_EQ, loopback());
        match_port(n, PORT_DESTINATION, NFT_CMP_NEQ, DNS_PORT);
        for (size_t k = 0; k < 2 && rows[i].ours[k]; k++)
            match_port(n, PORT_SOURCE, NFT_CMP_NEQ, rows[i].ours[k]);
        leave_untracked(n);
        rule_end(n, rule);
    }
}

static void redirect_dns(struct netlink *n, uint8_t protocol, uint16_t port)
{
    size_t rule = rule_begin(n, CHAIN_REDIRECT);
    match_protocol(n, protocol);
    match_port(n, PORT_DESTINATION, NFT_CMP_EQ, DNS_PORT);
    redirect_to(n, port);
    rule_end(n, rule);
}

static void keep_loopback(struct netlink *n)
{
    size_t rule = rule_begin(n, CHAIN_REDIRECT);
    match_destination(n, NFT_CMP_EQ, loopback());
    accept_packet(n);
    rule_end(n, rule);
}

/* `block` NULL = every address, `port` 0 = every port. */
static void redirect_tcp(struct netlink *n, const struct ip_block *block, uint16_t port,
                         uint16_t to)
{
    size_t rule = rule_begin(n, CHAIN_REDIRECT);
    match_protocol(n, IPPROTO_TCP);
    if (block)
        match_destination(n, NFT_CMP_EQ, *block);
    if (port)
        match_port(n, PORT_DESTINATION, NFT_CMP_EQ, port);
    redirect_to(n, to);
    rule_end(n, rule);
}

/* After the redirect: whoever still wants to leave is told so at once. */
static void refuse_rules(struct netlink *n)
{
    size_t rule = rule_begin(n, CHAIN_REFUSE);
    match_destination(n, NFT_CMP_NEQ, loopback());
    match_protocol(n, IPPROTO_TCP);
    reject_packet(n, NFT_REJECT_TCP_RST);
    rule_end(n, rule);
    rule = rule_begin(n, CHAIN_REFUSE);
    match_destination(n, NFT_CMP_NEQ, loopback());
    reject_packet(n, NFT_REJECT_ICMP_UNREACH);
    rule_end(n, rule);
}

static int batch_send(struct netlink *n, int socket, struct err *e)
{
    netlink_acknowledge(n);
    batch_mark(n, NFNL_MSG_BATCH_END);
    if (netlink_send(n, socket, e) < 0)
        return err_while(e, "nftables");
    return 0;
}

/* Everything but the listed literals. */
static void base_rules(struct netlink *n, const struct nftables_redirect *r)
{
    table(n);
    chain(n, CHAIN_TRACK, "filter", PRIORITY_RAW);
    chain(n, CHAIN_REDIRECT, "nat", PRIORITY_DSTNAT);
    chain(n, CHAIN_REFUSE, "filter", PRIORITY_FILTER);
    track_rules(n, r);
    refuse_rules(n);
    redirect_dns(n, IPPROTO_UDP, r->dns_udp_port);
    redirect_dns(n, IPPROTO_TCP, r->dns_tcp_port);
    keep_loopback(n);
    struct ip_block block = standins();
    redirect_tcp(n, r->all_literals ? NULL : &block, 0, r->transparent_port);
}

static void batch_begin(struct netlink *n, char *room)
{
    netlink_init(n, room, BATCH_ROOM);
    batch_mark(n, NFNL_MSG_BATCH_BEGIN);
}

int nftables_redirect(const struct nftables_redirect *r, int socket, struct err *e)
{
    char room[BATCH_ROOM];
    struct netlink n;
    batch_begin(&n, room);
    base_rules(&n, r);
    for (size_t i = 0; i < r->literal_count && !r->all_literals; i++) {
        if (r->literals[i].base.family != AF_INET)
            continue;
        if (n.used > BATCH_FULL) {
            if (batch_send(&n, socket, e) < 0)
                return -1;
            batch_begin(&n, room);
        }
        redirect_tcp(&n, &r->literals[i], r->literal_ports[i], r->transparent_port);
    }
    return batch_send(&n, socket, e);
}
