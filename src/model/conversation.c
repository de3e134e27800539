#include "model/conversation.h"

#include "base/buf.h"
#include "base/check.h"
#include "proto/json_slice.h"

#include <stdlib.h>

/* A text member; empty when there is none. */
static struct str text_of(const struct json *v, const char *key)
{
    struct str text = { 0 };
    const struct json *member = json_get(v, key);
    if (member)
        json_to_str(member, &text);
    return text;
}

static bool has_type(const struct json *block, const char *type)
{
    return str_eq(text_of(block, "type"), str_of(type));
}

static bool is_answer(const struct json *message)
{
    return str_eq(text_of(message, "role"), STR("assistant"));
}

/* Texts of a content, which is a string or an array of blocks, one a line. */
static struct str keep_texts(struct conversation *c, const struct json *content)
{
    struct str whole = { 0 };
    if (!content || json_to_str(content, &whole))
        return whole;
    AUTO_BUF joined = { 0 };
    for (size_t i = 0; i < json_count(content); i++) {
        const struct json *block = json_at(content, i);
        if (!block || !has_type(block, "text"))
            continue;
        if (joined.n)
            buf_add_byte(&joined, '\n');
        buf_add(&joined, text_of(block, "text"));
    }
    char *copy = arena_dup(&c->arena, buf_str(&joined));
    CHECK(copy); /* the limit is above what conversation_read takes */
    return (struct str){ copy, joined.n };
}

/* The tool that the call `id`, in an answer before message `at`, names. */
static struct str called_tool(const struct conversation *c, size_t at, struct str id)
{
    while (at-- > 0) {
        const struct json *content = json_get(c->messages[at], "content");
        for (size_t i = 0; content && is_answer(c->messages[at]) && i < json_count(content); i++) {
            const struct json *block = json_at(content, i);
            if (block && has_type(block, "tool_use") && str_eq(text_of(block, "id"), id))
                return text_of(block, "name");
        }
    }
    return (struct str){ 0 };
}

static void take_result(struct conversation *c, const struct json *block)
{
    const struct json *is_error = json_get(block, "is_error");
    struct told_result *r = &c->results[c->result_count++];
    *r = (struct told_result){ .tool = called_tool(c, c->at, text_of(block, "tool_use_id")),
                               .text = keep_texts(c, json_get(block, "content")) };
    if (is_error)
        json_to_bool(is_error, &r->is_error);
}

/* A message that is no answer: a person's words, results, or both. */
static void take_message(struct conversation *c)
{
    const struct json *message = c->messages[c->at], *content = json_get(message, "content");
    if (!content || !str_eq(text_of(message, "role"), STR("user")))
        return;
    size_t count = json_kind_of(content) == JSON_IS_ARRAY ? json_count(content) : 0, results = 0;
    for (size_t i = 0; i < count; i++)
        results += has_type(json_at(content, i), "tool_result");
    if (results < count || count == 0) {
        c->user = keep_texts(c, content);
        c->round = 1;
    }
    if (results == 0)
        return;
    struct told_result *room = arena_get(&c->arena, (c->result_count + results) * sizeof *room);
    CHECK(room);
    if (c->result_count)
        memcpy(room, c->results, c->result_count * sizeof *room);
    c->results = room;
    for (size_t i = 0; i < count; i++)
        if (has_type(json_at(content, i), "tool_result"))
            take_result(c, json_at(content, i));
}

/* Takes the messages up to the next answer. */
static void take_messages(struct conversation *c)
{
    c->result_count = 0;
    for (; c->at < c->count && !is_answer(c->messages[c->at]); c->at++)
        take_message(c);
}

bool conversation_step(struct conversation *c)
{
    if (c->at == c->count)
        return false;
    c->at++;
    c->answer++;
    c->round++;
    take_messages(c);
    return true;
}

static int add_message(struct conversation *c, size_t *room, struct str text, struct err *e)
{
    if (c->count == *room) {
        *room = *room ? *room * 2 : 32;
        c->messages = mem_grow(c->messages, *room * sizeof(struct json *));
    }
    if (json_parse(text, &c->messages[c->count], e) < 0)
        return err_while(e, "message %zu", c->count);
    c->count++;
    return 0;
}

int conversation_read(struct conversation *c, struct str messages, struct err *e)
{
    *c = (struct conversation){ .answer = 1, .round = 1 };
    /* Texts are copied at most once, results are few words each. */
    arena_init(&c->arena, SIZE_MAX);
    struct json_slice s;
    size_t room = 0;
    if (!json_slice_begin(&s, messages) || !s.array)
        return err_set(e, E_INPUT, 0, "the messages are no array");
    while (json_slice_next(&s))
        if (add_message(c, &room, s.value, e) < 0)
            return -1;
    if (s.bad)
        return err_set(e, E_INPUT, 0, "the messages are not JSON");
    take_messages(c);
    return 0;
}

void conversation_release(struct conversation *c)
{
    for (size_t i = 0; i < c->count; i++)
        json_free(c->messages[i]);
    free(c->messages);
    arena_release(&c->arena);
    *c = (struct conversation){ 0 };
}
