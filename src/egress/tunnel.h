/* tunnel.h - a stream to the host that a client named: CONNECT, SOCKS, transparent.
 *
 * Judge, connect, tell the client, relay. On opaque tunnels the client's first bytes are judged
 * before they are forwarded: a ClientHello must name the host that was judged (threat T15). What
 * the host says first is relayed meanwhile, so protocols in which the server speaks first work.
 */
#pragma once

#include "egress/client.h"

/* c->want is filled. The outcome goes through c->protocol, at once or later. */
void tunnel_request(struct client *c);

/* Relays to `fd` without judging anything; `hello` is what the client hears first. */
void tunnel_relay(struct client *c, int fd, struct str hello, bool judge_first_bytes);
