/* stream.h - somebody who reads along: what comes over the stream is what stands in the log, each
 * event once and in order, over all deaths of the server (contract 3.12).
 */
#pragma once

#include "world.h"

struct stream {
    struct world *w;
    struct id session;
    struct reader *reader; /* NULL: not connected */
    bool waiting;          /* a task will read or connect */
    struct buf part;       /* of an event that is still coming */
    struct id last;        /* the last event that came */
    size_t read;           /* of the view's log */
    bool over;             /* the session is deleted, or has ended */
};

void stream_open(struct stream *s, struct world *w, const struct id *session);

void stream_release(struct stream *s);

/* The server's process ends. */
void stream_cut(struct stream *s);

bool stream_is_complete(const struct stream *s);
