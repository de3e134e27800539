/* hop.h - the way to a host that has been allowed: look-up, check of the addresses, connection.
 *
 * Contract 3.3.3 (a name is resolved once, refused addresses are dropped, one that is left is
 * dialled) and 3.3.4 (parent proxy), `mitmProxy` of 3.3.
 */
#pragma once

#include "egress/proxy-int.h"

enum hop_via { HOP_DIRECT, HOP_PARENT, HOP_MITM };

/* A tunnel carries bytes; a plain hop carries HTTP requests, in absolute form unless HOP_DIRECT. */
enum hop_kind { HOP_PLAIN, HOP_TUNNEL };

struct hop_result {
    int fd; /* the receiver's; -1: failed, and the two below say how */
    enum answer failure;
    const char *reason; /* for ANSWER_ADDRESS the class; borrowed for the call, or NULL */
    enum hop_via via;
    struct ip_address address; /* family 0 unless a name was resolved and this one dialled */
};

struct hop;
typedef void hop_done(void *ctx, const struct hop_result *result);

/* `want` is borrowed until the callback. The callback comes from the loop, then the hop frees
 * itself. A refused address is reported as a denial. */
struct hop *hop_new(struct egress_sandbox *s, const struct want *want, enum hop_kind kind,
                    hop_done *done, void *ctx);

/* Closes what was begun; the callback will not come. NULL is fine. */
void hop_cancel(struct hop *h);

/* Which way a plain request to this host goes; for connections that are used again. */
enum hop_via hop_way(const struct egress_sandbox *s, const struct want *want, enum hop_kind kind);
