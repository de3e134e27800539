#include "egress/http.h"

#include "egress/exchange.h"
#include "egress/tunnel.h"
#include "proto/http1_target.h"

static void plain_input(struct client *c);

static void connect_refused(struct client *c, enum answer kind, const char *reason)
{
    struct answer_options options = { .connect = true, .close = true, .reason = str_of(reason) };
    AUTO_BUF text = { 0 };
    answer_http(&text, kind, &options);
    if (client_send(c, buf_str(&text)) < 0)
        client_close(c);
    else
        client_finish(c);
}

static void connect_opened(struct client *c, struct buf *hello)
{
    (void)c;
    buf_add(hello, STR("HTTP/1.1 200 Connection Established\r\n\r\n"));
}

static void plain_refused(struct client *c, enum answer kind, const char *reason)
{
    struct answer_options options = { .close = true, .reason = str_of(reason) };
    http_answer(c, kind, &options);
}

const struct client_protocol client_http = {
    .input = plain_input,
    .refused = plain_refused,
    .opened = connect_opened,
    .violation = "http-request",
};

const struct client_protocol client_connect = {
    .input = plain_input,
    .refused = connect_refused,
    .opened = connect_opened,
    .violation = "connect-tunnel",
    .waits_for_reply = true,
};

void http_next(struct client *c)
{
    http1_next(&c->http);
    c->wanting = false;
    c->full = false;
    c->dialled = (struct ip_address){ 0 };
    client_enter(c, CLIENT_HEAD, IDLE_MS);
    client_resume(c);
}

void http_answer(struct client *c, enum answer kind, const struct answer_options *options)
{
    AUTO_BUF text = { 0 };
    answer_http(&text, kind, options);
    if (client_send(c, buf_str(&text)) < 0) {
        client_close(c);
        return;
    }
    if (options->close) {
        client_finish(c);
        return;
    }
    size_t used;
    struct err e;
    /* Without a body the end follows at once and uses no byte. */
    if (http1_feed(&c->http, STR(""), &used, &e) == HTTP1_END)
        http_next(c);
    else
        client_finish(c);
}

/* An answer to a head that has been read; the connection goes on when there is no body to skip. */
static void answer_head(struct client *c, enum answer kind, const char *reason)
{
    const struct http1_head *head = &c->http.head;
    if (str_eq(head->method, STR("CONNECT"))) {
        connect_refused(c, kind, reason);
        return;
    }
    struct answer_options options = { .head = str_eq(head->method, STR("HEAD")),
                                      .close = !head->keep_alive || head->framing != HTTP1_NONE,
                                      .reason = str_of(reason) };
    http_answer(c, kind, &options);
}

/* A head that cannot be read leaves nothing to go on with. */
static void answer_broken(struct client *c, enum answer kind)
{
    struct answer_options options = { .close = true };
    AUTO_BUF text = { 0 };
    answer_http(&text, kind, &options);
    if (client_send(c, buf_str(&text)) < 0)
        client_close(c);
    else
        client_finish(c);
}

/* What cannot be read as a request names no host, but somebody tried. */
static void refuse_head(struct client *c, bool too_large)
{
    c->want.method = EGRESS_HTTP;
    c->want.port = 0;
    egress_report_malformed(c->sandbox, &c->want, STR(""),
                            too_large ? "request head too large" : "malformed request");
    answer_broken(c, too_large ? ANSWER_HEAD_TOO_LARGE : ANSWER_BAD_REQUEST);
}

/* requireHostMatch: the Host field must name the host of the target. */
static bool host_field_matches(const struct client *c, uint16_t default_port)
{
    struct str field = http1_field(&c->http.head, STR("Host")), text;
    struct host host;
    struct err e;
    uint16_t port;
    if (!field.p)
        return c->http.head.minor == 0;
    return http1_authority_parse(field, default_port, &text, &port, &e) == 0 &&
           host_parse(text, &host, &e) == 0 && port == c->want.port &&
           strcmp(host.text, c->want.host.text) == 0;
}

static void begin_connect(struct client *c)
{
    size_t used;
    struct err e;
    c->protocol = &client_connect;
    c->want.method = EGRESS_CONNECT;
    /* CONNECT has no body: what follows belongs to the tunnel. */
    if (http1_feed(&c->http, STR(""), &used, &e) != HTTP1_END) {
        answer_broken(c, ANSWER_BAD_REQUEST);
        return;
    }
    http1_release(&c->http);
    tunnel_request(c);
}

static void begin_plain(struct client *c, const struct http1_target *target)
{
    c->want.method = EGRESS_HTTP;
    if (c->sandbox->policy.require_host_match && !host_field_matches(c, 80)) {
        egress_report(c->sandbox, &c->want, true, NULL, "requireHostMatch", "http-request");
        answer_head(c, ANSWER_MISDIRECTED, NULL);
        return;
    }
    exchange_begin(c, target->path);
}

/* The target does not say where to: answered as what is wrong with it, and told like any denial. */
static void refuse_target(struct client *c, const struct http1_target *target, bool bad_host)
{
    c->want.method = target->form == HTTP1_AUTHORITY ? EGRESS_CONNECT : EGRESS_HTTP;
    c->want.port = target->port;
    egress_report_malformed(c->sandbox, &c->want, target->host,
                            bad_host         ? "malformed host"
                            : target->host.p ? "malformed port"
                                             : "malformed request target");
    answer_head(c, bad_host ? ANSWER_NOT_ALLOWED : ANSWER_BAD_REQUEST,
                bad_host ? "malformed host" : NULL);
}

/* Host is not used, but one that cannot be read is a sign of somebody who reads it differently. */
static bool host_field_is_sound(const struct http1_head *head)
{
    struct str field = http1_field(head, STR("Host")), host;
    uint16_t port;
    struct err e;
    return !field.p || http1_authority_parse(field, 80, &host, &port, &e) == 0;
}

static void handle_head(struct client *c)
{
    const struct http1_head *head = &c->http.head;
    struct str token = str_of(c->sandbox->token);
    struct str credential = http1_field(head, STR("Proxy-Authorization"));
    struct http1_target target;
    struct err e;
    if (credential_check_basic(token, credential, c->user) != CREDENTIAL_RIGHT) {
        answer_head(c, ANSWER_AUTHENTICATE, NULL);
        return;
    }
    if (http1_target_parse(head->method, head->target, &target, &e) < 0) {
        refuse_target(c, &target, e.kind == E_DENIED);
        return;
    }
    bool usable = target.form == HTTP1_AUTHORITY || (target.form == HTTP1_ABSOLUTE && !target.tls);
    if (!usable || !host_field_is_sound(head)) {
        answer_head(c, ANSWER_BAD_REQUEST, NULL);
        return;
    }
    if (host_parse(target.host, &c->want.host, &e) < 0) {
        refuse_target(c, &target, true);
        return;
    }
    c->want.port = target.port;
    if (target.form == HTTP1_AUTHORITY)
        begin_connect(c);
    else
        begin_plain(c, &target);
}

static void plain_input(struct client *c)
{
    struct err e;
    if (c->phase == CLIENT_EXCHANGE) {
        exchange_input(c->exchange);
        return;
    }
    /* The next request is read once the answer to the one before has been taken. */
    while (c->phase == CLIENT_HEAD && c->in.n && c->out.n == 0) {
        size_t used = 0;
        if (http1_memory(&c->http) == 0)
            client_enter(c, CLIENT_HEAD, HEAD_MS);
        int event = http1_feed(&c->http, buf_str(&c->in), &used, &e);
        client_consume(c, used);
        if (event < 0) {
            refuse_head(c, e.kind == E_BUSY);
            return;
        }
        if (event == HTTP1_HEAD)
            handle_head(c);
    }
    if (c->phase == CLIENT_HEAD && c->ended && c->in.n == 0 && c->out.n == 0) {
        if (http1_memory(&c->http))
            answer_broken(c, ANSWER_BAD_REQUEST); /* cut off */
        else
            client_close(c);
    }
}
