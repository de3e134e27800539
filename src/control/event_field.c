#include "control/event_field.h"

#include "control/scalar.h"
#include "control/usage_json.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

const char *const permission_words[] = { "", "allow", "ask", "deny", NULL };
const char *const owner_words[] = { "", "worker", "server", "application", NULL };
const char *const repeat_words[] = { "never", "safe", "with_key", "ask", NULL };
const char *const budget_words[] = { "", "set", "removed", NULL };
const char *const step_words[] = { "", "made", "lost", "ended", "held", NULL };

static const char *const policy_words[] = { "", "always_allow", "always_ask", "auto", NULL };
static const char *const stop_words[] = {
    "", "end_turn", "requires_action", "retries_exhausted", "budget_reached", "refusal", NULL
};
static const char *const retry_words[] = { "retrying", "exhausted", "terminal", NULL };
static const char *const error_words[] = { "",
                                           "model_overloaded_error",
                                           "model_rate_limited_error",
                                           "model_request_failed_error",
                                           "billing_error",
                                           "tool_use_limit_reached_error",
                                           "compaction_limit_reached_error",
                                           "mcp_connection_failed_error",
                                           "mcp_authentication_failed_error",
                                           "unknown_error",
                                           NULL };

/* The value of a word that is a JSON string; false when it is none of them. */
static bool word_read(struct str value, const char *const *words, unsigned *out)
{
    for (unsigned i = 0; words[i]; i++) {
        struct str word = str_of(words[i]);
        if (value.n == word.n + 2 && value.p[0] == '"' && memcmp(value.p + 1, word.p, word.n) == 0)
            return *out = i, true;
    }
    return false;
}

static bool id_member_read(struct str value, struct id *out)
{
    return value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"' &&
           id_read((struct str){ value.p + 1, value.n - 2 }, out);
}

static bool is_null(struct str value)
{
    return str_eq(value, STR("null"));
}

/* --- fields of one value --- */

static bool id_says(const struct event *e, const void *at)
{
    return !id_is_none(at);
}

static void id_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_str(b, id_str(at));
}

static bool id_field_read(const struct field *f, struct str value, struct event *e, void *at,
                          struct arena *a)
{
    return id_member_read(value, at);
}

static bool text_says(const struct event *e, const void *at)
{
    return ((const struct str *)at)->n > 0;
}

static void text_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_str(b, *(const struct str *)at);
}

static bool text_read(const struct field *f, struct str value, struct event *e, void *at,
                      struct arena *a)
{
    return json_slice_str(value, at, a);
}

static void raw_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    const struct str *raw = at;
    json_write_raw(b, raw->n ? *raw : STR("{}"));
}

static bool raw_read(const struct field *f, struct str value, struct event *e, void *at,
                     struct arena *a)
{
    *(struct str *)at = value;
    return value.p[0] == '{' || value.p[0] == '[';
}

/* Content blocks, or the one text block of a result that the server wrote. */
static bool content_says(const struct event *e, const void *at)
{
    return text_says(e, at) || e->text.n > 0;
}

static void content_write(struct buf *b, const struct field *f, const struct event *e,
                          const void *at)
{
    const struct str *content = at;
    if (content->n) {
        json_write_raw(b, *content);
        return;
    }
    json_write_array(b);
    if (e->text.n) {
        json_write_object(b);
        json_member_text(b, "type", "text");
        json_member_str(b, "text", e->text);
        json_write_object_end(b);
    }
    json_write_array_end(b);
}

static bool always_says(const struct event *e, const void *at)
{
    return true;
}

static void bool_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_bool(b, *(const bool *)at);
}

static bool bool_read(const struct field *f, struct str value, struct event *e, void *at,
                      struct arena *a)
{
    return json_slice_bool(value, at);
}

static bool bool_says(const struct event *e, const void *at)
{
    return *(const bool *)at;
}

static void verdict_write(struct buf *b, const struct field *f, const struct event *e,
                          const void *at)
{
    json_write_text(b, *(const bool *)at ? "allow" : "deny");
}

static bool verdict_read(const struct field *f, struct str value, struct event *e, void *at,
                         struct arena *a)
{
    static const char *const words[] = { "deny", "allow", NULL };
    unsigned word;
    if (!word_read(value, words, &word))
        return false;
    *(bool *)at = word == 1;
    return true;
}

/* All enums here are as wide as unsigned int. */
_Static_assert(sizeof(enum permission) == sizeof(unsigned) &&
                   sizeof(enum tool_owner) == sizeof(unsigned) &&
                   sizeof(enum repeat) == sizeof(unsigned) &&
                   sizeof(enum budget_change) == sizeof(unsigned) &&
                   sizeof(enum work_step) == sizeof(unsigned),
               "a word is an unsigned number");

static unsigned unsigned_of(const void *at)
{
    unsigned value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool unsigned_says(const struct event *e, const void *at)
{
    return unsigned_of(at) != 0;
}

static void word_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_text(b, f->words[unsigned_of(at)]);
}

static bool word_field_read(const struct field *f, struct str value, struct event *e, void *at,
                            struct arena *a)
{
    unsigned word;
    if (!word_read(value, f->words, &word))
        return false;
    memcpy(at, &word, sizeof word);
    return true;
}

static void unsigned_write(struct buf *b, const struct field *f, const struct event *e,
                           const void *at)
{
    json_write_u64(b, unsigned_of(at));
}

static bool unsigned_read(const struct field *f, struct str value, struct event *e, void *at,
                          struct arena *a)
{
    uint64_t number;
    if (!json_slice_u64(value, &number) || number > UINT32_MAX)
        return false;
    *(unsigned *)at = (unsigned)number;
    return true;
}

static bool i64_says(const struct event *e, const void *at)
{
    return *(const int64_t *)at != 0;
}

static void i64_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_i64(b, *(const int64_t *)at);
}

static bool i64_read(const struct field *f, struct str value, struct event *e, void *at,
                     struct arena *a)
{
    return json_slice_i64(value, at);
}

static void u64_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_u64(b, *(const uint64_t *)at);
}

static bool u64_read(const struct field *f, struct str value, struct event *e, void *at,
                     struct arena *a)
{
    return json_slice_u64(value, at);
}

static bool sha256_says(const struct event *e, const void *at)
{
    static const struct sha256 none;
    return memcmp(at, &none, sizeof none) != 0;
}

static void sha256_write(struct buf *b, const struct field *f, const struct event *e,
                         const void *at)
{
    sha256_write_value(b, at);
}

static bool sha256_read(const struct field *f, struct str value, struct event *e, void *at,
                        struct arena *a)
{
    return sha256_read_value(value, at);
}

/* --- fields that are objects --- */

static bool evaluation_says(const struct event *e, const void *at)
{
    return e->policy != POLICY_NONE;
}

static void evaluation_write(struct buf *b, const struct field *f, const struct event *e,
                             const void *at)
{
    json_write_object(b);
    json_member_text(b, "type", policy_words[e->policy]);
    if (e->policy == POLICY_AUTO) {
        json_write_key(b, STR("evaluated_permission"));
        json_write_object(b);
        json_member_text(b, "type", permission_words[e->permission]);
        if (e->reason.n)
            json_member_str(b, "reason_code", e->reason);
        json_write_object_end(b);
    }
    json_write_object_end(b);
}

static bool evaluation_read(const struct field *f, struct str value, struct event *e, void *at,
                            struct arena *a)
{
    unsigned policy;
    if (!word_read(json_slice_get(value, "type"), policy_words, &policy))
        return false;
    e->policy = (enum policy)policy;
    struct str reason =
        json_slice_get(json_slice_get(value, "evaluated_permission"), "reason_code");
    return reason.n == 0 || json_slice_str(reason, &e->reason, a);
}

static void stop_reason_write(struct buf *b, const struct field *f, const struct event *e,
                              const void *at)
{
    json_write_object(b);
    json_member_text(b, "type", stop_words[e->stop]);
    if (e->stop == STOP_REQUIRES_ACTION) {
        json_write_key(b, STR("event_ids"));
        json_write_array(b);
        for (size_t i = 0; i < e->waiting_count; i++)
            json_write_str(b, id_str(&e->waiting[i]));
        json_write_array_end(b);
    }
    json_write_object_end(b);
}

static bool waiting_read(struct str list, struct event *e, struct arena *a)
{
    struct json_slice s;
    size_t count = 0;
    if (!json_slice_begin(&s, list) || !s.array)
        return false;
    while (json_slice_next(&s))
        count++;
    struct id *ids = arena_get(a, (count ? count : 1) * sizeof *ids);
    if (s.bad || !ids)
        return false;
    json_slice_begin(&s, list);
    for (size_t i = 0; json_slice_next(&s); i++)
        if (!id_member_read(s.value, &ids[i]))
            return false;
    e->waiting = ids;
    e->waiting_count = count;
    return true;
}

static bool stop_reason_read(const struct field *f, struct str value, struct event *e, void *at,
                             struct arena *a)
{
    unsigned stop;
    if (!word_read(json_slice_get(value, "type"), stop_words, &stop))
        return false;
    e->stop = (enum stop_reason)stop;
    return e->stop != STOP_REQUIRES_ACTION ||
           waiting_read(json_slice_get(value, "event_ids"), e, a);
}

static void text_or_null(struct buf *b, const char *key, struct str text)
{
    json_write_key(b, str_of(key));
    if (text.n)
        json_write_str(b, text);
    else
        json_write_null(b);
}

static void stop_details_write(struct buf *b, const struct field *f, const struct event *e,
                               const void *at)
{
    if (e->stop != STOP_REFUSAL) {
        json_write_null(b);
        return;
    }
    json_write_object(b);
    json_member_text(b, "type", "refusal");
    text_or_null(b, "category", e->category);
    text_or_null(b, "explanation", e->explanation);
    json_write_object_end(b);
}

static bool stop_details_read(const struct field *f, struct str value, struct event *e, void *at,
                              struct arena *a)
{
    if (is_null(value))
        return true;
    struct str category = json_slice_get(value, "category");
    struct str explanation = json_slice_get(value, "explanation");
    return category.n && explanation.n &&
           (is_null(category) || json_slice_str(category, &e->category, a)) &&
           (is_null(explanation) || json_slice_str(explanation, &e->explanation, a));
}

static void error_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    json_write_object(b);
    json_member_text(b, "type", error_words[e->error]);
    json_member_str(b, "message", e->text);
    json_write_key(b, STR("retry_status"));
    json_write_object(b);
    json_member_text(b, "type", retry_words[e->retry]);
    json_write_object_end(b);
    if (e->server.n)
        json_member_str(b, "mcp_server_name", e->server);
    json_write_object_end(b);
}

static bool error_read(const struct field *f, struct str value, struct event *e, void *at,
                       struct arena *a)
{
    unsigned error, retry;
    struct str status = json_slice_get(json_slice_get(value, "retry_status"), "type");
    struct str server = json_slice_get(value, "mcp_server_name");
    if (!word_read(json_slice_get(value, "type"), error_words, &error) ||
        !word_read(status, retry_words, &retry) ||
        !json_slice_str(json_slice_get(value, "message"), &e->text, a))
        return false;
    e->error = (enum session_error)error;
    e->retry = (enum retry_status)retry;
    return server.n == 0 || json_slice_str(server, &e->server, a);
}

/* --- usage --- */

static void usage_shown_write(struct buf *b, const struct field *f, const struct event *e,
                              const void *at)
{
    usage_json_show(b, at);
}

static void usage_write(struct buf *b, const struct field *f, const struct event *e, const void *at)
{
    usage_json_write(b, at);
}

static bool usage_read(const struct field *f, struct str value, struct event *e, void *at,
                       struct arena *a)
{
    return usage_json_read(value, at);
}

static void model_usage_write(struct buf *b, const struct field *f, const struct event *e,
                              const void *at)
{
    const struct usage *u = at;
    json_write_object(b);
    json_member_u64(b, "input_tokens", u->input_tokens);
    json_member_u64(b, "output_tokens", u->output_tokens);
    json_member_u64(b, "cache_read_input_tokens", u->cache_read_input_tokens);
    json_member_u64(b, "cache_creation_input_tokens",
                    u->cache_creation_5m_input_tokens + u->cache_creation_1h_input_tokens);
    json_write_object_end(b);
}

/* What readers see of usage is rounded; the exact numbers stand in the inner text. */
static bool shown_read(const struct field *f, struct str value, struct event *e, void *at,
                       struct arena *a)
{
    return value.p[0] == '{';
}

const struct field_codec field_id = { id_says, id_write, id_field_read };
const struct field_codec field_text = { text_says, text_write, text_read };
const struct field_codec field_raw = { text_says, raw_write, raw_read };
const struct field_codec field_content = { content_says, content_write, raw_read };
const struct field_codec field_bool = { bool_says, bool_write, bool_read };
const struct field_codec field_verdict = { always_says, verdict_write, verdict_read };
const struct field_codec field_word = { unsigned_says, word_write, word_field_read };
const struct field_codec field_unsigned = { unsigned_says, unsigned_write, unsigned_read };
const struct field_codec field_i64 = { i64_says, i64_write, i64_read };
const struct field_codec field_u64 = { i64_says, u64_write, u64_read };
const struct field_codec field_sha256 = { sha256_says, sha256_write, sha256_read };
const struct field_codec field_evaluation = { evaluation_says, evaluation_write, evaluation_read };
const struct field_codec field_stop_reason = { always_says, stop_reason_write, stop_reason_read };
const struct field_codec field_stop_details = { always_says, stop_details_write,
                                                stop_details_read };
const struct field_codec field_error = { always_says, error_write, error_read };
const struct field_codec field_usage_shown = { always_says, usage_shown_write, shown_read };
const struct field_codec field_usage = { always_says, usage_write, usage_read };
const struct field_codec field_model_usage = { always_says, model_usage_write, shown_read };
