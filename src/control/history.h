/* history.h - the log of a session as the conversation that a model is given (contract 8.4).
 *
 * Events are added in the order of the log; the text only grows, so the same beginning of a log gives
 * the same bytes and providers find their caches again. A compaction starts it anew with the summary.
 */
#pragma once

#include "base/buf.h"
#include "postern/event.h"

struct history;

/* Of each result `result_characters` at most are told: RESULT_CHARACTERS_MAX (result_text.h), or less
 * for a conversation that has to be made to fit. */
struct history *history_new(size_t result_characters);
void history_free(struct history *h); /* NULL is fine */

/* The next event, read whole. Those that no model sees do nothing. */
void history_add(struct history *h, const struct event *event);

/* Appends the messages as a JSON array; with `question` not empty it is asked at the end, as text of
 * the user, without becoming part of the history. */
void history_write(const struct history *h, struct str question, struct buf *out);

/* Bytes that it holds. */
size_t history_size(const struct history *h);
