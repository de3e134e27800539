/* exchange.h - one plain HTTP request and its response.
 *
 * Each request of a kept-alive connection is an exchange of its own: judged anew, its request line
 * and Host rebuilt from the host that was judged, bodies framed anew. Both directions stream with
 * bounded memory: the reader of one side runs only while the other side's buffer has room.
 */
#pragma once

#include "egress/client.h"

struct exchange;

/* The head in c->http is a plain request to c->want; `path` is its path and query (a piece of the
 * head). */
void exchange_begin(struct client *c, struct str path);

/* More of the request's body has come in, or its end. */
void exchange_input(struct exchange *x);

/* The client's buffer has room again. */
void exchange_client_writable(struct exchange *x);

/* Bytes of memory held; NULL holds none. */
size_t exchange_memory(const struct exchange *x);

/* Closes the server's side; NULL is fine. */
void exchange_free(struct exchange *x);
