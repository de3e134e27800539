#include "model/reply.h"

#include "proto/json_write.h"

#include <stdarg.h>
#include <stdio.h>

void reply_init(struct reply *r, const struct reply_reader *reader,
                const struct model_events *events, void *ctx, struct hidden secrets)
{
    *r = (struct reply){ .reader = reader, .events = events, .ctx = ctx, .secrets = secrets };
    sse_init(&r->sse, REPLY_EVENT_MAX);
}

void reply_release(struct reply *r)
{
    sse_release(&r->sse);
    buf_release(&r->text);
    buf_release(&r->message);
    buf_release(&r->category);
    buf_release(&r->explanation);
}

static bool is_open(const struct reply *r)
{
    return !r->over && !r->cancelled;
}

void reply_feed(struct reply *r, struct str bytes)
{
    struct err e = { 0 };
    while (is_open(r)) {
        size_t used = 0;
        int found = sse_feed(&r->sse, bytes, &used, &e);
        bytes = str_skip(bytes, used);
        if (found < 0)
            reply_fail(r, MODEL_REQUEST_FAILED, "the provider's stream: %s", e.text);
        if (found != SSE_EVENT)
            return;
        r->reader->event(r, r->sse.event.name, r->sse.event.data);
    }
}

void reply_end(struct reply *r)
{
    if (is_open(r))
        r->reader->end(r);
    if (is_open(r))
        reply_fail(r, MODEL_REQUEST_FAILED, "the provider's answer broke off");
    r->outcome.message = buf_str(&r->message);
    r->outcome.category = buf_str(&r->category);
    r->outcome.explanation = buf_str(&r->explanation);
}

void reply_fail(struct reply *r, enum model_failure kind, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (r->over)
        return;
    r->over = true;
    r->outcome.failure = kind;
    buf_add(&r->message, str_of(text));
}

void reply_complain(struct reply *r, const struct json *body)
{
    struct complaint c = complaint_read(0, body);
    AUTO_BUF said = { 0 };
    complaint_write(&said, &c, r->secrets);
    reply_fail(r, complaint_meaning(&c), "the provider broke its answer off: %s",
               said.n ? buf_text(&said) : "an error without words");
}

bool reply_take(struct reply *r, size_t n)
{
    if (n <= REPLY_MAX - r->taken) {
        r->taken += n;
        return true;
    }
    reply_fail(r, MODEL_REQUEST_FAILED, "the provider's answer has more than %d bytes", REPLY_MAX);
    return false;
}

struct json *reply_json(struct reply *r, struct str data)
{
    struct err e = { 0 };
    struct json *v = NULL;
    if (json_parse(data, &v, &e) < 0) {
        reply_fail(r, MODEL_REQUEST_FAILED, "the provider's stream holds no JSON: %s", e.text);
        return NULL;
    }
    if (json_kind_of(v) == JSON_IS_OBJECT)
        return v;
    json_free(v);
    reply_fail(r, MODEL_REQUEST_FAILED, "the provider's stream holds an event that is no object");
    return NULL;
}

struct str reply_text(const struct json *object, const char *key)
{
    struct str text = { 0 };
    const struct json *v = json_get(object, key);
    if (v)
        json_to_str(v, &text);
    return text;
}

void reply_tell_thinking(struct reply *r)
{
    if (is_open(r))
        r->events->thinking(r->ctx);
}

void reply_tell_text(struct reply *r, struct str part)
{
    if (part.n == 0 || !is_open(r) || !reply_take(r, part.n))
        return;
    buf_add(&r->text, part);
    r->events->text(r->ctx, r->index, part);
}

static void tell_block(struct reply *r, const struct model_block *block)
{
    if (is_open(r))
        r->events->block(r->ctx, r->index++, block);
}

void reply_close_text(struct reply *r)
{
    if (r->text.n)
        tell_block(r, &(struct model_block){ MODEL_TEXT, .text = buf_str(&r->text) });
    buf_empty(&r->text);
}

void reply_tell_raw(struct reply *r, struct str json)
{
    tell_block(r, &(struct model_block){ MODEL_THINKING, .raw = json });
}

static size_t depth_of(const struct json *v)
{
    size_t deepest = 0;
    for (size_t i = 0; json_kind_of(v) == JSON_IS_ARRAY && i < json_count(v); i++) {
        size_t depth = depth_of(json_at(v, i));
        deepest = depth > deepest ? depth : deepest;
    }
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t depth = depth_of(m.value);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

void reply_tell_call(struct reply *r, struct str id, struct str tool, struct str arguments)
{
    struct err e = { 0 };
    AUTO_JSON v = NULL;
    AUTO_BUF input = { 0 };
    arguments = str_trim(arguments);
    if (arguments.n == 0)
        arguments = STR("{}");
    if (id.n == 0 || tool.n == 0 || json_parse(arguments, &v, &e) < 0 ||
        json_kind_of(v) != JSON_IS_OBJECT || depth_of(v) > TOOL_INPUT_DEPTH_MAX) {
        r->broken_call = true;
        return;
    }
    /* Printed anew: one line, whatever blanks the model put in. */
    json_write_value(&input, v);
    r->called |= is_open(r);
    tell_block(r, &(struct model_block){ MODEL_TOOL_USE, .tool_id = id, .tool = tool,
                                         .input = buf_str(&input) });
}

void reply_stop(struct reply *r, enum model_stop stop)
{
    if (!is_open(r))
        return;
    if (r->broken_call && stop != MODEL_STOP_LENGTH) {
        reply_fail(r, MODEL_REQUEST_FAILED, "the arguments of a call are no JSON object");
        return;
    }
    if (r->called && stop == MODEL_STOP_END)
        stop = MODEL_STOP_TOOLS;
    if (!r->called && stop == MODEL_STOP_TOOLS)
        stop = MODEL_STOP_END;
    r->outcome.stop = stop;
    r->over = true;
}
