/* event_shape.h - the events that clients send: their shape (contract 3.2). */
#pragma once

#include "base/arena.h"
#include "postern/event.h"
#include "proto/schema.h"

enum { EVENTS_MAX = 100, INITIAL_EVENTS_MAX = 50 };

/* Rows for {"events":[...]} and for the member "initial_events" of a new session. */
extern const struct schema_row event_item, initial_event_item;

/* What rows cannot say; `events` has passed them. */
void events_check(const struct json *events, struct problems *p);

/* Of what type an event is that has passed its row. */
enum event_type event_type_sent(const struct json *event);

/* Makes structures of an array that has passed everything. Texts lie in the arena or in the tree, and
 * `out` has room for all. False when the arena is full. */
bool events_take(const struct json *events, struct event *out, struct arena *a);
