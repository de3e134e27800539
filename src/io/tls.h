/* tls.h - TLS as a client, seen from outside as an ordinary descriptor.
 *
 * After the handshake the caller gets one end of a socket pair; bytes written there leave encrypted,
 * bytes read there have been decrypted. So everything that moves bytes works on descriptors alone.
 * Certificates are verified against the system's roots and the name or address asked for.
 */
#pragma once

#include "io/loop.h"

/* The verification context and every open connection. */
struct tls_client;

struct tls_client *tls_client_new(struct loop *l);

/* Closes all connections. */
void tls_client_free(struct tls_client *t);

struct tls_dial;

/* `fd` is the caller's plain end, or -1 when the handshake or the verification failed. */
typedef void tls_dial_done(void *ctx, int fd);

/* Takes `fd`, a connected socket. `host` is the name or address that the certificate must be for.
 * The callback comes from the loop. */
struct tls_dial *tls_dial_new(struct tls_client *t, int fd, const char *host, uint64_t timeout_ms,
                              tls_dial_done *done, void *ctx);

/* Closes; the callback will not come. NULL is fine. */
void tls_dial_cancel(struct tls_dial *d);
