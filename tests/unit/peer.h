/* peer.h - the other end of a connection, in the same loop as what is tested.
 *
 * Nothing here sleeps: a wait runs the loop until what is waited for has happened, and fails the test
 * after PEER_PATIENCE_MS.
 */
#pragma once

#include "base/buf.h"
#include "io/loop.h"
#include "io/timer.h"
#include "io/watch.h"

enum { PEER_PATIENCE_MS = 20000 };

struct peer {
    struct loop *loop;
    struct watch *watch; /* NULL: closed by us */
    struct buf got;      /* all that came and was not taken */
    bool ended, reset;   /* the other side has finished, or cut the connection */
    bool deaf;           /* reads nothing */
};

/* Connects to 127.0.0.1. */
void peer_connect(struct peer *p, struct loop *l, uint16_t port);
/* Takes a connected socket. */
void peer_take(struct peer *p, struct loop *l, int fd);
void peer_close(struct peer *p);
/* Closes so that the other side sees a reset. */
void peer_abort(struct peer *p);

/* All of it, while the loop runs. */
void peer_send(struct peer *p, struct str bytes);
void peer_say(struct peer *p, const char *text);
/* Shuts the write side. */
void peer_finish(struct peer *p);
void peer_read_again(struct peer *p);

/* Until `text` stands in what came; then it and all before it is taken away. */
void peer_expect(struct peer *p, const char *text);
/* Until the other side has finished or cut. */
void peer_expect_end(struct peer *p);

/* Runs the loop until `is(ctx)`. */
void loop_until(struct loop *l, bool (*is)(void *ctx), void *ctx);
/* Runs the loop for so long: for what must not happen. */
void loop_for(struct loop *l, uint64_t ms);
