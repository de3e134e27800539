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
    LOOPBACK_INDEX = 1,   /* every network namespace is born with it */
    REDIRECT_TABLE = 198, /* our own routing table; the number means nothing to anybody else */
    DNS_PORT = 53,
};

static const struct listener_row {
    enum netns_listener_kind kind;
    int family, type;
    uint16_t port;    /* 0 = any free one */
    bool transparent; /* only with options->transparent, else only with options->proxy */
} listener_rows[] = {
    { LISTENER_HTTP, AF_INET, SOCK_STREAM, NETNS_HTTP_PORT, false },
    { LISTENER_HTTP, AF_INET6, SOCK_STREAM, NETNS_HTTP_PORT, false },
    { LISTENER_SOCKS, AF_INET, SOCK_STREAM, NETNS_SOCKS_PORT, false },
    { LISTENER_SOCKS, AF_INET6, SOCK_STREAM, NETNS_SOCKS_PORT, false },
    { LISTENER_TRANSPARENT, AF_INET, SOCK_STREAM, 0, true },
    { LISTENER_DNS_UDP, AF_INET, SOCK_DGRAM, 0, true },
    { LISTENER_DNS_TCP, AF_INET, SOCK_STREAM, 0, true },
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

static union socket_address loopback_address(int family, uint16_t port, socklen_t *size)
{
    union socket_address a = { 0 };
    if (family == AF_INET6) {
        a.v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6,
                                      .sin6_port = htons(port),
                                      .sin6_addr = IN6ADDR_LOOPBACK_INIT };
        *size = sizeof a.v6;
    } else {
        a.v4 = (struct sockaddr_in){ .sin_family = AF_INET,
                                     .sin_port = htons(port),
                                     .sin_addr = { htonl(INADDR_LOOPBACK) } };
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
    union socket_address at = loopback_address(row->family, row->port, &size);
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

int netns_build(const struct netns_options *options, struct netns_listener *out, size_t *count,
                struct err *e)
{
    *count = 0;
    if (loopback_up(e) < 0)
        return -1;
    for (size_t i = 0; i < LISTENER_ROWS; i++) {
        const struct listener_row *row = &listener_rows[i];
        if (!(row->transparent ? options->transparent : options->proxy))
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

static int listener_port(const struct netns_listener *set, size_t count,
                         enum netns_listener_kind kind, uint16_t *port, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        if (set[i].kind != kind)
            continue;
        struct sockaddr_in at = { 0 };
        socklen_t size = sizeof at;
        if (getsockname(set[i].fd, (struct sockaddr *)&at, &size) < 0)
            return err_set(e, E_SANDBOX, errno, "port of listener '%s'", listener_names[kind]);
        *port = ntohs(at.sin_port);
        return 0;
    }
    return err_set(e, E_BUG, 0, "no listener '%s'", listener_names[kind]);
}

/* "What is TCP, or UDP to port 53, is routed by our table." Nothing else finds a route, so that other
 * UDP and ICMP fail in the call itself (ENETUNREACH) and not by a packet that comes later. */
static void route_rule(struct netlink *n, uint8_t protocol, uint16_t port)
{
    struct fib_rule_hdr head = { .family = AF_INET,
                                 .table = REDIRECT_TABLE,
                                 .action = FR_ACT_TO_TBL };
    netlink_message(n, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    netlink_put(n, FRA_IP_PROTO, &protocol, sizeof protocol);
    if (port) {
        struct fib_rule_port_range range = { port, port };
        netlink_put(n, FRA_DPORT_RANGE, &range, sizeof range);
    }
}

/* Every address is local, seen from 127.0.0.1. It stands in a table of its own and not in "local",
 * so that no program can bind a foreign address. */
static void route_everything_to_loopback(struct netlink *n)
{
    struct rtmsg head = { .rtm_family = AF_INET,
                          .rtm_table = REDIRECT_TABLE,
                          .rtm_protocol = RTPROT_STATIC,
                          .rtm_scope = RT_SCOPE_HOST,
                          .rtm_type = RTN_LOCAL };
    netlink_message(n, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &head, sizeof head);
    netlink_put_u32(n, RTA_OIF, LOOPBACK_INDEX);
    netlink_put_be32(n, RTA_PREFSRC, INADDR_LOOPBACK);
}

static int routes_make(int socket, struct err *e)
{
    char room[512];
    struct netlink n;
    netlink_init(&n, room, sizeof room);
    route_everything_to_loopback(&n);
    route_rule(&n, IPPROTO_TCP, 0);
    route_rule(&n, IPPROTO_UDP, DNS_PORT);
    netlink_acknowledge(&n);
    if (netlink_send(&n, socket, e) < 0)
        return err_while(e, "route to loopback");
    return 0;
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
    struct nftables_redirect r = { .all_literals = options->redirect_all_literals,
                                   .literals = options->literals,
                                   .literal_ports = options->literal_ports,
                                   .literal_count = options->literal_count };
    if (listener_port(listeners, count, LISTENER_TRANSPARENT, &r.transparent_port, e) < 0 ||
        listener_port(listeners, count, LISTENER_DNS_UDP, &r.dns_udp_port, e) < 0 ||
        listener_port(listeners, count, LISTENER_DNS_TCP, &r.dns_tcp_port, e) < 0)
        return -1;
    /* The rules first: without them the route would lead foreign addresses to the command's own
     * servers; without the route nothing but ENETUNREACH happens. */
    if (nftables_redirect(&r, c->netfilter, e) < 0)
        return -1;
    return routes_make(c->route, e);
}
