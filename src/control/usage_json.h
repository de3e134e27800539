/* usage_json.h - what a session has used, as JSON: rounded for readers, exact for ourselves. */
#pragma once

#include "base/buf.h"
#include "postern/event.h"

/* As sessions and session.usage show it (contract 2.4): whole cents, null for what there is not. */
void usage_json_show(struct buf *b, const struct usage *u);

/* As we keep it. False: it is none. */
void usage_json_write(struct buf *b, const struct usage *u);
bool usage_json_read(struct str value, struct usage *out);
