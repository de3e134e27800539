/* client_hello.h - what a TLS client says first: which name it wants (RFC 8446 4.1.2, RFC 6066 3).
 *
 * Looks, and consumes nothing: the caller keeps the bytes and hands all that it has each time. So a
 * ClientHello that is cut anywhere, over any number of records, reads the same.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

enum {
    /* A handshake message as large as we are ready to wait for, and its records. Post-quantum key
     * shares make about 1.8 KiB; resumption tickets may add a few. */
    CLIENT_HELLO_MAX = 16 << 10,
    CLIENT_HELLO_BYTES_MAX = CLIENT_HELLO_MAX + 4096
};

enum client_hello_verdict {
    CLIENT_HELLO_MORE,    /* so far it may become one */
    CLIENT_HELLO_NOT_TLS, /* the first bytes are no TLS handshake record */
    CLIENT_HELLO_BAD,     /* it starts like TLS and is malformed, or too large */
    CLIENT_HELLO_READ     /* the struct is filled */
};

struct client_hello {
    char name[256]; /* SNI host_name as sent, NUL-terminated; "" when there is none */
    bool ech;       /* encrypted_client_hello (0xfe0d): `name` is the outer name */
};

/* Judges the first bytes of a stream. A server_name extension that is malformed, holds another type
 * than host_name, more than one name, or a byte that stands in no DNS name is CLIENT_HELLO_BAD: two
 * servers might read it differently. */
enum client_hello_verdict client_hello_read(struct str bytes, struct client_hello *out);
