#include "api/event_shape.h"

#include "base/check.h"
#include "proto/json_write.h"

/* --- content blocks --- */

static const char *base64_refuses(struct str text)
{
    size_t n = text.n;
    while (n > 0 && text.n - n < 2 && text.p[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              c == '+' || c == '/'))
            return "must be base64";
    }
    return text.n % 4 ? "must be base64" : NULL;
}

static const char *const image_types[] = { "image/png", "image/jpeg", "image/gif", "image/webp",
                                           NULL };
static const char *const text_types[] = { "text/plain", NULL };
#define DATA_ROW                                                                                   \
    {                                                                                              \
        "data", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .refuses = base64_refuses                \
    }
static const struct schema_row image_data_rows[] = {
    { "media_type", SCHEMA_WORD, SCHEMA_REQUIRED, .words = image_types },
    DATA_ROW,
};
static const struct schema_row document_data_rows[] = {
    { "media_type", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 255 },
    DATA_ROW,
};
static const struct schema_row text_data_rows[] = {
    { "media_type", SCHEMA_WORD, SCHEMA_REQUIRED, .words = text_types },
    { "data", SCHEMA_STRING, SCHEMA_REQUIRED },
};
static const struct schema_row url_rows[] = {
    { "url", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 8192 },
};
static const struct schema_table image_data = { ROWS(image_data_rows) };
static const struct schema_table document_data = { ROWS(document_data_rows) };
static const struct schema_table text_data = { ROWS(text_data_rows) };
static const struct schema_table url = { ROWS(url_rows) };
static const struct schema_variant image_sources[] = { { "base64", &image_data },
                                                       { "url", &url },
                                                       { NULL, NULL } };
static const struct schema_variant document_sources[] = {
    { "base64", &document_data }, { "text", &text_data }, { "url", &url }, { NULL, NULL }
};

/* Models refuse texts of blanks alone, and what is in a log is sent with every later request. A result
 * may be empty: the model is told so (contract 3.2). */
static const char *blank_refuses(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(" \t\r\n", text.p[i]))
            return NULL;
    return "must hold more than blanks";
}

static const struct schema_row text_rows[] = { { "text", SCHEMA_STRING, SCHEMA_REQUIRED } };
static const struct schema_row words_rows[] = {
    { "text", SCHEMA_STRING, SCHEMA_REQUIRED, .refuses = blank_refuses },
};
static const struct schema_row image_rows[] = {
    { "source", SCHEMA_VARIANT, SCHEMA_REQUIRED, .variants = image_sources },
};
static const struct schema_row document_rows[] = {
    { "source", SCHEMA_VARIANT, SCHEMA_REQUIRED, .variants = document_sources },
    { "title", SCHEMA_STRING, SCHEMA_NULLABLE },
    { "context", SCHEMA_STRING, SCHEMA_NULLABLE },
};
static const struct schema_table text_block = { ROWS(text_rows) };
static const struct schema_table words_block = { ROWS(words_rows) };
static const struct schema_table image_block = { ROWS(image_rows) };
static const struct schema_table document_block = { ROWS(document_rows) };
static const struct schema_variant text_blocks[] = { { "text", &text_block }, { NULL, NULL } };
static const struct schema_row text_item = { NULL, SCHEMA_VARIANT, .variants = text_blocks };
static const struct schema_row citation_rows[] = { { "enabled", SCHEMA_BOOL, SCHEMA_NULLABLE } };
static const struct schema_table citations = { ROWS(citation_rows) };
static const struct schema_row search_rows[] = {
    { "source", SCHEMA_STRING, SCHEMA_REQUIRED },
    { "title", SCHEMA_STRING, SCHEMA_REQUIRED },
    { "content", SCHEMA_ARRAY, SCHEMA_REQUIRED, .item = &text_item },
    { "citations", SCHEMA_OBJECT, SCHEMA_NULLABLE, .table = &citations },
};
static const struct schema_table search_block = { ROWS(search_rows) };
static const struct schema_variant words_blocks[] = { { "text", &words_block }, { NULL, NULL } };
static const struct schema_row words_item = { NULL, SCHEMA_VARIANT, .variants = words_blocks };
static const struct schema_variant message_blocks[] = { { "text", &words_block },
                                                        { "image", &image_block },
                                                        { "document", &document_block },
                                                        { NULL, NULL } };
static const struct schema_variant result_blocks[] = { { "text", &text_block },
                                                       { "image", &image_block },
                                                       { "document", &document_block },
                                                       { "search_result", &search_block },
                                                       { NULL, NULL } };
static const struct schema_row message_item = { NULL, SCHEMA_VARIANT, .variants = message_blocks };
static const struct schema_row result_item = { NULL, SCHEMA_VARIANT, .variants = result_blocks };

/* --- events --- */

static const char *id_refuses(struct str text)
{
    struct id id;
    return id_read(text, &id) ? NULL : "is no id";
}

static const char *const verdicts[] = { "allow", "deny", NULL };
#define ID_ROW(name)                                                                               \
    {                                                                                              \
        name, SCHEMA_STRING, SCHEMA_REQUIRED, .refuses = id_refuses                                \
    }
#define RESULT_ROWS                                                                                \
    { "content", SCHEMA_ARRAY, SCHEMA_NULLABLE, .max = 1000, .item = &result_item },               \
    {                                                                                              \
        "is_error", SCHEMA_BOOL, SCHEMA_NULLABLE                                                   \
    }
static const struct schema_row message_rows[] = {
    { "content", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = 1000, .item = &message_item },
};
static const struct schema_row interrupt_rows[] = {
    { "session_thread_id", SCHEMA_STRING, SCHEMA_NULLABLE, .refuses = id_refuses },
};
static const struct schema_row confirmation_rows[] = {
    ID_ROW("tool_use_id"),
    { "result", SCHEMA_WORD, SCHEMA_REQUIRED, .words = verdicts },
    { "deny_message", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 100000 },
};
static const struct schema_row result_rows[] = { ID_ROW("tool_use_id"), RESULT_ROWS };
static const struct schema_row custom_result_rows[] = { ID_ROW("custom_tool_use_id"), RESULT_ROWS };
static const struct schema_row system_rows[] = {
    { "content", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = 1000, .item = &words_item },
};
static const struct schema_table message = { ROWS(message_rows) };
static const struct schema_table interrupt = { ROWS(interrupt_rows) };
static const struct schema_table confirmation = { ROWS(confirmation_rows) };
static const struct schema_table result = { ROWS(result_rows) };
static const struct schema_table custom_result = { ROWS(custom_result_rows) };
static const struct schema_table system_message = { ROWS(system_rows) };

static const struct schema_variant kinds[] = {
    { "user.message", &message },
    { "user.interrupt", &interrupt },
    { "user.tool_confirmation", &confirmation },
    { "user.tool_result", &result },
    { "user.custom_tool_result", &custom_result },
    { "system.message", &system_message },
    { NULL, NULL },
};
static const enum event_type types[] = {
    EVENT_USER_MESSAGE,     EVENT_USER_INTERRUPT,          EVENT_USER_TOOL_CONFIRMATION,
    EVENT_USER_TOOL_RESULT, EVENT_USER_CUSTOM_TOOL_RESULT, EVENT_SYSTEM_MESSAGE,
};
static const struct schema_variant initial_kinds[] = { { "user.message", &message },
                                                       { NULL, NULL } };
const struct schema_row event_item = { NULL, SCHEMA_VARIANT, .variants = kinds };
const struct schema_row initial_event_item = { NULL, SCHEMA_VARIANT, .variants = initial_kinds };

static struct str text_of(const struct json *object, const char *key)
{
    struct str text = { 0 };
    json_to_str(json_get(object, key), &text);
    return text;
}

enum event_type event_type_sent(const struct json *event)
{
    struct str type = text_of(event, "type");
    for (size_t i = 0; kinds[i].word; i++)
        if (str_eq(str_of(kinds[i].word), type))
            return types[i];
    return EVENT_NONE;
}

/* A system message comes last, behind what it belongs to, if anything stands before it. */
static void check_system_message(const struct json *events, size_t i, struct problems *p)
{
    enum event_type before = i ? event_type_sent(json_at(events, i - 1)) : EVENT_NONE;
    if (i + 1 != json_count(events))
        problems_add(p, "system.message must be the last event of a request");
    else if (i && before != EVENT_USER_MESSAGE && before != EVENT_USER_TOOL_RESULT &&
             before != EVENT_USER_CUSTOM_TOOL_RESULT)
        problems_add(p, "system.message must follow a user.message or a tool result");
}

void events_check(const struct json *events, struct problems *p)
{
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *event = json_at(events, i);
        size_t was = problems_enter_index(p, i);
        enum event_type type = event_type_sent(event);
        if (type == EVENT_USER_TOOL_CONFIRMATION && text_of(event, "deny_message").n &&
            !str_eq(text_of(event, "result"), STR("deny")))
            problems_add_at(p, "deny_message", "goes with \"deny\" only");
        if (type == EVENT_SYSTEM_MESSAGE)
            check_system_message(events, i, p);
        problems_leave(p, was);
    }
}

static bool take_content(const struct json *event, struct str *out, struct arena *a)
{
    const struct json *content = json_get(event, "content");
    AUTO_BUF text = { 0 };
    if (!content || json_kind_of(content) != JSON_IS_ARRAY)
        return true;
    json_write_value(&text, content);
    *out = (struct str){ arena_dup(a, buf_str(&text)), text.n };
    return out->p;
}

bool events_take(const struct json *events, struct event *out, struct arena *a)
{
    for (size_t i = 0; i < json_count(events); i++) {
        const struct json *event = json_at(events, i);
        struct event *to = &out[i];
        *to = (struct event){ .type = event_type_sent(event) };
        struct str about = text_of(event, "tool_use_id");
        if (!about.n)
            about = text_of(event, "custom_tool_use_id");
        if (about.n)
            CHECK(id_read(about, &to->about));
        to->allow = str_eq(text_of(event, "result"), STR("allow"));
        to->text = text_of(event, "deny_message");
        json_to_bool(json_get(event, "is_error"), &to->is_error);
        if (!take_content(event, &to->content, a))
            return false;
    }
    return true;
}
