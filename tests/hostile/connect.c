/* hostile-connect tcp|udp ADDRESS PORT [TEXT] - talks to an address and ignores every proxy variable.
 *
 * A client as Go and Java programs are. With tcp a connection that answers is an escape, with udp a
 * datagram that is answered; TEXT is what is sent. A connection that is accepted and then dropped is
 * reported too: the contract wants a refusal at once (4.2).
 */
#include "attack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_storage peer;
static socklen_t peer_size;
static const char *text = "GET / HTTP/1.0\r\n\r\n";

static void peer_set(const char *address, in_port_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&peer;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        peer_size = sizeof *v4;
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        peer_size = sizeof *v6;
    } else {
        attack_cannot("'%s' is no address", address);
    }
}

static int prepared(int type, int protocol)
{
    int fd = socket(peer.ss_family, type, protocol);
    struct timeval patience = { .tv_usec = 400000 };
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    }
    return fd;
}

static bool answered(int fd)
{
    char answer[256];
    ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    if (n > 0) {
        answer[n] = 0;
        answer[strcspn(answer, "\r\n")] = 0;
        attack_note("answered: %s", answer);
    }
    return n > 0;
}

static bool by_connect(void)
{
    int fd = prepared(SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, peer_size) < 0)
        return false;
    attack_note("connected, no answer");
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) > 0)
        answered(fd);
    return true;
}

static bool by_fast_open(void)
{
    int fd = prepared(SOCK_STREAM, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_FASTOPEN | MSG_NOSIGNAL,
                         (struct sockaddr *)&peer, peer_size) <= 0)
        return false;
    return answered(fd);
}

static bool by_bound_source(void)
{
    int fd = prepared(SOCK_STREAM, 0), one = 1;
    struct sockaddr_in any = { .sin_family = AF_INET };
    if (fd < 0)
        return false;
    setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one);
    setsockopt(fd, SOL_IP, IP_FREEBIND, &one, sizeof one);
    inet_pton(AF_INET, "192.0.2.77", &any.sin_addr);
    if (peer.ss_family == AF_INET && bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
        return false;
    return connect(fd, (struct sockaddr *)&peer, peer_size) == 0;
}

static bool by_device(void)
{
    static const char *const devices[] = { "eth0", "ens3", "enp0s1" };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        int fd = prepared(SOCK_STREAM, 0);
        if (fd >= 0 &&
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, devices[i],
                       (socklen_t)strlen(devices[i])) == 0 &&
            connect(fd, (struct sockaddr *)&peer, peer_size) == 0)
            return true;
    }
    return false;
}

/* The redirect must not be escaped by a mark: policy routing often lets marked packets through. */
static bool by_mark(void)
{
    for (int mark = 1; mark < 5; mark++) {
        int fd = prepared(SOCK_STREAM, 0);
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof mark) == 0 &&
            connect(fd, (struct sockaddr *)&peer, peer_size) == 0)
            return true;
    }
    return false;
}

static bool by_datagram(void)
{
    int fd = prepared(SOCK_DGRAM, 0);
    return fd >= 0 && sendto(fd, text, strlen(text), 0, (struct sockaddr *)&peer, peer_size) > 0 &&
           answered(fd);
}

static bool by_connected_datagram(void)
{
    int fd = prepared(SOCK_DGRAM, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&peer, peer_size) == 0 &&
           send(fd, text, strlen(text), 0) > 0 && answered(fd);
}

int main(int argc, char **argv)
{
    static const struct way stream_ways[] = {
        { "connect", by_connect },
        { "fast open", by_fast_open },
        { "bound source", by_bound_source },
        { "bound device", by_device },
        { "mark", by_mark },
    };
    static const struct way datagram_ways[] = {
        { "sendto", by_datagram },
        { "connect and send", by_connected_datagram },
    };
    attack_begin(argc, argv);
    peer_set(attack_argument(2), (in_port_t)strtoul(attack_argument(3), NULL, 10));
    if (argc > 4)
        text = argv[4];
    if (strcmp(argv[1], "tcp") == 0)
        return attack_run(stream_ways, sizeof stream_ways / sizeof *stream_ways);
    return attack_run(datagram_ways, sizeof datagram_ways / sizeof *datagram_ways);
}
