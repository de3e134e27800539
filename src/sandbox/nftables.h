/* nftables.h - the rules inside a network namespace that send connections to our listeners.
 *
 * One table, "postern" (family ip), of three chains on the output hook (contract 4.2):
 *   track     leaves connections between the command's own programs out of connection tracking
 *   redirect  port 53 to the resolver; TCP to 198.18.0.0/15 and to listed literals to the proxy
 *   refuse    everything that still leaves 127.0.0.0/8 is refused at once
 * The messages are our own; neither a library nor the nft program is needed.
 */
#pragma once

#include "base/err.h"
#include "egress/domains.h"

#include <stdbool.h>
#include <stdint.h>

struct nftables_redirect {
    uint16_t transparent_port, dns_udp_port, dns_tcp_port; /* on 127.0.0.1 */
    bool all_literals;               /* every address outside 127.0.0.0/8 goes to the proxy */
    const struct ip_block *literals; /* those of IPv6 are skipped: they have no route */
    const uint16_t *literal_ports;   /* 0 = every port */
    size_t literal_count;
};

/* Makes the table through a socket of NETLINK_NETFILTER, in its network namespace. What was made when a later part
 * fails stays, and refuses. E_SANDBOX with the errno when the kernel does not grant it. */
int nftables_redirect(const struct nftables_redirect *r, int socket, struct err *e);
