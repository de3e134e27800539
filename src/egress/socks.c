/* SOCKS5 on either proxy port. */
#include "egress/tunnel.h"
#include "proto/socks5.h"

#include <stdlib.h>

static void socks_input(struct client *c);

static void say_and_end(struct client *c, const struct buf *text)
{
    if (client_send(c, buf_str(text)) < 0)
        client_close(c);
    else
        client_finish(c);
}

static void socks_refused(struct client *c, enum answer kind, const char *reason)
{
    (void)reason;
    AUTO_BUF reply = { 0 };
    socks5_reply((enum socks5_status)answer_socks(kind), &reply);
    say_and_end(c, &reply);
}

static void socks_opened(struct client *c, struct buf *hello)
{
    (void)c;
    socks5_reply(SOCKS5_SUCCEEDED, hello);
}

const struct client_protocol client_socks = {
    .input = socks_input,
    .refused = socks_refused,
    .opened = socks_opened,
    .violation = "socks-tunnel",
    .waits_for_reply = true,
};

/* Who did not say the token gets no connection, whatever the host. An SSH client shows the text of a
 * disconnect, and nothing of a refused SOCKS request. */
static void refuse_unnamed(struct client *c)
{
    const char *reason = "the proxy of this sandbox wants its user name and token";
    AUTO_BUF reply = { 0 };
    egress_report(c->sandbox, &c->want, true, NULL, reason, NULL);
    if (c->want.port == 22) {
        socks5_reply(SOCKS5_SUCCEEDED, &reply);
        answer_ssh_disconnect(&reply, str_of(reason));
    } else {
        socks5_reply(SOCKS5_NOT_ALLOWED, &reply);
    }
    say_and_end(c, &reply);
}

static void handle_request(struct client *c)
{
    struct socks5 *s = c->socks;
    struct err e;
    AUTO_BUF reply = { 0 };
    c->want.method = EGRESS_SOCKS;
    c->want.port = s->port;
    if (s->command != SOCKS5_CONNECT) {
        socks5_reply(SOCKS5_COMMAND_NOT_SUPPORTED, &reply);
        say_and_end(c, &reply);
        return;
    }
    if (s->port == 0 || host_parse(str_of(s->host), &c->want.host, &e) < 0) {
        egress_report_malformed(c->sandbox, &c->want, str_of(s->host),
                                s->port ? "malformed host" : "malformed port");
        socks5_reply(SOCKS5_NOT_ALLOWED, &reply);
        say_and_end(c, &reply);
        return;
    }
    bool named = c->socks_named;
    socks5_release(s);
    free(s);
    c->socks = NULL;
    if (named)
        tunnel_request(c);
    else
        refuse_unnamed(c);
}

static void handle_greeting(struct client *c)
{
    struct socks5 *s = c->socks;
    AUTO_BUF reply = { 0 };
    enum socks5_method method = s->offers_password ? SOCKS5_USER_PASSWORD
                                : s->offers_none   ? SOCKS5_NO_AUTH
                                                   : SOCKS5_NO_METHOD;
    socks5_choose(s, method, &reply);
    if (method == SOCKS5_NO_METHOD)
        say_and_end(c, &reply);
    else if (client_send(c, buf_str(&reply)) < 0)
        client_close(c);
}

static void handle_password(struct client *c)
{
    struct socks5 *s = c->socks;
    struct str user = { (const char *)s->user, s->user_n };
    struct str password = { (const char *)s->password, s->password_n };
    AUTO_BUF reply = { 0 };
    c->socks_named =
        credential_check(str_of(c->sandbox->token), user, password, c->user) == CREDENTIAL_RIGHT;
    socks5_verdict(s, c->socks_named, &reply);
    if (!c->socks_named)
        say_and_end(c, &reply);
    else if (client_send(c, buf_str(&reply)) < 0)
        client_close(c);
}

static void handle_broken(struct client *c)
{
    const struct socks5 *s = c->socks;
    AUTO_BUF reply = { 0 };
    if (s->failure == SOCKS5_NOT_ALLOWED) { /* a name that is none */
        c->want.method = EGRESS_SOCKS;
        c->want.port = s->port;
        egress_report_malformed(c->sandbox, &c->want, str_of(s->host), "malformed host");
    }
    if (s->failure != SOCKS5_SUCCEEDED)
        socks5_reply(s->failure, &reply);
    say_and_end(c, &reply);
}

static void socks_input(struct client *c)
{
    if (!c->socks) {
        c->socks = mem_get(sizeof *c->socks);
        socks5_init(c->socks);
    }
    while (c->phase == CLIENT_HEAD && c->in.n) {
        size_t used = 0;
        struct err e;
        int event = socks5_feed(c->socks, buf_str(&c->in), &used, &e);
        client_consume(c, used);
        if (event < 0)
            handle_broken(c);
        else if (event == SOCKS5_GREETING)
            handle_greeting(c);
        else if (event == SOCKS5_PASSWORD)
            handle_password(c);
        else if (event == SOCKS5_REQUEST)
            handle_request(c);
    }
    if (c->phase == CLIENT_HEAD && c->ended)
        client_close(c);
}
