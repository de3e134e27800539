/* address.h - which addresses belong to the web: those of the public network and nothing else. */
#pragma once

#include <stdbool.h>

struct sockaddr;

/* False for this machine, private and link-local networks, metadata services, multicast, everything
 * that is reserved, and IPv6 addresses that stand for such an IPv4 one. */
bool address_is_public(const struct sockaddr *address);
