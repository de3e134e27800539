/* session-int.h - what the files of core/session share.
 *
 * A decision is made by `say`: each event is given its id and its time, noted, and applied at once, so
 * that the next step decides on the state that is true by then.
 */
#pragma once

#include "base/check.h"
#include "core/session.h"

/* Everything that one decision stands on. */
struct deciding {
    struct session *s;
    const struct session_rules *rules;
    int64_t now;
    const struct random_source *random;
    struct decision *d;
    bool opening;  /* a turn has begun in this fact and its inputs still come in */
    bool approved; /* a person has let a call go on that others carry out (3.5) */
    bool again;    /* the blocked turn has to name its calls anew */
    bool called;   /* a work item is wanted, whatever the state says */
};

/* --- decision.c --- */

/* Notes and applies one event; the id is made here unless it has one. Returns the id. */
struct id say(struct deciding *x, struct event event);
void want(struct deciding *x, struct effect effect);
/* The id of what answers the next event of a FACT_CLIENT. */
void answer(struct deciding *x, struct id id);
/* A formatted text that lives as long as the decision. */
__attribute__((format(printf, 2, 3))) struct str text(struct deciding *x, const char *fmt, ...);

/* --- session.c --- */

struct call *call_find(const struct session *s, const struct id *id);
struct call *call_of(const struct session *s, const struct id *id); /* it is known to be there */
bool call_is_open(const struct call *c);
size_t calls_in(const struct session *s, enum call_state state);
bool session_is_blocked(const struct session *s); /* a turn waits for others */
bool interrupt_waits(const struct session *s);    /* one is queued until the model lets go */
bool is_result(enum event_type type);

/* Takes the first queued input of this type out (EVENT_NONE: of any type); its texts then belong to
 * the decision. False: there is none. */
bool queue_take(struct deciding *x, enum event_type type, struct event *out);

/* --- session_turn.c --- */

/* Does what the state asks for: begins, goes on with, blocks or ends a turn, and sees to it that
 * there is a worker. Called once behind every fact. */
void turn_settle(struct deciding *x);

/* session.status_running and its thread's. */
void turn_run(struct deciding *x);

/* The thread's idle, session.usage, session.status_idle (3.4). */
void turn_idle(struct deciding *x, enum stop_reason stop, struct str category,
               struct str explanation);

/* The turn is dead: session.error, queued inputs become history, idle (3.11). */
void turn_fail(struct deciding *x, enum session_error error, struct str message);

/* What waits becomes part of the history without starting anything. */
void turn_flush(struct deciding *x);

/* The interrupt has come to its turn (3.6). */
void turn_interrupt(struct deciding *x, const struct event *event);

/* Closes a call with a result that the server writes. `told`: plain text for the model. */
void call_close(struct deciding *x, const struct id *call, struct str told);

/* --- session_model.c --- */

void model_answered(struct deciding *x, const struct fact *fact);
void model_aborted(struct deciding *x, const struct fact *fact);
void model_failed(struct deciding *x, const struct fact *fact);

/* Ends the request in flight as an error, with what it has used. */
void model_cut(struct deciding *x, const struct usage *usage, bool compaction);

/* Queued interrupts, now that no request is in flight. False: there are none. */
bool model_interrupt(struct deciding *x);

/* --- session_input.c --- */

/* 0; -1 with *refusal, before anything was said. */
int input_check(const struct deciding *x, const struct fact *fact, struct refusal *refusal);
void input_take(struct deciding *x, const struct fact *fact);

/* --- session_work.c --- */

void work_reported(struct deciding *x, const struct fact *fact);
int work_marks(struct deciding *x, const struct fact *fact, struct refusal *refusal);
void work_ensure(struct deciding *x); /* 4.7 */
