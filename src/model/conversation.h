/* conversation.h - what a script sees of the messages of a request.
 *
 * A view on one moment: the last thing that a person said, the results of the last calls, and how
 * many answers there have been. conversation_step goes on to the next answer, so that a script can be
 * played from the beginning.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "proto/json.h"

struct told_result {
    struct str tool, text; /* `tool` is empty when the call is not in the conversation */
    bool is_error;
};

/* All texts live until conversation_release. */
struct conversation {
    struct str user;             /* texts of the last user message that has any */
    struct told_result *results; /* since the last answer, in order */
    size_t result_count;
    uint64_t answer; /* number of the answer that is asked for, from 1 */
    uint64_t round;  /* the same since the last words of a person, from 1 */
    /* private */
    struct arena arena;
    struct json **messages;
    size_t count, at;
};

/* Reads the messages (JSON array of {role, content}) and stands before the first answer. To be
 * released in either case. */
int conversation_read(struct conversation *c, struct str messages, struct err *e);
void conversation_release(struct conversation *c);
#define AUTO_CONVERSATION CLEANUP(conversation_release) struct conversation

/* Goes on behind the answer that stands next. False: there is none, this is the request's moment. */
bool conversation_step(struct conversation *c);
