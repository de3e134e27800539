/* location.h - where a redirect leads (RFC 9110 10.2.2, as much of RFC 3986 5 as servers use). */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

/* The host of an http or https URL, without port, or empty when it is none, holds a user, or anything
 * that could be read in two ways. */
struct str location_host(struct str url);

/* Appends the absolute URL that `location` means at `url`. False when it is none. */
bool location_resolve(struct buf *out, struct str url, struct str location);
