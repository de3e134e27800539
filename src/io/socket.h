/* socket.h - the socket calls that several files need, always non-blocking and close-on-exec. */
#pragma once

#include "base/str.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* An address to dial. */
struct socket_address {
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* What bind, connect and sendto want to know. */
socklen_t socket_address_size(const struct socket_address *a);

/* The port, in host order. */
uint16_t socket_address_port(const struct socket_address *a);
void socket_address_set_port(struct socket_address *a, uint16_t port);

/* "127.0.0.1", "::1", or "unix". */
enum { SOCKET_ADDRESS_TEXT = 46 };
void socket_address_text(const struct socket_address *a, char out[SOCKET_ADDRESS_TEXT]);

/* The next connection that waits at a listener, or -1 with errno (EAGAIN: none). *peer may be NULL. */
int socket_accept(int listener, struct socket_address *peer);

/* A TCP socket that has begun to connect, or -1 with errno. */
int socket_begin_connect(const struct socket_address *to);

/* True when a socket that began to connect has finished, well or not; *os then holds 0 or the
 * reason. Never waits. */
bool socket_connected(int fd, int *os);

/* A stream connected to the unix socket at `path`, or -1 with errno. */
int socket_connect_unix(const char *path);

/* As read and write, but EINTR never comes out and a gone peer is EPIPE without a signal. */
ssize_t socket_read(int fd, void *to, size_t n);
ssize_t socket_write(int fd, struct str bytes);

/* Small messages are sent at once instead of waiting for more. */
void socket_no_delay(int fd);

/* A dead peer is noticed in minutes although nobody sends. */
void socket_keep_alive(int fd);

/* For a listener whose connections stay on this machine: what it accepts sends without pacing. */
void socket_stays_local(int listener);

/* The next close discards what waits and tells the peer so (a reset). */
void socket_abort_on_close(int fd);

/* Who sent a datagram, and which address of ours it was sent to. IPv4. */
struct socket_pair {
    struct sockaddr_in peer;
    struct in_addr ours;
};

/* Once for a UDP socket that uses the two below. */
void socket_tell_ends(int fd);

/* The next datagram, or -1 with errno. What comes back is its whole size, even when less fitted. */
ssize_t socket_receive(int fd, void *to, size_t room, struct socket_pair *ends);

/* Sends a datagram the other way. -1 with errno. */
ssize_t socket_answer(int fd, struct str bytes, const struct socket_pair *ends);

/* For libraries that write with write(2): SIGPIPE is ignored from now on, unless the process has its own
 * way with it. What socket_write does needs no such thing. */
void socket_survive_gone_peers(void);
