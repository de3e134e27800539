/* own.h - the addresses assigned to this host, which no name may lead to (contract 3.3.3). */
#pragma once

#include "egress/domains.h"

#include <stddef.h>

struct own_addresses {
    struct ip_address *items; /* owned */
    size_t count;
    uint64_t read_at; /* ms; 0 = never */
};

/* Reads the list again when it is older than a second (addresses come and go). -1 when the system
 * does not tell: then no name may be dialled. */
int own_addresses_refresh(struct own_addresses *own, uint64_t now_ms, struct err *e);

void own_addresses_release(struct own_addresses *own);
