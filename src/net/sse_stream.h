/* sse_stream.h - server-sent events to one reader (contract 1.8).
 *
 * A stream (stream.h) that knows where events begin and end. Whenever nothing was sent for the
 * server's ping_ms it sends a ping by itself, never in the middle of an event.
 *
 *     static void pump(struct reader *r)      called at `ready`, and when something new has happened
 *     {
 *         while (... the log has an entry behind r->cursor ...)
 *             if (!sse_stream_event(r->out, name, id, json, &r->done))
 *                 return;                     the queue is full: goes on at `ready`
 *     }
 */
#pragma once

#include "net/stream.h"

struct sse_stream;

/* Sends the head and a first ping at once: clients wait for it before they ask for anything else. */
struct sse_stream *sse_stream_begin(struct request *r, const struct stream_owner *owner);

const struct id *sse_stream_id(const struct sse_stream *s);

/* Writes as much of one event as fits. *done is how much of it has been written before, 0 at its
 * start; the owner gives the same event with the same *done until the answer is true, and *done is
 * then 0 again. `name` is one line; `id` may be empty; `data` is JSON: a line end in it, which can
 * only stand between its tokens, is sent as a blank. */
bool sse_stream_event(struct sse_stream *s, struct str name, struct str id, struct str data,
                      size_t *done);

/* Whether an event has been begun and not finished. */
bool sse_stream_in_event(const struct sse_stream *s);

/* Takes the stream. An event that was begun and not finished is never delivered to the reader's
 * program (its blank line is missing), and the connection is cut. */
void sse_stream_end(struct sse_stream *s);
