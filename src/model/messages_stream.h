/* messages_stream.h - reads the event stream of POST /v1/messages. */
#pragma once

#include "model/reply.h"

struct messages_stream {
    struct reply reply; /* first */
    enum { BLOCK_NONE, BLOCK_TEXT, BLOCK_THINKING, BLOCK_REDACTED, BLOCK_CALL, BLOCK_OTHER } open;
    uint64_t number; /* the provider's own number of the open block */
    struct buf thinking, signature, raw, id, tool, arguments;
    bool stopped; /* a stop reason has come */
    enum model_stop stop;
};

extern const struct reply_reader messages_reader;

/* What reply_release leaves. */
void messages_stream_release(struct messages_stream *m);
