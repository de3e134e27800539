/* client.h - one connection that came out of the sandbox, from accept to close.
 *
 * client.c moves its bytes, keeps its deadlines and knows nothing of protocols; what speaks to it is
 * a row of functions: http.c (HTTP proxy and CONNECT), socks.c, transparent.c. tunnel.c carries what
 * all of them share once a stream is wanted, exchange.c carries plain HTTP requests.
 */
#pragma once

#include "egress/hop.h"
#include "egress/permission.h"
#include "egress/proxy-int.h"
#include "io/dial.h"
#include "proto/http1.h"

enum {
    CLIENT_IN_MAX =
        (64 << 10) - 1, /* head, or bytes sent before the decision; with its NUL 64 KiB */
    FIRST_BYTE_MS = 10 * 1000,
    HEAD_MS = 60 * 1000,
    IDLE_MS = 60 * 1000,   /* between two requests of a kept-alive connection */
    STALL_MS = 300 * 1000, /* a request or answer of which nothing moves */
    LINGER_MS = 2 * 1000,  /* for the client to read the last answer */
};

/* Buffers of all clients together; with the pipes of RELAY_PIPES it stays below 256 MiB. */
enum { BUFFERED_MAX = 160 << 20 };

enum client_phase {
    CLIENT_FIRST,    /* no byte has come */
    CLIENT_HEAD,     /* a request is coming in: protocol->input reads it */
    CLIENT_WAIT,     /* for a decision, or for the connection to the host */
    CLIENT_EXCHANGE, /* a plain HTTP request is being carried */
    CLIENT_TUNNEL,   /* the relay has both sockets */
    CLIENT_LINGER,   /* our last words are on their way */
    CLIENT_CLOSED
};

struct client;
struct exchange;
struct socks5;

struct client_protocol {
    /* Bytes or the end have come in during CLIENT_HEAD or CLIENT_EXCHANGE. */
    void (*input)(struct client *c);
    /* The stream that tunnel_request wanted is not to be had. */
    void (*refused)(struct client *c, enum answer answer, const char *reason);
    /* The stream is there: appends what the client hears first to `hello`. */
    void (*opened)(struct client *c, struct buf *hello);
    const char *violation; /* kind of a refused opaque tunnel in the violation line */
    bool waits_for_reply;  /* nothing large is sent before our answer */
};

struct client {
    struct egress_sandbox *sandbox;
    struct client *next, **link; /* among the sandbox's clients */
    enum client_phase phase;
    const struct client_protocol *protocol; /* NULL before the first byte */
    struct watch *watch;                    /* NULL when the relay has it */
    struct timer *timer;
    struct buf in;   /* read and not consumed */
    struct buf out;  /* for the client, not taken yet */
    unsigned writes; /* counted up to 2 */
    size_t memory;   /* what egress->buffered counts for us */
    bool ended;      /* the client sends nothing more */
    bool full;       /* somebody wants no more input for now */
    char user[CREDENTIAL_KEY_MAX];

    struct want want;
    bool wanting;              /* `want` is filled and judged, or being judged */
    bool by_person;            /* a person allowed it, not a list */
    struct ip_address dialled; /* family 0: not a resolved name */
    bool holds_name;
    struct in_addr held_name; /* keeps its place in names while we live */
    struct permission *permission;
    struct hop *hop;
    struct dial *dial;                    /* to a port of the host's loopback */
    struct entry *entry;                  /* to a port inside */
    const struct egress_forward *forward; /* the listener's, or NULL */
    struct relay *relay;
    struct exchange *exchange;
    struct http1 http;    /* reads requests */
    struct socks5 *socks; /* owned, or NULL */
    bool socks_named;     /* its credential was right */
};

/* Takes the accepted socket. */
void client_new(struct egress_sandbox *s, const struct listener *l, int fd, uint16_t client_port);

/* Drops bytes from the front of `in`. */
void client_consume(struct client *c, size_t n);

/* Writes what the socket takes now, keeps the rest in `out`. -1 when the client is gone. */
int client_send(struct client *c, struct str bytes);

/* Writes what waits in `out`. -1 when the client is gone. */
int client_flush(struct client *c);

/* Reads on, from the loop, in what has come in already. */
void client_resume(struct client *c);

/* Sets the deadline of the phase that begins now. */
void client_enter(struct client *c, enum client_phase phase, uint64_t deadline_ms);

/* Computes what we wait for; call it last in every callback. Safe on a closed client. */
void client_settle(struct client *c);

/* Ends after what is in `out` has been taken: shutdown, then a moment for the client to read. */
void client_finish(struct client *c);

/* Closes at once. The memory is given back from the loop. */
void client_close(struct client *c);

/* The policy has changed: closes what is no longer allowed. */
void client_rejudge(struct client *c);

/* Protocols, by what the first byte or the listener says. */
extern const struct client_protocol client_http, client_connect, client_socks, client_transparent;

/* A transparent connection has no head: its wish is known when it is accepted. */
void transparent_begin(struct client *c);

/* A listener that an external proxy of the host serves (httpProxyPort, socksProxyPort). */
void forward_to_proxy(struct client *c, uint16_t host_port);

/* A listener of x.network.ports; c->forward is set. */
void forward_begin(struct client *c);

/* True when `from` is the side of the sandbox: what it sends is what leaves. */
bool client_is_inside(const struct client *c, enum relay_side from);
