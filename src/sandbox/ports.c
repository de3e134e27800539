#include "sandbox/ports.h"

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/dialer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { BACKLOG = 1024, BOSS_PORTS_LISTENERS = 0, BOSS_PORTS_DIALER = 1 };

static const int families[] = { AF_INET, AF_INET6 };
enum { FAMILIES = sizeof families / sizeof *families };

void ports_init(struct ports *p)
{
    *p = (struct ports){ .dialer = -1, .watched = -1 };
}

void ports_release(struct ports *p)
{
    while (p->count > 0)
        fd_drop(&p->sockets[--p->count].fd);
    fd_drop(&p->dialer);
    fd_drop(&p->watched);
}

static bool has_no_ipv6(int os)
{
    return os == EAFNOSUPPORT || os == EADDRNOTAVAIL;
}

static int bind_loopback(int fd, int family, uint16_t port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = { htonl(INADDR_LOOPBACK) } };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons(port),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    return family == AF_INET ? bind(fd, (struct sockaddr *)&v4, sizeof v4)
                             : bind(fd, (struct sockaddr *)&v6, sizeof v6);
}

/* A listening socket, or -1 with errno. `early` when the address does not exist yet: inside, before
 * the loopback device is up, no port has been given away yet. */
static int listen_loopback(int family, uint16_t port, bool early)
{
    static const int on = 1;
    AUTO_FD fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0) ||
        (early && setsockopt(fd, SOL_IP, IP_FREEBIND, &on, sizeof on) < 0) ||
        bind_loopback(fd, family, port) < 0 || listen(fd, BACKLOG) < 0)
        return -1;
    return fd_take(&fd);
}

/* Both families of one forward; `where` is for the message. */
static int listen_both(struct ports *p, bool inward, const struct settings_port_forward *forward,
                       struct err *e)
{
    uint16_t port = inward ? forward->outer : forward->inner;
    for (int i = 0; i < FAMILIES; i++) {
        int fd = listen_loopback(families[i], port, !inward);
        int os = errno;
        if (fd < 0 && families[i] == AF_INET6 && has_no_ipv6(os))
            continue;
        if (fd < 0)
            return err_set(e, E_SANDBOX, os, "x.network.ports.%s: listen on %s:%u%s%s",
                           inward ? "in" : "out", families[i] == AF_INET ? "127.0.0.1" : "[::1]",
                           port, inward ? "" : " inside",
                           os == EACCES ? " (ports below 1024 belong to root)" : "");
        CHECK(p->count < PORT_SOCKETS_MAX);
        p->sockets[p->count++] =
            (struct port_socket){ .inward = inward, .forward = *forward, .fd = fd };
    }
    return 0;
}

int ports_listen_outside(struct ports *p, const struct settings *s, struct err *e)
{
    for (size_t i = 0; i < s->ports_in_count; i++)
        if (listen_both(p, true, &s->ports_in[i], e) < 0) {
            ports_release(p);
            return -1;
        }
    return 0;
}

/* The command has no capabilities, so it could not listen on "8080:80" by itself. The namespace is its
 * own: a low port in there means nothing to anybody else. */
static int open_low_ports(const struct settings *s, struct err *e)
{
    static const char path[] = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    unsigned lowest = 1024;
    char text[16];
    for (size_t i = 0; i < s->ports_in_count; i++)
        if (s->ports_in[i].inner < lowest)
            lowest = s->ports_in[i].inner;
    if (lowest == 1024)
        return 0;
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    int n = snprintf(text, sizeof text, "%u", lowest);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        return err_set(e, E_SANDBOX, errno, "x.network.ports.in: let the command use port %u",
                       lowest);
    return 0;
}

static int tell(const struct ports *p, int boss, struct err *e)
{
    for (size_t at = 0; at < p->count;) {
        struct boss_message m = { .kind = BOSS_PORTS, .number = BOSS_PORTS_LISTENERS };
        int fds[BOSS_FDS_MAX];
        size_t n = 0;
        for (; n < BOSS_FDS_MAX && at < p->count; n++, at++) {
            fds[n] = p->sockets[at].fd;
            memcpy(m.body + n * sizeof p->sockets[at].forward, &p->sockets[at].forward,
                   sizeof p->sockets[at].forward);
        }
        m.length = (uint32_t)(n * sizeof p->sockets[0].forward);
        if (boss_send(boss, &m, fds, n, e) < 0)
            return -1;
    }
    return 0;
}

static int make_dialer(int boss, int *dialer, struct err *e)
{
    struct boss_message m = { .kind = BOSS_PORTS, .number = BOSS_PORTS_DIALER };
    AUTO_FD outer = -1;
    if (dialer_make(dialer, &outer, e) < 0)
        return -1;
    return boss_send(boss, &m, &outer, 1, e);
}

int ports_make_inside(const struct settings *s, int boss, int *dialer, struct err *e)
{
    CLEANUP(ports_release) struct ports p;
    ports_init(&p);
    *dialer = -1;
    for (size_t i = 0; i < s->ports_out_count; i++)
        if (listen_both(&p, false, &s->ports_out[i], e) < 0)
            return -1;
    if (tell(&p, boss, e) < 0)
        return -1;
    if (s->ports_in_count == 0)
        return 0;
    return open_low_ports(s, e) < 0 ? -1 : make_dialer(boss, dialer, e);
}

int ports_take(struct ports *p, const struct boss_message *m, const int *fds, size_t fd_count,
               struct err *e)
{
    struct settings_port_forward forward;
    bool dialer = m->number == BOSS_PORTS_DIALER && fd_count == 1 && p->dialer < 0;
    bool listeners = m->number == BOSS_PORTS_LISTENERS && m->length == fd_count * sizeof forward &&
                     p->count + fd_count <= PORT_SOCKETS_MAX;
    if (dialer)
        p->dialer = fds[0];
    for (size_t i = 0; listeners && i < fd_count; i++) {
        memcpy(&forward, m->body + i * sizeof forward, sizeof forward);
        p->sockets[p->count++] = (struct port_socket){ .forward = forward, .fd = fds[i] };
    }
    if (dialer || listeners)
        return 0;
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    return err_set(e, E_BUG, 0, "unexpected sockets while building");
}

int ports_watch(struct ports *p, struct err *e)
{
    if (p->count == 0)
        return 0;
    p->watched = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; p->watched >= 0 && i < p->count; i++) {
        struct epoll_event event = { .events = EPOLLIN };
        if (epoll_ctl(p->watched, EPOLL_CTL_ADD, p->sockets[i].fd, &event) < 0)
            fd_drop(&p->watched);
    }
    return p->watched < 0 ? err_set(e, E_SANDBOX, errno, "x.network.ports: watch the sockets") : 0;
}

int ports_fd(const struct ports *p)
{
    return p->watched;
}
