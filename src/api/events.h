/* events.h - lists and streams of events, which sessions and their primary threads share. */
#pragma once

#include "api/errand.h"

/* The session has been found, and the asker may see it. Both end the errand. */
void events_answer_list(struct errand *x, const struct record *session);
void event_stream_begin(struct errand *x, const struct record *session);
