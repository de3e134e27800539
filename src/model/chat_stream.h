/* chat_stream.h - reads the event stream of POST .../chat/completions as vLLM, Ollama, llama.cpp and
 * others send it.
 *
 * Text is told as it comes; calls, whose pieces may be mixed, when the answer is whole. Reasoning is
 * not part of the wire's history: it is noticed once and dropped.
 */
#pragma once

#include "model/reply.h"

enum { CHAT_CALLS_MAX = 128 };

struct chat_call {
    int64_t index; /* as the server counts */
    struct buf id, tool, arguments;
};

struct chat_stream {
    struct reply reply; /* first */
    uint64_t seed;      /* names calls that come without an id: "call_SEED_NUMBER" */
    struct chat_call *calls;
    size_t count;
    bool thought, ended; /* [DONE] has come */
    bool stopped;        /* a finish_reason has come */
    enum model_stop stop;
    struct buf refusal;
};

extern const struct reply_reader chat_reader;

/* What reply_release leaves. */
void chat_stream_release(struct chat_stream *c);
