/* web-int.h - what the two tools share. */
#pragma once

#include "base/secret.h"
#include "net/fetch.h"
#include "proto/json.h"
#include "web/web.h"

struct web {
    struct web_tools tools;
    struct loop *loop;
    struct web_settings settings;
    struct fetcher *fetcher;
    struct secret search_key;
};

/* One call of a tool, from its start to its answer. */
struct web_call {
    struct web *web;
    void (*done)(void *arg, struct str content, bool is_error);
    void *arg;
    struct json *input, *options; /* owned; options may be NULL */
    struct fetch *fetch;          /* what runs now; NULL: nothing */
    char *url;                    /* owned; of what runs now */
    unsigned hops;                /* redirects that were followed */
    int status;
    struct buf body, type; /* of the answer */
    struct buf location;   /* of a redirect */
    struct buf content;    /* what `done` will be told */
    bool is_error, cancelled;
};

/* Begins; the answer comes later in any case. */
void web_fetch_begin(struct web_call *c);
void web_search_begin(struct web_call *c);

/* The answer is one text block, or what stands in c->content: told from the loop. */
__attribute__((format(printf, 2, 3))) void web_fail(struct web_call *c, const char *fmt, ...);
void web_succeed(struct web_call *c);

/* What hinders asking for that URL under these options, or NULL: "url_not_allowed: ...". Borrowed from
 * `room`. */
const char *web_url_refused(const struct web_call *c, struct str url, char *room, size_t size);

/* Whether a domain list of the options lets the host through. */
bool web_host_allowed(const struct json *options, struct str host);

struct sockaddr;
/* For fetch_options.allow, where the web is only the public part of the network. */
bool web_allow_public(void *ctx, const struct sockaddr *address);
