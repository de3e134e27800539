/* environments.h - how environments are kept (environments.c), for whoever else makes one. */
#pragma once

#include "base/buf.h"
#include "postern/store.h"

/* Appends the body of a new, empty environment of that name; r->id and r->created_at are set. */
void environment_body(struct buf *out, const struct record *r, struct str name);
