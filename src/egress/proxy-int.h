/* proxy-int.h - what the files of the proxy share. */
#pragma once

#include "base/buf.h"
#include "egress/answer.h"
#include "egress/credential.h"
#include "egress/inlet.h"
#include "egress/lookups.h"
#include "egress/names.h"
#include "egress/own.h"
#include "egress/proxy.h"
#include "egress/rate.h"
#include "io/relay.h"
#include "io/timer.h"
#include "io/watch.h"

enum {
    LISTENERS_MAX = 144, /* the proxy's own, and two families of every forward */
    TOKEN_MAX = 128,
    RELAY_PIPES = 192, /* 96 MiB of pipes at most, in all */
    QUERIES_PER_SECOND = 200,
    QUERY_BURST = 1000
};

struct egress {
    struct loop *loop;
    struct relay_room room;
    struct tls_client *tls;
    size_t buffered; /* bytes in the buffers of all clients */
    struct own_addresses own;
};

struct listener {
    struct egress_sandbox *sandbox;
    enum egress_listener kind;
    struct egress_forward forward; /* outer 0: none, and `kind` counts */
    struct watch *watch;
};

struct client;
struct question;
struct upstream;
struct resolver;

struct egress_sandbox {
    struct egress *egress;
    struct egress_policy policy;
    char token[TOKEN_MAX + 1];
    bool can_ask;
    struct egress_hooks hooks;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct client *clients; /* all that are not closed */
    size_t client_count;
    struct question *questions;
    uint64_t last_question;
    struct upstream *idle; /* connections that may carry another request */
    size_t idle_count;
    struct names *names;       /* NULL without resolver and transparent listener */
    struct resolver *resolver; /* NULL without dns listeners */
    struct inlet *inlet;       /* NULL without inward forwards */
    struct lookups lookups;
    struct rate queries; /* of the resolver */
    struct egress_totals totals;
};

/* What somebody wants to reach, and who. */
struct want {
    struct host host;
    uint16_t port;
    enum egress_method method;
    uint16_t client_port;
    const char *user; /* lives as long as the want */
};

/* Tells the embedder what was decided. False when it could not be recorded. `violation_kind` is the
 * first word of the violation line of a denial; NULL = "network-outbound". */
bool egress_report(struct egress_sandbox *s, const struct want *want, bool denied, const char *rule,
                   const char *reason, const char *violation_kind);

/* The same for a denial of what is no host and port: `raw` is what the client sent as host. */
void egress_report_malformed(struct egress_sandbox *s, const struct want *want, struct str raw,
                             const char *reason);

/* Counts bytes that leave (`out`) or come in. False once maxBytesOut is used up. */
bool egress_count(struct egress_sandbox *s, bool out, size_t n);

/* Listeners accept again when a connection has gone. */
void egress_accept_interest(struct egress_sandbox *s);
