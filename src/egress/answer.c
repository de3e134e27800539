#include "egress/answer.h"

#include "egress/clean.h"

enum { SSH_MSG_DISCONNECT = 1, SSH_HOST_NOT_ALLOWED = 1, SSH_REASON_MAX = 200, SSH_BLOCK = 8 };

static const struct answer_row {
    int status;
    const char *phrase, *proxy_error, *body;
    unsigned char socks;
    bool reason_in_body; /* the body ends with the reason */
} rows[ANSWERS] = {
    [ANSWER_AUTHENTICATE] = { 407, "Proxy Authentication Required", NULL,
                              "The proxy of this sandbox wants its user name and token", 0x02,
                              false },
    [ANSWER_NOT_ALLOWED] = { 403, "Forbidden", "blocked-by-allowlist",
                             "Connection blocked by network allowlist", 0x02, false },
    [ANSWER_ADDRESS] = { 403, "Forbidden", "blocked-by-sandbox-runtime",
                         "Connection blocked, the host leads to a ", 0x02, true },
    [ANSWER_OPAQUE] = { 403, "Forbidden", "blocked-by-sandbox-runtime",
                        "Connection blocked, opaque tunnels are refused", 0x01, false },
    [ANSWER_BAD_REQUEST] = { 400, "Bad Request", NULL, "Bad request", 0x01, false },
    [ANSWER_HEAD_TOO_LARGE] = { 431, "Request Header Fields Too Large", NULL,
                                "Request head too large", 0x01, false },
    [ANSWER_MISDIRECTED] = { 421, "Misdirected Request", "blocked-by-sandbox-runtime",
                             "The request names another host than its target", 0x01, false },
    [ANSWER_BAD_GATEWAY] = { 502, "Bad Gateway", NULL, "Bad gateway", 0x04, false },
    [ANSWER_LIMIT] = { 503, "Service Unavailable", "limit-reached",
                       "A limit of this sandbox is reached", 0x01, false },
};

int answer_status(enum answer kind)
{
    return rows[kind].status;
}

unsigned char answer_socks(enum answer kind)
{
    return rows[kind].socks;
}

void answer_http(struct buf *out, enum answer kind, const struct answer_options *options)
{
    const struct answer_row *row = &rows[kind];
    AUTO_BUF phrase = { 0 };
    AUTO_BUF body = { 0 };
    bool explains = kind == ANSWER_NOT_ALLOWED || kind == ANSWER_ADDRESS;
    if (options->connect && explains && options->reason.n)
        clean_phrase(&phrase, options->reason);
    buf_addf(&body, "%s", row->body);
    if (row->reason_in_body)
        clean_text(&body, options->reason, 500);

    buf_addf(out, "HTTP/1.1 %d %s\r\n", row->status, phrase.n ? phrase.p : row->phrase);
    if (kind == ANSWER_AUTHENTICATE)
        buf_add(out, STR("Proxy-Authenticate: Basic realm=\"srt\"\r\n"));
    if (row->proxy_error)
        buf_addf(out, "X-Proxy-Error: %s\r\n", row->proxy_error);
    buf_addf(out, "Content-Type: text/plain\r\nContent-Length: %zu\r\n", body.n);
    buf_addf(out, "Connection: %s\r\n\r\n", options->close ? "close" : "keep-alive");
    if (!options->head)
        buf_add(out, buf_str(&body));
}

static void add_u32(struct buf *out, size_t value)
{
    char bytes[4] = { (char)(value >> 24), (char)(value >> 16), (char)(value >> 8), (char)value };
    buf_add(out, (struct str){ bytes, sizeof bytes });
}

void answer_ssh_disconnect(struct buf *out, struct str reason)
{
    AUTO_BUF text = { 0 };
    clean_text(&text, reason, SSH_REASON_MAX);
    AUTO_BUF payload = { 0 };
    buf_add_byte(&payload, SSH_MSG_DISCONNECT);
    add_u32(&payload, SSH_HOST_NOT_ALLOWED);
    add_u32(&payload, text.n);
    buf_add(&payload, buf_str(&text));
    add_u32(&payload, 0); /* no language tag */

    /* RFC 4253 section 6: length, padding length, payload and padding fill whole blocks of 8, and
     * the padding has at least 4 bytes. */
    size_t padding = SSH_BLOCK - (4 + 1 + payload.n) % SSH_BLOCK;
    if (padding < 4)
        padding += SSH_BLOCK;
    buf_add(out, STR("SSH-2.0-postern\r\n"));
    add_u32(out, 1 + payload.n + padding);
    buf_add_byte(out, (char)padding);
    buf_add(out, buf_str(&payload));
    for (size_t i = 0; i < padding; i++)
        buf_add_byte(out, 0);
}
