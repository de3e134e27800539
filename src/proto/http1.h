/* http1.h - reads HTTP/1.0 and HTTP/1.1 messages, requests and responses (RFC 9112).
 *
 * Bytes in, events out: no I/O, any cut of the stream gives the same events. Memory is bounded by
 * the limits and held only while a message is being read. Two readers must agree on every head, ours
 * and llhttp's strict build, so that no message is forwarded that somebody could read differently.
 *
 *     http1_init(&h, HTTP1_REQUEST, NULL);
 *     while ((event = http1_feed(&h, bytes, &used, &e)) > HTTP1_MORE) {
 *         bytes = str_skip(bytes, used);
 *         ... HTTP1_HEAD: look at h.head; HTTP1_BODY: take h.body; HTTP1_END: http1_next(&h)
 *     }
 *
 * A caller that has to think about a head first simply does not call http1_feed again before it has.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum http1_kind { HTTP1_REQUEST, HTTP1_RESPONSE };

struct http1_limits {
    size_t head;   /* bytes of the start line and all fields, empty line included */
    size_t fields; /* field lines */
    size_t
        overhead; /* bytes between two pieces of a chunked body: size line with its extensions, or
                        the trailer section */
};

/* 64 KiB, 256 fields, 8 KiB. */
extern const struct http1_limits http1_limits_default;

enum http1_framing { HTTP1_NONE, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

struct http1_field {
    struct str name;  /* as spelled; a token */
    struct str value; /* without blanks at both ends; no control characters but tab */
};

struct http1_head {
    int minor;         /* HTTP/1.minor: 0 or 1 */
    struct str method; /* request: a method that llhttp knows */
    struct str
        target; /* request: printable ASCII, not empty; with "/..." there is a sound Host, else
                          there is one at most, judged no further */
    int status; /* response: 100 to 599 */
    struct str reason; /* response: may be empty */
    const struct http1_field *fields;
    size_t count;

    enum http1_framing framing;
    uint64_t length; /* with HTTP1_LENGTH */
    bool keep_alive; /* another message may follow this one */
    /* After HTTP1_END the connection may speak another protocol: a CONNECT request or its 2xx
     * response, a request with Upgrade, a 101 response. */
    bool upgrade;
};

enum http1_event {
    HTTP1_MORE, /* all bytes are used, more are needed */
    HTTP1_HEAD, /* `head` is valid until http1_next or http1_release */
    HTTP1_BODY, /* `body` is a piece of the caller's bytes, chunk framing taken off */
    HTTP1_END   /* the message is complete; trailers have been dropped */
};

struct http1_reader;

struct http1 {
    enum http1_kind kind;
    struct http1_limits limits;
    struct http1_head head;
    struct str body;
    struct http1_reader *reader; /* owned; NULL between messages */
    uint8_t phase;
    bool no_body, connect; /* see http1_expect */
};

/* `limits` NULL: the default ones. Allocates nothing. */
void http1_init(struct http1 *h, enum http1_kind kind, const struct http1_limits *limits);

/* Gives back all memory. */
void http1_release(struct http1 *h);

/* Response only: the method of the request that the next responses answer. HEAD has no body, a 2xx
 * to CONNECT starts a tunnel. Kept over http1_next, so that interim (1xx) responses need no care. */
void http1_expect(struct http1 *h, struct str method);

/* Reads until the next event; returns it and says in *used how many bytes are consumed. Bytes beyond
 * HTTP1_END are never touched. Returns -1 and stays there on a malformed message: E_INPUT (400, or
 * 502 for a response), or E_BUSY when a limit is passed (431). The text repeats no byte of the
 * message. */
int http1_feed(struct http1 *h, struct str bytes, size_t *used, struct err *e);

/* The peer has finished sending. HTTP1_END when that completes a body that lasts until close,
 * HTTP1_MORE when nothing had begun or all is complete, -1 when a message is cut off. */
int http1_eof(struct http1 *h, struct err *e);

/* After HTTP1_END: gives the head back and is ready for the next message. */
void http1_next(struct http1 *h);

/* Bytes of memory that the reader holds now. */
size_t http1_memory(const struct http1 *h);

/* The value of the first field of that name (case does not matter); p is NULL when there is none. */
struct str http1_field(const struct http1_head *head, struct str name);

/* True when the comma lists of all fields `name` hold the token `token`, case aside. */
bool http1_has_token(const struct http1_head *head, struct str name, struct str token);

/* True for fields that concern one connection only and are never forwarded (RFC 9110 7.6.1): the
 * usual ones, the Proxy- ones, and those that the head's Connection field names. */
bool http1_is_hop_by_hop(const struct http1_head *head, struct str name);
