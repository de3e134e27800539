/* sse.h - server-sent events, read and written (WHATWG HTML 9.2, API contract 1.8).
 *
 * The reader takes bytes in any cut and gives the same events; it holds one line and one event, both
 * bounded. Fields other than event, data and id are skipped.
 *
 *     while ((event = sse_feed(&s, bytes, &used, &e)) > SSE_MORE) {
 *         bytes = str_skip(bytes, used);
 *         ... s.event ...
 *     }
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Borrowed until the next sse_feed. */
struct sse_event {
    struct str name; /* empty: none was given */
    struct str id;   /* of this event alone; empty: none was given */
    struct str data; /* lines joined by LF; never empty */
};

enum sse_found { SSE_MORE, SSE_EVENT };

struct sse {
    size_t limit; /* bytes of one line, and of the fields of one event together */
    struct sse_event event;
    struct buf line, data, name, id;
    bool begun;      /* the first line, which may have a byte order mark, is over */
    bool after_cr;   /* a line feed now belongs to the line before */
    bool told, dead; /* the event is the caller's until the next feed; the limit was passed */
};

/* `limit` > 0. Allocates nothing. */
void sse_init(struct sse *s, size_t limit);
void sse_release(struct sse *s);

/* Reads until the next event, and says in *used how many bytes are consumed (all with SSE_MORE).
 * Events without data are not told. -1, and for ever, with E_BUSY when the limit is passed. */
int sse_feed(struct sse *s, struct str bytes, size_t *used, struct err *e);

/* Appends one event. An empty name or id is left out; neither may hold a line end. `data` may: it is
 * sent in several lines. */
void sse_write(struct buf *out, struct str name, struct str id, struct str data);
