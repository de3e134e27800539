/* control_socket.h - how commands on the server's machine reach a running server.
 *
 * A unix socket `control.sock` (mode 0600) in the state directory. One line of JSON in (operator.h), one
 * line out: {"ok":true,"result":...} or {"ok":false,"error":"missing","message":"..."}. Only the user
 * who runs the server, and root, are answered.
 */
#pragma once

#include "api/operator.h"
#include "io/loop.h"

struct control_socket;

/* `parts` are copied. Takes the place of a socket that a server before left: the caller holds the
 * state directory's lock. */
int control_socket_new(struct control_socket **out, struct loop *l, const char *state,
                       const struct operator_parts *parts, struct err *e);

/* Removes the socket; whoever still waits is cut off. NULL is fine. Before the store goes. */
void control_socket_free(struct control_socket *s);

/* For commands: sends one request and waits for the answer. 1: *out is the caller's (json_free), the
 * result; 0: no server runs there; -1 with *e: what the server said, or that it cannot be reached. */
int control_socket_ask(const char *state, struct str request, struct json **out, struct err *e);
