#include "sandbox/netns.h"

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/netlink.h"
#include "sandbox/nftables.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    BACKLOG = 1024,
    LOOPBACK_INDEX = 1, /* every network namespace is born with it */
    /* Our own routing tables; the numbers mean nothing to anybody else. */
    TABLE_LISTED = 198, /* stand-ins, and literals with any port */
    TABLE_EVERY = 199,  /* every address */
    RULE_PRIORITY = 1000,
    ROOM = 4096,       /* bytes for requests, on the stack */
    FULL = ROOM - 128, /* one more message still fits */
};

enum need { NEED_PROXY, NEED_TRANSPARENT, NEED_RESOLVER };

static const struct listener_row {
    enum netns_listener_kind kind;
    int family, type;
    uint16_t port; /* 0 = any free one */
    enum need need;
} listener_rows[] = {
    { LISTENER_HTTP, AF_INET, SOCK_STREAM, NETNS_HTTP_PORT, NEED_PROXY },
    { LISTENER_HTTP, AF_INET6, SOCK_STREAM, NETNS_HTTP_PORT, NEED_PROXY },
    { LISTENER_SOCKS, AF_INET, SOCK_STREAM, NETNS_SOCKS_PORT, NEED_PROXY },
    { LISTENER_SOCKS, AF_INET6, SOCK_STREAM, NETNS_SOCKS_PORT, NEED_PROXY },
    { LISTENER_TRANSPARENT, AF_INET, SOCK_STREAM, 0, NEED_TRANSPARENT },
    { LISTENER_DNS_UDP, AF_INET, SOCK_DGRAM, NETNS_DNS_PORT, NEED_RESOLVER },
    { LISTENER_DNS_TCP, AF_INET, SOCK_STREAM, NETNS_DNS_PORT, NEED_RESOLVER },
};
enum { LISTENER_ROWS = sizeof listener_rows / sizeof *listener_rows };
_Static_assert(LISTENER_ROWS <= NETNS_LISTENERS_MAX, "room for every listener");

static const char *const listener_names[] = {
    [LISTENER_HTTP] = "http",
    [LISTENER_SOCKS] = "socks",
    [LISTENER_TRANSPARENT] = "transparent",
    [LISTENER_DNS_UDP] = "dns-udp",
    [LISTENER_DNS_TCP] = "dns-tcp",
};

const char *netns_listener_name(enum netns_listener_kind kind)
{
    return listener_names[kind];
}

/* With the flag set the kernel itself adds 127.0.0.1/8 and ::1. */
static int loopback_up(struct err *e)
{
    AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return err_set(e, E_SANDBOX, errno, "bring the loopback device up");
    return 0;
}

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* On loopback; the resolver on every address, because every one is routed to it. */
static union socket_address address_of(const struct listener_row *row, socklen_t *size)
{
    union socket_address a = { 0 };
    if (row->family == AF_INET6) {
        a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                      .sin6_port = htons(row->port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        *size = sizeof a.v6;
    } else {
        in_addr_t at = row->need == NEED_RESOLVER ? INADDR_ANY : INADDR_LOOPBACK;
        a.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons(row->port),
                                     .sin_addr = { htonl(at) } };
        *size = sizeof a.v4;
    }
    return a;
}

/* The host may have no IPv6, or have it switched off: then nobody inside can ask for ::1 either. */
static bool is_ipv6_off(const struct listener_row *row, int os)
{
    return row->family == AF_INET6 && (os == EAFNOSUPPORT || os == EADDRNOTAVAIL);
}

static int listener_open(const struct listener_row *row, struct err *e)
{
    static const int on = 1;
    AUTO_FD fd = socket(row->family, row->type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s'", listener_names[row->kind]);
    /* Never on the UDP socket: there it would let the command bind the same port beside us. */
    if (row->type == SOCK_STREAM && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s'", listener_names[row->kind]);
    if (row->family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s'", listener_names[row->kind]);
    socklen_t size = 0;
    union socket_address at = address_of(row, &size);
    if (bind(fd, &at.any, size) < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s' at port %u", listener_names[row->kind],
                       row->port);
    if (row->type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s'", listener_names[row->kind]);
    return fd_take(&fd);
}

static void listeners_drop(struct netns_listener *set, size_t *count)
{
    while (*count > 0)
        fd_drop(&set[--*count].fd);
}

static bool is_needed(const struct netns_options *o, enum need need)
{
    return need == NEED_PROXY ? o->proxy : need == NEED_TRANSPARENT ? o->transparent : o->resolver;
}

int netns_build(const struct netns_options *options, struct netns_listener *out, size_t *count,
                struct err *e)
{
    *count = 0;
    if (loopback_up(e) < 0)
        return -1;
    for (size_t i = 0; i < LISTENER_ROWS; i++) {
        const struct listener_row *row = &listener_rows[i];
        if (!is_needed(options, row->need))
            continue;
        int fd = listener_open(row, e);
        if (fd < 0 && is_ipv6_off(row, e->os))
            continue;
        if (fd < 0) {
            listeners_drop(out, count);
            return -1;
        }
        out[(*count)++] = (struct netns_listener){ row->kind, fd };
    }
    return 0;
}

/* With the flag a socket may speak for every address that is routed here; what it accepts inherits it. */
static int make_transparent(const struct netns_listener *l, struct err *e)
{
    static const int on = 1;
    if (setsockopt(l->fd, IPPROTO_IP, IP_TRANSPARENT, &on, sizeof on) < 0)
        return err_set(e, E_SANDBOX, errno, "listener '%s': IP_TRANSPARENT",
                       listener_names[l->kind]);
    return 0;
}

/* Makes ready the listeners that stand for other addresses, and finds the port of LISTENER_TRANSPARENT. */
static int listeners_adopt(const struct netns_listener *set, size_t count, uint16_t *port,
                           struct err *e)
{
    struct sockaddr_in at = { 0 };
    for (size_t i = 0; i < count; i++) {
        socklen_t size = sizeof at;
        if (set[i].kind == LISTENER_HTTP || set[i].kind == LISTENER_SOCKS)
            continue;
        if (make_transparent(&set[i], e) < 0)
            return -1;
        if (set[i].kind == LISTENER_TRANSPARENT &&
            getsockname(set[i].fd, (struct sockaddr *)&at, &size) < 0)
            return err_set(e, E_SANDBOX, errno, "port of listener '%s'",
                           listener_names[set[i].kind]);
        if (set[i].kind == LISTENER_TRANSPARENT)
            *port = ntohs(at.sin_port);
    }
    return *port ? 0
                 : err_set(e, E_BUG, 0, "no listener '%s'", listener_names[LISTENER_TRANSPARENT]);
}

/* A request that goes out in parts, whenever it has filled the room. */
struct routes {
    struct netlink n;
    int socket;
    char room[ROOM];
};

static int routes_send(struct routes *r, struct err *e)
{
    netlink_acknowledge(&r->n);
    if (netlink_send(&r->n, r->socket, e) < 0)
        return err_while(e, "route to loopback");
    netlink_init(&r->n, r->room, sizeof r->room);
    return 0;
}

/* "The block is local, seen from 127.0.0.1." It stands in a table of its own and not in "local", so that
 * no program can bind a foreign address. */
static int route(struct routes *r, unsigned char table, in_addr_t base, unsigned char bits,
                 struct err *e)
{
    struct rtmsg head = { .rtm_family = AF_INET,
                          .rtm_dst_len = bits,
                          .rtm_table = table,
                          .rtm_protocol = RTPROT_STATIC,
                          .rtm_scope = RT_SCOPE_HOST,
                          .rtm_type = RTN_LOCAL };
    if (r->n.used > FULL && routes_send(r, e) < 0)
        return -1;
    netlink_message(&r->n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof head);
    if (bits)
        netlink_put(&r->n, RTA_DST, &base, sizeof base);
    netlink_put_u32(&r->n, RTA_OIF, LOOPBACK_INDEX);
    netlink_put_be32(&r->n, RTA_PREFSRC, INADDR_LOOPBACK);
    return 0;
}

/* Which packets are led by a table of ours. Nothing else finds a route, so that other addresses, other UDP
 * and ICMP fail in the call itself (ENETUNREACH). */
struct lead {
    unsigned char table;
    uint8_t protocol;
    uint16_t port;       /* 0 = every port */
    const in_addr_t *to; /* NULL = every address */
};

static int lead(struct routes *r, struct lead l, struct err *e)
{
    struct fib_rule_hdr head = {
        .family = AF_INET, .dst_len = l.to ? 32 : 0, .table = l.table, .action = FR_ACT_TO_TBL
    };
    if (r->n.used > FULL && routes_send(r, e) < 0)
        return -1;
    netlink_message(&r->n, RTM_NEWRULE, NLM_F_CREATE, &head, sizeof head);
    netlink_put_u32(&r->n, FRA_PRIORITY, RULE_PRIORITY);
    netlink_put(&r->n, FRA_IP_PROTO, &l.protocol, sizeof l.protocol);
    if (l.to)
        netlink_put(&r->n, FRA_DST, l.to, sizeof *l.to);
    if (l.port) {
        struct fib_rule_port_range range = { l.port, l.port };
        netlink_put(&r->n, FRA_DPORT_RANGE, &range, sizeof range);
    }
    return 0;
}

static int lead_literals(struct routes *r, const struct netns_options *o, struct err *e)
{
    for (size_t i = 0; i < o->literal_count; i++) {
        const in_addr_t *to = &o->literals[i].base.v4.s_addr;
        const struct lead one = { TABLE_EVERY, IPPROTO_TCP, o->literal_ports[i], to };
        if (o->literals[i].base.family != AF_INET)
            continue;
        if ((one.port ? lead(r, one, e) : route(r, TABLE_LISTED, *to, 32, e)) < 0)
            return -1;
    }
    return 0;
}

static int routes_make(const struct netns_options *o, int socket, struct err *e)
{
    struct routes r; /* not all of it is ever touched */
    r.socket = socket;
    netlink_init(&r.n, r.room, sizeof r.room);
    if (route(&r, TABLE_EVERY, 0, 0, e) < 0)
        return -1;
    if (o->resolver &&
        (lead(&r, (struct lead){ TABLE_EVERY, IPPROTO_UDP, NETNS_DNS_PORT, NULL }, e) < 0 ||
         lead(&r, (struct lead){ TABLE_EVERY, IPPROTO_TCP, NETNS_DNS_PORT, NULL }, e) < 0))
        return -1;
    if (o->redirect_all_literals)
        return lead(&r, (struct lead){ TABLE_EVERY, IPPROTO_TCP, 0, NULL }, e) < 0
                   ? -1
                   : routes_send(&r, e);
    if (route(&r, TABLE_LISTED, htonl(NETNS_STANDINS), NETNS_STANDIN_BITS, e) < 0 ||
        lead(&r, (struct lead){ TABLE_LISTED, IPPROTO_TCP, 0, NULL }, e) < 0 ||
        lead_literals(&r, o, e) < 0)
        return -1;
    return routes_send(&r, e);
}

int netns_control_open(struct netns_control *c, struct err *e)
{
    *c = (struct netns_control){ -1, -1 };
    if ((c->netfilter = netlink_open(NETLINK_NETFILTER, e)) >= 0 &&
        (c->route = netlink_open(NETLINK_ROUTE, e)) >= 0)
        return 0;
    netns_control_drop(c);
    return -1;
}

void netns_control_drop(struct netns_control *c)
{
    fd_drop(&c->netfilter);
    fd_drop(&c->route);
}

int netns_redirect(const struct netns_options *options, const struct netns_listener *listeners,
                   size_t count, const struct netns_control *c, struct err *e)
{
    CHECK(options->transparent);
    uint16_t port = 0;
    if (listeners_adopt(listeners, count, &port, e) < 0)
        return -1;
    /* The rules first: without them the routes would lead foreign addresses to the command's own
     * servers; without the routes nothing but ENETUNREACH happens. */
    if (nftables_redirect(port, options->resolver, c->netfilter, e) < 0)
        return -1;
    return routes_make(options, c->route, e);
}
