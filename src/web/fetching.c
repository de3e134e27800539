/* fetching.c - web_fetch: one page as text, by way of its redirects. */
#include "proto/json_write.h"
#include "web/address.h"
#include "web/content.h"
#include "web/domains.h"
#include "web/location.h"
#include "web/web-int.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    BODY_MAX = 5 << 20,
    CONNECT_MS = 10000,
    IDLE_MS = 15000,
    TOTAL_MS = 45000,
    HOPS_MAX = 5,
    URL_MAX_BYTES = 2048
};

static bool is_given(const struct json *v)
{
    return v && json_kind_of(v) != JSON_IS_NULL;
}

/* Whether a list of domains names the host. */
static bool lists(const struct json *list, struct str host)
{
    for (size_t i = 0; i < json_count(list); i++) {
        struct str domain = { 0 };
        if (json_to_str(json_at(list, i), &domain) && web_domain_covers(domain, host))
            return true;
    }
    return false;
}

bool web_host_allowed(const struct json *options, struct str host)
{
    const struct json *allowed = json_get(options, "allowed_domains");
    const struct json *blocked = json_get(options, "blocked_domains");
    if (host.n && host.p[host.n - 1] == '.')
        host.n--; /* the root's dot changes nothing */
    return (!is_given(allowed) || lists(allowed, host)) && !lists(blocked, host);
}

/* Where a URL came from is not known here, so a rule on it cannot be kept but by refusing. */
static bool sources_are_open(const struct json *options)
{
    static const char *const names[] = { "user_input", "client_tool_results",
                                         "server_tool_results" };
    const struct json *sources = json_get(options, "url_sources");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct json *one = json_get(sources, names[i]);
        struct str type = { 0 };
        json_to_str(json_get(one, "type"), &type);
        if (is_given(one) && !str_eq(type, STR("all")))
            return false;
    }
    return true;
}

const char *web_url_refused(const struct web_call *c, struct str url, char *room, size_t size)
{
    struct str host = location_host(url);
    if (url.n > URL_MAX_BYTES || !host.n)
        return "url_not_allowed: an http or https URL is needed, in ASCII and without a user";
    if (!sources_are_open(c->options))
        return "url_not_allowed: url_sources limits where URLs may come from, which this server "
               "cannot tell";
    if (web_host_allowed(c->options, host))
        return NULL;
    snprintf(room, size, "url_not_allowed: the domain lists of this tool leave out %.*s",
             host.n < 256 ? (int)host.n : 256, host.p);
    return room;
}

bool web_allow_public(void *ctx, const struct sockaddr *address)
{
    (void)ctx;
    return address_is_public(address);
}

static void begin(struct web_call *c);

static void on_head(void *ctx, struct fetch *f, int status)
{
    struct web_call *c = ctx;
    struct str type = fetch_answer_field(f, "content-type");
    struct str location = fetch_answer_field(f, "location");
    c->status = status;
    buf_empty(&c->type);
    buf_empty(&c->location);
    buf_add(&c->type, type);
    buf_add(&c->location, location);
}

static void on_body(void *ctx, struct fetch *f, struct str bytes)
{
    struct web_call *c = ctx;
    (void)f;
    buf_add(&c->body, bytes); /* body_limit bounds it */
}

static void follow(struct web_call *c)
{
    AUTO_BUF next = { 0 };
    if (++c->hops > HOPS_MAX) {
        web_fail(c, "too many redirects");
        return;
    }
    if (!location_resolve(&next, str_of(c->url), buf_str(&c->location))) {
        web_fail(c, "url_not_allowed: it redirects to something that is no URL of the web");
        return;
    }
    free(c->url);
    c->url = buf_take(&next);
    begin(c);
}

static void succeed(struct web_call *c)
{
    AUTO_BUF text = { 0 };
    AUTO_BUF title = { 0 };
    AUTO_BUF all = { 0 };
    int64_t max_tokens = 0;
    if (!content_text(&text, &title, buf_str(&c->type), buf_str(&c->body))) {
        web_fail(c, "unsupported_content_type: it is no text, but %.100s", buf_text(&c->type));
        return;
    }
    json_to_i64(json_get(c->options, "max_content_tokens"), &max_tokens);
    content_cut(&text, max_tokens);
    buf_addf(&all, "URL: %s\n", c->url);
    if (title.n)
        buf_addf(&all, "Title: %s\n", buf_text(&title));
    buf_addf(&all, "\n%s", text.n ? buf_text(&text) : "(no text)");
    json_write_array(&c->content);
    json_write_object(&c->content);
    json_member_text(&c->content, "type", "text");
    json_member_str(&c->content, "text", buf_str(&all));
    json_write_object_end(&c->content);
    json_write_array_end(&c->content);
    web_succeed(c);
}

static void on_done(void *ctx, const struct fetch_result *result)
{
    struct web_call *c = ctx;
    c->fetch = NULL;
    if (result->end == FETCH_DENIED)
        web_fail(c, "url_not_allowed: it leads to an address that is not of the public network");
    else if (result->end != FETCH_COMPLETE)
        web_fail(c, "url_not_accessible: %s", result->text);
    else if (result->status >= 300 && result->status < 400 && c->location.n)
        follow(c);
    else if (result->status >= 400 || result->status < 200)
        web_fail(c, "url_not_accessible: the server answered %d", result->status);
    else
        succeed(c);
}

static void begin(struct web_call *c)
{
    const struct web_settings *s = &c->web->settings;
    const struct fetch_field fields[] = {
        { STR("accept"), STR("text/html, text/*;q=0.9, application/json;q=0.9, */*;q=0.1") },
        { STR("user-agent"), STR("postern/" POSTERN_VERSION) },
    };
    char room[400];
    const char *wrong = web_url_refused(c, str_of(c->url), room, sizeof room);
    if (wrong) {
        web_fail(c, "%s", wrong);
        return;
    }
    buf_empty(&c->body);
    struct fetch_options o = {
        .url = c->url,
        .fields = fields,
        .field_count = sizeof fields / sizeof *fields,
        .connect_ms = CONNECT_MS,
        .idle_ms = IDLE_MS,
        .total_ms = TOTAL_MS,
        .body_limit = BODY_MAX,
        .direct = !s->proxy,
        .allow = s->allow_private || s->proxy ? NULL : web_allow_public,
        .on_head = on_head,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = c,
    };
    c->fetch = fetch_new(c->web->fetcher, &o);
}

void web_fetch_begin(struct web_call *c)
{
    struct str url = { 0 };
    if (!c->web->settings.fetch) {
        web_fail(c, "web_fetch is switched off on this server");
        return;
    }
    if (!json_to_str(json_get(c->input, "url"), &url) || url.n == 0) {
        web_fail(c, "web_fetch: url is required");
        return;
    }
    ptrdiff_t hash = str_index(url, '#');
    if (hash >= 0)
        url.n = (size_t)hash;
    c->url = str_dup(url);
    begin(c);
}
