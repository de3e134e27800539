/* resolver.h - the private resolver of a sandbox (contract 4.2).
 *
 * It looks nothing up, so no name leaves through it: a name that some rule could allow, or that
 * somebody would be asked about, gets an address of 198.18.0.0/15 that stands for it; every other
 * name does not exist. Serves UDP and TCP.
 */
#pragma once

#include "egress/proxy-int.h"

struct resolver *resolver_new(struct egress_sandbox *s);

/* Takes a bound UDP socket (IPv4) or a listening TCP socket, non-blocking. An answer comes from the address that was
 * asked. */
void resolver_listen(struct resolver *r, int fd, bool udp);

/* Closes everything; NULL is fine. */
void resolver_free(struct resolver *r);
