/* http1_target.h - request targets (RFC 9112 3.2), read strictly.
 *
 * Nothing is decoded or repaired: what cannot be read in one way only is refused.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum http1_form {
    HTTP1_ORIGIN,    /* /path?query */
    HTTP1_ABSOLUTE,  /* http://host/path?query */
    HTTP1_AUTHORITY, /* host:port, CONNECT only */
    HTTP1_ASTERISK   /* *, OPTIONS only */
};

/* All runs are pieces of the target. */
struct http1_target {
    enum http1_form form;
    bool tls;        /* absolute form: https:// */
    struct str host; /* absolute and authority form, brackets of IPv6 included; not judged further
                        than "letters, digits, . - _" or "[hex digits, :, .]" */
    uint16_t port;   /* never 0 with a host: the scheme's default when none is written */
    struct str path; /* with query, as spelled; "" in absolute form without a path, "?q" possible */
};

/* `method` decides which forms may be: CONNECT takes host:port alone, "*" only OPTIONS. Refused with
 * E_DENIED: a host that is none, user information; with E_INPUT: fragments, other schemes than http and
 * https, empty or odd ports. out->host then holds what stands in the host's place, if anything does, to be
 * shown and for nothing else, and out->port is 0 when there is no port; never user information. */
int http1_target_parse(struct str method, struct str target, struct http1_target *out,
                       struct err *e);

/* Reads "host", "host:port", "[v6]", "[v6]:port", as in a Host field. *port is `default_port` when
 * none is written. Fails with E_DENIED for the host and E_INPUT for the port, with both filled as above. */
int http1_authority_parse(struct str text, uint16_t default_port, struct str *host, uint16_t *port,
                          struct err *e);
