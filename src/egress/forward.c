/* httpProxyPort, socksProxyPort: a proxy of the host serves this listener and does the filtering. It
 * gets the bytes as they are, and no token of ours. */
#include "egress/tunnel.h"
#include "io/dial.h"
#include "io/socket.h"

#include <stdlib.h>

enum { FORWARD_MS = 10 * 1000 };

static void nothing_to_read(struct client *c)
{
    (void)c;
}

static void refused(struct client *c, enum answer answer, const char *reason)
{
    (void)answer;
    (void)reason;
    client_close(c);
}

static void opened(struct client *c, struct buf *hello)
{
    (void)c;
    (void)hello;
}

static const struct client_protocol client_forward = {
    .input = nothing_to_read,
    .refused = refused,
    .opened = opened,
    .violation = "network-outbound",
};

static void on_dialled(void *ctx, int fd, size_t which, int os)
{
    struct client *c = ctx;
    (void)which;
    (void)os;
    c->forward = NULL;
    if (fd < 0)
        client_close(c);
    else
        tunnel_relay(c, fd, STR(""), false);
    client_settle(c);
}

void forward_begin(struct client *c, uint16_t host_port)
{
    struct socket_address loopback[2] = { 0 };
    loopback[0].v4.sin_family = AF_INET;
    loopback[0].v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    loopback[1].v6.sin6_family = AF_INET6;
    loopback[1].v6.sin6_addr = in6addr_loopback;
    for (int i = 0; i < 2; i++)
        socket_address_set_port(&loopback[i], host_port);
    c->protocol = &client_forward;
    client_enter(c, CLIENT_WAIT, 0);
    c->forward = dial_new(c->sandbox->egress->loop, loopback, 2, FORWARD_MS, on_dialled, c);
}
