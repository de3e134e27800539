/* server.h - the HTTP/1.1 server.
 *
 * Listens, reads one request at a time from each connection, and lends it to the handler (request.h).
 * Every bound of memory and time is in the options. Everything runs on the loop thread.
 */
#pragma once

#include "io/tls_server.h"
#include "net/request.h"

struct server;

struct server_handler {
    /* The head is there, the body is not. True: it may come, at most *body_limit bytes (preset to the
     * server's own limit), and `handle` follows. False: the request is answered without its body; the
     * handler has done that, or does it later. Between a true and `handle` the handler holds nothing
     * of its own: when the body fails to come the server answers by itself and says nothing. */
    bool (*admit)(void *ctx, struct request *r, size_t *body_limit);
    void (*handle)(void *ctx, struct request *r);
    void *ctx;
};

struct server_options {
    size_t connections; /* at once; beyond, the one that has idled longest is closed, or nobody is
                             accepted until one goes */
    size_t body_limit;  /* of one request, in bytes */
    size_t
        memory_budget; /* bytes of all bodies and of answers that wait for slow readers; beyond, requests
                             are refused with 529 */
    uint64_t head_ms; /* from the first byte of a request, or from accept, to the end of its head */
    uint64_t body_ms; /* without a byte of a body */
    size_t body_rate; /* bytes a second that a body has to come with, on average, after body_ms */
    uint64_t idle_ms; /* between two requests */
    uint64_t stall_ms; /* a reader that takes nothing of what waits for it is cut off */
    uint64_t ping_ms;  /* silence on a stream of events before a ping */
    uint64_t
        linger_ms;    /* an answer before the end of a request: how long its rest is thrown away */
    bool allow_plain; /* without TLS on addresses other than loopback */
    bool access_log;  /* one "http.request" line for each answer */
};

/* 10,000; 32 MiB; 256 MiB; 10 s; 60 s; 1000; 75 s; 60 s; 15 s; 2 s; no; yes. */
extern const struct server_options server_options_default;

/* `random` makes the request ids. The caller frees. */
struct server *server_new(struct loop *l, const struct server_options *options,
                          const struct server_handler *handler, struct random_source random);

/* One more address: "127.0.0.1:0", "[::1]:8080" or "unix:/path". `tls` (borrowed, NULL: plain) outlives
 * the server. *port, when not NULL, is the real one (0: unix). Fails with E_INPUT for what is no
 * address, E_DENIED for plain HTTP beyond loopback, E_IO with the system's reason. */
int server_listen(struct server *s, const char *address, struct tls_server *tls, uint16_t *port,
                  struct err *e);

/* Accepts nobody any more, closes idle connections, tells the owners of requests and streams (`gone`)
 * and lets answers finish; after deadline_ms what is left is cut. `stopped` is called once, from the
 * loop, when no connection is left. */
void server_stop(struct server *s, uint64_t deadline_ms, void (*stopped)(void *ctx), void *ctx);

/* Cuts every connection. Every request and stream must have been given back before. NULL is fine. */
void server_free(struct server *s);

struct server_counters {
    uint64_t answers[6]; /* by class of status: [2] counts 200 to 299; [0] those that were cut */
    uint64_t accepted;   /* connections */
    uint64_t bytes_in, bytes_out;
    uint64_t pings;
    uint64_t stalled; /* readers that were cut off */
    /* Now. */
    size_t connections, requests, streams;
    size_t memory; /* of the budget */
};

/* Borrowed; current. */
const struct server_counters *server_counters(const struct server *s);
