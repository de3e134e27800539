#include "sandbox/reach.h"

#include "base/fd.h"
#include "sandbox/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return a->v6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

/* An address of the machine itself: 0.0.0.0 and :: are connected to as loopback. */
static bool is_local(const union address *a)
{
    if (a->any.sa_family == AF_INET && a->v4.sin_addr.s_addr == htonl(INADDR_ANY))
        return true;
    return is_loopback(a) ||
           (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr));
}

static uint16_t port_of(const union address *a)
{
    return ntohs(a->any.sa_family == AF_INET ? a->v4.sin_port : a->v6.sin6_port);
}

/* The kernel also takes an address of IPv6 that ends before its scope (RFC 2133); what is not there is 0. */
static bool is_internet(const union address *a, uint32_t length)
{
    return (a->any.sa_family == AF_INET && length >= sizeof a->v4) ||
           (a->any.sa_family == AF_INET6 && length >= offsetof(struct sockaddr_in6, sin6_scope_id));
}

static int refuse_address(struct request *q, const union address *a, int os)
{
    char text[INET6_ADDRSTRLEN] = "", object[INET6_ADDRSTRLEN + 16];
    bool v4 = a->any.sa_family == AF_INET;
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? (void *)&a->v4.sin_addr : (void *)&a->v6.sin6_addr,
              text, sizeof text);
    snprintf(object, sizeof object, v4 ? "%s:%u" : "[%s]:%u", text, port_of(a));
    warden_report(q, str_of(object), "network: only through the proxy", os, false);
    return os;
}

/* Without a network namespace: to the proxy on 127.0.0.1 and nowhere else. */
static int judge_host_connect(struct request *q, const union address *a, uint32_t length,
                              int domain)
{
    if (domain == AF_NETLINK || length < sizeof a->any.sa_family ||
        (a->any.sa_family == AF_UNSPEC && domain != AF_UNIX))
        return 0; /* the routing table, which can be read only; nonsense; undoes a connection */
    if (domain == AF_UNIX || !is_internet(a, length)) {
        warden_report(q, STR("abstract socket"), "network.allowUnixSockets", EACCES, false);
        return EACCES;
    }
    if (!is_loopback(a))
        return refuse_address(q, a, ENETUNREACH);
    bool v4 = a->any.sa_family == AF_INET;
    uint16_t port = port_of(a);
    const uint16_t *ours = q->w->options.proxy_ports;
    struct in_addr to = a->v4.sin_addr;
    if (!v4)
        memcpy(&to, &a->v6.sin6_addr.s6_addr[12], sizeof to);
    bool proxy = to.s_addr == htonl(INADDR_LOOPBACK) && (port == ours[0] || port == ours[1]);
    return proxy && port ? 0 : refuse_address(q, a, ECONNREFUSED);
}

/* What the redirect takes to the proxy or to the resolver (netns.h). */
static bool is_redirected(const struct netns_options *n, const union address *a)
{
    const in_addr_t mask = ~0u << (32 - NETNS_STANDIN_BITS);
    struct in_addr to = a->v4.sin_addr;
    if (a->any.sa_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
        return false;
    if (a->any.sa_family == AF_INET6)
        memcpy(&to, &a->v6.sin6_addr.s6_addr[12], sizeof to);
    const uint16_t port = port_of(a);
    if (!n->transparent)
        return false;
    if (n->redirect_all_literals || (n->resolver && port == NETNS_DNS_PORT) ||
        (ntohl(to.s_addr) & mask) == NETNS_STANDINS)
        return true;
    for (size_t i = 0; i < n->literal_count; i++)
        if (memcmp(&n->literals[i].base.v4, &to, sizeof to) == 0 &&
            (n->literal_ports[i] == 0 || n->literal_ports[i] == port))
            return true;
    return false;
}

/* Somebody inside listens there: the command, or init for the proxy and for forwarded ports. */
static bool is_ours(const struct warden *w, uint16_t port)
{
    const struct warden_options *o = &w->options;
    for (size_t i = 0; i < o->forward_count; i++)
        if (o->forwards[i].inner == port)
            return true;
    return port == NETNS_HTTP_PORT || port == NETNS_SOCKS_PORT ||
           (o->network->resolver && port == NETNS_DNS_PORT) ||
           (w->own_ports[port / 8] >> port % 8 & 1);
}

void reach_note_port(struct warden *w, int socket)
{
    union address a = { 0 };
    socklen_t length = sizeof a;
    if (getsockname(socket, &a.any, &length) < 0 || !is_internet(&a, length))
        return;
    w->own_ports[port_of(&a) / 8] |= (uint8_t)(1u << port_of(&a) % 8);
}

void reach_want_redirect(struct warden *w)
{
    char byte = 0;
    if (w->options.redirect < 0)
        return;
    /* Where nobody answers, there is no way out either. */
    if (send(w->options.redirect, &byte, 1, MSG_NOSIGNAL) == 1)
        while (recv(w->options.redirect, &byte, 1, 0) < 0 && errno == EINTR)
            continue;
    fd_drop(&w->options.redirect);
}

/* The namespace leaves no way out but the redirect, and we let nobody try another one. */
static int judge_address(struct request *q, int socket, const union address *a)
{
    int type = 0;
    socklen_t n = sizeof type;
    if (!is_local(a)) {
        if (!is_redirected(q->w->options.network, a))
            return refuse_address(q, a, ENETUNREACH);
        reach_want_redirect(q->w);
        return 0;
    }
    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &n) < 0)
        return errno;
    /* No report: a port on which nobody listens is refused by the kernel in the same way. */
    return type != SOCK_STREAM || is_ours(q->w, port_of(a)) ? 0 : ECONNREFUSED;
}

/* Servers of the command's can be reached from this machine alone. */
static int judge_host_bind(struct request *q, const union address *a, uint32_t length, int domain)
{
    if (domain == AF_NETLINK || (is_internet(a, length) && is_loopback(a)))
        return 0;
    if (is_internet(a, length))
        return refuse_address(q, a, EACCES);
    return EACCES;
}

int reach_judge_connect(struct request *q, int socket, const union address *a, uint32_t length,
                        int domain)
{
    if (q->w->options.host_network)
        return judge_host_connect(q, a, length, domain);
    return q->w->options.network && is_internet(a, length) ? judge_address(q, socket, a) : 0;
}

int reach_judge_bind(struct request *q, const union address *a, uint32_t length, int domain)
{
    return q->w->options.host_network ? judge_host_bind(q, a, length, domain) : 0;
}
