/* http.h - a client that speaks HTTP to its proxy: plain requests and CONNECT. */
#pragma once

#include "egress/client.h"

/* Our own answer to the request whose head is in c->http; then the next request, or the end. */
void http_answer(struct client *c, enum answer kind, const struct answer_options *options);

/* The request is over: reads the next one, which may be there already. */
void http_next(struct client *c);
