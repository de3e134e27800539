/* nftables.h - the rules inside a network namespace that take connections to our listener.
 *
 * What the command sends to a foreign address comes back through the loopback device, where it is routed to
 * (netns.h). One table, "postern" (family ip), of one chain on the prerouting hook (contract 4.2): TCP that leads out of
 * 127.0.0.0/8 is given to our listeners as it is (tproxy), or reset when there is none. Nothing is rewritten,
 * so that nothing must be tracked: each further hook costs the host half a millisecond (it patches the kernel's code).
 * The messages are our own; neither a library nor the nft program is needed.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes the table through a socket of NETLINK_NETFILTER, in its network namespace: all of it, or nothing. `port` is that of a
 * listener with IP_TRANSPARENT on 127.0.0.1; with `resolver` there is another for port 53. E_SANDBOX with the
 * errno when the kernel does not grant it. */
int nftables_redirect(uint16_t port, bool resolver, int socket, struct err *e);
