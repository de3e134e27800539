#include "model/failure.h"

enum { SHOWN_MAX = 300 };

struct meaning {
    const char *word;
    enum model_failure failure;
};

/* Types and codes that say more than the status they come with. */
static const struct meaning telling_words[] = {
    { "context_length_exceeded", MODEL_CONTEXT_TOO_LONG },
    { "exceed_context_size_error", MODEL_CONTEXT_TOO_LONG },
    { "request_too_large", MODEL_CONTEXT_TOO_LONG },
    { "billing_error", MODEL_BILLING },
    { "insufficient_quota", MODEL_BILLING },
    { "billing_not_active", MODEL_BILLING },
    { "billing_hard_limit_reached", MODEL_BILLING },
    { "overloaded_error", MODEL_OVERLOADED },
    { "rate_limit_error", MODEL_RATE_LIMITED },
    { "rate_limit_exceeded", MODEL_RATE_LIMITED },
};

/* Where nothing else tells a request that does not fit from one that is wrong. */
static const struct meaning telling_phrases[] = {
    { "prompt is too long", MODEL_CONTEXT_TOO_LONG },
    { "exceed context limit", MODEL_CONTEXT_TOO_LONG },
    { "maximum context length", MODEL_CONTEXT_TOO_LONG },
    { "exceeds the available context", MODEL_CONTEXT_TOO_LONG },
    { "exceeds the model's context", MODEL_CONTEXT_TOO_LONG },
    { "exceeds context window", MODEL_CONTEXT_TOO_LONG },
    { "longer than the maximum model length", MODEL_CONTEXT_TOO_LONG },
    { "credit balance is too low", MODEL_BILLING },
};

static const struct {
    int status;
    enum model_failure failure;
} statuses[] = {
    { 402, MODEL_BILLING },          { 408, MODEL_REQUEST_FAILED }, { 409, MODEL_REQUEST_FAILED },
    { 413, MODEL_CONTEXT_TOO_LONG }, { 425, MODEL_REQUEST_FAILED }, { 429, MODEL_RATE_LIMITED },
    { 503, MODEL_OVERLOADED },       { 529, MODEL_OVERLOADED },
};

/* Types of errors that come in the middle of a stream, behind a status of 200. */
static const struct meaning stream_words[] = {
    { "invalid_request_error", MODEL_REQUEST_REFUSED },
    { "authentication_error", MODEL_REQUEST_REFUSED },
    { "permission_error", MODEL_REQUEST_REFUSED },
    { "not_found_error", MODEL_REQUEST_REFUSED },
    { "BadRequestError", MODEL_REQUEST_REFUSED },
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static enum model_failure find_word(const struct meaning *table, size_t count, struct str word)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_of(table[i].word), word))
            return table[i].failure;
    return MODEL_OK;
}

static enum model_failure find_phrase(struct str message)
{
    for (size_t i = 0; i < COUNT(telling_phrases); i++)
        if (str_has(message, str_of(telling_phrases[i].word)))
            return telling_phrases[i].failure;
    return MODEL_OK;
}

static enum model_failure find_status(int status)
{
    for (size_t i = 0; i < COUNT(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].failure;
    return status >= 300 && status < 500 ? MODEL_REQUEST_REFUSED : MODEL_REQUEST_FAILED;
}

enum model_failure complaint_meaning(const struct complaint *c)
{
    enum model_failure found = find_word(telling_words, COUNT(telling_words), c->code);
    if (!found)
        found = find_word(telling_words, COUNT(telling_words), c->type);
    bool open = c->status == 0 || (c->status >= 400 && c->status < 500 && c->status != 429);
    if (!found && (open || c->status == 500)) /* llama.cpp says it with 500 */
        found = find_phrase(c->message);
    if (!found && c->status)
        found = find_status(c->status);
    if (!found)
        found = find_word(stream_words, COUNT(stream_words), c->type);
    return found ? found : MODEL_REQUEST_FAILED;
}

static struct str read_text(const struct json *object, const char *key)
{
    struct str text = { 0 };
    const struct json *v = json_get(object, key);
    if (v)
        json_to_str(v, &text);
    return text;
}

struct complaint complaint_read(int status, const struct json *body)
{
    struct complaint c = { .status = status };
    if (!body)
        return c;
    const struct json *error = json_get(body, "error");
    if (error && json_to_str(error, &c.message))
        return c;
    const struct json *from = error ? error : body, *code = json_get(from, "code");
    c.type = read_text(from, "type");
    c.code = read_text(from, "code");
    c.message = read_text(from, "message");
    int64_t number;
    if (status == 0 && code && json_to_i64(code, &number) && number >= 400 && number < 600)
        c.status = (int)number;
    return c;
}

static void write_line(struct buf *out, struct str text)
{
    size_t n = text.n < SHOWN_MAX ? text.n : SHOWN_MAX;
    while (n < text.n && n && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        buf_add_byte(out, c < 0x20 || c == 0x7f ? ' ' : text.p[i]);
    }
    if (n < text.n)
        buf_add(out, STR("..."));
}

/* The longest secret that the text begins with. */
static size_t hidden_length(struct str text, struct hidden secrets)
{
    size_t longest = 0;
    for (size_t i = 0; i < secrets.count; i++)
        if (secrets.texts[i].n > longest && str_starts(text, secrets.texts[i]))
            longest = secrets.texts[i].n;
    return longest;
}

void complaint_write(struct buf *out, const struct complaint *c, struct hidden secrets)
{
    if (c->status == 401 || c->status == 403 || str_eq(c->type, STR("authentication_error")) ||
        str_eq(c->type, STR("permission_error"))) {
        buf_add(out, STR("it does not accept our key"));
        return;
    }
    AUTO_BUF clean = { 0 };
    for (struct str rest = c->message; rest.n;) {
        size_t here = hidden_length(rest, secrets);
        buf_add(&clean, here ? STR("[key]") : (struct str){ rest.p, 1 });
        rest = str_skip(rest, here ? here : 1);
    }
    write_line(out, buf_str(&clean));
}

int64_t retry_after_read(struct str retry_after, struct str retry_after_ms)
{
    enum { HOUR_MS = 3600 * 1000 };
    uint64_t ms, seconds;
    if (!str_to_u64(str_trim(retry_after_ms), &ms)) {
        if (!str_to_u64(str_trim(retry_after), &seconds))
            return 0;
        ms = seconds < HOUR_MS / 1000 ? seconds * 1000 : HOUR_MS;
    }
    return (int64_t)(ms < HOUR_MS ? ms : HOUR_MS) * 1000;
}
