/* event_json.h - events as the log keeps them: the JSON text that the API shows (contract 3.2, 3.3),
 * and beside it what only we may see.
 *
 * One table row per type says which members there are (event_json.c); how a member is written and read
 * back is a codec (event_field.c). What a client or model sent as JSON is spliced as it stands, so
 * reading and writing again gives the same bytes.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "postern/event.h"
#include "postern/store.h"

/* "agent.message"; NULL for EVENT_NONE. */
const char *event_type_name(enum event_type type);

/* EVENT_NONE: no such type. */
enum event_type event_type_of(struct str name);

/* Who may read entries of this type. */
enum entry_shows event_type_shows(enum event_type type);

/* Appends the object that readers see, and to `inner` the object that they do not, or nothing.
 * EVENT_INTERNAL_QUEUED is written as the input that waits, processed_at null. */
void event_json_write(const struct event *e, struct buf *body, struct buf *inner);

/* EVENT_FOLD leaves out what the state of a session does not depend on: contents, inputs of calls
 * that somebody else carries out, members. */
enum event_detail { EVENT_FOLD, EVENT_WHOLE };

/* Reads an entry back. Texts of *out are borrowed from the entry and from `a`. -1 with E_BUG: the log
 * is not as we wrote it. */
int event_json_read(const struct entry *entry, enum event_detail detail, struct event *out,
                    struct arena *a, struct err *e);
