#include "web/web.h"

#include "proto/json_write.h"
#include "web/web-int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void call_free(struct web_call *c)
{
    json_free(c->input);
    json_free(c->options);
    free(c->url);
    buf_release(&c->body);
    buf_release(&c->type);
    buf_release(&c->location);
    buf_release(&c->content);
    free(c);
}

static void tell(void *ctx)
{
    struct web_call *c = ctx;
    if (!c->cancelled)
        c->done(c->arg, buf_str(&c->content), c->is_error);
    call_free(c);
}

/* From the loop, so that no answer comes while the call is still being begun. */
static void tell_later(struct web_call *c)
{
    loop_later(c->web->loop, tell, c);
}

void web_fail(struct web_call *c, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_empty(&c->content);
    json_write_array(&c->content);
    json_write_object(&c->content);
    json_member_text(&c->content, "type", "text");
    json_member_text(&c->content, "text", text);
    json_write_object_end(&c->content);
    json_write_array_end(&c->content);
    c->is_error = true;
    tell_later(c);
}

void web_succeed(struct web_call *c)
{
    tell_later(c);
}

static struct web_call *start(void *ctx, struct str tool, struct str input, struct str options,
                              void (*done)(void *arg, struct str content, bool is_error), void *arg)
{
    struct web_call *c = mem_get(sizeof *c);
    struct err e = { 0 };
    c->web = ctx;
    c->done = done;
    c->arg = arg;
    if (json_parse(input, &c->input, &e) < 0 ||
        (options.n && json_parse(options, &c->options, &e) < 0))
        web_fail(c, "%.*s: the input cannot be read: %s", tool.n < 64 ? (int)tool.n : 64, tool.p,
                 e.text);
    else if (str_eq(tool, STR("web_fetch")))
        web_fetch_begin(c);
    else if (str_eq(tool, STR("web_search")))
        web_search_begin(c);
    else
        web_fail(c, "there is no such tool here");
    return c;
}

static void cancel(struct web_call *c)
{
    c->cancelled = true;
    if (!c->fetch)
        return; /* its answer is on the way, and is thrown away there */
    fetch_cancel(c->fetch);
    c->fetch = NULL;
    tell_later(c);
}

static int find_key(struct web *w, struct err *e)
{
    const char *name = w->settings.search_key_env, *key = name ? getenv(name) : NULL;
    if (!name)
        return 0;
    if (!key || !*key)
        return err_set(e, E_INPUT, 0, "web.search.key_env: %s is not in the environment", name);
    secret_set(&w->search_key, str_of(key));
    return 0;
}

int web_new(struct loop *l, const struct web_settings *settings, struct web **out, struct err *e)
{
    struct fetcher_options options = { .proxy = settings->proxy ? settings->proxy : "" };
    *out = NULL;
    if (!settings->fetch && !settings->search_url)
        return 0;
    struct web *w = mem_get(sizeof *w);
    w->settings = *settings;
    w->loop = l;
    w->tools = (struct web_tools){
        .can_search = settings->search_url, .start = start, .cancel = cancel, .ctx = w
    };
    if (find_key(w, e) < 0 || fetcher_new(l, &options, &w->fetcher, e) < 0) {
        web_free(w);
        return -1;
    }
    *out = w;
    return 0;
}

void web_free(struct web *w)
{
    if (!w)
        return;
    fetcher_free(w->fetcher);
    secret_release(&w->search_key);
    free(w);
}

const struct web_tools *web_tools_of(const struct web *w)
{
    return w ? &w->tools : NULL;
}
