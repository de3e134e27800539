/* searching.c - web_search: asks the configured provider. */
#include "proto/json_write.h"
#include "web/location.h"
#include "web/web-int.h"

#include <stdlib.h>

enum {
    RESULTS_MAX = 10,
    BODY_MAX = 2 << 20,
    TOTAL_MS = 30000,
    CONNECT_MS = 10000,
    QUERY_MAX = 2000
};

static struct str text_of(const struct json *object, const char *key)
{
    struct str text = { 0 };
    json_to_str(json_get(object, key), &text);
    return text;
}

static void write_result(struct buf *out, const struct json *result)
{
    struct str text = text_of(result, "content"), title = text_of(result, "title");
    if (!text.n)
        text = text_of(result, "snippet");
    json_write_object(out);
    json_member_text(out, "type", "search_result");
    json_member_str(out, "source", text_of(result, "url"));
    json_member_str(out, "title", title.n ? title : text_of(result, "url"));
    json_write_key(out, STR("content"));
    json_write_array(out);
    json_write_object(out);
    json_member_text(out, "type", "text");
    json_member_str(out, "text", text);
    json_write_object_end(out);
    json_write_array_end(out);
    json_write_raw(out, STR("\"citations\":{\"enabled\":false}"));
    json_write_object_end(out);
}

/* The domain lists hold for what is found, whatever the provider made of them. */
static void succeed(struct web_call *c, const struct json *results)
{
    size_t written = 0;
    json_write_array(&c->content);
    for (size_t i = 0; i < json_count(results) && written < RESULTS_MAX; i++) {
        struct str host = location_host(text_of(json_at(results, i), "url"));
        if (!host.n || !web_host_allowed(c->options, host))
            continue;
        write_result(&c->content, json_at(results, i));
        written++;
    }
    if (!written) {
        json_write_object(&c->content);
        json_member_text(&c->content, "type", "text");
        json_member_text(&c->content, "text", "no results");
        json_write_object_end(&c->content);
    }
    json_write_array_end(&c->content);
    web_succeed(c);
}

static void on_body(void *ctx, struct fetch *f, struct str bytes)
{
    struct web_call *c = ctx;
    (void)f;
    buf_add(&c->body, bytes); /* body_limit bounds it */
}

static void on_done(void *ctx, const struct fetch_result *result)
{
    struct web_call *c = ctx;
    AUTO_JSON answer = NULL;
    struct err e = { 0 };
    c->fetch = NULL;
    if (result->end != FETCH_COMPLETE)
        web_fail(c, "web_search: the provider cannot be asked: %s", result->text);
    else if (result->status != 200)
        web_fail(c, "web_search: the provider answered %d", result->status);
    else if (json_parse(buf_str(&c->body), &answer, &e) < 0 ||
             json_kind_of(answer) != JSON_IS_OBJECT || !json_get(answer, "results"))
        web_fail(c, "web_search: the provider's answer cannot be read");
    else
        succeed(c, json_get(answer, "results"));
}

static void write_question(struct buf *out, const struct web_call *c, struct str query)
{
    static const char *const carried[] = { "allowed_domains", "blocked_domains", "user_location" };
    json_write_object(out);
    json_member_str(out, "query", query);
    json_member_i64(out, "max_results", RESULTS_MAX);
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
        const struct json *v = json_get(c->options, carried[i]);
        if (v && json_kind_of(v) != JSON_IS_NULL)
            json_member_value(out, carried[i], v);
    }
    json_write_object_end(out);
}

void web_search_begin(struct web_call *c)
{
    const struct web_settings *s = &c->web->settings;
    struct str query = text_of(c->input, "query");
    AUTO_BUF body = { 0 };
    AUTO_BUF bearer = { 0 };
    if (!s->search_url) {
        web_fail(c, "web_search is not configured on this server");
        return;
    }
    if (query.n == 0 || query.n > QUERY_MAX) {
        web_fail(c, "web_search: query is required, %d bytes at most", QUERY_MAX);
        return;
    }
    write_question(&body, c, query);
    struct fetch_field fields[2] = { { STR("content-type"), STR("application/json") } };
    size_t count = 1;
    if (!secret_is_none(&c->web->search_key)) {
        buf_add(&bearer, STR("Bearer "));
        buf_add(&bearer, secret_reveal(&c->web->search_key));
        fields[count++] = (struct fetch_field){ STR("authorization"), buf_str(&bearer) };
    }
    struct fetch_options o = {
        .url = s->search_url,
        .fields = fields,
        .field_count = count,
        .body = buf_str(&body),
        .connect_ms = CONNECT_MS,
        .total_ms = TOTAL_MS,
        .body_limit = BODY_MAX,
        .direct = !s->proxy,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = c,
    };
    c->fetch = fetch_new(c->web->fetcher, &o);
    if (bearer.p)
        mem_wipe(bearer.p, bearer.n);
}
