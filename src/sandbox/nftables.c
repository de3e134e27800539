#include "sandbox/nftables.h"

#include "sandbox/netlink.h"
#include "sandbox/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <stddef.h>

#define TABLE "postern"
#define CHAIN "redirect"

enum {
    PRIORITY_MANGLE = -150,
    IPV4_DESTINATION = 16, /* offset in the IPv4 header */
    PORT_DESTINATION = 2,  /* offset in the TCP header */
    BATCH_ROOM = 2048,     /* bytes, on the stack */
};

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

static void compare(struct netlink *n, enum nft_cmp_ops how, const void *value, size_t size)
{
    struct expression x = expression_begin(n, "cmp");
    netlink_put_be32(n, NFTA_CMP_SREG, NFT_REG_1);
    netlink_put_be32(n, NFTA_CMP_OP, how);
    put_value(n, NFTA_CMP_DATA, value, size);
    expression_end(n, x);
}

/* TCP that leads out of 127.0.0.0/8. */
static void match_foreign(struct netlink *n)
{
    const uint8_t tcp = IPPROTO_TCP, loopback = IN_LOOPBACKNET;
    load_protocol(n);
    compare(n, NFT_CMP_EQ, &tcp, sizeof tcp);
    load_header(n, NFT_PAYLOAD_NETWORK_HEADER, IPV4_DESTINATION, sizeof loopback);
    compare(n, NFT_CMP_NEQ, &loopback, sizeof loopback);
}

static void match_port(struct netlink *n, uint16_t port)
{
    uint16_t wire = htons(port);
    load_header(n, NFT_PAYLOAD_TRANSPORT_HEADER, PORT_DESTINATION, sizeof wire);
    compare(n, NFT_CMP_EQ, &wire, sizeof wire);
}

/* The packet is for the connection that it belongs to, else for the transparent listener at `port` of lo's own
 * address. When there is neither, the rule ends here. */
static void take_to(struct netlink *n, uint16_t port)
{
    uint16_t wire = htons(port);
    struct expression x = expression_begin(n, "immediate");
    netlink_put_be32(n, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    put_value(n, NFTA_IMMEDIATE_DATA, &wire, sizeof wire);
    expression_end(n, x);
    x = expression_begin(n, "tproxy");
    netlink_put_be32(n, NFTA_TPROXY_FAMILY, NFPROTO_IPV4);
    netlink_put_be32(n, NFTA_TPROXY_REG_PORT, NFT_REG_1);
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

static void reset_connection(struct netlink *n)
{
    struct expression x = expression_begin(n, "reject");
    netlink_put_be32(n, NFTA_REJECT_TYPE, NFT_REJECT_TCP_RST);
    expression_end(n, x);
}

static void table(struct netlink *n)
{
    message(n, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    netlink_put_text(n, NFTA_TABLE_NAME, TABLE);
}

static void chain(struct netlink *n)
{
    message(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    netlink_put_text(n, NFTA_CHAIN_TABLE, TABLE);
    netlink_put_text(n, NFTA_CHAIN_NAME, CHAIN);
    size_t hook = netlink_nest(n, NFTA_CHAIN_HOOK);
    netlink_put_be32(n, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
    netlink_put_be32(n, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_MANGLE);
    netlink_unnest(n, hook);
    netlink_put_text(n, NFTA_CHAIN_TYPE, "filter");
}

static size_t rule_begin(struct netlink *n)
{
    message(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    netlink_put_text(n, NFTA_RULE_TABLE, TABLE);
    netlink_put_text(n, NFTA_RULE_CHAIN, CHAIN);
    return netlink_nest(n, NFTA_RULE_EXPRESSIONS);
}

/* What was sent to `wanted` (0 = any port) is for who listens at `port`. */
static void take_rule(struct netlink *n, uint16_t wanted, uint16_t port)
{
    size_t rule = rule_begin(n);
    match_foreign(n);
    if (wanted)
        match_port(n, wanted);
    take_to(n, port);
    accept_packet(n);
    netlink_unnest(n, rule);
}

/* Without our listener the command's own server on the same port would get it, or nobody could answer for
 * that address. */
static void reset_rule(struct netlink *n)
{
    size_t rule = rule_begin(n);
    match_foreign(n);
    reset_connection(n);
    netlink_unnest(n, rule);
}

int nftables_redirect(uint16_t port, bool resolver, int socket, struct err *e)
{
    char room[BATCH_ROOM];
    struct netlink n;
    netlink_init(&n, room, sizeof room);
    batch_mark(&n, NFNL_MSG_BATCH_BEGIN);
    table(&n);
    chain(&n);
    if (resolver)
        take_rule(&n, NETNS_DNS_PORT, NETNS_DNS_PORT);
    take_rule(&n, 0, port);
    reset_rule(&n);
    netlink_acknowledge(&n);
    batch_mark(&n, NFNL_MSG_BATCH_END);
    if (netlink_send(&n, socket, e) < 0)
        return err_while(e, e->os == ENOENT ? "nftables (tproxy)" : "nftables");
    return 0;
}
