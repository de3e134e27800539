/* fetch.h - HTTP requests to others, by libcurl on our loop.
 *
 * A fetcher holds the connections that can be used again. A fetch is one request: its callbacks come
 * from the loop, `on_done` exactly once unless it is cancelled, and never from inside a function below.
 * Nothing of a request is ever logged. HTTP/1.1 only; no compression; http and https only.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct fetcher;

struct fetcher_options {
    const char *proxy;    /* URL; NULL: from http_proxy, https_proxy, all_proxy; "": none */
    const char *no_proxy; /* hosts without it, comma-separated; NULL: from no_proxy */
    const char *ca_file;  /* PEM; NULL: the system's roots */
};

/* Texts are copied. The caller frees, after or before its fetches have ended. */
int fetcher_new(struct loop *l, const struct fetcher_options *options, struct fetcher **out,
                struct err *e);

/* Cancels all fetches. Not from inside a fetch's callback. NULL is fine. */
void fetcher_free(struct fetcher *f);

struct fetch;

struct fetch_field {
    struct str name, value; /* no control characters; a value may be a secret */
};

enum fetch_end {
    FETCH_COMPLETE, /* any status */
    FETCH_INPUT,    /* URL or field cannot be used */
    FETCH_RESOLVE,  /* the name has no address */
    FETCH_CONNECT,  /* nobody answers there, or the proxy refuses */
    FETCH_DENIED,   /* `allow` refused the address */
    FETCH_TLS,      /* certificate or handshake */
    FETCH_TIMEOUT,  /* one of the three */
    FETCH_TOO_LARGE,
    FETCH_BROKEN /* the connection broke, or what came is no HTTP */
};

struct fetch_result {
    enum fetch_end end;
    int status;       /* 0: no head came */
    const char *text; /* for people; names no URL and no field */
};

struct fetch_options {
    const char *method; /* NULL: GET, or POST with a body */
    const char *url;
    const struct fetch_field *fields;
    size_t field_count;
    struct str body;     /* p NULL: none */
    uint64_t connect_ms; /* look-up, connection and handshake; 0: 10 s */
    uint64_t
        idle_ms; /* without a byte, from the connection on; paused time does not count; 0: for ever */
    uint64_t total_ms;   /* 0: for ever */
    uint64_t body_limit; /* bytes of the answer's body; 0: any */
    unsigned redirects;  /* how many are followed */
    bool direct;         /* no proxy */
    /* Judges each address before it is dialled, that of a proxy too. NULL: all may be dialled. With it no
     * connection is shared with other fetches. */
    bool (*allow)(void *ctx, const struct sockaddr *address);
    /* The head of the final answer is there (fetch_answer_field). NULL: nobody asks. */
    void (*on_head)(void *ctx, struct fetch *f, int status);
    /* A piece of the body, at most 16 KiB. NULL: it is thrown away. */
    void (*on_body)(void *ctx, struct fetch *f, struct str bytes);
    /* The fetch has ended and frees itself after this call. */
    void (*on_done)(void *ctx, const struct fetch_result *result);
    void *ctx;
};

/* Everything given is copied. The caller needs the fetch only to pause or cancel it. */
struct fetch *fetch_new(struct fetcher *owner, const struct fetch_options *o);

/* No more `on_body` until fetch_resume; the sender is slowed. Allowed inside the callbacks. */
void fetch_pause(struct fetch *f);
void fetch_resume(struct fetch *f);

/* No callback comes any more, `on_done` neither; the memory goes by itself. Allowed at any time before
 * `on_done`, also inside the callbacks. NULL is fine. */
void fetch_cancel(struct fetch *f);

/* A field of the answer's head, from `on_head` to `on_done`; p NULL: none. Valid until the next callback. */
struct str fetch_answer_field(struct fetch *f, const char *name);
