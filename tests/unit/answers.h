/* answers.h - collects what a model tells, as lines of text that a test compares. */
#pragma once

#include "base/buf.h"
#include "postern/model.h"

struct answers {
    struct buf said; /* "text 0 ab" for each piece, "block 0 text abc", "done end" ... */
    struct model_usage usage;
    int64_t retry_after;
    unsigned done;
    /* When set: cancel this call at the first callback of that kind. */
    struct model_call *call;
    const struct model_ops *ops;
    const char *cancel_at;
    void (*when_done)(void *arg); /* NULL: nobody waits */
    void *arg;
};

extern const struct model_events answers_events;
void answers_release(struct answers *a);
#define AUTO_ANSWERS CLEANUP(answers_release) struct answers
