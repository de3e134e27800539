/* stream.h - an answer that is written bit by bit, for as long as its owner likes.
 *
 * The owner is asked for bytes: it puts what fits, keeps a cursor for the rest, and hears `ready`
 * when there is room again. So a slow reader costs its queue (STREAM_QUEUE, less while memory is
 * short, and only as large as what waits) and its owner's cursor, nothing else. What is put during
 * one turn of the loop leaves in one write.
 *
 * The stream is on loan like the request that it was: it stays valid until stream_end.
 */
#pragma once

#include "net/request.h"

enum { STREAM_QUEUE = (64 << 10) - 1 /* with the NUL of a buf a power of two */ };

struct stream;

/* Both are called from the loop, never from inside a function below. */
struct stream_owner {
    /* There is room again, after stream_put took less than it was given. */
    void (*ready)(void *ctx);
    /* At most once: nobody reads any more, or the server stops. The owner calls stream_end, here or
     * soon; what it still puts before goes out only when the server stops. */
    void (*gone)(void *ctx);
    void *ctx;
};

/* Sends status and head at once and makes the request a stream: `r` is taken, only its id stays
 * readable (stream_id). `a->body` is put as the first bytes, and has to fit. In chunks, or to an
 * HTTP/1.0 client until close. */
struct stream *stream_begin(struct request *r, const struct answer *a,
                            const struct stream_owner *owner);

const struct id *stream_id(const struct stream *s);

/* How many bytes stream_put would take now. */
size_t stream_room(const struct stream *s);

/* Takes the first bytes, as many as fit, and returns how many that was. When nobody reads any more
 * it takes all. */
size_t stream_put(struct stream *s, struct str bytes);

/* Nothing more comes: what was put is delivered, the answer is complete. Takes the stream. */
void stream_end(struct stream *s);

/* Takes the stream and cuts the connection: the reader sees that the answer is not complete. */
void stream_drop(struct stream *s);
