#include "model/body.h"

#include "proto/json.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

/* One message of the Messages shape becomes some of the Chat shape: what calls gave first, each a
 * message of the role "tool", then what a person said, with the pictures of the results. */
struct turn {
    struct buf *out;
    struct buf text;  /* texts of the message, one below the other */
    struct buf parts; /* JSON array, open: pictures; [ alone when there are none */
    struct buf calls; /* the same: tool_calls */
};

static void turn_release(struct turn *t)
{
    buf_release(&t->text);
    buf_release(&t->parts);
    buf_release(&t->calls);
}

static struct str text_of(const struct json *v, const char *key)
{
    struct str text = STR("");
    const struct json *member = v ? json_get(v, key) : NULL;
    if (member)
        json_to_str(member, &text);
    return text;
}

static void add_line(struct buf *to, struct str text)
{
    if (to->n)
        buf_add_byte(to, '\n');
    buf_add(to, text);
}

static void write_text_part(struct buf *parts, struct str text)
{
    json_write_object(parts);
    json_member_text(parts, "type", "text");
    json_member_str(parts, "text", text);
    json_write_object_end(parts);
}

static void take_texts(struct turn *t, struct buf *to, const struct json *content);

static void take_text(struct turn *t, struct buf *to, const struct json *block)
{
    add_line(to, text_of(block, "text"));
}

static void take_image(struct turn *t, struct buf *to, const struct json *block)
{
    const struct json *source = json_get(block, "source");
    AUTO_BUF url = { 0 };
    if (str_eq(text_of(source, "type"), STR("base64")))
        buf_addf(&url, "data:%.*s;base64,", STR_ARGS(text_of(source, "media_type")));
    buf_add(&url, text_of(source, url.n ? "data" : "url"));
    if (url.n == 0) {
        add_line(to, STR("[a picture that this model cannot be shown]"));
        return;
    }
    if (to != &t->text)
        add_line(to, STR("[a picture: see below]"));
    json_write_object(&t->parts);
    json_member_text(&t->parts, "type", "image_url");
    json_write_key(&t->parts, STR("image_url"));
    json_write_object(&t->parts);
    json_member_str(&t->parts, "url", buf_str(&url));
    json_write_object_end(&t->parts);
    json_write_object_end(&t->parts);
}

/* Only plain text can be passed on; of everything else the model learns that it was there. */
static void take_document(struct turn *t, struct buf *to, const struct json *block)
{
    const struct json *source = json_get(block, "source");
    struct str title = text_of(block, "title"), context = text_of(block, "context");
    AUTO_BUF head = { 0 };
    buf_addf(&head, "[document%s%.*s]", title.n ? " " : "", STR_ARGS(title));
    add_line(to, buf_str(&head));
    if (context.n)
        add_line(to, context);
    if (str_eq(text_of(source, "type"), STR("text")))
        add_line(to, text_of(source, "data"));
    else if (str_eq(text_of(source, "type"), STR("url")))
        add_line(to, text_of(source, "url"));
    else
        add_line(to, STR("[its content is not text and cannot be shown to this model]"));
}

static void take_search_result(struct turn *t, struct buf *to, const struct json *block)
{
    add_line(to, text_of(block, "title"));
    add_line(to, text_of(block, "source"));
    const struct json *content = json_get(block, "content");
    if (content)
        take_texts(t, to, content);
}

static const struct {
    const char *type;
    void (*take)(struct turn *t, struct buf *to, const struct json *block);
} block_rows[] = {
    { "text", take_text },
    { "image", take_image },
    { "document", take_document },
    { "search_result", take_search_result },
};

/* Adds the readable blocks of a content, which is a string or an array, to `to`. */
static void take_texts(struct turn *t, struct buf *to, const struct json *content)
{
    struct str whole;
    if (json_to_str(content, &whole)) {
        add_line(to, whole);
        return;
    }
    for (size_t i = 0; json_kind_of(content) == JSON_IS_ARRAY && i < json_count(content); i++) {
        const struct json *block = json_at(content, i);
        for (size_t k = 0; k < sizeof block_rows / sizeof *block_rows; k++)
            if (str_eq(text_of(block, "type"), str_of(block_rows[k].type)))
                block_rows[k].take(t, to, block);
    }
}

static void write_message(struct buf *out, const char *role, struct str content)
{
    json_write_object(out);
    json_member_text(out, "role", role);
    json_member_str(out, "content", content);
    json_write_object_end(out);
}

static void write_result(struct turn *t, const struct json *block)
{
    AUTO_BUF text = { 0 };
    const struct json *content = json_get(block, "content"),
                      *is_error = json_get(block, "is_error");
    bool failed = false;
    if (is_error)
        json_to_bool(is_error, &failed);
    if (content)
        take_texts(t, &text, content);
    if (text.n == 0)
        buf_add(&text, STR("(no output)"));
    json_write_object(t->out);
    json_member_text(t->out, "role", "tool");
    json_member_str(t->out, "tool_call_id", text_of(block, "tool_use_id"));
    json_write_key(t->out, STR("content"));
    if (failed) { /* the wire has no flag for it */
        AUTO_BUF said = { 0 };
        buf_add(&said, STR("Error: "));
        buf_add(&said, buf_str(&text));
        json_write_str(t->out, buf_str(&said));
    } else {
        json_write_str(t->out, buf_str(&text));
    }
    json_write_object_end(t->out);
}

static void write_user(struct turn *t, const struct json *content)
{
    for (size_t i = 0; json_kind_of(content) == JSON_IS_ARRAY && i < json_count(content); i++)
        if (str_eq(text_of(json_at(content, i), "type"), STR("tool_result")))
            write_result(t, json_at(content, i));
    take_texts(t, &t->text, content);
    if (t->parts.n == 1) { /* plain text: what every server takes */
        if (t->text.n)
            write_message(t->out, "user", buf_str(&t->text));
        return;
    }
    if (t->text.n)
        write_text_part(&t->parts, buf_str(&t->text));
    json_write_array_end(&t->parts);
    json_write_object(t->out);
    json_member_text(t->out, "role", "user");
    json_write_key(t->out, STR("content"));
    json_write_raw(t->out, buf_str(&t->parts));
    json_write_object_end(t->out);
}

static void take_call(struct turn *t, const struct json *block)
{
    const struct json *input = json_get(block, "input");
    AUTO_BUF arguments = { 0 };
    if (input)
        json_write_value(&arguments, input);
    json_write_object(&t->calls);
    json_member_str(&t->calls, "id", text_of(block, "id"));
    json_member_text(&t->calls, "type", "function");
    json_write_key(&t->calls, STR("function"));
    json_write_object(&t->calls);
    json_member_str(&t->calls, "name", text_of(block, "name"));
    json_member_str(&t->calls, "arguments", arguments.n ? buf_str(&arguments) : STR("{}"));
    json_write_object_end(&t->calls);
    json_write_object_end(&t->calls);
}

/* Thinking is left out: the wire has no place for it. */
static void write_answer(struct turn *t, const struct json *content)
{
    take_texts(t, &t->text, content);
    for (size_t i = 0; json_kind_of(content) == JSON_IS_ARRAY && i < json_count(content); i++)
        if (str_eq(text_of(json_at(content, i), "type"), STR("tool_use")))
            take_call(t, json_at(content, i));
    bool calls = t->calls.n > 1;
    if (!calls && t->text.n == 0)
        return;
    json_write_object(t->out);
    json_member_text(t->out, "role", "assistant");
    json_member_str(t->out, "content", buf_str(&t->text));
    if (calls) {
        json_write_array_end(&t->calls);
        json_write_key(t->out, STR("tool_calls"));
        json_write_raw(t->out, buf_str(&t->calls));
    }
    json_write_object_end(t->out);
}

static int write_turn(struct buf *out, struct str message, uint64_t *answers, struct err *e)
{
    AUTO_JSON v = NULL;
    CLEANUP(turn_release) struct turn t = { .out = out };
    if (json_parse(message, &v, e) < 0)
        return -1;
    json_write_array(&t.parts);
    json_write_array(&t.calls);
    struct str role = text_of(v, "role");
    const struct json *content = json_get(v, "content");
    if (!content)
        return err_set(e, E_BUG, 0, "a message without content");
    if (str_eq(role, STR("assistant"))) {
        ++*answers;
        write_answer(&t, content);
    } else if (str_eq(role, STR("system"))) {
        take_texts(&t, &t.text, content);
        write_message(out, "system", buf_str(&t.text));
    } else {
        write_user(&t, content);
    }
    return 0;
}

static int write_messages(struct buf *out, const struct model_request *r, uint64_t *answers,
                          struct err *e)
{
    struct json_slice s;
    json_write_key(out, STR("messages"));
    json_write_array(out);
    if (r->system.n)
        write_message(out, "system", r->system);
    if (!json_slice_begin(&s, r->messages) || !s.array)
        return err_set(e, E_BUG, 0, "the request's messages are no array");
    while (json_slice_next(&s))
        if (write_turn(out, s.value, answers, e) < 0)
            return err_while(e, "the request's messages");
    json_write_array_end(out);
    return s.bad ? err_set(e, E_BUG, 0, "the request's messages are not JSON") : 0;
}

static int write_tools(struct buf *out, const struct model_request *r, struct err *e)
{
    struct json_slice s;
    size_t count = 0;
    AUTO_BUF tools = { 0 };
    if (!json_slice_begin(&s, r->tools) || !s.array)
        return err_set(e, E_BUG, 0, "the request's tools are no array");
    json_write_array(&tools);
    for (; json_slice_next(&s); count++) {
        struct str description = json_slice_get(s.value, "description");
        struct str schema = json_slice_get(s.value, "input_schema");
        json_write_object(&tools);
        json_member_text(&tools, "type", "function");
        json_write_key(&tools, STR("function"));
        json_write_object(&tools);
        json_write_key(&tools, STR("name"));
        json_write_raw(&tools, json_slice_get(s.value, "name"));
        json_write_key(&tools, STR("description"));
        json_write_raw(&tools, description.n ? description : STR("\"\""));
        json_write_key(&tools, STR("parameters"));
        json_write_raw(&tools, schema.n ? schema : STR("{\"type\":\"object\"}"));
        json_write_object_end(&tools);
        json_write_object_end(&tools);
    }
    json_write_array_end(&tools);
    if (s.bad)
        return err_set(e, E_BUG, 0, "the request's tools are not JSON");
    if (count == 0)
        return 0;
    json_write_key(out, STR("tools"));
    json_write_raw(out, buf_str(&tools));
    if (r->no_tools)
        json_member_text(out, "tool_choice", "none");
    return 0;
}

/* The wire knows three levels that all servers take; what is above them becomes the highest. */
static struct str effort_word(struct str effort)
{
    return str_eq(effort, STR("xhigh")) || str_eq(effort, STR("max")) ? STR("high") : effort;
}

int chat_body(struct buf *out, const struct model_request *r, const struct upstream *u,
              uint64_t *answers, struct err *e)
{
    *answers = 0;
    json_write_object(out);
    json_member_str(out, "model", u->model);
    json_member_bool(out, "stream", true);
    json_write_key(out, STR("stream_options"));
    json_write_raw(out, STR("{\"include_usage\":true}"));
    if (u->max_output)
        json_member_u64(out, "max_tokens", u->max_output);
    if (r->effort.n)
        json_member_str(out, "reasoning_effort", effort_word(r->effort));
    json_write_raw(out, u->members);
    if (write_tools(out, r, e) < 0 || write_messages(out, r, answers, e) < 0)
        return -1;
    json_write_object_end(out);
    return 0;
}
