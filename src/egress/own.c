#include "egress/own.h"

#include "base/mem.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>

enum { FRESH_MS = 1000 };

static bool read_address(const struct sockaddr *from, struct ip_address *out)
{
    *out = (struct ip_address){ 0 };
    if (from && from->sa_family == AF_INET) {
        out->family = AF_INET;
        out->v4 = ((const struct sockaddr_in *)(const void *)from)->sin_addr;
        return true;
    }
    if (from && from->sa_family == AF_INET6) {
        out->family = AF_INET6;
        out->v6 = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        return true;
    }
    return false;
}

int own_addresses_refresh(struct own_addresses *own, uint64_t now_ms, struct err *e)
{
    if (own->read_at && now_ms - own->read_at < FRESH_MS)
        return 0;
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0)
        return err_set(e, E_IO, errno, "read the addresses of this host");
    size_t count = 0;
    for (struct ifaddrs *at = list; at; at = at->ifa_next)
        count++;
    own_addresses_release(own);
    own->items = mem_array(count, sizeof *own->items);
    for (struct ifaddrs *at = list; at; at = at->ifa_next)
        if (read_address(at->ifa_addr, &own->items[own->count]))
            own->count++;
    freeifaddrs(list);
    own->read_at = now_ms ? now_ms : 1;
    return 0;
}

void own_addresses_release(struct own_addresses *own)
{
    free(own->items);
    *own = (struct own_addresses){ 0 };
}
