/* listen.h - sockets that others connect to. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct listening {
    int fd;        /* non-blocking; its connections send at once and notice dead peers */
    uint16_t port; /* the real one; 0 for a unix socket */
    bool local;    /* only this machine can connect */
    char *path;    /* of a unix socket, owned; NULL else */
};

/* "127.0.0.1:0", "[::1]:8080", "0.0.0.0:443", "unix:/path". An address that begins with "[" takes IPv6
 * alone. The file of a unix socket is made with mode 0600; one that nobody listens on any more is
 * replaced. E_INPUT: no such address can be written; E_IO: the system's reason. */
int listen_open(const char *address, struct listening *out, struct err *e);

/* Closes, and removes the file of a unix socket. */
void listen_close(struct listening *l);
