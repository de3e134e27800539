#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
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

void socket_address_text(const struct socket_address *a, char out[SOCKET_ADDRESS_TEXT])
{
    const void *from = a->sa.sa_family == AF_INET6 ? (const void *)&a->v6.sin6_addr
                                                   : (const void *)&a->v4.sin_addr;
    bool internet = a->sa.sa_family == AF_INET6 || a->sa.sa_family == AF_INET;
    if (!internet || !inet_ntop(a->sa.sa_family, from, out, SOCKET_ADDRESS_TEXT))
        memcpy(out, "unix", sizeof "unix");
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

void socket_stays_local(int listener)
{
    /* The system's choice may be one that paces (BBR); there is no network to be spared here. Reno is part
     * of every kernel and needs no right; without it things work as they did. */
    (void)setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", sizeof "reno" - 1);
}

void socket_abort_on_close(int fd)
{
    struct linger now = { .l_onoff = 1, .l_linger = 0 };
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

void socket_tell_ends(int fd)
{
    switch_on(fd, IPPROTO_IP, IP_PKTINFO);
}

union ends_control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

ssize_t socket_receive(int fd, void *to, size_t room, struct socket_pair *ends)
{
    union ends_control control;
    struct iovec part = { to, room };
    struct msghdr m = { .msg_name = &ends->peer,
                        .msg_namelen = sizeof ends->peer,
                        .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control };
    *ends = (struct socket_pair){ 0 };
    ssize_t got = recvmsg(fd, &m, MSG_TRUNC);
    struct cmsghdr *c = got < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(c), sizeof info);
        ends->ours = info.ipi_addr;
    }
    return got;
}

ssize_t socket_answer(int fd, struct str bytes, const struct socket_pair *ends)
{
    union ends_control control = { 0 };
    struct sockaddr_in peer = ends->peer;
    struct iovec part = { (char *)bytes.p, bytes.n };
    struct msghdr m = { .msg_name = &peer,
                        .msg_namelen = sizeof peer,
                        .msg_iov = &part,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof control };
    const struct in_pktinfo info = { .ipi_spec_dst = ends->ours };
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_PKTINFO;
    c->cmsg_len = CMSG_LEN(sizeof info);
    memcpy(CMSG_DATA(c), &info, sizeof info);
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

void socket_survive_gone_peers(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        now.sa_handler = SIG_IGN;
        sigaction(SIGPIPE, &now, NULL);
    }
}
