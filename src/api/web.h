/* web.h - the tools that the server runs itself: web_fetch and web_search (contract 6.8).
 *
 * Every address is judged before it is dialled, those of redirects too: this machine and private
 * networks are not the web, unless the configuration says so. web_search asks a configured provider.
 */
#pragma once

#include "control/engine.h"
#include "io/loop.h"
#include "net/fetch.h"

struct web_settings {
    bool fetch;             /* web_fetch may be used */
    bool allow_private;     /* addresses of this machine and of private networks may be dialled */
    const char *search_url; /* NULL: there is no web_search */
    const char
        *search_key_env; /* the variable that holds the provider's key; NULL: it needs none */
};
