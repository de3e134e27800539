/* tls_server.h - certificate and key of a TLS server, and the connections made with them.
 *
 * TLS 1.2 and later, ALPN "http/1.1". The pair is read from two PEM files and read again when one of
 * them has changed, looked at when a connection comes in, once a second at most. A new pair that cannot be used
 * is logged once and the old one stays. The process ignores SIGPIPE from then on.
 */
#pragma once

#include "io/transport.h"

struct tls_server;

/* The paths are copied. Fails with E_INPUT for files that hold no pair, E_IO for files that cannot
 * be read. The caller frees. */
int tls_server_new(struct loop *l, const char *certificate, const char *key,
                   struct tls_server **out, struct err *e);

/* Connections that were made live on. NULL is fine. */
void tls_server_free(struct tls_server *t);

/* Reads the pair again now. On failure the old one stays. */
int tls_server_reload(struct tls_server *t, struct err *e);

/* A transport over the accepted socket `fd`, which it takes. The handshake happens while it is read.
 * NULL, with the socket closed, when there is no memory for it. */
struct transport *tls_server_accept(struct tls_server *t, int fd, transport_ready *ready,
                                    void *ctx);
