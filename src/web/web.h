/* web.h - the tools that the server runs itself: web_fetch and web_search (contract 6.8).
 *
 * Every address is judged before it is dialled, those of redirects too: this machine and private
 * networks are not the web, unless the configuration says so. web_search asks a configured provider:
 * POST {"query","max_results"} to its URL, answered by {"results":[{"title","url","content"}]}.
 */
#pragma once

#include "control/engine.h"
#include "io/loop.h"

struct web_settings {
    bool fetch;             /* web_fetch may be used */
    bool allow_private;     /* addresses of this machine and of private networks may be dialled */
    const char *proxy;      /* where everything goes, and which judges addresses; NULL: none */
    const char *search_url; /* NULL: there is no web_search */
    const char
        *search_key_env; /* the variable that holds the provider's key; NULL: it needs none */
};

struct web;

/* *out is NULL when the settings leave no tool. The caller frees, after the engine. */
int web_new(struct loop *l, const struct web_settings *settings, struct web **out, struct err *e);
void web_free(struct web *w); /* NULL is fine */

/* For struct engine_parts; NULL for NULL. */
const struct web_tools *web_tools_of(const struct web *w);
