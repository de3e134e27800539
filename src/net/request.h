/* request.h - one HTTP request, from its head to its answer.
 *
 * The server makes a request when its head is complete and lends it to the handler (server.h). It
 * stays valid, whatever the client does, until the handler gives it back by exactly one call of
 * request_answer, request_fail or request_drop, or by making it a stream (stream.h). That may be at
 * once, from inside the handler's callback, or any time later on the loop thread.
 *
 * A client that leaves changes nothing of this: the request still has to be given back, and what is
 * answered then goes nowhere. Who wants to know of it (a long poll) asks with request_on_gone.
 */
#pragma once

#include "base/buf.h"
#include "base/id.h"
#include "io/socket.h"
#include "proto/http1.h"
#include "proto/url.h"

/* Read only for everybody but the server; `route` is the handler's. All texts live as long as the
 * request. */
struct request {
    struct id id;      /* "req_…", also in the answer's request-id */
    struct str method; /* "GET"; case matters */
    struct str path;   /* as spelled, "/v1/a%20b", without the query */
    struct str query;  /* as spelled, without "?"; may hold secrets: never to be logged */
    const struct str
        *segments;        /* what stands between the slashes, each decoded once: "v1", "a b" */
    size_t segment_count; /* "/" has one segment, the empty one */
    const struct url_parameter *parameters; /* of the query, decoded, in their order */
    size_t parameter_count;
    struct http1_head head; /* fields: http1_field(&r->head, STR("authorization")) */
    struct str body;        /* empty until `handle` */
    struct socket_address peer;
    bool tls;
    const void *route; /* what admit wants to remember for handle */
};

/* The value of the parameter `name`; p is NULL when there is none. Of several the first. */
struct str request_parameter(const struct request *r, struct str name);

/* The next value of the list `name`, spelled "name" or "name[]": *at starts at 0. False at the end. */
bool request_parameter_next(const struct request *r, struct str name, size_t *at,
                            struct str *value);

struct answer {
    int status;                       /* 200 to 599 */
    const char *content_type;         /* NULL: application/json */
    struct str body;                  /* borrowed for the call */
    const struct http1_field *fields; /* further ones; control characters in values become blanks */
    size_t field_count;
};

/* Sends the answer, with request-id, content-length and date (contract 1.5), and takes the request
 * back. To HEAD the body is left out, 204 has none. */
void request_answer(struct request *r, const struct answer *a);

/* An error as clients see it (contract 1.5). */
struct failure {
    int status;
    const char *type;     /* NULL: the usual one of the status */
    struct str message;   /* for people; no secrets */
    const char *code;     /* details.error_code, or NULL */
    struct str details;   /* further members of "details", or */
    struct str members;   /* of "error": ready JSON without braces, or empty */
    struct str allow;     /* of a 405: the methods that the path takes (RFC 9110 15.5.6) */
    unsigned retry_after; /* seconds; 0: no such field */
    bool no_retry;        /* says "x-should-retry: false" (contract 1.6) */
};

/* Answers with the error envelope and takes the request back. */
void request_fail(struct request *r, const struct failure *f);

/* Appends the envelope alone, as the error event of a stream carries it (contract 1.8). */
void failure_write(struct buf *out, const struct failure *f, const struct id *request);

/* Gives the request back without an answer: the connection is cut. */
void request_drop(struct request *r);

enum request_gone {
    /* The connection has failed, or the server stops. A client that has only finished sending still
     * waits for its answer. */
    GONE_BROKEN,
    /* A client that has finished sending counts as gone too: for a long poll, where handing
     * something to nobody is worse than refusing a client that half-closes. */
    GONE_ENDED
};

/* `gone` is called at most once, from the loop, when nobody waits for the answer any more. While the
 * server stops, what is answered then is still sent. `gone` NULL: no longer. */
void request_on_gone(struct request *r, enum request_gone when, void (*gone)(void *ctx), void *ctx);

/* False once nobody waits. */
bool request_is_waited_for(const struct request *r);
