/* server-int.h - what the parts of the server share.
 *
 * connection.c drives one connection: it reads, hands requests to call.c, and computes what to wait
 * for. output.c is the way of every byte to the peer. call.c makes requests of heads and tells their
 * owners; answer.c and stream.c are how owners answer.
 */
#pragma once

#include "base/log.h"
#include "io/listen.h"
#include "net/server.h"
#include "net/stream.h"
#include "net/waits.h"

enum {
    EARLY_MAX = 16 << 10, /* bytes of later requests that are read while one is answered */
    SKIP_MAX = 64 << 10,  /* a body that nobody wants is read to keep the connection, up to here */
    IDS_AT_ONCE = 32,     /* request ids for one call of the random source */
    LISTENERS_MAX = 16
};

/* What a connection waits for; each has a list of its own. */
enum wait_kind { WAIT_HEAD, WAIT_BODY, WAIT_IDLE, WAIT_STALL, WAIT_LINGER, WAIT_KINDS, WAIT_NONE };

struct listener {
    struct listening at;
    struct watch *watch;
    struct server *server;
    struct tls_server *tls;
};

struct server {
    struct loop *loop;
    struct server_options options;
    struct server_handler handler;
    struct server_counters counters;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct connection *connections;
    struct waits waits[WAIT_KINDS];
    struct waits pings;
    struct timer *accept_timer; /* descriptors have run out: until accepting is tried again */
    bool full, stopping;
    struct timer *stop_timer;
    void (*stopped)(void *ctx);
    void *stopped_ctx;

    struct random_source random; /* fills the pool below */
    unsigned char pool[IDS_AT_ONCE * 32];
    size_t pool_left;
    struct buf page; /* where heads and small answers are put together */
    struct buf date; /* the fields that are the same for a second */
    uint64_t date_made;
    struct buf log; /* lines that wait for log_timer */
    struct timer *log_timer;
};

enum input {
    INPUT_HEAD, /* the next request, if one comes */
    INPUT_BODY, /* collected */
    INPUT_HELD, /* a body that nobody wants; not read before the answer is known */
    INPUT_SKIP, /* the same, thrown away */
    INPUT_DONE, /* the request is complete */
    INPUT_OVER  /* what comes is no message of ours any more */
};

struct connection {
    struct server *server;
    struct connection *next, **link;
    struct transport *transport; /* NULL: closed, the memory goes later */
    struct wait wait;
    struct http1 http;
    struct call *call;     /* the request that is collected or lent; NULL: none, or answered */
    struct stream *stream; /* or the stream that it became */
    struct buf early;      /* bytes that came before their turn */
    struct str fresh;      /* bytes of the read that is going on; in loop_scratch */
    struct buf out;        /* waits for the socket; no memory while nothing does */
    size_t out_done;       /* of it */
    size_t held;           /* bytes of head and early bytes that the server's memory counts */
    struct socket_address peer;
    enum input input;
    bool tls;
    bool keep;       /* another request may follow */
    bool answered;   /* all of the answer is in `out` or has left */
    bool finished;   /* we have told the peer that nothing more comes */
    bool peer_ended; /* it has told us */
    bool broken;     /* the transport has failed */
    bool begun;      /* a byte of the next head has come, or none ever: head_ms counts */
    bool bodyless;   /* the head says so */
    bool ask;        /* the message may be complete: http1_feed is to be asked without new bytes */
    bool busy;       /* connection_go runs */
    bool flushing;   /* on_flush is on its way */
};

/* A request and what the server keeps beside it. */
struct call {
    struct request request; /* first: a struct request * is a struct call * */
    struct server *server;
    struct connection *connection; /* NULL: the client has gone */
    struct http1 input;            /* memory of the head, once the connection is gone */
    struct buf body;
    size_t body_limit;
    uint64_t began, body_began;
    bool lent; /* the handler has it; before that the server may drop it silently */
    bool telling, told, given_back;
    enum request_gone when;
    void (*gone)(void *ctx);
    void *gone_ctx;
};

struct stream {
    struct server *server;
    struct connection *connection; /* NULL: the reader has gone */
    struct id id;
    struct stream_owner owner;
    uint64_t began, sent; /* sent: bytes that the owner put */
    bool chunked, mute;   /* mute: to HEAD */
    bool hungry;          /* the owner waits for room */
    bool telling, told, given_back, over;
};

/* connection.c */
void connection_new(struct server *s, int fd, const struct listener *at,
                    const struct socket_address *peer);
/* At once; owners are told later. */
void connection_close(struct connection *c);
/* Goes on as far as it can; calls the handler. Only from the loop. */
void connection_go(struct connection *c);
/* The request has been answered or has become a stream; exactly once for each. `keep` is said. */
void connection_taken(struct connection *c);
/* The answer is complete. Goes on at once, or from the loop when the handler might be called. */
void connection_answered(struct connection *c);
/* Sets what the connection waits for. */
void connection_settle(struct connection *c);
/* The wait of that kind is over. */
void connection_late(struct connection *c, enum wait_kind kind);
bool connection_is_idle(const struct connection *c);

/* output.c */
/* Writes at once what the socket takes and keeps the rest. A failure shows later. */
void output_send(struct connection *c, struct str bytes);
/* Writes what waits. */
void output_flush(struct connection *c);
bool output_waits(const struct connection *c);
/* Puts a piece of a stream, framed; it has to fit. Leaves at the end of the turn. */
void output_stream(struct connection *c, bool chunked, struct str bytes);
/* What ends the chunks; has room at any time. */
void output_end_chunks(struct connection *c);
size_t output_room(const struct connection *c);
/* Enough for a stream to be asked for more. */
bool output_is_half_empty(const struct connection *c);
void output_release(struct connection *c);

/* call.c */
/* Makes the request of c->http.head, and sets c->call when its target can be read. NULL: `why` says how it
 * has to be refused. */
struct call *call_new(struct connection *c, struct failure *why);
/* One without a head, for an answer to what was no request. */
struct call *call_new_empty(struct connection *c);
/* A piece of the body. False: refused for `why`. */
bool call_add_body(struct call *call, struct str piece, struct failure *why);
/* The client has gone. */
void call_detach(struct call *call);
/* Tells its owner, from the loop, that nobody waits. */
void call_tell_gone(struct call *call);
/* The owner has given it back. */
void call_give_back(struct call *call);

/* answer.c */
/* Appends a head and its empty line. `length` is the body's, or LENGTH_CHUNKED or LENGTH_NONE. */
enum { LENGTH_CHUNKED = -1, LENGTH_NONE = -2 };
void answer_write_head(struct buf *out, const struct call *call, const struct answer *a,
                       int64_t length, bool keep);
/* Whether the connection may go on after an answer given now. */
bool answer_keeps(const struct connection *c);
/* Counts and logs. */
void answer_note(const struct call *call, int status, size_t sent);

/* stream.c */
void stream_detach(struct stream *s);
void stream_tell_gone(struct stream *s);
/* Nothing waits for the reader. */
bool stream_is_drained(const struct stream *s);
/* Bytes have left: the owner may want to put more. */
void stream_drained(struct stream *s);

/* server.c */
/* Adds to the memory that is in use. */
void server_charge(struct server *s, size_t bytes);
void server_discharge(struct server *s, size_t bytes);
bool server_is_short(const struct server *s, size_t more);
struct id server_request_id(struct server *s);
/* The fields server and date. */
struct str server_date(struct server *s);
/* A connection is gone. */
void server_left(struct server *s);
void server_log(struct server *s, const char *name, const struct log_field *fields, size_t count);
