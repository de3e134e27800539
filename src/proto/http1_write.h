/* http1_write.h - heads and bodies as a proxy forwards them and as a server answers.
 *
 * Of what is forwarded, start line, Host and framing are rebuilt from values that were judged, never copied; hop-by-hop
 * fields stay behind; bodies are framed anew.
 */
#pragma once

#include "base/buf.h"
#include "proto/http1.h"

struct http1_forward {
    struct str target;              /* request: what stands in the request line */
    struct str authority;           /* request: the Host field */
    struct str proxy_authorization; /* request: for the next proxy; p NULL: none. A secret */
    char *const *drop; /* names of further fields that stay behind, NULL-terminated, or NULL */
    bool upgrade;      /* pass Upgrade on, with "Connection: upgrade" */
    bool close;        /* say "Connection: close" */
    int peer_minor;    /* response: HTTP/1.minor of the client; 0 cannot take chunks */
};

/* Appends the head. Returns how the body has to be framed: HTTP1_LENGTH as in the head, HTTP1_CHUNKED
 * also for a request or response whose length the head hides from the next hop, HTTP1_UNTIL_CLOSE
 * only for responses to an HTTP/1.0 peer (the head then says "close" by itself). */
enum http1_framing http1_write_request(struct buf *out, const struct http1_head *head,
                                       const struct http1_forward *how);
enum http1_framing http1_write_response(struct buf *out, const struct http1_head *head,
                                        const struct http1_forward *how);

/* Appends a piece of a body; an empty piece adds nothing. */
void http1_write_body(struct buf *out, enum http1_framing framing, struct str piece);

/* Appends what ends a body. */
void http1_write_end(struct buf *out, enum http1_framing framing);

/* The two parts of an answer's head that is written from nothing; an empty line ends it. The phrase is
 * the usual one of the status. A control character in a value becomes a blank, so that nothing that
 * came from outside can begin another field. */
void http1_write_status(struct buf *out, int status);
void http1_write_field(struct buf *out, struct str name, struct str value);
