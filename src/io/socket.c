#include "io/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

socklen_t socket_address_size(const struct socket_address *a)
{
    return a->sa.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

uint16_t socket_address_port(const struct socket_address *a)
{
    return ntohs(a->sa.sa_family == AF_INET6 ? a->v6.sin6_port : a->v4.sin_port);
}

void socket_address_set_port(struct socket_address *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET6)
        a->v6.sin6_port = htons(port);
    else
        a->v4.sin_port = htons(port);
}

int socket_accept(int listener, struct socket_address *peer)
{
    socklen_t size = sizeof *peer;
    int fd;
    do
        fd = accept4(listener, peer ? &peer->sa : NULL, peer ? &size : NULL,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd;
}

int socket_begin_connect(const struct socket_address *to)
{
    int fd = socket(to->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -1;
    if (connect(fd, &to->sa, socket_address_size(to)) == 0 || errno == EINPROGRESS)
        return fd;
    int os = errno;
    close(fd);
    errno = os;
    return -1;
}

bool socket_connected(int fd, int *os)
{
    struct pollfd ready = { .fd = fd, .events = POLLOUT };
    if (poll(&ready, 1, 0) != 1)
        return false;
    *os = 0;
    if (ready.revents == POLLOUT)
        return true;
    socklen_t size = sizeof *os;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, os, &size) < 0)
        *os = errno;
    return true;
}

int socket_connect_unix(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if (n >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    /* A full backlog is EAGAIN here and counts as a failure: the client gets an error at once. */
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd;
    int os = errno;
    close(fd);
    errno = os;
    return -1;
}

ssize_t socket_read(int fd, void *to, size_t n)
{
    ssize_t got;
    do
        got = recv(fd, to, n, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t socket_write(int fd, struct str bytes)
{
    ssize_t sent;
    do
        sent = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

static void switch_on(int fd, int level, int option)
{
    int on = 1;
    /* Refused only on a socket that is already dead, where the next read says so. */
    (void)setsockopt(fd, level, option, &on, sizeof on);
}

void socket_no_delay(int fd)
{
    switch_on(fd, IPPROTO_TCP, TCP_NODELAY);
}

void socket_keep_alive(int fd)
{
    switch_on(fd, SOL_SOCKET, SO_KEEPALIVE);
}

void socket_abort_on_close(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}
