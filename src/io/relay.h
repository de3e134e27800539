/* relay.h - bytes both ways between two sockets, with bounded memory.
 *
 * Each direction holds at most RELAY_QUEUE bytes that its receiver has not taken, so a slow reader
 * slows its writer. Half-close is kept: the end of one direction is handed on (shutdown) and the
 * other direction lives as long as it wants. A direction that has moved a lot goes through a kernel
 * pipe (splice), which copies nothing.
 */
#pragma once

#include "base/str.h"
#include "io/loop.h"
#include "io/watch.h"

enum {
    RELAY_QUEUE = 64 << 10,        /* a direction's own queue */
    RELAY_PIPE = 512 << 10,        /* a direction's pipe; given only while relay_room has some */
    RELAY_SPLICE_AFTER = 256 << 10 /* shorter transfers do not earn the cost of a pipe */
};

enum relay_side { RELAY_CLIENT, RELAY_UPSTREAM };
enum relay_peek { RELAY_MORE, RELAY_PASS, RELAY_STOP };

/* How many pipes all relays of one owner may have at once. */
struct relay_room {
    unsigned pipes;
};

struct relay_options {
    /* Judges the client's first bytes, all that came so far, before any of them is forwarded. After
     * RELAY_PASS it is not asked again; RELAY_STOP ends the relay. `last` means that there will be
     * no more: then RELAY_MORE counts as RELAY_STOP. NULL: everything passes. */
    enum relay_peek (*peek)(void *ctx, struct str bytes, bool last);
    /* Told of every byte read; false ends the relay. NULL: nobody counts. */
    bool (*moved)(void *ctx, enum relay_side from, size_t n);
    /* Called once, from the loop, when both directions have ended or one has failed. `clean` when
     * all bytes were delivered. The owner frees the relay. */
    void (*over)(void *ctx, bool clean);
    void *ctx;
    struct relay_room *room; /* borrowed; outlives the relay */
};

struct relay;

/* Takes both watches. Nothing moves before relay_start. */
struct relay *relay_new(struct loop *l, struct watch *client, struct watch *upstream,
                        const struct relay_options *options);

/* Bytes of `from` that came before the relay existed, RELAY_QUEUE at most in all; `moved` is not
 * told of them. Before relay_start. */
void relay_put(struct relay *r, enum relay_side from, struct str bytes);

/* `from` has already sent the end of its data. Before relay_start. */
void relay_end(struct relay *r, enum relay_side from);

void relay_start(struct relay *r);

/* Closes both sockets. NULL is fine; not from inside peek or moved. */
void relay_free(struct relay *r);
