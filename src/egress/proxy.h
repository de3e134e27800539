/* proxy.h - the egress proxy: everything that a sandbox sends out goes through here.
 *
 * One `struct egress` per process holds what is shared (the loop, the addresses of this host, the
 * pipes); each `struct egress_sandbox` has its own listeners, policy, token, questions and counters,
 * so one process can serve many. The listeners are sockets that were opened inside the sandbox's
 * network namespace; what is dialled leaves from ours.
 *
 * Contract 3.3 (decisions and answers), 4.2 (transparent, resolver), 6 (live updates), 8 (questions).
 */
#pragma once

#include "egress/policy.h"
#include "io/loop.h"

enum egress_method {
    EGRESS_CONNECT,
    EGRESS_HTTP,
    EGRESS_SOCKS,
    EGRESS_TRANSPARENT,
    EGRESS_DNS,
    EGRESS_PORT_IN, /* x.network.ports */
    EGRESS_PORT_OUT,
    EGRESS_METHODS
};

/* "connect", "http", ... as the channel names them. */
const char *egress_method_name(enum egress_method method);

enum egress_listener {
    EGRESS_LISTEN_HTTP,
    EGRESS_LISTEN_SOCKS,
    EGRESS_LISTEN_TRANSPARENT,
    EGRESS_LISTEN_DNS_UDP,
    EGRESS_LISTEN_DNS_TCP,
    EGRESS_LISTENERS
};

/* The listener of that name on the channel ("dns-udp"), or -1. */
int egress_listener_find(struct str name);

/* One judged connection, request or look-up. All pointers are borrowed for the call. */
struct egress_event {
    bool denied;
    enum egress_method method;
    const char *host;
    uint16_t port;
    const char *rule, *reason; /* or NULL */
    const char *violation;     /* the line of contract 10.1, or NULL */
    uint16_t client_port;      /* inside the sandbox; 0 = none */
    const char *user;          /* attribution key, or "" */
};

struct egress_question {
    uint64_t id;
    enum egress_method method;
    const char *host;
    uint16_t port, client_port;
    const char *user;
};

/* What the embedder is told. `event` answers false when the event could not be recorded: then the
 * thing is refused, whatever the policy says. */
struct egress_hooks {
    bool (*event)(void *ctx, const struct egress_event *event);
    void (*ask)(void *ctx, const struct egress_question *question);
    void (*cancel)(void *ctx, uint64_t id);
    void *ctx;
};

struct egress_totals {
    uint64_t bytes_out, bytes_in, connections, denied;
};

struct egress;
struct egress_sandbox;

/* `loop` is borrowed and outlives the proxy. */
struct egress *egress_new(struct loop *loop);

/* After every sandbox has been freed. */
void egress_free(struct egress *e);

/* A sandbox without listeners. Takes what `policy` holds and leaves it empty; `token` is copied.
 * With `can_ask`, hosts that no rule names are asked about through the hooks. */
struct egress_sandbox *egress_sandbox_new(struct egress *e, struct egress_policy *policy,
                                          struct str token, bool can_ask,
                                          const struct egress_hooks *hooks);

/* Takes the descriptor of a listening (for dns-udp: bound) socket and serves it from now on. */
int egress_sandbox_listen(struct egress_sandbox *s, enum egress_listener kind, int fd,
                          struct err *e);

/* One port of `x.network.ports` (contract 4.2). */
struct egress_forward {
    bool inward;           /* from the host to a server inside, else to a server of the host */
    uint16_t outer, inner; /* the host's port, the sandbox's port */
};

/* Takes the descriptor of a listening socket; what arrives is relayed to the other side's loopback. The
 * allow list does not matter, the deny list does, for each new connection. */
int egress_sandbox_forward(struct egress_sandbox *s, const struct egress_forward *forward, int fd,
                           struct err *e);

/* Takes the socket over which init makes sockets inside (egress/inlet.h): inward forwards need it. */
void egress_sandbox_reach_in(struct egress_sandbox *s, int fd);

/* A live update (contract 6): the next connection and request is judged by the new policy, open
 * questions are judged again, tunnels that are no longer allowed are closed. Takes what `policy`
 * holds. */
void egress_sandbox_update(struct egress_sandbox *s, struct egress_policy *policy);

/* Somebody answered; an id that is not open is ignored. `reason` may be empty. */
void egress_sandbox_answer(struct egress_sandbox *s, uint64_t id, bool allow, struct str reason);

struct egress_totals egress_sandbox_totals(const struct egress_sandbox *s);

/* Closes everything of this sandbox. */
void egress_sandbox_free(struct egress_sandbox *s);
