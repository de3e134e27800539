/* remote-int.h - what remote.c and remote_call.c share. */
#pragma once

#include "model/remote.h"
#include "net/fetch.h"

struct remote_call;

struct remote {
    struct loop *loop;
    struct fetcher *fetcher;   /* owned */
    struct remote_call *calls; /* owned; those that still have memory */
    char *name, *url;          /* owned; `url` is that of the requests */
    struct secret key;
    enum provider_dialect dialect;
    uint64_t connect_ms, idle_ms;
    struct fetch_field *headers; /* owned, with their texts; values may be secrets */
    size_t header_count;
    struct str *secrets; /* owned; borrows from the key and the headers: what no message may hold */
    size_t secret_count;
};

/* Gives all memory of a call back; its fetch, if any, is cancelled. */
void remote_call_free(struct remote_call *c);
