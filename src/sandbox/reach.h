/* reach.h - which internet addresses the command's sockets may lead to.
 *
 * In a network namespace of the sandbox's own this says a second time what the namespace says: nothing
 * but its own loopback and what is redirected to the proxy. On the host's network it is what holds.
 */
#pragma once

#include "sandbox/warden-int.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

union address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage room;
};

/* `a` names no path. 0, or the errno that the caller is told instead of being connected. */
int reach_judge_connect(struct request *q, int socket, const union address *a, uint32_t length,
                        int domain);

/* The same for a name that the socket is to get. */
int reach_judge_bind(struct request *q, const union address *a, uint32_t length, int domain);

/* Has the network's redirect made, when that has not been done: something may leave from now on. */
void reach_want_redirect(struct warden *w);

/* The socket has been bound, or listens: connections to its port stay inside. */
void reach_note_port(struct warden *w, int socket);
