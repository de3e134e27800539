#include "control/history.h"

#include "control/result_text.h"
#include "proto/json_write.h"

#include <stdlib.h>

enum role { ROLE_NONE, ROLE_USER, ROLE_ASSISTANT, ROLE_SYSTEM };

/* A call of the last answer, until the results of all of them go to the model together. */
struct asked {
    struct id id;
    struct buf block; /* its tool_result, once it is there */
    struct buf model_id;
};

struct history {
    struct buf text;     /* messages; the last one is open: its content lacks the end */
    enum role role;      /* of the open one */
    struct buf thinking; /* blocks, comma separated, until something stands behind them */
    struct buf system;   /* blocks of system messages that came between results */
    struct asked *asked;
    size_t asked_count, asked_room;
    size_t result_characters;
};

struct history *history_new(size_t result_characters)
{
    struct history *h = mem_get(sizeof *h);
    h->result_characters = result_characters;
    return h;
}

static void asked_clear(struct history *h)
{
    for (size_t i = 0; i < h->asked_count; i++) {
        buf_release(&h->asked[i].block);
        buf_release(&h->asked[i].model_id);
    }
    h->asked_count = 0;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    asked_clear(h);
    free(h->asked);
    buf_release(&h->text);
    buf_release(&h->thinking);
    buf_release(&h->system);
    free(h);
}

static const char *const role_names[] = { "", "user", "assistant", "system" };

/* Turns of the same role that follow each other are one message. */
static void role_open(struct history *h, enum role role)
{
    if (h->role == role)
        return;
    if (h->role != ROLE_NONE)
        buf_add(&h->text, STR("]}"));
    json_write_object(&h->text);
    json_member_text(&h->text, "role", role_names[role]);
    json_write_key(&h->text, STR("content"));
    json_write_array(&h->text);
    h->role = role;
}

/* An array without its brackets. */
static struct str items_of(struct str array)
{
    return array.n < 2 ? (struct str){ "", 0 } : str_trim((struct str){ array.p + 1, array.n - 2 });
}

static void blocks_add(struct history *h, enum role role, struct str items)
{
    if (items.n == 0)
        return;
    role_open(h, role);
    json_write_raw(&h->text, items);
}

/* Every call has to have a result, in the order of the calls. */
static void results_flush(struct history *h)
{
    for (size_t i = 0; i < h->asked_count; i++) {
        struct asked *a = &h->asked[i];
        if (a->block.n == 0) {
            json_write_object(&a->block);
            json_member_text(&a->block, "type", "tool_result");
            json_member_str(&a->block, "tool_use_id", buf_str(&a->model_id));
            json_member_text(&a->block, "content", "(no result)");
            json_member_bool(&a->block, "is_error", true);
            json_write_object_end(&a->block);
        }
        blocks_add(h, ROLE_USER, buf_str(&a->block));
    }
    asked_clear(h);
    blocks_add(h, ROLE_SYSTEM, buf_str(&h->system));
    buf_empty(&h->system);
}

static void add_user_message(struct history *h, const struct event *e)
{
    results_flush(h);
    blocks_add(h, ROLE_USER, items_of(e->content));
}

/* Between the results of one answer it would tear them apart. */
static void add_system_message(struct history *h, const struct event *e)
{
    struct str items = items_of(e->content);
    if (h->asked_count && items.n)
        json_write_raw(&h->system, items);
    else
        blocks_add(h, ROLE_SYSTEM, items);
}

static void add_thinking(struct history *h, const struct event *e)
{
    struct str items = items_of(e->replay);
    if (items.n)
        json_write_raw(&h->thinking, items);
}

/* A message must not end with thinking, so it waits for what was thought out. */
static void answer_open(struct history *h)
{
    role_open(h, ROLE_ASSISTANT);
    blocks_add(h, ROLE_ASSISTANT, buf_str(&h->thinking));
    buf_empty(&h->thinking);
}

static void add_agent_message(struct history *h, const struct event *e)
{
    struct str items = items_of(e->content);
    if (items.n == 0)
        return;
    answer_open(h);
    blocks_add(h, ROLE_ASSISTANT, items);
}

static void add_call(struct history *h, const struct event *e)
{
    struct str model_id = e->model_id.n ? e->model_id : id_str(&e->id);
    answer_open(h);
    json_write_object(&h->text);
    json_member_text(&h->text, "type", "tool_use");
    json_member_str(&h->text, "id", model_id);
    json_write_key(&h->text, STR("name"));
    if (e->type == EVENT_AGENT_MCP_TOOL_USE) {
        AUTO_BUF name = { 0 };
        buf_addf(&name, "mcp__%.*s__%.*s", STR_ARGS(e->server), STR_ARGS(e->name));
        json_write_str(&h->text, buf_str(&name));
    } else {
        json_write_str(&h->text, e->name);
    }
    json_write_key(&h->text, STR("input"));
    json_write_raw(&h->text, e->input.n ? e->input : STR("{}"));
    json_write_object_end(&h->text);

    if (h->asked_count == h->asked_room) {
        h->asked_room = h->asked_room ? 2 * h->asked_room : 4;
        h->asked = mem_grow(h->asked, h->asked_room * sizeof *h->asked);
    }
    struct asked *a = &h->asked[h->asked_count++];
    *a = (struct asked){ .id = e->id };
    buf_add(&a->model_id, model_id);
}

static void add_result(struct history *h, const struct event *e)
{
    for (size_t i = 0; i < h->asked_count; i++) {
        struct asked *a = &h->asked[i];
        if (!id_eq(&a->id, &e->about) || a->block.n)
            continue;
        json_write_object(&a->block);
        json_member_text(&a->block, "type", "tool_result");
        json_member_str(&a->block, "tool_use_id", buf_str(&a->model_id));
        json_write_key(&a->block, STR("content"));
        result_text_write(&a->block, e->content, e->text, h->result_characters);
        if (e->is_error)
            json_member_bool(&a->block, "is_error", true);
        json_write_object_end(&a->block);
    }
}

/* Whatever was answered before is complete now. */
static void add_request(struct history *h, const struct event *e)
{
    buf_empty(&h->thinking);
    results_flush(h);
}

static void user_text_add(struct buf *out, struct str text)
{
    json_write_object(out);
    json_member_text(out, "type", "text");
    json_member_str(out, "text", text);
    json_write_object_end(out);
}

static void add_compaction(struct history *h, const struct event *e)
{
    AUTO_BUF text = { 0 };
    asked_clear(h);
    buf_empty(&h->text);
    buf_empty(&h->thinking);
    buf_empty(&h->system);
    h->role = ROLE_NONE;
    buf_add(&text,
            STR("The conversation so far became too long to be kept. This is its summary; go on "
                "from here.\n\n"));
    buf_add(&text, e->text);
    role_open(h, ROLE_USER);
    user_text_add(&h->text, buf_str(&text));
}

void history_add(struct history *h, const struct event *event)
{
    static void (*const adders[EVENT_TYPES])(struct history *, const struct event *) = {
        [EVENT_USER_MESSAGE] = add_user_message,
        [EVENT_SYSTEM_MESSAGE] = add_system_message,
        [EVENT_AGENT_THINKING] = add_thinking,
        [EVENT_AGENT_MESSAGE] = add_agent_message,
        [EVENT_AGENT_TOOL_USE] = add_call,
        [EVENT_AGENT_MCP_TOOL_USE] = add_call,
        [EVENT_AGENT_CUSTOM_TOOL_USE] = add_call,
        [EVENT_USER_TOOL_RESULT] = add_result,
        [EVENT_USER_CUSTOM_TOOL_RESULT] = add_result,
        [EVENT_AGENT_TOOL_RESULT] = add_result,
        [EVENT_AGENT_MCP_TOOL_RESULT] = add_result,
        [EVENT_MODEL_REQUEST_START] = add_request,
        [EVENT_AGENT_CONTEXT_COMPACTED] = add_compaction,
    };
    if (adders[event->type])
        adders[event->type](h, event);
}

void history_write(const struct history *h, struct str question, struct buf *out)
{
    json_write_array(out);
    buf_add(out, buf_str(&h->text));
    if (question.n) {
        if (h->role != ROLE_USER && h->role != ROLE_NONE)
            buf_add(out, STR("]}"));
        if (h->role != ROLE_USER) {
            json_write_object(out);
            json_member_text(out, "role", "user");
            json_write_key(out, STR("content"));
            json_write_array(out);
        }
        user_text_add(out, question);
    }
    if (question.n || h->role != ROLE_NONE)
        buf_add(out, STR("]}"));
    json_write_array_end(out);
}

size_t history_size(const struct history *h)
{
    size_t n = h->text.cap + h->thinking.cap + h->system.cap;
    for (size_t i = 0; i < h->asked_count; i++)
        n += h->asked[i].block.cap;
    return n;
}
