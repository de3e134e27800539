#include "model/chat_stream.h"

#include "proto/json_write.h"

#include <stdlib.h>

static struct chat_stream *stream_of(struct reply *r)
{
    return (struct chat_stream *)r;
}

void chat_stream_release(struct chat_stream *c)
{
    for (size_t i = 0; i < c->count; i++) {
        buf_release(&c->calls[i].id);
        buf_release(&c->calls[i].tool);
        buf_release(&c->calls[i].arguments);
    }
    free(c->calls);
    buf_release(&c->refusal);
}

static void keep(struct reply *r, struct buf *to, struct str part)
{
    if (reply_take(r, part.n))
        buf_add(to, part);
}

/* prompt_tokens counts what was read from the cache, too. */
static void read_usage(struct reply *r, const struct json *usage)
{
    uint64_t prompt = 0, cached = 0, output = 0;
    const struct json *v = json_get(usage, "prompt_tokens");
    if (v)
        json_to_u64(v, &prompt);
    v = json_get(usage, "completion_tokens");
    if (v)
        json_to_u64(v, &output);
    const struct json *details = json_get(usage, "prompt_tokens_details");
    v = details ? json_get(details, "cached_tokens") : NULL;
    if (v)
        json_to_u64(v, &cached);
    if (cached > prompt)
        cached = prompt;
    r->outcome.usage = (struct model_usage){ .input_tokens = prompt - cached,
                                             .output_tokens = output,
                                             .cache_read_input_tokens = cached };
}

static struct chat_call *add_call(struct chat_stream *c, int64_t index)
{
    if (c->count == CHAT_CALLS_MAX) {
        reply_fail(&c->reply, MODEL_REQUEST_FAILED, "an answer with more than %d calls",
                   CHAT_CALLS_MAX);
        return NULL;
    }
    c->calls = mem_grow(c->calls, (c->count + 1) * sizeof *c->calls);
    struct chat_call *one = &c->calls[c->count++];
    *one = (struct chat_call){ .index = index };
    return one;
}

/* The call that a piece belongs to. Some servers give every call the index 0 or none: there a new id
 * begins a new call. */
static struct chat_call *call_of(struct chat_stream *c, const struct json *piece)
{
    const struct json *v = json_get(piece, "index");
    struct str id = reply_text(piece, "id");
    int64_t index = 0;
    bool given = v && json_to_i64(v, &index);
    if (!given && id.n)
        return add_call(c, (int64_t)c->count);
    for (size_t i = c->count; i-- > 0;) {
        struct chat_call *one = &c->calls[i];
        if (given && one->index != index)
            continue;
        bool other = id.n && one->id.n && !str_eq(id, buf_str(&one->id));
        return other ? add_call(c, index) : one;
    }
    return add_call(c, index);
}

static void take_arguments(struct chat_stream *c, struct chat_call *one, const struct json *v)
{
    struct str part = { 0 };
    AUTO_BUF whole = { 0 };
    if (!json_to_str(v, &part) && json_kind_of(v) == JSON_IS_OBJECT) {
        json_write_value(&whole, v); /* some servers send them as JSON instead of a text of it */
        part = buf_str(&whole);
    }
    if (part.n > TOOL_INPUT_MAX - one->arguments.n)
        reply_fail(&c->reply, MODEL_REQUEST_FAILED,
                   "the arguments of a call have more than %d bytes", TOOL_INPUT_MAX);
    else
        keep(&c->reply, &one->arguments, part);
}

static void take_call(struct chat_stream *c, const struct json *piece)
{
    struct chat_call *one = call_of(c, piece);
    const struct json *function = json_get(piece, "function");
    if (!one)
        return;
    if (one->id.n == 0)
        keep(&c->reply, &one->id, reply_text(piece, "id"));
    if (!function)
        return;
    if (one->tool.n == 0)
        keep(&c->reply, &one->tool, reply_text(function, "name"));
    const struct json *arguments = json_get(function, "arguments");
    if (arguments)
        take_arguments(c, one, arguments);
}

static void take_delta(struct chat_stream *c, const struct json *delta)
{
    struct reply *r = &c->reply;
    bool thinks =
        reply_text(delta, "reasoning_content").n > 0 || reply_text(delta, "reasoning").n > 0;
    if (thinks && !c->thought)
        reply_tell_thinking(r);
    c->thought |= thinks;
    reply_tell_text(r, reply_text(delta, "content"));
    keep(r, &c->refusal, reply_text(delta, "refusal"));
    const struct json *calls = json_get(delta, "tool_calls");
    for (size_t i = 0; calls && json_kind_of(calls) == JSON_IS_ARRAY && i < json_count(calls); i++)
        take_call(c, json_at(calls, i));
}

static const struct {
    const char *reason;
    enum model_stop stop;
} stop_rows[] = {
    { "stop", MODEL_STOP_END },
    { "tool_calls", MODEL_STOP_TOOLS },
    { "function_call", MODEL_STOP_TOOLS },
    { "length", MODEL_STOP_LENGTH },
    { "content_filter", MODEL_STOP_REFUSAL },
};

static void take_reason(struct chat_stream *c, struct str reason)
{
    if (reason.n == 0)
        return;
    c->stopped = true;
    c->stop = MODEL_STOP_END;
    for (size_t i = 0; i < sizeof stop_rows / sizeof *stop_rows; i++)
        if (str_eq(reason, str_of(stop_rows[i].reason)))
            c->stop = stop_rows[i].stop;
}

static bool is_error(const struct json *v)
{
    const struct json *error = json_get(v, "error");
    return (error && json_kind_of(error) != JSON_IS_NULL) ||
           str_eq(reply_text(v, "object"), STR("error"));
}

static void tell_calls(struct chat_stream *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct chat_call *one = &c->calls[i];
        if (one->id.n == 0)
            buf_addf(&one->id, "call_%llu_%zu", (unsigned long long)c->seed, i);
        reply_tell_call(&c->reply, buf_str(&one->id), buf_str(&one->tool),
                        buf_str(&one->arguments));
    }
}

static void on_end(struct reply *r)
{
    struct chat_stream *c = stream_of(r);
    if (!c->stopped && !c->ended)
        return;
    reply_close_text(r);
    tell_calls(c);
    if (c->refusal.n)
        c->stop = MODEL_STOP_REFUSAL;
    if (c->stop == MODEL_STOP_REFUSAL) {
        buf_add(&r->category, c->refusal.n ? STR("") : STR("content_filter"));
        buf_add(&r->explanation, buf_str(&c->refusal));
    }
    reply_stop(r, c->stop);
}

static void on_event(struct reply *r, struct str name, struct str data)
{
    struct chat_stream *c = stream_of(r);
    if (str_eq(str_trim(data), STR("[DONE]"))) {
        c->ended = true;
        on_end(r);
        return;
    }
    AUTO_JSON v = reply_json(r, data);
    if (!v)
        return;
    if (is_error(v)) {
        reply_complain(r, v);
        return;
    }
    const struct json *usage = json_get(v, "usage");
    if (usage && json_kind_of(usage) == JSON_IS_OBJECT)
        read_usage(r, usage);
    const struct json *choices = json_get(v, "choices");
    const struct json *choice = choices ? json_at(choices, 0) : NULL;
    if (!choice)
        return;
    const struct json *delta = json_get(choice, "delta");
    if (delta)
        take_delta(c, delta);
    take_reason(c, reply_text(choice, "finish_reason"));
}

const struct reply_reader chat_reader = { on_event, on_end };
