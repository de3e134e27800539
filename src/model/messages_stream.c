#include "model/messages_stream.h"

#include "proto/json_write.h"

#include <stddef.h>

static struct messages_stream *stream_of(struct reply *r)
{
    return (struct messages_stream *)r;
}

void messages_stream_release(struct messages_stream *m)
{
    buf_release(&m->thinking);
    buf_release(&m->signature);
    buf_release(&m->raw);
    buf_release(&m->id);
    buf_release(&m->tool);
    buf_release(&m->arguments);
}

static void malformed(struct reply *r, const char *what)
{
    reply_fail(r, MODEL_REQUEST_FAILED, "the provider's stream is malformed: %s", what);
}

static void read_count(const struct json *usage, const char *key, uint64_t *out)
{
    const struct json *v = json_get(usage, key);
    if (v)
        json_to_u64(v, out);
}

/* Counts are totals; a later event replaces what it names. Without the split all is of 5 minutes. */
static void read_usage(struct reply *r, const struct json *usage)
{
    struct model_usage *u = &r->outcome.usage;
    if (!usage)
        return;
    read_count(usage, "input_tokens", &u->input_tokens);
    read_count(usage, "output_tokens", &u->output_tokens);
    read_count(usage, "cache_read_input_tokens", &u->cache_read_input_tokens);
    const struct json *split = json_get(usage, "cache_creation");
    if (split && json_kind_of(split) == JSON_IS_OBJECT) {
        read_count(split, "ephemeral_5m_input_tokens", &u->cache_creation_5m_input_tokens);
        read_count(split, "ephemeral_1h_input_tokens", &u->cache_creation_1h_input_tokens);
    } else if (u->cache_creation_1h_input_tokens == 0) {
        read_count(usage, "cache_creation_input_tokens", &u->cache_creation_5m_input_tokens);
    }
}

static void on_message_start(struct reply *r, const struct json *v)
{
    const struct json *message = json_get(v, "message");
    if (message)
        read_usage(r, json_get(message, "usage"));
}

static void keep(struct reply *r, struct buf *to, struct str part)
{
    if (reply_take(r, part.n))
        buf_add(to, part);
}

static void keep_arguments(struct messages_stream *m, struct str part)
{
    if (part.n > TOOL_INPUT_MAX - m->arguments.n)
        reply_fail(&m->reply, MODEL_REQUEST_FAILED,
                   "the arguments of a call have more than %d bytes", TOOL_INPUT_MAX);
    else
        keep(&m->reply, &m->arguments, part);
}

static void open_text(struct messages_stream *m, const struct json *block)
{
    m->open = BLOCK_TEXT;
    reply_tell_text(&m->reply, reply_text(block, "text"));
}

static void open_thinking(struct messages_stream *m, const struct json *block)
{
    m->open = BLOCK_THINKING;
    buf_empty(&m->thinking);
    buf_empty(&m->signature);
    keep(&m->reply, &m->thinking, reply_text(block, "thinking"));
    keep(&m->reply, &m->signature, reply_text(block, "signature"));
    reply_tell_thinking(&m->reply);
}

static void open_redacted(struct messages_stream *m, const struct json *block)
{
    m->open = BLOCK_REDACTED;
    buf_empty(&m->raw);
    json_write_value(&m->raw, block);
    if (reply_take(&m->reply, m->raw.n))
        reply_tell_thinking(&m->reply);
}

static void open_call(struct messages_stream *m, const struct json *block)
{
    m->open = BLOCK_CALL;
    buf_empty(&m->id);
    buf_empty(&m->tool);
    buf_empty(&m->arguments);
    keep(&m->reply, &m->id, reply_text(block, "id"));
    keep(&m->reply, &m->tool, reply_text(block, "name"));
    /* Some servers give the arguments whole, here. */
    const struct json *input = json_get(block, "input");
    if (!input || json_count(input) == 0)
        return;
    AUTO_BUF text = { 0 };
    json_write_value(&text, input);
    keep_arguments(m, buf_str(&text));
}

static const struct {
    const char *type;
    void (*open)(struct messages_stream *m, const struct json *block);
} block_rows[] = {
    { "text", open_text },
    { "thinking", open_thinking },
    { "redacted_thinking", open_redacted },
    { "tool_use", open_call },
};

static void on_block_start(struct reply *r, const struct json *v)
{
    struct messages_stream *m = stream_of(r);
    const struct json *block = json_get(v, "content_block"), *number = json_get(v, "index");
    if (m->open != BLOCK_NONE || !block || !number || !json_to_u64(number, &m->number)) {
        malformed(r, "a block begins that cannot");
        return;
    }
    m->open = BLOCK_OTHER;
    for (size_t i = 0; i < sizeof block_rows / sizeof *block_rows; i++)
        if (str_eq(reply_text(block, "type"), str_of(block_rows[i].type)))
            block_rows[i].open(m, block);
}

/* Is it the block that is open? Else the answer has failed. */
static bool check_number(struct messages_stream *m, const struct json *v)
{
    uint64_t number;
    const struct json *index = json_get(v, "index");
    if (m->open != BLOCK_NONE && index && json_to_u64(index, &number) && number == m->number)
        return true;
    malformed(&m->reply, "a piece of a block that is not open");
    return false;
}

static void on_block_delta(struct reply *r, const struct json *v)
{
    struct messages_stream *m = stream_of(r);
    const struct json *delta = json_get(v, "delta");
    if (!check_number(m, v))
        return;
    if (!delta)
        malformed(r, "a piece without content");
    else if (m->open == BLOCK_TEXT)
        reply_tell_text(r, reply_text(delta, "text"));
    else if (m->open == BLOCK_CALL)
        keep_arguments(m, reply_text(delta, "partial_json"));
    else if (m->open == BLOCK_THINKING) {
        keep(r, &m->thinking, reply_text(delta, "thinking"));
        keep(r, &m->signature, reply_text(delta, "signature"));
    }
}

static void close_thinking(struct messages_stream *m)
{
    buf_empty(&m->raw);
    json_write_object(&m->raw);
    json_member_text(&m->raw, "type", "thinking");
    json_member_str(&m->raw, "thinking", buf_str(&m->thinking));
    json_member_str(&m->raw, "signature", buf_str(&m->signature));
    json_write_object_end(&m->raw);
    reply_tell_raw(&m->reply, buf_str(&m->raw));
}

static void on_block_stop(struct reply *r, const struct json *v)
{
    struct messages_stream *m = stream_of(r);
    if (!check_number(m, v))
        return;
    if (m->open == BLOCK_TEXT)
        reply_close_text(r);
    else if (m->open == BLOCK_THINKING)
        close_thinking(m);
    else if (m->open == BLOCK_REDACTED)
        reply_tell_raw(r, buf_str(&m->raw));
    else if (m->open == BLOCK_CALL)
        reply_tell_call(r, buf_str(&m->id), buf_str(&m->tool), buf_str(&m->arguments));
    m->open = BLOCK_NONE;
}

static const struct {
    const char *reason;
    enum model_stop stop;
} stop_rows[] = {
    { "end_turn", MODEL_STOP_END },
    { "stop_sequence", MODEL_STOP_END },
    { "tool_use", MODEL_STOP_TOOLS },
    { "max_tokens", MODEL_STOP_LENGTH },
    { "model_context_window_exceeded", MODEL_STOP_LENGTH },
    { "pause_turn", MODEL_STOP_PAUSE },
    { "refusal", MODEL_STOP_REFUSAL },
};

static void on_message_delta(struct reply *r, const struct json *v)
{
    struct messages_stream *m = stream_of(r);
    const struct json *delta = json_get(v, "delta");
    read_usage(r, json_get(v, "usage"));
    struct str reason = delta ? reply_text(delta, "stop_reason") : (struct str){ 0 };
    if (reason.n == 0)
        return;
    m->stopped = true;
    m->stop = MODEL_STOP_END; /* also for reasons that were added later */
    for (size_t i = 0; i < sizeof stop_rows / sizeof *stop_rows; i++)
        if (str_eq(reason, str_of(stop_rows[i].reason)))
            m->stop = stop_rows[i].stop;
    const struct json *details = json_get(delta, "stop_details");
    if (!details)
        return;
    buf_empty(&r->category);
    buf_empty(&r->explanation);
    keep(r, &r->category, reply_text(details, "category"));
    keep(r, &r->explanation, reply_text(details, "explanation"));
}

static void on_end(struct reply *r)
{
    struct messages_stream *m = stream_of(r);
    if (m->stopped && m->open == BLOCK_NONE)
        reply_stop(r, m->stop);
}

static void on_message_stop(struct reply *r, const struct json *v)
{
    on_end(r);
    if (!r->over)
        malformed(r, "it ends too early");
}

static const struct {
    const char *type;
    void (*take)(struct reply *r, const struct json *v);
} event_rows[] = {
    { "message_start", on_message_start },
    { "content_block_start", on_block_start },
    { "content_block_delta", on_block_delta },
    { "content_block_stop", on_block_stop },
    { "message_delta", on_message_delta },
    { "message_stop", on_message_stop },
    { "error", reply_complain },
};

static void on_event(struct reply *r, struct str name, struct str data)
{
    if (str_eq(name, STR("ping")))
        return;
    AUTO_JSON v = reply_json(r, data);
    if (!v)
        return;
    struct str type = reply_text(v, "type");
    if (type.n == 0)
        type = name;
    for (size_t i = 0; i < sizeof event_rows / sizeof *event_rows; i++)
        if (str_eq(type, str_of(event_rows[i].type)))
            event_rows[i].take(r, v);
}

const struct reply_reader messages_reader = { on_event, on_end };
