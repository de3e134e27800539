/* domains.h - the domain lists of the web tools (contract 2.1). */
#pragma once

#include "base/str.h"

#include <stdbool.h>

/* What is wrong with an entry of such a list, or NULL: plain host names with at least two labels,
 * ASCII, without scheme, port, wildcard; no address; not localhost, .local or .internal. */
const char *web_domain_refuses(struct str domain);

/* Whether `host` is the domain or one below it, case aside. */
bool web_domain_covers(struct str domain, struct str host);
