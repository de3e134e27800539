/* script.h - a model that is a file: turns with conditions, for tests, demonstrations and
 * reproductions. docs/scripted-model.md is the description for the people who write such files.
 *
 * Nothing here remembers: which turn answers a request follows from the request alone, by playing the
 * script against the conversation that the request carries. So a restart in the middle of a session
 * changes nothing.
 */
#pragma once

#include "base/err.h"
#include "model/conversation.h"
#include "postern/model.h"

/* A condition on a text: all that are given must hold. */
struct script_match {
    bool given;
    struct str contains, lacks, equals, glob; /* p NULL: not asked */
    struct str tool;                          /* results only: the tool that gave it */
    bool asks_error, is_error;                /* results only */
};

struct script_range {
    bool given;
    uint64_t min, max;
};

/* Texts and values are borrowed from the script. Those that are said may hold templates
 * (script_text.h). */
struct script_turn {
    struct script_match user, result, system;
    struct script_range round, answer;
    struct str offers;        /* a tool that the request defines; p NULL: not asked */
    bool for_summaries;       /* answers requests that want no call, and only these */
    uint64_t uses;            /* how many answers of a conversation it may give */
    uint64_t delay_ms;        /* before the first block */
    struct str think;         /* p NULL: none */
    struct str say;           /* p NULL: none */
    uint64_t repeat;          /* how often `say` is said */
    uint64_t piece;           /* characters of one streamed piece; 0: chosen by the length */
    uint64_t pause_ms;        /* between two pieces */
    const struct json *calls; /* one {tool, input, id} or an array of them; NULL: none */
    enum model_stop stop;
    struct str category, explanation;
    enum model_failure failure; /* MODEL_OK: none */
    uint64_t fail_times;        /* attempts that fail; then the turn goes on */
    bool fail_midway;           /* half of `say` is streamed before */
    struct str fail_message;
    uint64_t retry_after_ms;
    const struct json *usage; /* object that overrides the estimate; NULL: none */
};

struct script {
    struct json *tree;         /* owned; everything else borrows from it */
    struct script_turn *turns; /* owned */
    size_t count;
};

/* Reads a script. A failure names line and key of every problem. The caller frees. */
int script_parse(struct str yaml, struct script **out, struct err *e);
void script_free(struct script *s); /* NULL is fine */

/* The turn that answers this conversation, or NULL: none is left. Plays the conversation to its end;
 * it then tells the moment of the request. */
const struct script_turn *script_choose(const struct script *s, struct conversation *c,
                                        const struct model_request *request);

/* Does the whole text match? `*` stands for any run, `?` for one character. */
bool script_glob(struct str pattern, struct str text);
