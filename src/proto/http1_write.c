#include "proto/http1_write.h"

#include <inttypes.h>

static bool is_dropped(char *const *names, struct str name)
{
    for (; names && *names; names++)
        if (str_eq_nocase(name, str_of(*names)))
            return true;
    return false;
}

/* Fields that are written by the functions below, never copied. */
static bool is_rebuilt(struct str name, bool request)
{
    return str_eq_nocase(name, STR("Content-Length")) ||
           (request && str_eq_nocase(name, STR("Host")));
}

static void add_field(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, STR(": "));
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

static void add_fields(struct buf *out, const struct http1_head *head,
                       const struct http1_forward *how, bool request)
{
    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *f = &head->fields[i];
        if (!is_rebuilt(f->name, request) && !http1_is_hop_by_hop(head, f->name) &&
            !is_dropped(how->drop, f->name))
            add_field(out, f->name, f->value);
    }
}

/* Connection and Upgrade of the next hop, and the empty line. */
static void add_connection(struct buf *out, const struct http1_head *head,
                           const struct http1_forward *how, bool close, bool keep)
{
    if (how->upgrade) {
        for (size_t i = 0; i < head->count; i++)
            if (str_eq_nocase(head->fields[i].name, STR("Upgrade")))
                add_field(out, STR("Upgrade"), head->fields[i].value);
        add_field(out, STR("Connection"), STR("upgrade"));
    } else if (close) {
        add_field(out, STR("Connection"), STR("close"));
    } else if (keep) {
        add_field(out, STR("Connection"), STR("keep-alive"));
    }
    buf_add(out, STR("\r\n"));
}

static void add_framing(struct buf *out, enum http1_framing framing, uint64_t length)
{
    if (framing == HTTP1_LENGTH)
        buf_addf(out, "Content-Length: %" PRIu64 "\r\n", length);
    else if (framing == HTTP1_CHUNKED)
        add_field(out, STR("Transfer-Encoding"), STR("chunked"));
}

/* A length that the sender wants to keep from the next hop ("Connection: content-length") is not
 * forwarded; the body goes in chunks. */
static bool hides_length(const struct http1_head *head)
{
    return head->framing == HTTP1_LENGTH &&
           http1_has_token(head, STR("Connection"), STR("Content-Length"));
}

enum http1_framing http1_write_request(struct buf *out, const struct http1_head *head,
                                       const struct http1_forward *how)
{
    enum http1_framing framing = hides_length(head) ? HTTP1_CHUNKED : head->framing;
    buf_add(out, head->method);
    buf_add_byte(out, ' ');
    buf_add(out, how->target);
    buf_add(out, STR(" HTTP/1.1\r\n"));
    add_field(out, STR("Host"), how->authority);
    add_fields(out, head, how, true);
    if (how->proxy_authorization.p)
        add_field(out, STR("Proxy-Authorization"), how->proxy_authorization);
    add_framing(out, framing, head->length);
    add_connection(out, head, how, how->close, false);
    return framing;
}

enum http1_framing http1_write_response(struct buf *out, const struct http1_head *head,
                                        const struct http1_forward *how)
{
    enum http1_framing framing = hides_length(head) ? HTTP1_CHUNKED : head->framing;
    if (framing == HTTP1_UNTIL_CLOSE)
        framing = HTTP1_CHUNKED;
    if (framing == HTTP1_CHUNKED && how->peer_minor == 0)
        framing = HTTP1_UNTIL_CLOSE;
    buf_addf(out, "HTTP/1.1 %d ", head->status);
    buf_add(out, head->reason);
    buf_add(out, STR("\r\n"));
    add_fields(out, head, how, false);
    add_framing(out, framing, head->length);
    /* The answer to HEAD, and 304, tell a length without having a body. */
    if (framing == HTTP1_NONE && head->length && head->status >= 200 && head->status != 204)
        add_framing(out, HTTP1_LENGTH, head->length);
    add_connection(out, head, how, how->close || framing == HTTP1_UNTIL_CLOSE,
                   how->peer_minor == 0);
    return framing;
}

void http1_write_body(struct buf *out, enum http1_framing framing, struct str piece)
{
    if (piece.n == 0)
        return;
    if (framing == HTTP1_CHUNKED)
        buf_addf(out, "%zx\r\n", piece.n);
    buf_add(out, piece);
    if (framing == HTTP1_CHUNKED)
        buf_add(out, STR("\r\n"));
}

void http1_write_end(struct buf *out, enum http1_framing framing)
{
    if (framing == HTTP1_CHUNKED)
        buf_add(out, STR("0\r\n\r\n"));
}

static const struct {
    int status;
    const char *phrase;
} phrases[] = {
    { 100, "Continue" },
    { 200, "OK" },
    { 204, "No Content" },
    { 206, "Partial Content" },
    { 304, "Not Modified" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 411, "Length Required" },
    { 412, "Precondition Failed" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 416, "Range Not Satisfiable" },
    { 417, "Expectation Failed" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 529, "Overloaded" },
};

void http1_write_status(struct buf *out, int status)
{
    const char *phrase = "";
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            phrase = phrases[i].phrase;
    buf_add(out, STR("HTTP/1.1 "));
    buf_add_number(out, (uint64_t)status);
    buf_add_byte(out, ' ');
    buf_add(out, str_of(phrase));
    buf_add(out, STR("\r\n"));
}

void http1_write_field(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, STR(": "));
    char *at = buf_room(out, value.n);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        at[i] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
    }
    buf_grew(out, value.n);
    buf_add(out, STR("\r\n"));
}
