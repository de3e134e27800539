/* desk.h - one session on a table: facts in, events and effects out as words, for tests of core.
 *
 * Behind every fact a second session is folded from the same events and compared with the first, so
 * each test is also one of "a replayed log gives the same state".
 */
#pragma once

#include "base/buf.h"
#include "core/session.h"

struct desk {
    struct session *s, *shadow;
    struct decision d;
    struct session_rules rules;
    int64_t now;
    uint64_t seed;
    struct buf events;    /* words of the last fact's events */
    struct buf effects;   /* and of its effects */
    struct id waiting[8]; /* of its last idle */
    size_t waiting_count;
};

/* A created session without events; AUTO_DESK gives it back. */
void desk_open(struct desk *k);
void desk_release(struct desk *k);
#define AUTO_DESK CLEANUP(desk_release) struct desk

/* A new process has read the session from its log. */
void desk_crash(struct desk *k);

/* 0 or -1, as session_decide. */
int desk_fact(struct desk *k, const struct fact *fact);

/* Client events by an API key, or by a worker. */
int desk_send(struct desk *k, const struct event *events, size_t count);
int desk_post(struct desk *k, const struct event *events, size_t count);
int desk_message(struct desk *k, const char *content);
int desk_interrupt(struct desk *k);
int desk_confirm(struct desk *k, const struct id *call, bool allow);
int desk_result(struct desk *k, const struct id *call); /* by a worker */
int desk_custom_result(struct desk *k, const struct id *call);

/* A call as a model asks for it; the owner and the repeat follow from the name. */
struct answer_call desk_call(const char *tool, enum policy policy);
struct answer_call desk_custom_call(const char *tool);

/* The model answers the request in flight. */
void desk_answer(struct desk *k, const char *content, const struct answer_call *calls,
                 size_t count);
void desk_answer_stop(struct desk *k, const char *content, enum model_stop stop);
void desk_answer_using(struct desk *k, uint64_t tokens, const struct answer_call *calls,
                       size_t count);
void desk_aborted(struct desk *k, const char *content);
void desk_summary(struct desk *k, const char *text);
void desk_fail(struct desk *k, enum model_failure failure);
void desk_tool_ended(struct desk *k, const struct id *call);
void desk_clock(struct desk *k, int64_t later);

/* What happened to the live work item. */
void desk_work(struct desk *k, enum work_news news, enum work_ender by, int64_t held);
/* A worker marks the call; 0 or -1. */
int desk_mark(struct desk *k, const struct id *call);

/* The i-th call of the session. */
const struct call *desk_nth(const struct desk *k, size_t i);
struct id desk_nth_id(const struct desk *k, size_t i);

/* The last event of this type that the last fact gave; fails the test when there is none. */
const struct event *desk_last(struct desk *k, enum event_type type);
